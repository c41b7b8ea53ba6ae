import { z } from 'zod'
import { items } from './json.ts'

/** The parts of Kubernetes' objects that the invariants read; other fields are dropped. */
const strings = z.record(z.string(), z.string()).default({})
const metadata = z.object({
  name: z.string(),
  namespace: z.string().default(''),
  uid: z.string().default(''),
  creationTimestamp: z.string().transform(Date.parse),
  resourceVersion: z.string().default('0').transform(Number),
  labels: strings,
  annotations: strings,
})
const condition = z.object({
  type: z.string(),
  status: z.string(),
  reason: z.string().default(''),
  message: z.string().default(''),
})
const conditions = z.array(condition).default([])
const taint = z.object({ key: z.string(), value: z.string().optional(), effect: z.string() })

const node = z.object({
  metadata,
  spec: z.object({
    podCIDR: z.string().default(''),
    taints: z.array(taint).default([]),
    unschedulable: z.boolean().default(false),
  }),
  status: z.object({
    addresses: z.array(z.object({ type: z.string(), address: z.string() })),
    conditions,
    allocatable: strings,
    nodeInfo: z.object({
      kubeletVersion: z.string(),
      containerRuntimeVersion: z.string(),
      osImage: z.string(),
      kernelVersion: z.string(),
      architecture: z.string(),
    }),
  }),
})
export const nodes = items(node)

const resources = z.object({ requests: strings, limits: strings })
const probe = z.object({
  httpGet: z
    .object({ path: z.string().default(''), port: z.union([z.number(), z.string()]), host: z.string().optional() })
    .optional(),
})
const container = z.object({
  name: z.string(),
  image: z.string(),
  command: z.array(z.string()).default([]),
  args: z.array(z.string()).default([]),
  resources: resources.default({ requests: {}, limits: {} }),
  livenessProbe: probe.optional(),
  readinessProbe: probe.optional(),
  volumeMounts: z
    .array(z.object({ name: z.string(), mountPath: z.string(), readOnly: z.boolean().default(false) }))
    .default([]),
  securityContext: z.object({ privileged: z.boolean().default(false) }).default({ privileged: false }),
})

const podSpec = z.object({
  nodeName: z.string().default(''),
  hostNetwork: z.boolean().default(false),
  dnsPolicy: z.string().default(''),
  priorityClassName: z.string().default(''),
  nodeSelector: strings,
  containers: z.array(container),
  tolerations: z
    .array(z.object({ key: z.string().optional(), operator: z.string().optional(), effect: z.string().optional() }))
    .default([]),
  affinity: z.record(z.string(), z.record(z.string(), z.unknown())).default({}),
  volumes: z.array(z.object({ name: z.string(), hostPath: z.object({ path: z.string() }).optional() })).default([]),
})

/** A pod manifest on disk: no status, and its metadata has no times. */
export const staticPod = z.object({
  kind: z.literal('Pod'),
  metadata: z.object({ name: z.string(), namespace: z.string(), labels: strings, annotations: strings }),
  spec: podSpec,
})

const containerStatus = z.object({ name: z.string(), ready: z.boolean(), restartCount: z.number() })
const pod = z.object({
  metadata: metadata.extend({ ownerReferences: z.array(z.object({ kind: z.string(), name: z.string() })).default([]) }),
  spec: podSpec,
  status: z.object({ phase: z.string(), conditions, containerStatuses: z.array(containerStatus).default([]) }),
})
export const pods = items(pod)

const template = z.object({ metadata: z.object({ labels: strings, annotations: strings }), spec: podSpec })
const daemonSet = z.object({
  metadata,
  spec: z.object({ template }),
  status: z.object({ desiredNumberScheduled: z.number(), numberReady: z.number() }),
})
export const daemonSets = items(daemonSet)

const deployment = z.object({
  metadata,
  spec: z.object({ replicas: z.number().default(1), template }),
  status: z.object({ readyReplicas: z.number().default(0) }),
})
export const deployments = items(deployment)

export const services = items(
  z.object({
    metadata,
    spec: z.object({
      clusterIP: z.string().default(''),
      ports: z.array(z.object({ port: z.number(), protocol: z.string().default('TCP') })).default([]),
    }),
  }),
)

export const endpointSlices = items(
  z.object({
    metadata,
    endpoints: z
      .array(
        z.object({
          addresses: z.array(z.string()),
          conditions: z.object({ ready: z.boolean().default(true) }).default({ ready: true }),
        }),
      )
      .nullable()
      .transform(list => list ?? []),
    ports: z
      .array(z.object({ port: z.number() }))
      .nullable()
      .transform(list => list ?? []),
  }),
)

export const configMaps = items(z.object({ metadata, data: strings }))

const lease = z.object({
  metadata,
  spec: z.object({
    holderIdentity: z.string().default(''),
    leaseDurationSeconds: z.number().default(0),
    /** Milliseconds since the epoch. */
    renewTime: z.string().transform(Date.parse),
    leaseTransitions: z.number().default(0),
  }),
})
export const leases = items(lease)

export const apiServices = items(z.object({ metadata, status: z.object({ conditions }) }))
/** Objects of which only the name matters. */
export const namedObjects = items(z.object({ metadata }))

export const events = items(
  z.object({
    metadata,
    reason: z.string().default(''),
    involvedObject: z.object({
      kind: z.string(),
      name: z.string(),
      resourceVersion: z.string().default('0').transform(Number),
    }),
  }),
)

/** `kubectl get --raw /apis/metrics.k8s.io/v1beta1/nodes`: its items have no resourceVersion. */
export const nodeMetrics = items(z.object({ metadata: z.object({ name: z.string() }), usage: strings }))
