import type { FileProbe, NodeProbes } from '../evidence/probes.ts'
import { quoted } from '../evidence/shell-words.ts'
import { redactingSed } from '../facts/secrets.ts'

/** Bytes of a command's output, and of a file, that are kept; what is beyond is cut and marked. */
export const MOST_BYTES = 4 * 1024 * 1024
const MOST_ERRORS = 1024 * 1024
const MOST_FILES = 64 * 1024 * 1024

/** Commands that share a frame: few, so that what a machine said before it stalled is kept; many, so that it is quick. */
const IN_A_BATCH = 20

/**
 * The probes of a machine as one POSIX sh script, to be read by `sh -s` from standard input. It needs coreutils or busybox
 * (base64, head, sed, sha256sum, stat, tail, timeout) and writes nothing on the machine.
 *
 * It answers in frames: a line `@<nonce> <kind> <length>`, then as many bytes of base64, then a newline. Whatever else is
 * printed before the first (banners, `.bashrc`) is no frame. `at <id>` says which command runs, for how long silence is
 * patience. Within a frame, records begin with a line `@<nonce> <what> …`:
 *
 * - `out`: of each command its standard output between `run <id>` and `end <id> <began> <ended>`, or `skip <id>`
 * - `err`: of each command its standard error between `run <id>` and `status <status>`
 * - `files`: of each file `stat`, `link`, `sum` and `content`, or `absent`, `special`, `denied`, `key`
 * @param nonce hexadecimal, unguessable by what the commands print
 */
export function render({ commands, files }: NodeProbes, nonce: string): string {
  const batches = Array.from({ length: Math.ceil(commands.length / IN_A_BATCH) }, (_, index) =>
    commands
      .slice(index * IN_A_BATCH, (index + 1) * IN_A_BATCH)
      .map(({ id, command, limit, root }) => `probe ${quoted(id)} ${limit} ${Number(root)} ${quoted(command)}`),
  )
  return [
    'LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    'export LC_ALL PATH',
    'unset LANGUAGE KUBECONFIG ENV BASH_ENV CDPATH',
    'while read -r key real user rest; do [ "$key" = Uid: ] && break; done </proc/self/status',
    '[ "$user" = 0 ] && HOME=/root && export HOME',
    `for tool in base64 head sed sha256sum stat tail timeout; do command -v $tool >/dev/null || { echo "@${nonce} lacks $tool"; exit 1; }; done`,
    'exec 3>&1',
    `echo "@${nonce} start $user"`,
    functions(nonce),
    ...batches.map(lines => `commands() {\n${lines.join('\n')}\n}\nbatch`),
    ...groups(files).map(([first, ...rest]) =>
      first === undefined
        ? ''
        : `files ${first.keep} ${Number(first.root)} ${[first, ...rest].map(({ path }) => pattern(path)).join(' ')}`,
    ),
    `echo "@${nonce} end"`,
    'exit 0',
    '',
  ].join('\n')
}

function groups(files: readonly FileProbe[]): FileProbe[][] {
  const kinds = new Map<string, FileProbe[]>()
  for (const file of files) {
    const kind = `${file.keep} ${file.root}`
    kinds.set(kind, [...(kinds.get(kind) ?? []), file])
  }
  return [...kinds.values()]
}

/** Descriptors: 3 the answer, 4 the standard errors of a batch, with the statuses, which `head` would hide. */
function functions(nonce: string): string {
  // A key without an end is taken out up to the next file.
  const sed = redactingSed(`^@${nonce} `)
    .map(script => `-e ${quoted(script)}`)
    .join(' ')
  return `
probe() {
  if [ "$3" = 1 ] && [ "$user" != 0 ]; then echo "@${nonce} skip $1"; return; fi
  echo "@${nonce} at $1" >&3
  read began rest </proc/uptime
  echo "@${nonce} run $1"
  echo "@${nonce} run $1" >&4
  { timeout -k 1 "$2" /bin/sh -c "$4" </dev/null 2>&4 3>&- 4>&-; printf '\\n@${nonce} status %s\\n' "$?" >&4; } | head -c ${MOST_BYTES + 1}
  read ended rest </proc/uptime
  printf '\\n@${nonce} end %s %s %s\\n' "$1" "$began" "$ended"
}
batch() {
  e=$({ o=$(commands | base64); frame out "$o" >&3; } 4>&1 | tail -c ${MOST_ERRORS} | base64)
  frame err "$e"
}
frame() { printf '@${nonce} %s %s\\n%s\\n' "$1" "\${#2}" "$2"; }
files() {
  keep=$1 root=$2
  shift 2
  frame files "$(found "$@" 2>/dev/null </dev/null | head -c ${MOST_FILES} | base64)"
}
found() {
  for f do [ -L "$f" ] && t=$(readlink -f "$f") && [ -n "$t" ] && set -- "$@" "$t"; done
  for f do
    shift
    if [ ! -e "$f" ]; then
      case $f in *[*?]*) ;; *) echo "@${nonce} absent $f" ;; esac
    elif [ "$root" = 1 ] && [ "$user" != 0 ]; then echo "@${nonce} denied $f"
    elif [ ! -f "$f" ]; then echo "@${nonce} special $f"
    else
      case $keep:$f in
        status:*) set -- "$@" "$f" ;;
        *-key.pem|*.key) stat -L -c "@${nonce} stat %a %U %G %s %Y %n" "$f"; echo "@${nonce} key $f" ;;
        *) if [ -r "$f" ]; then set -- "$@" "$f"; else echo "@${nonce} denied $f"; fi ;;
      esac
    fi
  done
  [ $# = 0 ] && return
  stat -L -c "@${nonce} stat %a %U %G %s %Y %n" "$@"
  if [ $keep = status ]; then
    for f do echo "@${nonce} key $f"; done
    return
  fi
  for f do [ -L "$f" ] && echo "@${nonce} link $f" && readlink "$f"; done
  sha256sum "$@" | sed "s/^/@${nonce} sum /"
  if [ $keep = content ]; then
    { for f do printf '\\n@${nonce} content %s\\n' "$f"; cat "$f"; done; printf '\\n@${nonce} whole\\n'; } | sed -E ${sed}
  else
    for f do echo "@${nonce} digest $f"; done
  fi
}`
}

/** A path for the shell: quoted, but for the stars and question marks in it and the home that it may begin with. */
function pattern(path: string): string {
  if (path.startsWith('~/')) return `"$HOME"/${pattern(path.slice(2))}`
  return path
    .split(/([*?]+)/)
    .map((part, index) => (index % 2 === 1 || part === '' ? part : quoted(part)))
    .join('')
}
