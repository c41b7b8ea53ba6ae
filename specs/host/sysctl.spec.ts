import { allNodes, plane, wholeCluster } from '../../helpers/invariant/invariant.ts'
import { issue, kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'
import type { Check } from '../../helpers/invariant/check.ts'
import type { NodeFacts } from '../../helpers/evidence/node-facts.ts'
import type { Edit } from '../../helpers/invariant/edit.ts'

const invariant = plane('host')

/** The value in the file that Kubespray writes, and the one that the kernel has. */
function both(node: NodeFacts, check: Check, expected: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(expected)) {
    check.equal(`${key} in ${node.sysctlFilePath}`, node.sysctlFile.get(key), value)
    check.equal(`${key} in the kernel`, node.sysctls.get(key)?.replace(/\s+/g, ' '), value)
  }
}

/** Both refutations of one key: the file says otherwise, the kernel does. */
function refuted(key: string, value: string, alsoInKernel: readonly string[] = []) {
  const dots = key.replaceAll('.', '\\.')
  return {
    [`${key} is ${value} in the file`]: {
      edit: (edit: Edit) =>
        edit.file('/etc/sysctl.conf', text => text.replace(new RegExp(`^${dots}=.*$`, 'm'), `${key}=${value}`)),
      also: ['sysctl-file-live-agree', 'sysctl-uniform'],
    },
    [`${key} is ${value} in the kernel`]: {
      edit: (edit: Edit) =>
        edit.output('sysctl-all', text => text.replace(new RegExp(`^${dots} = .*$`, 'm'), `${key} = ${value}`)),
      also: ['sysctl-file-live-agree', ...alsoInKernel],
    },
  }
}

invariant('sysctl-file-resolved', {
  title: "Kubespray's settings stand in the file that sysctl_file_path leads to",
  on: allNodes,
  severity: 'normal',
  because:
    '99-sysctl.conf is a link to /etc/sysctl.conf on several distributions: whoever edits the wrong one changes nothing.',
  source: [
    kubespray(
      'roles/kubernetes/preinstall/tasks/0080-system-configurations.yml "Change sysctl file path to link source if linked"',
    ),
    seed('sysctl'),
  ],
  fix: remedy.host,
  correction: 'The link exists on Debian too, not on Rocky alone.',
  dependsOn: ['sysctl-ip-forward', 'sysctl-bridge-nf', 'sysctl-reserved-ports', 'sysctl-kubelet-defaults'],
  judge: ({ node, check }) => {
    check.that('the file', node.sysctlFilePath.startsWith('/'), node.sysctlFilePath, 'an absolute path')
    check.includes(
      `keys in ${node.sysctlFilePath}`,
      [...node.sysctlFile.keys()],
      ['net.ipv4.ip_forward', 'net.bridge.bridge-nf-call-iptables', 'kernel.panic', 'vm.overcommit_memory'],
    )
  },
  refutedBy: {
    'a key is missing in the file': {
      edit: edit => edit.file('/etc/sysctl.conf', text => text.replace(/^kernel\.panic=.*\n/m, '')),
      also: ['sysctl-kubelet-defaults', 'sysctl-uniform'],
    },
  },
})

invariant('sysctl-ip-forward', {
  title: 'The host forwards IPv4 packets',
  on: allNodes,
  severity: 'blocker',
  because: "Without it no packet leaves a pod's host.",
  source: [seed('sysctl'), kubespray('roles/kubernetes/preinstall/tasks/0080-system-configurations.yml')],
  fix: remedy.host,
  unless: ({ want }) => (want.ipv4_stack ? undefined : 'ipv4_stack is false'),
  judge: ({ node, check }) => both(node, check, { 'net.ipv4.ip_forward': '1' }),
  refutedBy: refuted('net.ipv4.ip_forward', '0'),
})

