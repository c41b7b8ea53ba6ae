/** The commands that put things right, as Kubespray's documentation and roles give them. `HOST` stands for the node's name. */
export const remedy = {
  inventory: 'Correct the inventory or group_vars, then run cluster.yml again.',
  renderLoadBalancer:
    'Run facts.yml, then cluster.yml --tags nginx --limit kube_node. If the pod is still the old one: ssh HOST "crictl pods --namespace kube-system --name nginx-proxy -q | xargs crictl rmp -f".',
  raiseRlimit:
    'Either set containerd_default_base_runtime_spec_patch: {process: {rlimits: []}} (or containerd_base_runtime_spec_rlimit_nofile: 130048) and run cluster.yml --tags containerd --limit HOST, or lower worker_rlimit_nofile in nginx.conf.j2 and run cluster.yml --tags nginx --limit kube_node. Then recreate the pod: ssh HOST "crictl pods --namespace kube-system --name nginx-proxy -q | xargs crictl rmp -f" (restarting containerd alone changes no running container).',
  kubeProxy:
    'Run cluster.yml --tags kubeadm,kube-proxy; or set server: https://127.0.0.1:6443 in ConfigMap kube-system/kube-proxy and delete the kube-proxy pods.',
  controlPlane: 'Run cluster.yml --tags control-plane --limit kube_control_plane.',
  kubelet: 'Run cluster.yml --tags node,kubelet --limit HOST and restart the kubelet.',
  etcd: 'Run cluster.yml --tags etcd --limit etcd,kube_control_plane; repair a lost member with recover-control-plane.yml (group broken_etcd).',
  etcdServers:
    'Edit --etcd-servers in /etc/kubernetes/manifests/kube-apiserver.yaml on one control plane after the other, or run upgrade-cluster.yml.',
  certificates:
    'Run /usr/local/bin/k8s-certs-renew.sh on one control plane after the other (or kubeadm certs renew all, then recreate the control-plane pods and copy admin.conf). Where a SAN is missing run cluster.yml: it issues apiserver.crt again.',
  host: 'Run cluster.yml --tags bootstrap_os,preinstall --limit HOST, then sysctl --system on the node.',
  binaries: 'Run cluster.yml --tags download,kubelet,containerd --limit HOST.',
  addons: 'Run cluster.yml --tags apps.',
  network: 'Run cluster.yml --tags network.',
  pruneBackups: 'Remove old backups and set etcd_backup_retention_count: 5.',
  adminKubeconfig:
    'Copy /root/.kube/config from a control plane again and point its server at a live control plane or a load balancer.',
  leftover: 'Delete the left-over static pod manifest and its configuration folder on HOST.',
  kubeadmConfigMaps:
    'Run kubectl edit cm -n kube-public cluster-info and kubectl edit cm -n kube-system kubeadm-config: name a live control plane.',
  investigate:
    'Kubespray has no fix for it: look at the host and its logs (journalctl -u kubelet -u containerd -u etcd, kubectl get events -A).',
  rerun: 'Read the first failed task in the log, mend its cause, and run the playbook again.',
} as const

/** A file of Kubespray. */
export const kubespray = (path: string) => `Kubespray ${path}`
/** A heading of the seed document. */
export const seed = (heading: string) => `Seed document: ${heading}`
/** Issues and pull requests of kubernetes-sigs/kubespray. */
export const issue = (...numbers: number[]) =>
  `kubernetes-sigs/kubespray ${numbers.map(number => `#${number}`).join(', ')}`
