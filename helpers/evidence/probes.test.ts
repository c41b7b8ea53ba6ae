import { expect, test } from 'vitest'
import { probedNodes } from '../collect/probed-nodes.ts'
import { catalogue } from '../invariant/catalogue.ts'
import { openRecording } from '../recording/open.ts'
import { expectationsFor, recordedOverrides } from '../targets/recorded.ts'
import { judgeAll } from '../verdict/judge.ts'
import { apiProbes } from './api-probes.ts'
import { controllerProbes } from './controller-probes.ts'
import { probesOf } from './probes.ts'

const recording = openRecording('recordings/case1-remediated')
const expectations = expectationsFor(recording, recordedOverrides(recording))
const probed = await probedNodes(expectations)
const cited = new Set(
  judgeAll(await catalogue(), recording, expectations).flatMap(({ citations }) =>
    citations.map(({ source }) => source),
  ),
)

test('every source that an invariant reads on a node is asked for by a probe', () => {
  const asked = [...probed].flatMap(([name, node]) => {
    const { commands, files } = probesOf(node)
    return [
      ...commands.map(({ id }) => `nodes/${name}/commands/${id}`),
      ...files.map(({ path }) => `nodes/${name}/files${path}`),
    ]
  })
  const patterns = asked.filter(source => source.includes('*'))
  const isAsked = (source: string) =>
    asked.includes(source) ||
    patterns.some(pattern => source.startsWith(pattern.split('*')[0] ?? '')) ||
    source.endsWith('/collection') ||
    isLinkTarget(source)
  expect([...cited].filter(source => source.startsWith('nodes/') && !isAsked(source) && !isElsewhere(source))).toEqual(
    [],
  )
})

/** What a link leads to is read with the link. */
function isLinkTarget(source: string): boolean {
  const link = /kubelet-client-\d/.test(source)
    ? source.replace(/kubelet-client-[\d-]+\.pem$/, 'kubelet-client-current.pem')
    : source.replace('/etc/sysctl.conf', '/etc/sysctl.d/99-sysctl.conf')
  return link !== source && recording.get(link) !== undefined
}

/** An invariant may ask a worker for what only control planes have, to find that it is not there. */
function isElsewhere(source: string): boolean {
  return recording.get(source) === undefined
}

test('every source that an invariant reads of the API and the controller is asked for', () => {
  const [first = ''] = expectations.controlPlanes
  const { names } = controllerProbes({
    kubespray: '/kubespray',
    inventory: '/kubespray/inventory/mycluster/inventory.ini',
    kubeconfig: '/kubeconfig',
    apiServers: expectations.controlPlanes.flatMap(host => [host, probed.get(host)?.address ?? '']),
    apiPort: expectations.values(first).kube_apiserver_port,
    hosts: expectations.machines,
  })
  const asked = [
    ...apiProbes.map(({ name }) => `api/${name}`),
    ...[...names.values()].map(name => `controller/${name}`),
  ]
  const isInput = (source: string) => /^controller\/(inventory\/|extra-vars|kubespray-version)|^api\/log-/.test(source)
  expect(
    [...cited].filter(source => /^(api|controller)\//.test(source) && !asked.includes(source) && !isInput(source)),
  ).toEqual([])
})

test('no probe writes, and none reads a key', () => {
  for (const node of probed.values()) {
    const { commands, files } = probesOf(node)
    expect(
      commands.filter(({ command }) => / >(?!&|\/dev\/null)|\b(rm|mv|cp|tee|touch|mkdir|sed -i)\b/.test(command)),
    ).toEqual([])
    expect(files.filter(({ path, keep }) => /-key\.pem$|\.key$/.test(path) && keep !== 'status')).toEqual([])
  }
})
