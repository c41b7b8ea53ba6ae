#!/bin/sh
# The twin's base image: a Debian root file system with a real OpenSSH server, sudo and login shells.
# Made with mmdebstrap where it is installed (no image registry is needed then), else from debian:bookworm-slim.
# Usage: base-image.sh IMAGE
set -eu
image=$1
packages=openssh-server,sudo,fish,tcsh,procps,iproute2
docker image inspect "$image" >/dev/null 2>&1 && exit 0
if command -v mmdebstrap >/dev/null; then
  mmdebstrap --quiet --variant=minbase --include="$packages" bookworm - http://deb.debian.org/debian | docker import - "$image"
else
  docker build --tag "$image" - <<EOF
FROM debian:bookworm-slim
RUN apt-get update && apt-get install --yes --no-install-recommends $(echo "$packages" | tr , ' ')
EOF
fi