invariant('sysctl-bridge-nf', {
  title: 'Bridged traffic passes iptables, arptables and ip6tables',
  on: allNodes,
  severity: 'blocker',
  because: 'Otherwise a pod that calls a Service whose backend is on the same node gets no answer.',
  source: [seed('sysctl'), kubespray('roles/kubernetes/node/tasks/main.yml'), issue(1930)],
  fix: remedy.kubelet,
  judge: ({ node, check }) =>
    both(node, check, {
      'net.bridge.bridge-nf-call-iptables': '1',
      'net.bridge.bridge-nf-call-arptables': '1',
      'net.bridge.bridge-nf-call-ip6tables': '1',
    }),
  refutedBy: {
    ...refuted('net.bridge.bridge-nf-call-iptables', '0'),
    ...refuted('net.bridge.bridge-nf-call-arptables', '0'),
    ...refuted('net.bridge.bridge-nf-call-ip6tables', '0'),
  },
})

invariant('sysctl-reserved-ports', {
  title: 'NodePorts are kept out of the range of outgoing ports',
  on: allNodes,
  severity: 'normal',
  because: 'An outgoing connection may otherwise hold a port that a NodePort Service needs.',
  source: [seed('sysctl'), kubespray('roles/kubernetes/node/tasks/main.yml')],
  fix: remedy.kubelet,
  judge: ({ node, want, check }) =>
    both(node, check, { 'net.ipv4.ip_local_reserved_ports': want.kube_apiserver_node_port_range }),
  refutedBy: refuted('net.ipv4.ip_local_reserved_ports', '30000-32000'),
})

invariant('sysctl-kubelet-defaults', {
  title: 'The kernel has the settings that the kubelet protects',
  on: allNodes,
  severity: 'critical',
  because: 'With protectKernelDefaults the kubelet does not start with others.',
  source: [seed('sysctl'), kubespray('roles/kubernetes/preinstall/tasks/0080-system-configurations.yml')],
  fix: remedy.host,
  unless: ({ want }) => (want.kubelet_protect_kernel_defaults ? undefined : 'kubelet_protect_kernel_defaults is false'),
  judge: ({ node, check }) =>
    both(node, check, {
      'kernel.keys.root_maxbytes': '25000000',
      'kernel.keys.root_maxkeys': '1000000',
      'kernel.panic': '10',
      'kernel.panic_on_oops': '1',
      'vm.overcommit_memory': '1',
      'vm.panic_on_oom': '0',
    }),
  refutedBy: {
    ...refuted('kernel.keys.root_maxbytes', '20000'),
    ...refuted('kernel.keys.root_maxkeys', '200'),
    ...refuted('kernel.panic', '0'),
    ...refuted('kernel.panic_on_oops', '0'),
    ...refuted('vm.overcommit_memory', '0'),
    ...refuted('vm.panic_on_oom', '1'),
  },
})

invariant('sysctl-file-live-agree', {
  title: 'The kernel has every setting of the file',
  on: allNodes,
  severity: 'critical',
  because: 'A later file or tuned may override it: the file then tells what was meant, not what is.',
  source: [seed('sysctl')],
  fix: 'Find the overriding file (systemd-analyze cat-config sysctl.d), then run sysctl --system.',
  judge: ({ node, check }) => {
    for (const [key, value] of node.sysctlFile) {
      if (node.sysctls.has(key)) check.equal(`${key} in the kernel`, node.sysctls.get(key)?.replace(/\s+/g, ' '), value)
    }
  },
  refutedBy: {
    'the kernel has another value': {
      edit: edit => edit.output('sysctl-all', text => text.replace(/^(kernel\.panic) = .*$/m, '$1 = 30')),
      also: ['sysctl-kubelet-defaults'],
    },
  },
})

invariant('sysctl-uniform', {
  title: 'All nodes have the same settings in their files, control planes and workers alike',
  on: wholeCluster,
  severity: 'normal',
  because: 'Kubespray makes no difference between them: one that differs was edited by hand.',
  source: [seed('sysctl')],
  fix: remedy.host,
  judge: ({ cluster, check }) => {
    const [first, ...others] = cluster.nodes
    const settings = (node: NodeFacts) => [...node.sysctlFile].map(([key, value]) => `${key}=${value}`).sort()
    for (const node of others)
      if (first) check.sameSet(`settings of ${node.name} and ${first.name}`, settings(node), settings(first))
  },
  refutedBy: {
    'one more setting on one node': edit => edit.file('/etc/sysctl.conf', text => `${text}vm.max_map_count=262144\n`),
  },
})
