import { ansibleLog, ansibleLogText } from '../facts/ansible-log.ts'
import { inventoryGraph, inventoryList, listedTasks, playbookTags } from '../facts/ansible-inventory.ts'
import { clusterConfiguration, flannelNetwork, kubeProxyConfiguration } from '../facts/component-config.ts'
import { apiVersion, plainHealth } from '../facts/http.ts'
import { kubeconfig } from '../facts/kubeconfig.ts'
import { kubectlTable, kubectlTrace } from '../facts/kubernetes-tools.ts'
import { findListing } from '../facts/listing.ts'
import { hostsFile } from '../facts/name-service.ts'
import * as objects from '../facts/kubernetes-objects.ts'
import type { Parser } from '../facts/parser.ts'
import { gitDescription } from '../facts/versions.ts'
import { Indeterminate, type Reader } from './reader.ts'

/** What the API says. */
export class ApiFacts {
  readonly #reader: Reader

  constructor(reader: Reader) {
    this.#reader = reader
  }

  get nodes() {
    return this.#reader.text('api/nodes.json', objects.nodes)
  }
  get pods() {
    return this.#reader.text('api/pods.json', objects.pods)
  }
  get daemonSets() {
    return this.#reader.text('api/daemonsets.json', objects.daemonSets)
  }
  get deployments() {
    return this.#reader.text('api/deployments.json', objects.deployments)
  }
  get services() {
    return this.#reader.text('api/services.json', objects.services)
  }
  get endpointSlices() {
    return this.#reader.text('api/endpointslices.json', objects.endpointSlices)
  }
  get leases() {
    return this.#reader.text('api/leases.json', objects.leases)
  }
  get apiServices() {
    return this.#reader.text('api/apiservices.json', objects.apiServices)
  }
  get clusterRoleBindings() {
    return this.#reader.text('api/clusterrolebindings.json', objects.namedObjects)
  }
  get priorityClasses() {
    return this.#reader.text('api/priorityclasses.json', objects.namedObjects)
  }
  get events() {
    return this.#reader.text('api/events.json', objects.events)
  }
  get nodeMetrics() {
    return this.#reader.text('api/metrics-nodes.json', objects.nodeMetrics)
  }

  configMap(namespace: string, name: string) {
    const found = this.#reader
      .text('api/configmaps.json', objects.configMaps)
      .find(({ metadata }) => metadata.namespace === namespace && metadata.name === name)
    if (found === undefined)
      throw new Indeterminate('api/configmaps.json', `there is no ConfigMap ${namespace}/${name}`)
    return found
  }
  get kubeadmConfig() {
    return this.#embedded('kube-system', 'kubeadm-config', 'ClusterConfiguration', clusterConfiguration)
  }
  get flannelConfig() {
    return this.#embedded('kube-system', 'kube-flannel-cfg', 'net-conf.json', flannelNetwork)
  }
  get kubeProxyConfig() {
    return this.#embedded('kube-system', 'kube-proxy', 'config.conf', kubeProxyConfiguration)
  }
  get kubeProxyKubeconfig() {
    return this.#embedded('kube-system', 'kube-proxy', 'kubeconfig.conf', kubeconfig)
  }
  get clusterInfo() {
    return this.#embedded('kube-public', 'cluster-info', 'kubeconfig', kubeconfig)
  }

  /** A file within a ConfigMap, parsed. */
  #embedded<T>(namespace: string, name: string, key: string, parse: Parser<T>): T {
    const parsed = parse(this.configMap(namespace, name).data[key] ?? '')
    if (parsed.ok) return parsed.value
    throw new Indeterminate(
      'api/configmaps.json',
      `${key} of ConfigMap ${namespace}/${name} can not be read: ${parsed.error.message}`,
    )
  }
}

/** What the machine that ran Ansible says; it plays admin-lb. */
export class ControllerFacts {
  readonly #reader: Reader

  constructor(reader: Reader) {
    this.#reader = reader
  }

  get installLog() {
    return this.#reader.text('controller/kubespray_install.log', ansibleLog)
  }
  /** Hosts on which a task did something: changed or ok, not skipped. */
  workedOn(name: string): string[] {
    const runs = this.installLog.tasks.filter(task => task.name.includes(name))
    return [
      ...new Set(
        runs.flatMap(({ hosts }) =>
          [...hosts].filter(([, outcome]) => outcome === 'changed' || outcome === 'ok').map(([host]) => host),
        ),
      ),
    ]
  }
  /** The text of the log, for what must not be in it. */
  get installLogText() {
    return this.#reader.text('controller/kubespray_install.log', ansibleLogText)
  }
  get inventoryList() {
    return this.#reader.text('controller/ansible-inventory-list.json', inventoryList)
  }
  get inventoryGraph() {
    return this.#reader.text('controller/ansible-inventory-graph.txt', inventoryGraph)
  }
  get kubesprayVersion() {
    return this.#reader.text('controller/kubespray-version.txt', gitDescription)
  }
  get kubeconfig() {
    return this.#reader.text('controller/kubeconfig.yaml', kubeconfig)
  }
  /** The kubeconfig in `artifacts/` of the Kubespray checkout. */
  get artifactKubeconfig() {
    return this.#reader.text('controller/artifacts-admin.conf', kubeconfig)
  }
  /** /etc/hosts of the controller. */
  get hosts() {
    return this.#reader.text('controller/hosts', hostsFile)
  }
  /** `/version` of an API server as the controller gets it, by address or name. */
  apiVersion(name: string) {
    return this.#reader.text(`controller/version-${name}.json`, apiVersion)
  }
  /** `/livez` or `/readyz` of an API server as the controller gets it. */
  apiHealth(question: 'livez' | 'readyz', name: string) {
    return this.#reader.text(`controller/${question}-${name}.txt`, plainHealth)
  }
  get nodeTable() {
    return this.#reader.text('controller/kubectl-get-nodes-wide-v6.txt', kubectlTable)
  }
  get nodeTrace() {
    return this.#reader.text('controller/kubectl-get-nodes-wide-v6.txt', kubectlTrace)
  }
  get nodeUse() {
    return this.#reader.text('controller/kubectl-top-nodes.txt', kubectlTable)
  }
  /** Names of the hosts whose facts Ansible has cached. */
  get factCache() {
    return this.#reader
      .text('controller/fact-cache.txt', findListing)
      .entries.map(({ path }) => path.split('/').at(-1) ?? '')
  }
  /** The plays of cluster.yml, and the number of its tasks. */
  get listedTasks() {
    return this.#reader.text('controller/list-tasks.txt', listedTasks)
  }
  /** The tags of cluster.yml. */
  get playbookTags() {
    return this.#reader.text('controller/list-tags.txt', playbookTags)
  }
}
