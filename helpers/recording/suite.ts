import { readFileSync } from 'node:fs'

/** The suite's version, as package.json states it. */
export const suiteVersion = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version
