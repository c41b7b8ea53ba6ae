import { redactingSed } from '../facts/secrets.ts'
import type { FileProbe, NodeProbes } from '../evidence/probes.ts'

/** Bytes of a command's output, and of a file, that are kept; what is beyond is cut and marked. */
export const MOST_BYTES = 4 * 1024 * 1024
const MOST_ERRORS = 64 * 1024

/**
 * The probes of a machine as one POSIX sh script, to be read by `sh -s` from standard input.
 *
 * It writes frames: a line `@<nonce> <kind> <length> …`, then as many bytes of base64, then a newline. Whatever else is
 * printed before or between (banners, `.bashrc`) is no frame. It needs coreutils or busybox: base64, head, stat, tail, timeout.
 * It writes nothing on the machine.
 * @param nonce hexadecimal, unguessable by what the commands print
 */
export function render({ commands, files }: NodeProbes, nonce: string): string {
  return [
    'LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    'export LC_ALL PATH',
    'unset LANGUAGE KUBECONFIG ENV BASH_ENV CDPATH',
    'user=$(id -u)',
    '[ "$user" = 0 ] && HOME=/root && export HOME',
    `for tool in base64 head sed stat tail timeout; do command -v $tool >/dev/null || { echo "@${nonce} lacks 0 $tool"; exit 1; }; done`,
    'exec 3>&1',
    `echo "@${nonce} start 0 $user"`,
    ...functions(nonce),
    ...commands.map(
      ({ id, command, limit, root }) => `probe ${quoted(id)} ${limit} ${Number(root)} ${quoted(command)}`,
    ),
    ...files.map(({ path, keep, root }: FileProbe) => `files ${keep} ${Number(root)} ${pattern(path)}`),
    `echo "@${nonce} end 0"`,
    'exit 0',
    '',
  ].join('\n')
}

/**
 * `probe`: runs a command in its own shell under its time limit; frames `out` and then `err`, which ends with the exit status.
 * `files`: a frame for each file: its path, what it is, and for plain files status, link target, digest and content.
 */
function functions(nonce: string): string[] {
  const sed = redactingSed.map(script => `-e ${quoted(script)}`).join(' ')
  return `
probe() {
  if [ "$3" = 1 ] && [ "$user" != 0 ]; then echo "@${nonce} skip 0 $1"; return; fi
  read began rest </proc/uptime
  e=$({
    o=$({ timeout -k 1 "$2" /bin/sh -c "$4" </dev/null 2>&4 3>&-; printf '\\n%s' "$?" >&4; } | head -c ${MOST_BYTES + 1} | base64)
    printf '@${nonce} out %s %s\\n%s\\n' "\${#o}" "$1" "$o" >&3
  } 4>&1 | tail -c ${MOST_ERRORS} | base64)
  read ended rest </proc/uptime
  printf '@${nonce} err %s %s %s %s\\n%s\\n' "\${#e}" "$1" "$began" "$ended" "$e"
}
files() {
  keep=$1 root=$2
  shift 2
  for f do
    case $f in *[*?]*) [ -e "$f" ] || continue ;; esac
    file "$f"
    if [ -L "$f" ] && t=$(readlink -f "$f") && [ -n "$t" ]; then file "$t"; fi
  done
}
file() {
  o=$({
    echo "$1"
    if [ "$root" = 1 ] && [ "$user" != 0 ]; then echo denied
    elif [ ! -e "$1" ]; then echo absent
    elif [ ! -f "$1" ]; then echo special
    else
      stat -L -c 'file %a %U %G %s %Y' "$1"
      readlink "$1" || echo
      case $keep$1 in
        status*|*-key.pem|*.key) echo; echo key ;;
        digest*) sha256sum <"$1" || echo; echo digest ;;
        *) if [ -r "$1" ]; then sha256sum <"$1"; echo content; sed -E ${sed} "$1" | head -c ${MOST_BYTES + 1}; else echo; echo denied; fi ;;
      esac
    fi
  } 2>/dev/null </dev/null | base64)
  printf '@${nonce} file %s\\n%s\\n' "\${#o}" "$o"
}`.split('\n')
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

/** A path for the shell: quoted, but for the stars and question marks in it and the home that it may begin with. */
function pattern(path: string): string {
  if (path.startsWith('~/')) return `"$HOME"/${pattern(path.slice(2))}`
  return path
    .split(/([*?]+)/)
    .map((part, index) => (index % 2 === 1 || part === '' ? part : quoted(part)))
    .join('')
}
