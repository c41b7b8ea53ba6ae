import { secretsIn } from '../../helpers/facts/secrets.ts'
import { kubernetesVersion } from '../../helpers/expectations/expectations.ts'
import { controller, plane, topology } from '../../helpers/invariant/invariant.ts'
import { kubespray, remedy, seed } from '../../helpers/invariant/remedy.ts'

const invariant = plane('deployment')
const LOG = 'controller/kubespray_install.log'

invariant('log-recap-hosts', {
  title: 'The PLAY RECAP has every host of the inventory',
  on: controller,
  severity: 'blocker',
  because: 'A host that is not in it was never deployed.',
  source: [seed('cluster.yml')],
  fix: remedy.rerun,
  judge: ({ cluster, check }) =>
    check.includes(
      'hosts in the recap',
      cluster.controller.installLog.recap.map(({ host }) => host),
      cluster.expectations.machines,
    ),
  refutedBy: {
    'a host is missing': {
      edit: edit => edit.text(LOG, text => text.replace(/^\S+ +: ok=.*\n(?=\n)/m, '')),
      also: ['log-recap-worked'],
    },
  },
})

invariant('log-recap-zero', {
  title: 'No task failed, and no host was unreachable, on any host',
  on: controller,
  severity: 'blocker',
  because:
    'Everything after a failed task did not happen on that host; a rescued task is a kubeadm init that had to be repeated.',
  source: [seed('PLAY RECAP')],
  fix: remedy.rerun,
  judge: ({ cluster, check }) => {
    for (const { host, failed, unreachable, rescued } of cluster.controller.installLog.recap) {
      check.equal(`failed on ${host}`, failed, 0)
      check.equal(`unreachable on ${host}`, unreachable, 0)
      check.equal(`rescued on ${host}`, rescued, 0)
    }
  },
  refutedBy: {
    'a failed task': edit => edit.text(LOG, text => text.replace(/failed=0/, 'failed=1')),
    'an unreachable host': edit => edit.text(LOG, text => text.replace(/unreachable=0/, 'unreachable=1')),
    'a rescued task': edit => edit.text(LOG, text => text.replace(/rescued=0/, 'rescued=1')),
  },
})

invariant('log-recap-worked', {
  title: 'Every host was worked on',
  on: controller,
  severity: 'normal',
  because: 'A recap of zeros everywhere also says failed=0: a run with a wrong tag or limit looks like a success.',
  source: [seed('PLAY RECAP')],
  fix: remedy.rerun,
  judge: ({ cluster, check }) => {
    const { recap } = cluster.controller.installLog
    for (const host of cluster.expectations.machines)
      check.atLeast(`tasks that were ok on ${host}`, recap.find(line => line.host === host)?.ok ?? 0, 1)
  },
  dependsOn: ['log-recap-hosts'],
  refutedBy: {
    'nothing was done': edit => edit.text(LOG, text => text.replace(/: ok=\d+ /, ': ok=0 ')),
  },
})

invariant('log-ignored-known', {
  title: 'Only failures that a first run is known for were ignored',
  on: controller,
  severity: 'normal',
  because: 'An ignored error is an error: an unknown one hides a step that did not happen.',
  source: [
    seed('PLAY RECAP ignored=2'),
    kubespray('roles/etcd/tasks/install_host.yml'),
    kubespray('roles/kubernetes/control-plane/tasks/define-first-kube-control.yml'),
  ],
  fix: remedy.rerun,
  judge: ({ cluster, check }) => {
    const { tasks, recap } = cluster.controller.installLog
    const known = cluster.release.ignoredTasks
    const unknown = tasks.filter(({ name, ignored }) => ignored.length > 0 && !known.some(one => name.includes(one)))
    check.none(
      'ignored failures that no first run has',
      unknown.map(({ name, ignored }) => `${name} on ${ignored.join(', ')}`),
    )
    for (const { host, ignored } of recap) {
      check.atMost(
        `ignored on ${host}`,
        ignored,
        cluster.isControlPlane(host) || cluster.isEtcdMember(host) ? known.length : 0,
      )
    }
  },
  refutedBy: {
    'one more ignored on a control plane': edit =>
      edit.text(LOG, text => text.replace(/ignored=(\d)/, (_, n: string) => `ignored=${Number(n) + 1}`)),
    'another task failed and was ignored': edit =>
      edit.text(LOG, text => text.replaceAll('Get currently-deployed etcd version', 'Get something else')),
  },
})

