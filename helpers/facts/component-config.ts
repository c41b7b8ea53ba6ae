import { z } from 'zod'
import { json, shaped } from './json.ts'
import { staticPod } from './kubernetes-objects.ts'
import { ParseError, parser } from './parser.ts'
import { toml } from './toml.ts'
import { yaml, yamlDocuments } from './yaml.ts'

/** A static pod manifest with the flags of its first container. */
export const staticPodManifest = parser(text => {
  const pod = shaped(staticPod, yamlDocuments(text)[0])
  return { ...pod, flags: flagsOf(pod.spec.containers[0]?.command ?? []) }
})

/** `--name=value` arguments by name. */
export function flagsOf(args: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    args
      .filter(arg => arg.startsWith('--'))
      .map(arg => [arg.slice(2).split('=')[0] ?? '', arg.includes('=') ? arg.slice(arg.indexOf('=') + 1) : 'true']),
  )
}

/** A KubeletConfiguration: any field by name, `a.b.c` for nested ones. */
export const kubeletConfiguration = componentConfiguration('KubeletConfiguration')
export const kubeProxyConfiguration = componentConfiguration('KubeProxyConfiguration')
export const schedulerConfiguration = componentConfiguration('KubeSchedulerConfiguration')

export interface Configuration {
  readonly apiVersion: string
  get(path: string): unknown
}

function componentConfiguration(kind: string) {
  return parser(text => configurationOf(text, kind))
}

/** The document of that kind in a multi-document text. @throws ParseError */
export function configurationOf(text: string, kind: string): Configuration {
  const documents = yamlDocuments(text)
  const found = documents.find(document => (document as { kind?: unknown } | null)?.kind === kind)
  if (found === undefined) throw new ParseError(`no ${kind} in it`)
  const fields = found as Record<string, unknown>
  return {
    apiVersion: String(fields['apiVersion']),
    get: path =>
      path
        .split('.')
        .reduce<unknown>((value, key) => (value as Record<string, unknown> | null | undefined)?.[key], fields),
  }
}

/** kubeadm-config.yaml and the ConfigMap kubeadm-config: its ClusterConfiguration. */
export const clusterConfiguration = componentConfiguration('ClusterConfiguration')

/** kubeadm-config.yaml: the local API endpoint of InitConfiguration. */
export const kubeadmConfig = parser(text => ({
  cluster: configurationOf(text, 'ClusterConfiguration'),
  init: configurationOf(text, 'InitConfiguration'),
}))

const rlimit = z.object({ type: z.string(), hard: z.number(), soft: z.number() })
/** /etc/containerd/cri-base.json: the OCI runtime spec that every container starts from. */
export const runtimeSpec = parser(text =>
  shaped(
    z.object({ ociVersion: z.string(), process: z.object({ rlimits: z.array(rlimit).default([]) }) }),
    JSON.parse(text),
  ),
)

const text = z.string().default('')
/** What both formats of /etc/containerd/config.toml say of the CRI plugin. */
interface CriSettings {
  readonly version: number
  readonly runtimes: Readonly<Record<string, { baseRuntimeSpec: string; systemdCgroup: boolean; binaryName: string }>>
  readonly sandboxImage: string
  readonly registryConfigPath: string
}

/** Version 3, which Kubespray writes since v2.28. */
const version3 = z
  .object({
    version: z.number(),
    plugins: z.object({
      'io.containerd.cri.v1.runtime': z.object({
        containerd: z.object({
          runtimes: z.record(
            z.string(),
            z.object({
              base_runtime_spec: text,
              options: z.object({ SystemdCgroup: z.boolean().default(false), BinaryName: text }),
            }),
          ),
        }),
      }),
      'io.containerd.cri.v1.images': z.object({
        pinned_images: z.object({ sandbox: z.string() }),
        registry: z.object({ config_path: text }),
      }),
    }),
  })
  .transform(({ version, plugins }): CriSettings => {
    const images = plugins['io.containerd.cri.v1.images']
    const { runtimes } = plugins['io.containerd.cri.v1.runtime'].containerd
    return {
      version,
      runtimes: Object.fromEntries(
        Object.entries(runtimes).map(([name, { base_runtime_spec: baseRuntimeSpec, options }]) => [
          name,
          { baseRuntimeSpec, systemdCgroup: options.SystemdCgroup, binaryName: options.BinaryName },
        ]),
      ),
      sandboxImage: images.pinned_images.sandbox,
      registryConfigPath: images.registry.config_path,
    }
  })

/** Version 2, of Kubespray v2.27: one plugin, and options in lower case. */
const version2 = z
  .object({
    version: z.number(),
    plugins: z.object({
      'io.containerd.grpc.v1.cri': z.object({
        sandbox_image: z.string(),
        containerd: z.object({
          runtimes: z.record(
            z.string(),
            z.object({
              base_runtime_spec: text,
              options: z.object({ systemdCgroup: z.boolean().default(false), binaryName: text }),
            }),
          ),
        }),
        registry: z.object({ config_path: text }),
      }),
    }),
  })
  .transform(({ version, plugins }): CriSettings => {
    const { sandbox_image: sandboxImage, containerd, registry } = plugins['io.containerd.grpc.v1.cri']
    return {
      version,
      runtimes: Object.fromEntries(
        Object.entries(containerd.runtimes).map(([name, { base_runtime_spec: baseRuntimeSpec, options }]) => [
          name,
          { baseRuntimeSpec, ...options },
        ]),
      ),
      sandboxImage,
      registryConfigPath: registry.config_path,
    }
  })

/** /etc/containerd/config.toml; the plugins it names tell the format, and the version is for the invariant to judge. */
export const containerdConfig = toml(
  z.union([version3, version2], { error: 'names the CRI plugin neither as version 3 nor as version 2 does' }),
)

/** /etc/crictl.yaml. */
export const crictlConfig = yaml(z.object({ 'runtime-endpoint': z.string(), 'image-endpoint': z.string() }))

/** /etc/cni/net.d/*.conflist: the types of the plugins, in order. */
export const cniConfig = parser(text =>
  shaped(z.object({ name: z.string(), plugins: z.array(z.object({ type: z.string() })).min(1) }), JSON.parse(text)),
)

/** net-conf.json in ConfigMap kube-flannel-cfg. */
export const flannelNetwork = json(
  z.object({
    Network: z.string(),
    Backend: z.object({
      Type: z.string(),
      VNI: z.number().optional(),
      Port: z.number().optional(),
      DirectRouting: z.boolean().optional(),
    }),
  }),
)
