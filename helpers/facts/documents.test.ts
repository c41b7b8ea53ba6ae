import { expect, test } from 'vitest'
import { z } from 'zod'
import * as config from './component-config.ts'
import { criContainers, criSandboxes } from './crictl.ts'
import { items, json } from './json.ts'
import { endpointSlices, pods, staticPod } from './kubernetes-objects.ts'
import { forwardingEntries, networkInterfaces, routes } from './network.ts'
import { parser, ParseError, value } from './parser.ts'
import { parsed, refused } from './table.ts'
import { toml } from './toml.ts'
import { yaml, yamlDocuments } from './yaml.ts'

test('a parser passes on what it is told, and never throws', () => {
  const failing = parser(() => {
    throw new TypeError('first line\nsecond')
  })
  expect(parsed(failing, '')).toBe('first line')
  expect(() => value(failing(''))).toThrow(ParseError)
  expect(
    parsed(
      parser(text => text),
      'x'.repeat(65 * 1024 * 1024),
    ),
  ).toMatch(/^larger than/)
})

test('JSON', () => {
  const shape = json(z.object({ a: z.number() }))
  expect(parsed(shape, '{"a": 1}')).toEqual({ a: 1 })
  refused(shape, '', 'empty, JSON expected')
  refused(shape, '{"a": 1', 'not JSON: "{\\"a\\": 1"')
  refused(shape, '{"a": "1"}', /^a: /)
  refused(items(z.object({})), '[]', /^value: /)
})

test('YAML: 1.1 as Ansible reads it, several documents, the line of a mistake', () => {
  expect(yamlDocuments('a: yes\n---\nb: 0755\n')).toEqual([{ a: true }, { b: 493 }])
  const shape = yaml(z.object({ a: z.boolean() }))
  expect(parsed(shape, 'a: no')).toEqual({ a: false })
  refused(shape, ' \n', 'empty, YAML expected')
  refused(shape, '# only a comment\n', 'empty, YAML expected')
  refused(shape, 'a: 1\nb: [', /^line \d+: /)
  refused(shape, 'a: 1\na: 2', /^line 2: Map keys must be unique/)
})

test('TOML', () => {
  const shape = toml(z.object({ version: z.number() }))
  expect(parsed(shape, 'version = 3\n')).toEqual({ version: 3 })
  refused(shape, '', 'empty, TOML expected')
  refused(shape, 'version = "3"', /^version: /)
  refused(shape, 'a = 1\nversion = ]', /^line 2: /)
})

test('containerd, OCI spec, crictl.yaml, CNI, flannel', () => {
  const text = `version = 3
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  base_runtime_spec = "/etc/containerd/cri-base.json"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  SystemdCgroup = true
  BinaryName = "/usr/local/bin/runc"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "pause:3.10"
[plugins."io.containerd.cri.v1.images".registry]
  config_path = "/etc/containerd/certs.d"
`
  const v3 = value(config.containerdConfig(text))
  expect(v3.runtimes['runc']).toEqual({
    baseRuntimeSpec: '/etc/containerd/cri-base.json',
    systemdCgroup: true,
    binaryName: '/usr/local/bin/runc',
  })
  const old = `version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "pause:3.10"
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "/etc/containerd/certs.d"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  base_runtime_spec = "/etc/containerd/cri-base.json"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  systemdCgroup = true
  binaryName = "/usr/local/bin/runc"
`
  expect({ ...value(config.containerdConfig(old)), version: 3 }).toEqual(v3)
  refused(config.containerdConfig, 'version = 9', /neither as version 3/)
  expect(value(config.runtimeSpec('{"ociVersion":"1.2.1","process":{}}')).process.rlimits).toEqual([])
  expect(value(config.crictlConfig('runtime-endpoint: a\nimage-endpoint: b\n'))['image-endpoint']).toBe('b')
  expect(value(config.cniConfig('{"name":"cbr0","plugins":[{"type":"flannel"}]}')).plugins).toEqual([
    { type: 'flannel' },
  ])
  expect(value(config.flannelNetwork('{"Network":"10.0.0.0/8","Backend":{"Type":"vxlan"}}')).Network).toBe('10.0.0.0/8')
})

