import { allNodes, plane, workers, topology } from '../../helpers/invariant/invariant.ts'
import { issue, kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'

const invariant = plane('container-runtime')
const role = (file: string) => kubespray(`roles/container-engine/containerd/${file}`)

invariant('cri-service', {
  title: 'containerd runs as the service that Kubespray sets up',
  on: allNodes,
  severity: 'blocker',
  because: 'Without it no container starts; with a lower LimitNOFILE containers that inherit it run out of files.',
  source: [role('templates/containerd.service.j2')],
  fix: remedy.binaries,
  correction:
    'LimitNOFILE is what the unit asks for; what the process gets may be less (/proc/PID/limits is not among the evidence).',
  judge: ({ node, want, check }) => {
    const unit = node.unit('containerd')
    check.equal('ActiveState', unit.get('ActiveState'), 'active')
    check.equal('UnitFileState', unit.get('UnitFileState'), 'enabled')
    check.equal('Restart', unit.get('Restart'), 'always')
    check.equal('Delegate', unit.get('Delegate'), 'yes')
    check.equal('OOMScoreAdjust', unit.get('OOMScoreAdjust'), '-999')
    const limit = want.containerd_limit_open_file_num
    check.equal('LimitNOFILE', unit.get('LimitNOFILE'), Number.isFinite(limit) ? String(limit) : 'infinity')
  },
  refutedBy: {
    'it is not enabled': edit => edit.unit('containerd', 'UnitFileState', 'disabled'),
    'it failed': edit => edit.unit('containerd', 'ActiveState', 'failed'),
    'it is not restarted': edit => edit.unit('containerd', 'Restart', 'no'),
    'a low file limit': edit => edit.unit('containerd', 'LimitNOFILE', '1024'),
    'control groups are not delegated': edit => edit.unit('containerd', 'Delegate', 'no'),
  },
})

invariant('cri-version', {
  title: 'The Node reports the containerd version of the inventory',
  on: allNodes,
  severity: 'normal',
  because: 'A node with another was left out of an upgrade.',
  source: [seed('kubectl get node -owide'), kubespray('roles/kubespray_defaults/defaults/main/download.yml')],
  fix: remedy.binaries,
  dependsOn: ['node-ready'],
  judge: ({ cluster, node, want, check }) => {
    const reported = cluster.api.nodes.find(({ metadata }) => metadata.name === cluster.nodeName(node.name))
    check.equal(
      'containerRuntimeVersion',
      reported?.status.nodeInfo.containerRuntimeVersion,
      `containerd://${want.containerd_version}`,
    )
    check.equal('containerd --version', node.version('containerd'), want.containerd_version)
  },
  refutedBy: {
    'the Node reports another': edit =>
      edit.object('nodes', edit.node, node => {
        node.status.nodeInfo.containerRuntimeVersion = 'containerd://1.7.0'
      }),
    'the binary is another': edit =>
      edit.output('containerd-version', text => text.replace(/ \d+\.\d+\.\d+ /, ' 1.7.0 ')),
  },
})

invariant('cri-config-v3', {
  title: 'config.toml is the one of the release',
  on: allNodes,
  severity: 'critical',
  because:
    'Another format version is migrated silently or ignored: containers then start without the base spec or with the wrong cgroup driver.',
  source: [role('templates/config.toml.j2')],
  fix: remedy.binaries,
  correction: 'The pause image is pod_infra_image_repo and pod_infra_version, not a literal.',
  dependsOn: ['cri-cgroup-agree'],
  judge: ({ cluster, node, want, check }) => {
    const { version, runtimes, sandboxImage, registryConfigPath } = node.containerdConfig
    const { runc } = runtimes
    check.equal('version', version, cluster.release.containerdConfigVersion)
    check.equal('SystemdCgroup', runc?.systemdCgroup, want.containerd_use_systemd_cgroup)
    check.equal('BinaryName', runc?.binaryName, `${want.runc_bin_dir}/runc`)
    check.equal('base_runtime_spec', runc?.baseRuntimeSpec, `${want.containerd_cfg_dir}/cri-base.json`)
    check.equal('config_path', registryConfigPath, `${want.containerd_cfg_dir}/certs.d`)
    check.equal('sandbox', sandboxImage, `${want.pod_infra_image_repo}:${want.pod_infra_version}`)
  },
  refutedBy: {
    'an older format': edit =>
      edit.file('/etc/containerd/config.toml', text => text.replace('version = 3', 'version = 2')),
    'the base spec is not used': edit =>
      edit.file('/etc/containerd/config.toml', text => text.replace('/etc/containerd/cri-base.json', '')),
    'another runc': edit =>
      edit.file('/etc/containerd/config.toml', text => text.replace('/usr/local/bin/runc', '/usr/bin/runc')),
    'another pause image': edit =>
      edit.file('/etc/containerd/config.toml', text =>
        text.replace(/sandbox = .*/, 'sandbox = "registry.k8s.io/pause:3.2"'),
      ),
    'mirrors are not read': edit =>
      edit.file('/etc/containerd/config.toml', text => text.replace('/etc/containerd/certs.d', '')),
  },
})

invariant('cri-cgroup-agree', {
  title: 'containerd and the kubelet use the same cgroup driver',
  on: allNodes,
  severity: 'blocker',
  because: "Two managers of one tree kill each other's groups: pods die under load.",
  source: [kubespray('roles/kubernetes/node/tasks/facts.yml')],
  fix: remedy.kubelet,
  judge: ({ node, check }) => {
    const systemd = node.containerdConfig.runtimes['runc']?.systemdCgroup === true
    check.equal('cgroupDriver of the kubelet', node.kubeletConfig.get('cgroupDriver'), systemd ? 'systemd' : 'cgroupfs')
  },
  refutedBy: {
    'the kubelet uses cgroupfs': edit =>
      edit.file('/etc/kubernetes/kubelet-config.yaml', text =>
        text.replace('cgroupDriver: systemd', 'cgroupDriver: cgroupfs'),
      ),
    'containerd uses cgroupfs': edit =>
      edit.file('/etc/containerd/config.toml', text => text.replace('SystemdCgroup = true', 'SystemdCgroup = false')),
  },
})

/** `process.rlimits` of the base spec: the patch's where it sets them, else one NOFILE limit. */
interface Limit {
  readonly type: string
  readonly hard: number
  readonly soft: number
}
function expectedLimits(patch: Readonly<Record<string, unknown>> | undefined, files: number): readonly Limit[] {
  const patched = (patch?.['process'] as { rlimits?: readonly Limit[] } | undefined)?.rlimits
  return patched ?? [{ type: 'RLIMIT_NOFILE', hard: files, soft: files }]
}

invariant('cri-base-json', {
  title: 'cri-base.json limits open files as the variables say',
  on: allNodes,
  severity: 'critical',
  because: 'It is what every container on the node starts with.',
  source: [role('defaults/main.yml'), seed('troubleshooting: rlimits')],
  fix: remedy.raiseRlimit,
  correction:
    "65535 is Kubespray's default, not containerd's; without rlimits a container inherits containerd's LimitNOFILE, not an OS default.",
  judge: ({ node, want, check }) => {
    const expected = expectedLimits(
      want.containerd_default_base_runtime_spec_patch,
      want.containerd_base_runtime_spec_rlimit_nofile,
    )
    check.equal(
      'process.rlimits',
      node.runtimeSpec.process.rlimits.map(({ type, hard, soft }) => `${type} hard=${hard} soft=${soft}`),
      expected.map(({ type, hard, soft }) => `${type} hard=${hard} soft=${soft}`),
    )
  },
  refutedBy: {
    'another limit': edit =>
      edit.file('/etc/containerd/cri-base.json', text =>
        text.replace(/"hard": \d+/, '"hard": 131072').replace(/"soft": \d+/, '"soft": 131072'),
      ),
    'no limit though one is set': edit =>
      edit.file('/etc/containerd/cri-base.json', text => text.replace(/"rlimits": \[.*?\]/, '"rlimits": []')),
  },
})

invariant('cri-rlimit-vs-nginx', {
  title: 'A container may open as many files as nginx asks for',
  on: workers,
  severity: 'critical',
  because:
    'nginx asks for worker_rlimit_nofile without the capability to raise the limit: it logs an alert, or with newer images exits, and the worker loses the API.',
  source: [seed('troubleshooting: nginx rlimit'), issue(13253, 13255)],
  fix: remedy.raiseRlimit,
  correction: 'False on every stock release from v2.27 to v2.31: 65535 is less than 130048.',
  dependsOn: topology,
  judge: ({ node, check }) => {
    const asked = Number(node.nginxConf.value('worker_rlimit_nofile'))
    const limit =
      node.runtimeSpec.process.rlimits.find(({ type }) => type === 'RLIMIT_NOFILE')?.hard ??
      unitLimit(node.unit('containerd').get('LimitNOFILE'))
    check.atLeast(`RLIMIT_NOFILE of containers, where worker_rlimit_nofile is ${asked}`, limit, asked)
  },
  refutedBy: {
    'the stock value of nginx': {
      edit: edit =>
        edit.file('/etc/nginx/nginx.conf', text =>
          text.replace(/worker_rlimit_nofile \d+/, 'worker_rlimit_nofile 130048'),
        ),
      also: ['lb-conf-checksum', 'lb-workers'],
    },
    'a low limit of containers': {
      edit: edit => edit.file('/etc/containerd/cri-base.json', text => text.replace(/"hard": \d+/, '"hard": 1024')),
      also: ['cri-base-json'],
    },
  },
})

function unitLimit(text: string | undefined): number {
  return text === 'infinity' ? Number.POSITIVE_INFINITY : Number(text)
}

invariant('cri-base-json-loaded', {
  title: 'containerd has read cri-base.json since it was last changed',
  on: allNodes,
  severity: 'normal',
  because:
    'The file tells what was meant; containerd reads it when it starts, and a container gets it when it is created.',
  source: [role('handlers/main.yml')],
  fix: 'Restart containerd, then recreate the pods that need the new limits.',
  judge: ({ node, check }) => {
    const changed = node.fileStatus('/etc/containerd/cri-base.json').mtime * 1000
    const started = systemdTime(node.unit('containerd').get('ActiveEnterTimestamp'))
    check.that(
      "containerd's start",
      started >= changed - 1000,
      new Date(started).toISOString(),
      `after ${new Date(changed).toISOString()}, when cri-base.json was changed`,
    )
    for (const { metadata, createdAt } of node.sandboxes.filter(({ metadata: { name } }) =>
      name.startsWith('nginx-proxy'),
    )) {
      check.that(
        `creation of ${metadata.name}`,
        createdAt >= changed,
        new Date(createdAt).toISOString(),
        `after ${new Date(changed).toISOString()}`,
      )
    }
  },
  refutedBy: {
    'the file was changed later': edit => edit.status('/etc/containerd/cri-base.json', { mtime: 1999999999 }),
  },
})

/** `Sun 2026-11-22 22:49:52 UTC`, in milliseconds since the epoch. */
function systemdTime(text: string | undefined): number {
  const found = /(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) (\w+)/.exec(text ?? '')
  return Date.parse(`${found?.[1] ?? ''}T${found?.[2] ?? ''}${found?.[3] === 'UTC' ? 'Z' : ''}`)
}

invariant('cri-crictl-yaml', {
  title: 'crictl talks to the containerd that the kubelet uses',
  on: allNodes,
  severity: 'normal',
  because: "It otherwise shows nothing, or another engine's containers, when it is needed most.",
  source: [kubespray('roles/container-engine/crictl')],
  fix: remedy.binaries,
  judge: ({ node, want, check }) => {
    check.equal('runtime-endpoint', node.crictlConfig['runtime-endpoint'], want.cri_socket)
    check.equal('image-endpoint', node.crictlConfig['image-endpoint'], want.cri_socket)
  },
  refutedBy: {
    'another runtime endpoint': edit =>
      edit.file('/etc/crictl.yaml', text =>
        text.replace(/^runtime-endpoint: .*$/m, 'runtime-endpoint: unix:///var/run/dockershim.sock'),
      ),
    'another image endpoint': edit =>
      edit.file('/etc/crictl.yaml', text =>
        text.replace(/^image-endpoint: .*$/m, 'image-endpoint: unix:///var/run/dockershim.sock'),
      ),
  },
})

invariant('cri-registry-dir', {
  title: 'Every registry of the inventory has its hosts.toml',
  on: allNodes,
  severity: 'minor',
  because: 'Without it containerd goes past the mirror: in a closed network no image is pulled.',
  source: [role('tasks/main.yml (containerd_registries_mirrors)')],
  fix: remedy.binaries,
  correction: 'One folder for each prefix of containerd_registries_mirrors; docker.io is only the default.',
  judge: ({ node, want, check }) => {
    for (const { prefix } of want.containerd_registries_mirrors) {
      const path = `${want.containerd_cfg_dir}/certs.d/${prefix}/hosts.toml`
      check.equal(`mode of ${path}`, node.fileStatus(path).mode, '0640')
    }
  },
  refutedBy: {
    'another mode': edit => edit.status('…/hosts.toml', { mode: '0666' }),
  },
})

invariant('cri-no-second-engine', {
  title: 'No other container engine runs',
  on: allNodes,
  severity: 'normal',
  because: 'Two engines compete for iptables, disk and the CNI configuration.',
  source: [kubespray('roles/container-engine/validate-container-engine')],
  fix: 'Stop and remove the other engine.',
  judge: ({ node, want, check }) => {
    check.equal('container_manager', want.container_manager, 'containerd')
    for (const unit of ['docker', 'crio'])
      check.that(unit, node.serviceState(unit) !== 'active', node.serviceState(unit), 'not active')
  },
  suppliedBy: edit => {
    edit.addCommand('is-active-docker', 'inactive\n', 3)
    edit.addCommand('is-active-crio', 'inactive\n', 3)
  },
  refutedBy: {
    'docker runs': edit => edit.output('is-active-docker', () => 'active\n', 0),
  },
})

invariant('cri-no-crash', {
  title: 'No container of kube-system keeps exiting',
  on: allNodes,
  severity: 'critical',
  because: 'A container in a crash loop is one that does not do its work.',
  source: [seed('crictl ps')],
  fix: remedy.investigate,
  judge: ({ node, check }) => {
    const containers = node.containers.filter(({ labels }) => labels['io.kubernetes.pod.namespace'] === 'kube-system')
    check.atLeast('containers of kube-system', containers.length, 1)
    const newest = Math.max(...containers.map(({ createdAt }) => createdAt))
    const exits = new Map<string, number>()
    for (const { state, createdAt, labels } of containers) {
      const name = `${labels['io.kubernetes.pod.name'] ?? ''}/${labels['io.kubernetes.container.name'] ?? ''}`
      if (state === 'CONTAINER_EXITED' && newest - createdAt < 600_000) exits.set(name, (exits.get(name) ?? 0) + 1)
    }
    check.none(
      'containers that exited three times within 10 minutes',
      [...exits].filter(([, count]) => count >= 3).map(([name]) => name),
    )
  },
  refutedBy: {
    'a container exited three times': edit =>
      edit.json('crictl-ps', list => {
        const [first] = list.containers
        for (let n = 0; n < 3; n++)
          list.containers.push({ ...structuredClone(first), id: `dead${n}`, state: 'CONTAINER_EXITED' })
      }),
  },
})
