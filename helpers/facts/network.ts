import { z } from 'zod'
import { json } from './json.ts'

const link = z.object({
  ifname: z.string(),
  flags: z.array(z.string()),
  mtu: z.number(),
  address: z.string().optional(),
  addr_info: z.array(z.object({ family: z.string(), local: z.string(), prefixlen: z.number() })),
})

/** `ip -j addr`. */
export const networkInterfaces = json(z.array(link).min(1))

/** `ip -j route`. */
export const routes = json(
  z
    .array(
      z.object({
        dst: z.string(),
        dev: z.string().optional(),
        gateway: z.string().optional(),
        prefsrc: z.string().optional(),
      }),
    )
    .min(1),
)

/** `bridge -j fdb show dev flannel.1`. */
export const forwardingEntries = json(z.array(z.object({ mac: z.string(), dst: z.string().optional() })))
