import { readdirSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { textOf } from '../recording/format.ts'
import { openRecording } from '../recording/open.ts'
import type { Parser } from './parser.ts'

/** Every parser there is: those that the modules of this folder export. */
const modules = readdirSync(import.meta.dirname).filter(
  file => file.endsWith('.ts') && !/test|table|parser|secrets|kubernetes-objects\.ts$/.test(file),
)
const parsers = (
  await Promise.all(
    modules.map(async file =>
      Object.entries((await import(`./${file}`)) as Record<string, unknown>)
        .filter(
          ([name, exported]) =>
            typeof exported === 'function' &&
            exported.length === 1 &&
            /^[a-z]/.test(name) &&
            !['items', 'json', 'yaml', 'toml', 'flagsOf', 'yamlDocuments', 'readCertificate'].includes(name),
        )
        .map(([name, exported]) => [name, exported as Parser<unknown>] as const),
    ),
  )
).flat()

const recording = openRecording('recordings/case1-remediated')
const texts = recording
  .sources('nodes/k8s-node4')
  .concat(recording.sources('controller/kube'))
  .flatMap(source => {
    const text = textOf(recording.get(source))
    return text === '' ? [] : [text.slice(0, 20_000)]
  })

/** Real evidence, spoilt: cut, with CRLF, with random bytes in it. */
const spoilt = fc.constantFrom(...texts).chain(text =>
  fc.oneof(
    fc.nat(text.length).map(at => text.slice(0, at)),
    fc.constant(text.replaceAll('\n', '\r\n')),
    fc
      .tuple(fc.nat(text.length), fc.string({ unit: 'binary', maxLength: 40 }))
      .map(([at, noise]) => text.slice(0, at) + noise + text.slice(at)),
  ),
)

test.each(parsers)('%s never throws, whatever it is given', (_, parse) => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 400 }), spoilt), text => {
      const result = parse(text)
      expect(result.ok || result.error.message.length > 0).toBe(true)
    }),
    { numRuns: 40 },
  )
})

// A parser that hangs, or takes time that grows with the square of its input, ends at the test's time limit.
test.each(parsers)('%s does not hang on huge lines', (_, parse) => {
  const huge = ['a', ' ', '{', '"', 'a=b ', '-', '("x",pid=1', '\n', '"\n', '- [', '# ', '\\']
  for (const text of huge.map(piece => piece.repeat(30_000))) {
    const result = parse(text)
    expect(result.ok || result.error.message.length > 0).toBe(true)
  }
})
