/** A text as one word of the shell. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

/** A path as one word of the shell, in which a leading `~/` is the user's home. */
export function quotedPath(path: string): string {
  return path.startsWith('~/') ? `"$HOME"/${quoted(path.slice(2))}` : quoted(path)
}

/** An address as URLs write it. */
export function inUrl(address: string): string {
  return address.includes(':') ? `[${address}]` : address
}
