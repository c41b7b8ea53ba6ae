import { type Line, lines, match, ParseError, parser, quote } from './parser.ts'

export interface Entry {
  readonly path: string
  /** As ls prints it: `-rw-r-----`. */
  readonly permissions: string
  readonly owner: string
  readonly group: string
  readonly size: number
  /** Seconds since the epoch; undefined where the listing gives none. */
  readonly mtime: number | undefined
  readonly linkTarget: string | undefined
}

/** A directory listing, asked by path. */
export class Listing {
  readonly entries: readonly Entry[]

  constructor(entries: readonly Entry[]) {
    this.entries = entries
  }

  get(path: string): Entry | undefined {
    return this.entries.find(entry => entry.path === path)
  }

  has(path: string): boolean {
    return this.get(path) !== undefined
  }

  /** Paths of the plain files and links directly in a directory, by base name. */
  names(directory: string): string[] {
    const prefix = directory === '' ? '' : `${directory.replace(/\/$/, '')}/`
    return this.entries
      .map(({ path }) => path)
      .filter(path => path.startsWith(prefix) && path !== prefix && !path.slice(prefix.length).includes('/'))
      .map(path => path.slice(prefix.length))
      .sort()
  }
}

const PERMISSIONS = String.raw`([-dlbcpsD][-rwxsStT]{9})[.+@]?`

/** `find -printf '%M %u %g %s %T@ %p -> %l\n'`, the time and the link target being optional. */
export const findListing = parser(text => {
  const pattern = new RegExp(String.raw`^${PERMISSIONS} (\S+) (\S+) (\d+)(?: (\d+\.\d+))? (\/.*)$`)
  const entries = lines(text).map(line => {
    const [permissions = '', owner = '', group = '', size, mtime, rest = ''] = match(line, pattern, 'a listed file')
    const [path = '', target] = rest.split(/ -> ?/)
    return entry(line, { path, permissions, owner, group, size, mtime, target })
  })
  return listing(entries)
})

/** `ls -la` of one directory: names, without the directory itself and its parent. */
export const lsListing = parser(text => {
  const pattern = new RegExp(String.raw`^${PERMISSIONS}\s+\d+\s+(\S+)\s+(\S+)\s+(\d+)\s+\w{3}\s+\d+\s+[\d:]+\s(.+)$`)
  const entries = lines(text)
    .filter(line => !/^total \d+$/.test(line.text))
    .map(line => {
      const [permissions = '', owner = '', group = '', size, rest = ''] = match(line, pattern, 'a listed file')
      const [path = '', target] = rest.split(' -> ')
      return entry(line, { path, permissions, owner, group, size, target })
    })
    .filter(({ path }) => path !== '.' && path !== '..')
  return listing(entries)
})

/** What `find` says of a folder that is not there: no listing. */
export const noSuchFile = parser(text => {
  if (!/No such file or directory/.test(text))
    throw new ParseError(`not "No such file or directory": ${quote(text.trim())}`)
  return undefined
})

function entry(
  line: Line,
  fields: Pick<Entry, 'path' | 'permissions' | 'owner' | 'group'> &
    Record<'size', string | undefined> & { mtime?: string | undefined; target?: string | undefined },
): Entry {
  if (fields.path === '') throw new ParseError('a listed file without its name', line.number)
  const { size, mtime, target, ...rest } = fields
  return { ...rest, size: Number(size), mtime: mtime ? Number(mtime) : undefined, linkTarget: target || undefined }
}

function listing(entries: Entry[]): Listing {
  if (entries.length === 0) throw new ParseError('empty: no file listed')
  return new Listing(entries)
}
