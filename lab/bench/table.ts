/** Prints a table under its title; the first column is text, the others are numbers. */
export function table(title: string, head: readonly string[], rows: readonly (readonly string[])[]): void {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map(row => row[column]?.length ?? 0)))
  console.log(`\n${title}`)
  for (const row of all)
    console.log(
      `  ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ')}`,
    )
}

/** A measured ratio beside the one that is asked for. */
export function ratio(ours: number, theirs: number, atMost: number): string {
  const value = ours / theirs
  return `${value.toFixed(2)} × (at most ${atMost}: ${value <= atMost ? 'kept' : 'NOT KEPT'})`
}
