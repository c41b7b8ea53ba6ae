import { z } from 'zod'
import { json } from './json.ts'
import { ParseError, parser, quote } from './parser.ts'

/** The first version number that a program prints of itself, without `v`: `Kubernetes v1.33.13`, `etcd Version: 3.5.35`. */
export const programVersion = parser(text => {
  const version = /\bv?(\d+\.\d+\.\d+(?:-[\w.]+)?)\b/.exec(text)?.[1]
  if (version === undefined) throw new ParseError(`no version: ${quote(text.trim())}`)
  return version
})

/** `git describe --tags` in the Kubespray checkout: the tag, and what comes behind it in a changed tree. */
export const gitDescription = parser(text => {
  const found = /^(v\d+\.\d+\.\d+)(-\S+)?\s*$/.exec(text)
  if (!found) throw new ParseError(`not a described tag: ${quote(text.trim())}`)
  return { tag: found[1] ?? '', beyond: found[2] }
})

/** `kubectl version --client -o json`. */
export const kubectlVersion = json(
  z
    .object({ clientVersion: z.object({ gitVersion: z.string() }) })
    .transform(({ clientVersion }) => clientVersion.gitVersion.replace(/^v/, '')),
)
