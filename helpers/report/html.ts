import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Report } from './records.ts'

/** The suite's own folder: its specs and its dependencies, wherever it is called from. */
const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Written {
  readonly html: string
  readonly junit: string
}

/**
 * Runs the specs that tell the verdicts, and gives the JUnit file of their results.
 * @param results the folder for Allure's raw results, where they are wanted too
 * @throws Error that names the log, where vitest broke
 */
export async function writeJunit(report: Report, verdictsFile: string, out: string, results?: string): Promise<string> {
  const log = resolve(out, 'report.log')
  const specs = [...new Set(report.verdicts.map(({ spec }) => spec))]
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
  const environment = {
    CONFORMANCE_VERDICTS: resolve(verdictsFile),
    ...(results === undefined ? {} : { CONFORMANCE_RESULTS: results }),
  }
  await call(log, [vitest, 'run', '--project', 'conformance', '--passWithNoTests', ...specs], environment, [0, 1])
  const junit = join(out, 'junit.xml')
  if (!existsSync(junit)) throw new Error(`the specs could not be run: see ${log}`)
  return junit
}

/**
 * Runs the specs that tell the verdicts, and makes JUnit and one self-contained HTML page of their results.
 * @throws Error that names the log, where vitest or Allure broke
 */
export async function writeHtml(report: Report, verdictsFile: string, out: string): Promise<Written> {
  // Allure writes a file for each verdict, with fsync: memory is ten times as fast where there is some.
  const scratch = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'conformance-'))
  const results = join(scratch, 'results')
  const log = resolve(out, 'report.log')
  try {
    mkdirSync(results)
    const junit = await writeJunit(report, verdictsFile, out, results)
    writeFileSync(join(results, 'environment.properties'), environmentOf(report))
    const config = join(scratch, 'allurerc.json')
    writeFileSync(config, JSON.stringify(allureConfig(report, scratch, out)))
    const allure = join(root, 'node_modules', 'allure', 'cli.js')
    await call(log, [allure, 'generate', '--config', config, '--cwd', scratch, results], {}, [0])
    const html = join(out, 'index.html')
    writeFileSync(html, selfContained(readFileSync(join(scratch, 'html', 'index.html'), 'utf8')))
    keepHistory(scratch, out)
    return { html, junit }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

function call(
  log: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  good: readonly number[],
): Promise<void> {
  return new Promise((done, failed) => {
    const output = openSync(log, 'a')
    const child = spawn(process.execPath, args, {
      cwd: root,
      env: { ...process.env, ...environment },
      stdio: ['ignore', output, output],
    })
    child.on('error', failed)
    child.on('close', code =>
      good.includes(code ?? -1)
        ? done()
        : failed(new Error(`the report could not be made (exit status ${code ?? 'none'}): see ${log}`)),
    )
  })
}

function allureConfig(report: Report, scratch: string, out: string) {
  const history = join(out, 'history.jsonl')
  if (existsSync(history)) writeFileSync(join(scratch, 'history.jsonl'), readFileSync(history))
  return {
    name: `Kubespray ${report.release}, ${report.topology}, ${report.nodes.length} nodes`,
    output: join(scratch, 'html'),
    historyPath: join(scratch, 'history.jsonl'),
    plugins: { awesome: { options: { singleFile: true, reportLanguage: 'en', groupBy: ['epic', 'feature'] } } },
  }
}

function keepHistory(scratch: string, out: string): void {
  const history = join(scratch, 'history.jsonl')
  if (!existsSync(history)) return
  writeFileSync(join(out, 'history.jsonl.new'), readFileSync(history))
  renameSync(join(out, 'history.jsonl.new'), join(out, 'history.jsonl'))
}

function environmentOf({ release, topology, recording, recordedAt, nodes, overrides, suite }: Report): string {
  const values = {
    Kubespray: release,
    topology,
    nodes: nodes.join(' '),
    recording,
    recordedAt,
    suite,
    deliberately: overrides.join('; ') || 'nothing',
  }
  return Object.entries(values)
    .map(([name, value]) => `${name} = ${value.replaceAll('\n', ' ')}\n`)
    .join('')
}

/**
 * Allure's page loads Google Analytics, with no option against it, and its bundle links to two web sites. A cluster's report
 * calls nobody and names nobody: the loader goes, and the links lead nowhere.
 */
export function selfContained(html: string): string {
  const unlinked = (text: string) =>
    text.replace(/https:\/\/(?:allurereport\.org|trace\.playwright\.dev)/g, 'about:blank')
  return unlinked(html)
    .replace(
      /\s*<script async src="https:\/\/www\.googletagmanager\.com[^>]*><\/script>\s*<script>\s*window\.dataLayer[^]*?<\/script>/,
      '',
    )
    .replace(
      /(src="data:text\/javascript;base64,)([A-Za-z0-9+/=]+)/g,
      (_, head: string, data: string) =>
        `${head}${Buffer.from(unlinked(Buffer.from(data, 'base64').toString('utf8'))).toString('base64')}`,
    )
}

/** The outside addresses that a page names, its embedded scripts and styles included; names of XML languages are none. */
export function outsideAddresses(html: string): string[] {
  const embedded = [...html.matchAll(/data:[a-z/+-]+;base64,([A-Za-z0-9+/=]+)/g)].map(found =>
    Buffer.from(found[1] ?? '', 'base64').toString('utf8'),
  )
  const named = [html, ...embedded].flatMap(text => text.match(/\bhttps?:\/\/[A-Za-z0-9.-]+\.[a-z]{2,}/g) ?? [])
  return [...new Set(named)].filter(address => address !== 'http://www.w3.org')
}
