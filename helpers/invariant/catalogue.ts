import { readdirSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { join } from 'node:path'
import { type Invariant, onDeclare, planes } from './invariant.ts'

const specs = fileURLToPath(new URL('../../specs', import.meta.url))

export interface CataloguedInvariant extends Invariant {
  /** The spec that declares it, relative to the repository. */
  readonly spec: string
}

let loaded: Promise<readonly CataloguedInvariant[]> | undefined

/** All invariants that the specs declare, by plane and in the order of the specs. @throws Error for an id that is declared twice */
export function catalogue(): Promise<readonly CataloguedInvariant[]> {
  return (loaded ??= load())
}

async function load(): Promise<readonly CataloguedInvariant[]> {
  const found: CataloguedInvariant[] = []
  const files = readdirSync(specs, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.spec.ts'))
  const rank = (file: string) => planes.findIndex(plane => file.startsWith(`${plane}/`))
  for (const file of files.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))) {
    const before = onDeclare(invariant => found.push({ ...invariant, spec: `specs/${file}` }))
    await import(pathToFileURL(join(specs, file)).href)
    onDeclare(before)
  }
  verify(found)
  return found
}

function verify(invariants: readonly CataloguedInvariant[]): void {
  const ids = new Set<string>()
  for (const { id, spec } of invariants) {
    if (ids.has(id)) throw new Error(`${spec}: ${id} is declared twice`)
    ids.add(id)
  }
  for (const { id, spec, plane, dependsOn = [], refutedBy } of invariants) {
    const unknown = dependsOn.find(other => !ids.has(other))
    if (unknown) throw new Error(`${spec}: ${id} depends on ${unknown}, which no spec declares`)
    if (!spec.startsWith(`specs/${plane}/`)) throw new Error(`${spec}: ${id} is of plane ${plane}`)
    const circle = circleFrom(id, invariants)
    if (circle) throw new Error(`${spec}: ${circle.join(' depends on ')}: a failure would have no root cause`)
    if (Object.keys(refutedBy).length === 0) throw new Error(`${spec}: ${id} has no refutation`)
  }
}

/** The way by which an invariant depends on itself; undefined where it does not. */
function circleFrom(
  id: string,
  all: readonly CataloguedInvariant[],
  path: readonly string[] = [id],
): string[] | undefined {
  for (const other of all.find(one => one.id === path.at(-1))?.dependsOn ?? []) {
    if (other === id) return [...path, id]
    const circle = path.includes(other) ? undefined : circleFrom(id, all, [...path, other])
    if (circle) return circle
  }
  return undefined
}
