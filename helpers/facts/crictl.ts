import { z } from 'zod'
import { json } from './json.ts'

const nanoseconds = z.union([z.string(), z.number()]).transform(text => Number(text) / 1e6)

const container = z.object({
  id: z.string(),
  podSandboxId: z.string(),
  metadata: z.object({ name: z.string(), attempt: z.number() }),
  state: z.string(),
  /** Milliseconds since the epoch. */
  createdAt: nanoseconds,
  labels: z.record(z.string(), z.string()),
})

/** `crictl ps -a -o json`. */
export const criContainers = json(
  z.object({ containers: z.array(container) }).transform(({ containers }) => containers),
)

const sandbox = z.object({
  id: z.string(),
  metadata: z.object({ name: z.string(), namespace: z.string() }),
  state: z.string(),
  /** Milliseconds since the epoch. */
  createdAt: nanoseconds,
  annotations: z.record(z.string(), z.string()).default({}),
})

/** `crictl pods -o json`. */
export const criSandboxes = json(z.object({ items: z.array(sandbox) }).transform(({ items }) => items))
