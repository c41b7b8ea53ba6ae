import { z } from 'zod'
import { type Certificate, readCertificate } from './certificate.ts'
import { shaped } from './json.ts'
import { ParseError, parser } from './parser.ts'
import { yamlDocuments } from './yaml.ts'

const text = z.string().optional()
const schema = z.object({
  kind: z.literal('Config'),
  'current-context': z.string(),
  clusters: z.array(
    z.object({
      name: z.string(),
      cluster: z.object({ server: z.string(), 'certificate-authority': text, 'certificate-authority-data': text }),
    }),
  ),
  contexts: z
    .array(z.object({ name: z.string(), context: z.object({ cluster: z.string(), user: z.string() }) }))
    .nullable(),
  users: z
    .array(
      z.object({
        name: z.string(),
        user: z.object({
          'client-certificate': text,
          'client-key': text,
          'client-certificate-data': text,
          'client-key-data': text,
          tokenFile: text,
          token: text,
        }),
      }),
    )
    .nullable(),
})

export interface Kubeconfig {
  /** `server:` of the cluster in use: of the current context, or the only one. */
  readonly server: string
  readonly ca: Certificate | undefined
  readonly caFile: string | undefined
  readonly user: string
  readonly clientCertificate: Certificate | undefined
  readonly clientCertificateFile: string | undefined
  readonly clientKeyFile: string | undefined
  readonly tokenFile: string | undefined
  readonly hasInlineCredentials: boolean
  readonly clusterNames: readonly string[]
  readonly contextNames: readonly string[]
  readonly userNames: readonly string[]
}

/** A kubeconfig, and the CA and client certificate within it. */
export const kubeconfig = parser((source): Kubeconfig => {
  const config = shaped(schema, yamlDocuments(source)[0])
  const contexts = config.contexts ?? []
  const users = config.users ?? []
  const context = contexts.find(({ name }) => name === config['current-context'])?.context
  const cluster = context
    ? config.clusters.find(({ name }) => name === context.cluster)?.cluster
    : config.clusters[0]?.cluster
  if (cluster === undefined)
    throw new ParseError(`no cluster for the context ${JSON.stringify(config['current-context'])}`)
  const user = users.find(({ name }) => name === context?.user)?.user
  const inline = (data: string | undefined) =>
    data === undefined ? undefined : readCertificate(Buffer.from(data, 'base64').toString('utf8'))
  return {
    server: cluster.server,
    ca: inline(cluster['certificate-authority-data']),
    caFile: cluster['certificate-authority'],
    user: context?.user ?? '',
    clientCertificate: inline(user?.['client-certificate-data']),
    clientCertificateFile: user?.['client-certificate'],
    clientKeyFile: user?.['client-key'],
    tokenFile: user?.tokenFile,
    hasInlineCredentials: [user?.['client-certificate-data'], user?.['client-key-data'], user?.token].some(
      data => data !== undefined,
    ),
    clusterNames: config.clusters.map(({ name }) => name),
    contextNames: contexts.map(({ name }) => name),
    userNames: users.map(({ name }) => name),
  }
})
