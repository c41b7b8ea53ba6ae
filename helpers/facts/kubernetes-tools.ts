import { z } from 'zod'
import { json } from './json.ts'
import { lines, ParseError, parser, quote } from './parser.ts'

const certificateState = z.object({
  name: z.string(),
  expirationDate: z.string().nullish(),
  missing: z.boolean().default(false),
})

/** `kubeadm certs check-expiration -o json`: the certificates and the CAs. */
export const kubeadmCertificates = json(
  z.object({
    certificates: z.array(certificateState).min(1),
    certificateAuthorities: z.array(certificateState).min(1),
  }),
)

/** `kubectl cluster-info`: where the control plane is said to run. */
export const clusterInfo = parser(text => {
  const url =
    /^(?:\S*\[[\d;]+m)?Kubernetes control plane(?:\S*\[[\d;]+m)? is running at (?:\S*\[[\d;]+m)?(https?:\/\/[^\s\u001b]+)/m.exec(
      text,
    )?.[1]
  if (url === undefined) throw new ParseError(`not the output of kubectl cluster-info: ${quote(text.trim())}`)
  return { url }
})

/** The requests that `kubectl -v=6` logs: URL, status, and the file it loaded. */
export const kubectlTrace = parser(text => {
  const loadedFrom = /Config loaded from file:\s+(\S+)/.exec(text)?.[1]
  const requests = [...text.matchAll(/GET (https?:\/\/\S+) (\d{3}) |verb="GET" url="([^"]+)" status="(\d{3}) /g)].map(
    ([, url, status, url2, status2]) => ({ url: url ?? url2 ?? '', status: Number(status ?? status2) }),
  )
  if (loadedFrom === undefined && requests.length === 0) throw new ParseError('no trace of kubectl -v=6')
  return { loadedFrom, requests }
})

/** A table that kubectl prints: its rows by column title. Two spaces at least part its columns, and no cell is empty. */
export const kubectlTable = parser(text => {
  const table = lines(text).filter(line => !/^[IWE]\d{4} /.test(line.text))
  const [head, ...rows] = table
  if (head === undefined || !/^NAME\s/.test(head.text))
    throw new ParseError(`not a kubectl table: ${quote(text.trim())}`)
  const titles = head.text.trim().split(/ {2,}/)
  return rows.map(line => {
    const cells = line.text.trim().split(/ {2,}/)
    if (cells.length !== titles.length)
      throw new ParseError(`${cells.length} cells below ${titles.length} titles`, line.number)
    return Object.fromEntries(titles.map((title, index) => [title, cells[index] ?? '']))
  })
})
