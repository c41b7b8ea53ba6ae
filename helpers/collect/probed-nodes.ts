import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { ProbedNode } from '../evidence/probes.ts'
import type { Expectations } from '../expectations/expectations.ts'

/**
 * What the probes of each machine depend on. The address by which others reach a host is `access_ip`, `ip`, or what
 * `ansible_host` (or the name) resolves to: Kubespray itself takes the address of the default route there.
 */
export async function probedNodes(expectations: Expectations): Promise<Map<string, ProbedNode>> {
  const { controlPlanes, etcdMembers, workers, machines } = expectations
  const needed = [...new Set([...controlPlanes, ...etcdMembers])]
  const addresses = new Map(
    await Promise.all(needed.map(async host => [host, await addressOf(host, expectations)] as const)),
  )
  const apiServers = controlPlanes.flatMap(host => addresses.get(host) ?? [])
  return new Map(
    machines.map(host => [
      host,
      {
        want: expectations.values(host),
        address: addresses.get(host) ?? writtenAddresses(host, expectations)[0] ?? host,
        isControlPlane: controlPlanes.includes(host),
        isEtcdMember: etcdMembers.includes(host),
        isWorker: workers.includes(host),
        apiServers,
        etcdHosts: etcdMembers,
      },
    ]),
  )
}

async function addressOf(host: string, expectations: Expectations): Promise<string> {
  const name = writtenAddresses(host, expectations)[0] ?? host
  if (isIP(name)) return name
  return lookup(name).then(
    ({ address }) => address,
    () => name,
  )
}

/** The addresses that the inventory gives a host, that by which others reach it first. */
export function writtenAddresses(host: string, expectations: Expectations): string[] {
  const vars = expectations.inventory.vars(host)
  return ['access_ip', 'ip', 'ansible_host'].flatMap(name => {
    if (!vars.has(name)) return []
    try {
      const { value } = expectations.resolve(host, name)
      return typeof value === 'string' && value !== '' ? [value] : []
    } catch {
      // A variable that can not be known: the next one counts, and the judge will say so.
      return []
    }
  })
}
