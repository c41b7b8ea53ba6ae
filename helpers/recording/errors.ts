import type { z } from 'zod'

/**
 * A mistake in what the user gave us: a file, an option, a folder.
 * Its message names it and says what to do; commands print it without a stack trace and exit with 3.
 */
export class UserError extends Error {
  override readonly name = 'UserError'
}

/** The first thing that a schema finds wrong: where it is, and what. */
export function firstIssue({ issues: [issue] }: z.ZodError): string {
  return `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`
}
