import { parseArgs } from 'node:util'
import { UserError } from '../recording/errors.ts'

/** The recording that commands judge where none is given: of a healthy cluster. */
export const shippedRecording = 'recordings/case1-remediated'

/** Exit status: all well, a failure, not enough evidence, could not start. */
export const EXIT = { well: 0, failure: 1, indeterminate: 2, unusable: 3 } as const

/** Runs a command and ends the process with its status; a mistake of the user is one line and status 3. */
export async function main(usage: string, run: () => Promise<number> | number): Promise<void> {
  if (process.argv.slice(2).some(argument => argument === '--help' || argument === '-h')) {
    process.stdout.write(usage)
    return
  }
  try {
    process.exitCode = await run()
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    console.error(`error: ${error.message}`)
    process.exitCode = EXIT.unusable
  }
}

type Kinds = Readonly<Record<string, 'string' | 'strings' | 'boolean'>>
type Options<K extends Kinds> = {
  [N in keyof K]?: K[N] extends 'boolean' ? boolean : K[N] extends 'strings' ? string[] : string
} & { readonly rest: string[] }

/** The options of the command line. @throws UserError for one that is not known or lacks its value */
export function options<K extends Kinds>(usage: string, kinds: K): Options<K> {
  try {
    const { values, positionals } = parseArgs({
      args: process.argv.slice(2),
      allowPositionals: true,
      options: Object.fromEntries(
        Object.entries(kinds).map(([name, kind]) => [
          name,
          { type: kind === 'boolean' ? 'boolean' : 'string', multiple: kind === 'strings' },
        ]),
      ),
    })
    return { ...values, rest: positionals } as unknown as Options<K>
  } catch (error) {
    throw new UserError(`${(error as Error).message.split('. ')[0] ?? ''}. ${usage.split('\n')[0] ?? ''}`)
  }
}

/** @throws UserError where a word is left that is no option */
export function nothingElse(rest: readonly string[], hint: string): void {
  if (rest.length > 0) throw new UserError(`${rest[0] ?? ''}: not an option. ${hint}`)
}
