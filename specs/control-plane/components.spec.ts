import { controlPlanes, plane, wholeCluster, topology } from '../../helpers/invariant/invariant.ts'
import { issue, kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'
import { flag, manifest, uniform } from './static-pod-edit.ts'

const invariant = plane('control-plane')
const template = kubespray('roles/kubernetes/control-plane/templates/kubeadm-config.v1beta4.yaml.j2')
const components = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler'] as const

invariant('cp-static-manifests', {
  title: 'The control plane runs its three components from static pod manifests, and nothing else',
  on: controlPlanes,
  severity: 'blocker',
  because: 'A left-over nginx-proxy takes port 6443 from the API server; an etcd.yaml is a second etcd.',
  source: [seed('pods'), kubespray('roles/kubernetes/node/tasks/main.yml'), issue(12257)],
  fix: remedy.leftover,
  judge: ({ node, want, check }) =>
    check.sameSet(
      `in ${want.kube_manifest_dir}`,
      node.etcKubernetes.names(want.kube_manifest_dir),
      components.map(name => `${name}.yaml`),
    ),
  refutedBy: {
    'a left-over balancer': {
      edit: edit =>
        edit.output(
          'etc-kubernetes-listing',
          text => `${text}-rw-r----- root root 897 1795388391.0 /etc/kubernetes/manifests/nginx-proxy.yml -> \n`,
        ),
      also: ['lb-not-on-cp'],
    },
    'the scheduler is missing': edit =>
      edit.output('etc-kubernetes-listing', text => text.replace(/^.*\/kube-scheduler\.yaml.*\n/m, '')),
  },
})

invariant('cp-pods-ready', {
  title: 'The three components run and are ready on every control plane',
  on: controlPlanes,
  severity: 'blocker',
  because: 'With one of them down on two nodes the next failure stops the cluster.',
  source: [seed('pods')],
  fix: remedy.controlPlane,
  judge: ({ cluster, node, check }) => {
    const name = cluster.nodeName(node.name)
    for (const component of components) {
      const pod = cluster.api.pods.find(
        ({ metadata }) => metadata.namespace === 'kube-system' && metadata.name === `${component}-${name}`,
      )
      check.equal(`${component}-${name} runs on`, pod?.spec.nodeName, name)
      check.equal(`phase of ${component}-${name}`, pod?.status.phase, 'Running')
      check.that(
        `containers of ${component}-${name}`,
        pod?.status.containerStatuses.every(({ ready }) => ready) === true,
        'not ready',
        'ready',
      )
    }
  },
  refutedBy: {
    'the API server is not ready': {
      edit: edit =>
        edit.object('pods', `kube-apiserver-${edit.node}`, pod => {
          pod.status.containerStatuses[0].ready = false
        }),
      also: ['addon-pods-expected'],
    },
    'the scheduler is pending': {
      edit: edit =>
        edit.object('pods', `kube-scheduler-${edit.node}`, pod => {
          pod.status.phase = 'Pending'
        }),
      also: ['addon-pods-expected'],
    },
    'the controller manager has no pod': {
      edit: edit =>
        edit.api('pods', items => items.filter(item => item.metadata.name !== `kube-controller-manager-${edit.node}`)),
      also: ['addon-pods-expected'],
    },
  },
})

invariant('cp-pod-restarts', {
  title: 'The components have not restarted more often than an installation makes them',
  on: controlPlanes,
  severity: 'normal',
  because: 'A component that keeps restarting loses its leadership each time, and its clients their watches.',
  source: [seed('pods: restarts 1 to 2 right after installation'), issue(9696)],
  fix: remedy.investigate,
  correction:
    'Growth needs two recordings (npm run diff, when recording live exists); one recording allows five restarts a component.',
  judge: ({ cluster, node, check }) => {
    const pods = cluster.api.pods.filter(
      ({ metadata, spec }) =>
        spec.nodeName === cluster.nodeName(node.name) && components.some(name => metadata.name.startsWith(`${name}-`)),
    )
    for (const { metadata, status } of pods)
      check.atMost(
        `restarts of ${metadata.name}`,
        Math.max(...status.containerStatuses.map(({ restartCount }) => restartCount)),
        5,
      )
  },
  refutedBy: {
    'forty restarts': edit =>
      edit.object('pods', `kube-apiserver-${edit.node}`, pod => {
        pod.status.containerStatuses[0].restartCount = 40
      }),
  },
})

invariant('cp-kcm-flags', {
  title: 'The controller manager allots pod networks and watches nodes as the inventory says',
  on: controlPlanes,
  severity: 'critical',
  because: 'It gives every node its podCIDR, and decides after how long a silent node is lost.',
  source: [template, seed('podCIDR: not the network plugin allots it')],
  fix: remedy.controlPlane,
  judge: ({ cluster, node, want, check }) => {
    const { flags } = node.staticPod('kube-controller-manager.yaml')
    const expected: Record<string, string> = {
      'allocate-node-cidrs': 'true',
      'cluster-cidr': want.kube_pods_subnet,
      'service-cluster-ip-range': want.kube_service_subnets,
      [cluster.release.nodeMaskFlag]: String(want.kube_network_node_prefix),
      'node-monitor-grace-period': want.kube_controller_node_monitor_grace_period,
      'node-monitor-period': want.kube_controller_node_monitor_period,
      'leader-elect-lease-duration': want.kube_controller_manager_leader_elect_lease_duration,
      'leader-elect-renew-deadline': want.kube_controller_manager_leader_elect_renew_deadline,
      'bind-address': want.kube_controller_manager_bind_address,
      'leader-elect': 'true',
    }
    for (const [name, value] of Object.entries(expected)) check.equal(`--${name}`, flags.get(name), value)
  },
  refutedBy: {
    'no pod networks': { edit: flag('kube-controller-manager', 'allocate-node-cidrs', 'false'), also: uniform },
    'another pod network': { edit: flag('kube-controller-manager', 'cluster-cidr', '10.244.0.0/16'), also: uniform },
    'another node prefix': { edit: flag('kube-controller-manager', 'node-cidr-mask-size-ipv4', '26'), also: uniform },
    'another grace period': { edit: flag('kube-controller-manager', 'node-monitor-grace-period', '5m'), also: uniform },
    'another lease': { edit: flag('kube-controller-manager', 'leader-elect-lease-duration', '60s'), also: uniform },
    'no leader election': { edit: flag('kube-controller-manager', 'leader-elect', 'false'), also: uniform },
  },
})

invariant('cp-sched-config', {
  title: "The scheduler is configured by the release's file",
  on: controlPlanes,
  severity: 'normal',
  because: "Without --config its leader election has other times than the other components'.",
  source: [kubespray('roles/kubernetes/control-plane/templates/kubescheduler-config.yaml.j2')],
  fix: remedy.controlPlane,
  judge: ({ node, want, check }) => {
    check.equal(
      '--config',
      node.staticPod('kube-scheduler.yaml').flags.get('config'),
      `${want.kube_config_dir}/kubescheduler-config.yaml`,
    )
    check.equal(
      'leaseDuration',
      node.schedulerConfig.get('leaderElection.leaseDuration'),
      want.kube_scheduler_leader_elect_lease_duration,
    )
    check.equal(
      'renewDeadline',
      node.schedulerConfig.get('leaderElection.renewDeadline'),
      want.kube_scheduler_leader_elect_renew_deadline,
    )
    check.equal(
      'kubeconfig',
      node.schedulerConfig.get('clientConnection.kubeconfig'),
      `${want.kube_config_dir}/scheduler.conf`,
    )
  },
  refutedBy: {
    'another file': { edit: flag('kube-scheduler', 'config', '/tmp/x.yaml'), also: uniform },
    'another lease': edit =>
      edit.file('/etc/kubernetes/kubescheduler-config.yaml', text =>
        text.replace('leaseDuration: 15s', 'leaseDuration: 60s'),
      ),
    'another deadline': edit =>
      edit.file('/etc/kubernetes/kubescheduler-config.yaml', text =>
        text.replace('renewDeadline: 10s', 'renewDeadline: 50s'),
      ),
  },
})

invariant('cp-kcm-sched-healthz', {
  title: 'Controller manager and scheduler are healthy',
  on: controlPlanes,
  severity: 'critical',
  because: 'A hung leader keeps its lease: nothing is scheduled, and nobody takes over.',
  source: [kubespray('roles/kubernetes/control-plane/handlers/main.yml')],
  fix: remedy.controlPlane,
  judge: ({ node, check }) => {
    check.equal('https://localhost:10257/healthz (controller manager)', node.httpCode('curl-kcm-healthz'), 200)
    check.equal('https://localhost:10259/healthz (scheduler)', node.httpCode('curl-scheduler-healthz'), 200)
  },
  refutedBy: {
    'the controller manager fails': edit => edit.output('curl-kcm-healthz', () => '500'),
    'the scheduler does not answer': edit => edit.output('curl-scheduler-healthz', () => '000', 7),
  },
})

invariant('cp-profiling-off', {
  title: 'Profiling is on or off as the inventory says',
  on: controlPlanes,
  severity: 'minor',
  because: 'Profiles show what is in memory.',
  source: [template],
  fix: remedy.controlPlane,
  judge: ({ node, want, check }) => {
    for (const component of components)
      check.equal(
        `--profiling of ${component}`,
        node.staticPod(`${component}.yaml`).flags.get('profiling')?.toLowerCase(),
        String(want.kube_profiling),
      )
  },
  refutedBy: Object.fromEntries(
    components.map(component => [
      `${component} is profiled`,
      { edit: flag(component, 'profiling', 'True'), also: uniform },
    ]),
  ),
})

invariant('cp-flags-uniform', {
  title: "The components run with the same flags on every control plane, but for the host's own address",
  on: wholeCluster,
  severity: 'normal',
  because: 'One that differs was edited by hand or left out of a run: clients meet another behaviour every third call.',
  source: ['Comparison between control planes'],
  fix: remedy.controlPlane,
  judge: ({ cluster, check }) => {
    for (const component of components) {
      const views = cluster.controlPlanes.map(node => {
        const own = [cluster.mainIp(node.name), cluster.mainAccessIp(node.name)]
        const { flags } = node.staticPod(`${component}.yaml`)
        return [...flags]
          .filter(([name]) => name !== 'etcd-certfile' && name !== 'etcd-keyfile')
          .map(([name, value]) => `--${name}=${own.includes(value) ? 'OWN-ADDRESS' : value}`)
          .sort()
      })
      for (const [index, view] of views.slice(1).entries()) {
        check.sameSet(
          `flags of ${component} on ${cluster.expectations.controlPlanes[index + 1] ?? ''} and ${cluster.expectations.controlPlanes[0] ?? ''}`,
          view,
          views[0] ?? [],
        )
      }
    }
  },
  refutedBy: {
    'one more flag on one': edit =>
      edit.file(manifest('kube-scheduler'), text => text.replace(/^( *- )--profiling/m, '$1--v=9\n$&')),
  },
})

invariant('cp-local-flows', {
  title: 'The components of a control plane talk to their own API server only',
  on: controlPlanes,
  severity: 'critical',
  because: 'One that calls a neighbour loses the API when that neighbour is restarted.',
  source: [seed('all components of a control plane use 127.0.0.1:6443')],
  fix: remedy.controlPlane,
  unless: ({ cluster }) =>
    cluster.release.controlPlaneKubeconfigsLocal ? undefined : `since v2.31 they call the host's own address`,
  dependsOn: topology,
  judge: ({ node, want, check }) => {
    const clients = ['kubelet', 'kube-proxy', 'kube-controller', 'kube-scheduler']
    const calls = node.calls(want.kube_apiserver_port, ...clients)
    check.atLeast('connections to an API server', calls.all.length, 1)
    check.none(
      'connections to another host',
      calls.remote.map(({ peerAddress, processes }) => `${processes[0]?.name ?? ''} → ${peerAddress}`),
    )
  },
  refutedBy: {
    'the kubelet calls a neighbour': edit =>
      edit.output(
        'ss-established',
        text => `${text}0 0 192.0.2.1:40000 192.0.2.2:6443 users:(("kubelet",pid=9,fd=9))\n`,
      ),
  },
})
