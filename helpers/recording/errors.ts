/**
 * A mistake in what the user gave us: a file, an option, a folder.
 * Its message names it and says what to do; commands print it without a stack trace and exit with 3.
 */
export class UserError extends Error {
  override readonly name = 'UserError'
}