invariant('log-key-tasks', {
  title: 'nginx-proxy was written on workers only, and every other control plane joined',
  on: controller,
  severity: 'normal',
  because:
    'These are the steps that make the topology: where one did not run, the cluster is another than the inventory says.',
  source: [seed('what Kubespray does by itself'), kubespray('roles/kubernetes/node/tasks/main.yml')],
  fix: remedy.rerun,
  dependsOn: topology,
  judge: ({ cluster, check }) => {
    const worked = (name: string) => cluster.controller.workedOn(name)
    const [, ...others] = cluster.expectations.controlPlanes
    check.sameSet(
      'hosts with "Nginx-proxy | Write nginx-proxy configuration"',
      worked('Nginx-proxy | Write nginx-proxy configuration'),
      cluster.expectations.workers,
    )
    check.sameSet(
      'hosts with "Nginx-proxy | Write static pod"',
      worked('Nginx-proxy | Write static pod'),
      cluster.expectations.workers,
    )
    check.sameSet(
      'hosts with "Joining control plane node to the cluster"',
      worked('Joining control plane node to the cluster'),
      others,
    )
    check.atLeast(
      'hosts with "Update server field in kube-proxy kubeconfig"',
      worked('Update server field in kube-proxy kubeconfig').length,
      1,
    )
  },
  refutedBy: {
    'a control plane did not join': edit =>
      edit.text(LOG, text =>
        text.replace(/(TASK \[kubernetes\/control-plane : Joining[^]*?\n)changed: \[(\S+)\]/, '$1skipping: [$2]'),
      ),
    'kube-proxy was not pointed at localhost': edit =>
      edit.text(LOG, text => text.replaceAll('Update server field in kube-proxy', 'Leave server field in kube-proxy')),
  },
})

invariant('log-init-join', {
  title: 'kubeadm init ran once, on the first control plane, and every worker joined',
  on: controller,
  severity: 'normal',
  because: 'A second init is a second cluster.',
  source: [seed('cluster.yml'), kubespray('roles/kubernetes/control-plane/tasks/kubeadm-setup.yml')],
  fix: remedy.rerun,
  judge: ({ cluster, check }) => {
    const { expectations } = cluster
    check.sameSet(
      'hosts with "Initialize first control plane node (1st try)"',
      cluster.controller.workedOn('Initialize first control plane node (1st try)'),
      expectations.controlPlanes.slice(0, 1),
    )
    check.sameSet(
      'hosts with "Join to cluster if needed"',
      cluster.controller.workedOn('Join to cluster if needed'),
      expectations.workers,
    )
  },
  refutedBy: {
    'init ran on another host': edit =>
      edit.text(LOG, text =>
        text.replace(
          /(TASK \[[^\]]*Initialize first control plane node \(1st try\)[^]*?\n)changed: \[\S+\]/,
          `$1changed: [${edit.others[0] ?? ''}]`,
        ),
      ),
    'a worker did not join': edit =>
      edit.text(LOG, text =>
        text.replace(
          /(TASK \[kubernetes\/kubeadm : Join to cluster if needed[^]*?\n)changed: \[(\S+)\]/,
          '$1skipping: [$2]',
        ),
      ),
  },
})

invariant('log-play-order', {
  title: 'The plays ran in the order that they depend on',
  on: controller,
  severity: 'minor',
  because:
    'etcd before the nodes, the balancer before kubeadm joins, the network before add-ons: another order is another playbook.',
  source: [seed('steps 1 to 6'), kubespray('playbooks/cluster.yml')],
  fix: remedy.rerun,
  correction: 'The seed numbers the steps otherwise; the recorded log has this order.',
  judge: ({ cluster, check }) => {
    const { plays } = cluster.controller.installLog
    const order = [
      'Install etcd',
      'Install Kubernetes nodes',
      'Install the control plane',
      'Invoke kubeadm and install a CNI',
      'Install Kubernetes apps',
    ]
    check.equal(
      'the order of the plays',
      plays.map(({ name }) => name).filter(name => order.includes(name)),
      order,
    )
  },
  refutedBy: {
    'apps before the network': edit =>
      edit.text(LOG, text =>
        text
          .replace('PLAY [Install Kubernetes apps]', 'PLAY [x]')
          .replace('PLAY [Install etcd]', 'PLAY [Install Kubernetes apps]'),
      ),
  },
})

invariant('log-complete', {
  title: 'The log ends with the recap and the task profile, and is of the version that runs',
  on: controller,
  severity: 'normal',
  because: "The exit status of `… | tee` is tee's: only the end of the log tells that the run got there.",
  source: [seed('cluster.yml')],
  fix: remedy.rerun,
  judge: ({ cluster, want, check }) => {
    const { recap, profiled } = cluster.controller.installLog
    check.atLeast('hosts in the recap', recap.length, 1)
    check.equal('the task profile behind the recap', profiled, true)
    const version = `v${kubernetesVersion(want)}`
    check.that(
      'the Kubernetes version in the log',
      cluster.controller.installLogText.includes(version),
      'not in it',
      version,
    )
  },
  refutedBy: {
    'the profile is cut off': edit => edit.text(LOG, text => text.replace(/^=====+ *$/m, '')),
    'the log of another version': edit => edit.text(LOG, text => text.replace(/v1\.\d+\.\d+/g, 'v1.0.0')),
  },
})

invariant('log-no-secrets', {
  title: 'The log holds no token, certificate key or private key',
  on: controller,
  severity: 'critical',
  because:
    'Install logs are mailed and attached to tickets; a bootstrap token or certificate key in one opens the cluster.',
  source: [seed('unsafe_show_logs'), kubespray('roles/kubespray_defaults/defaults/main/main.yml (unsafe_show_logs)')],
  fix: 'Set unsafe_show_logs: false, remove the log, and delete the token (kubeadm token delete) or renew the key.',
  judge: ({ cluster, want, check }) => {
    const { tokens, privateKeys, certificateKeys } = secretsIn(cluster.controller.installLogText)
    check.equal('unsafe_show_logs', want.unsafe_show_logs, false)
    check.equal('bootstrap tokens', tokens, 0)
    check.equal('private keys', privateKeys, 0)
    check.equal('certificate keys', certificateKeys, 0)
  },
  refutedBy: {
    'a bootstrap token': edit =>
      edit.text(LOG, text => text.replace('"changed": false,', '"token": "abcdef.0123456789abcdef",')),
    'a token that collecting redacted': edit =>
      edit.text(LOG, text => text.replace('"changed": false,', '"token": "REDACTED(bootstrap token)",')),
    'a certificate key': edit =>
      edit.text(LOG, text => text.replace('"changed": false,', `"certificate_key": "${'0a'.repeat(32)}",`)),
  },
})