test('component configurations', () => {
  const kubelet = value(
    config.kubeletConfiguration(
      'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\na:\n  b: True\n',
    ),
  )
  expect([kubelet.apiVersion, kubelet.get('a.b'), kubelet.get('a.c'), kubelet.get('x.y.z')]).toEqual([
    'kubelet.config.k8s.io/v1beta1',
    true,
    undefined,
    undefined,
  ])
  refused(config.kubeletConfiguration, 'kind: Other', 'no KubeletConfiguration in it')
  const both = value(config.kubeadmConfig('kind: InitConfiguration\nx: 1\n---\nkind: ClusterConfiguration\nb: 2\n'))
  expect([both.init.get('x'), both.cluster.get('b')]).toEqual([1, 2])
})

test('static pods and their flags', () => {
  const pod = value(
    config.staticPodManifest(
      "kind: Pod\nmetadata:\n  name: a\n  namespace: kube-system\nspec:\n  containers:\n  - name: a\n    image: i\n    command: [a, '--bind-address=::', --leader-elect]\n",
    ),
  )
  expect([...pod.flags]).toEqual([
    ['bind-address', '::'],
    ['leader-elect', 'true'],
  ])
  expect(staticPod.safeParse({ kind: 'Pod' }).success).toBe(false)
})

test('objects of the API', () => {
  const list =
    '{"items":[{"metadata":{"name":"a","creationTimestamp":"2026-11-22T22:54:18Z"},"spec":{"containers":[]},"status":{"phase":"Running"}}]}'
  expect(value(pods(list))[0]?.metadata.creationTimestamp).toBe(Date.parse('2026-11-22T22:54:18Z'))
  refused(pods, '{"items":[{"metadata":{}}]}', /^items\.0\./)
})

test('an EndpointSlice without endpoints', () => {
  const list =
    '{"items":[{"metadata":{"name":"a","creationTimestamp":"2026-11-22T22:54:18Z"},"endpoints":null,"ports":null}]}'
  expect(value(endpointSlices(list))[0]).toMatchObject({ endpoints: [], ports: [] })
  const ready =
    '{"items":[{"metadata":{"name":"a","creationTimestamp":"2026-11-22T22:54:18Z"},"endpoints":[{"addresses":["a"]}],"ports":[]}]}'
  expect(value(endpointSlices(ready))[0]?.endpoints[0]?.conditions.ready).toBe(true)
})

test('crictl, ip, bridge', () => {
  expect(
    value(
      criContainers(
        '{"containers":[{"id":"1","podSandboxId":"2","metadata":{"name":"n","attempt":0},"state":"CONTAINER_RUNNING","createdAt":"1795388267175400929","labels":{}}]}',
      ),
    )[0]?.createdAt,
  ).toBeCloseTo(1795388267175.4, 0)
  expect(
    value(
      criSandboxes(
        '{"items":[{"id":"1","metadata":{"name":"n","namespace":"s"},"state":"SANDBOX_READY","createdAt":"1"}]}',
      ),
    )[0]?.annotations,
  ).toEqual({})
  expect(
    value(
      networkInterfaces(
        '[{"ifname":"eth0","flags":["UP"],"mtu":1500,"addr_info":[{"family":"inet","local":"1.2.3.4","prefixlen":24}]}]',
      ),
    )[0]?.mtu,
  ).toBe(1500)
  expect(value(routes('[{"dst":"default","dev":"eth0"}]'))[0]?.dev).toBe('eth0')
  expect(value(forwardingEntries('[{"mac":"a"}]'))[0]?.dst).toBeUndefined()
  refused(routes, '[]', /^value: /)
})
