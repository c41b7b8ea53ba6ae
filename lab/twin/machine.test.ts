import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { commandSource, type Evidence, fileSource, type Source, textOf } from '../../helpers/recording/format.ts'
import { openRecording } from '../../helpers/recording/open.ts'
import type { Recording } from '../../helpers/recording/recording.ts'
import type { LiveOptions } from '../../helpers/targets/live.ts'
import { ApiTwin } from './api-server.ts'
import { collectTwin, optionsFor } from './collecting.ts'
import { noDocker, Twin } from './twin.ts'

const without = noDocker()
const healthy = openRecording('recordings/case1-remediated')
const NODE = 'k8s-node4'

describe.skipIf(without !== undefined)(
  `a machine with a real sshd and sudo${without === undefined ? '' : ` (skipped: ${without})`}`,
  () => {
    const out = mkdtempSync(join(tmpdir(), 'machine-'))
    let twin: Twin
    let api: ApiTwin
    let folders = 0

    beforeAll(async () => {
      twin = await Twin.start(healthy)
      api = await ApiTwin.start(() => twin.recording)
    })
    afterAll(async () => {
      await api.stop()
      await twin.stop()
      rmSync(out, { recursive: true, force: true })
    })

    async function read(options: Partial<LiveOptions> = {}): Promise<Recording> {
      const folder = join(out, String(folders++))
      await collectTwin(twin, optionsFor(twin, api, options), folder)
      return openRecording(folder)
    }

    const reason = (recording: Recording) => recording.manifest.nodes[NODE]?.unreachable ?? ''
    const socketsOf = (recording: Recording) => textOf(recording.get(commandSource(NODE, 'ss-listen')))

    test.each(['ops', 'fishy', 'csh', 'chatty'])(
      '%s becomes root without a password, whatever the login shell is and prints',
      async user => {
        const recording = await read({ user, become: true })
        expect(socketsOf(recording)).toBe(textOf(healthy.get(commandSource(NODE, 'ss-listen'))))
        expect(recording.get(fileSource(NODE, '/etc/kubernetes/kubelet.conf'))).toMatchObject({
          mode: '0600',
          owner: 'root',
        })
      },
    )

    test('sudo that asks for a password is given it', async () => {
      process.env['BECOME_PASSWORD'] = 'correct-horse'
      const recording = await read({ user: 'asks', become: true })
      process.env['BECOME_PASSWORD'] = 'wrong-horse'
      const wrong = await read({ user: 'asks', become: true })
      delete process.env['BECOME_PASSWORD']
      expect(socketsOf(recording)).not.toBe('')
      expect(reason(wrong)).toBe('sudo does not take the password given; check ansible_become_password')
    })

    test.each([
      ['asks', /sudo needs a password; set ansible_become_password/],
      ['terminal', /sudo wants a terminal \(requiretty\)/],
      ['refused', /sudo needs a password|it can not become root/],
    ])('%s can not become root, and the reason says what to do', async (user, why) => {
      expect(reason(await read({ user, become: true }))).toMatch(why)
    })

    test('without sudo on the machine it can not become root', async () => {
      await twin.container(NODE).exec(['mv', '/usr/bin/sudo', '/usr/bin/sudo.gone'])
      const recording = await read({ user: 'ops', become: true })
      await twin.container(NODE).exec(['mv', '/usr/bin/sudo.gone', '/usr/bin/sudo'])
      expect(reason(recording)).toMatch(/it can not become root: .*sudo.*not found.*Install sudo/)
    })

    test('what only root may read lacks where nobody became root, and the rest is read', async () => {
      const recording = await read({ user: 'unprivileged' })
      expect(recording.get(commandSource(NODE, 'hostname'))).toMatchObject({ stdout: `${NODE}\n` })
      expect(recording.manifest.missing?.[commandSource(NODE, 'ss-listen')]).toMatch(/root only.*--become/)
      expect(recording.manifest.missing?.[fileSource(NODE, '/etc/kubernetes/kubelet.conf')]).toMatch(
        /root only.*--become/,
      )
    })

    test('with a key that only an agent has', async () => {
      const agent = join(twin.folder, 'agent.sock')
      const child = spawn('ssh-agent', ['-D', '-a', agent], { stdio: 'ignore' })
      await new Promise(resolve => setTimeout(resolve, 300))
      execFileSync('ssh-add', ['-q', twin.privateKey], { env: { ...process.env, SSH_AUTH_SOCK: agent } })
      const config = join(twin.folder, 'agent_config')
      const { sshConfig = '' } = optionsFor(twin, api)
      const text = readFileSync(sshConfig, 'utf8')
        .replace(/IdentityFile .*/, 'IdentityFile /nonexistent')
        .replace('IdentityAgent none', `IdentityAgent ${agent}`)
      writeFileSync(config, text)
      const recording = await read({ sshConfig: config })
      child.kill()
      expect(socketsOf(recording)).not.toBe('')
    })

    test('through a jump host', async () => {
      const { sshConfig = '' } = optionsFor(twin, api)
      const config = join(twin.folder, 'jump_config')
      const address = twin.container(NODE).getIpAddress('bridge')
      writeFileSync(
        config,
        `Host 192.168.10.14\n  HostName ${address}\n  Port 22\n  ProxyJump k8s-node1\n${readFileSync(sshConfig, 'utf8')}`,
      )
      const key = execFileSync('ssh', ['-F', sshConfig, 'k8s-node4', 'cat /etc/ssh/ssh_host_ed25519_key.pub'], {
        encoding: 'utf8',
        stdio: 'pipe',
      })
      writeFileSync(twin.knownHosts, `${readFileSync(twin.knownHosts, 'utf8')}${address} ${key}`)
      expect(socketsOf(await read({ sshConfig: config }))).not.toBe('')
    })

    test('a command that is missing, and a read-only file system, cost what they concern', async () => {
      const lacking = new Map<Source, undefined>([[commandSource(NODE, 'crictl-ps'), undefined]])
      await twin.lay(healthy.with(lacking), [NODE])
      await twin.container(NODE).exec(['mount', '-o', 'remount,ro', '/'])
      const recording = await read()
      await twin.container(NODE).exec(['mount', '-o', 'remount,rw', '/'])
      await twin.lay(healthy, [NODE])
      expect(recording.get(commandSource(NODE, 'crictl-ps'))).toMatchObject({ exitCode: 127 })
      expect(socketsOf(recording)).not.toBe('')
    })

    test('a node is the same before and after: files and processes', async () => {
      const state = async () => {
        // PAM makes the message of the day anew at every login, whoever logs in.
        const find = `find / -xdev \\( -path /proc -o -path /run/motd.dynamic \\) -prune -o ! -path /run -printf '%p %y %s %m %U %T@\\n' | sort`
        const { output: files } = await twin.container(NODE).exec(['sh', '-c', find])
        const { output: processes } = await twin
          .container(NODE)
          .exec(['sh', '-c', 'ps -e -o args= | grep -v "ps -e\\|sort\\|sh -c" | sort'])
        return { files: files.split('\n'), processes: processes.split('\n') }
      }
      // The first login of a user may make sudo's own records.
      await read({ user: 'ops', become: true })
      const before = await state()
      await read({ user: 'ops', become: true })
      await new Promise(resolve => setTimeout(resolve, 500))
      expect(await state()).toEqual(before)
    })

    test('no artefact holds a secret that was planted', async () => {
      const { recording: planted, canaries } = withCanaries(healthy)
      await twin.lay(planted)
      const options = optionsFor(twin, api)
      writeFileSync(
        options.inventory,
        `${readFileSync(options.inventory, 'utf8')}\n[all:vars]\nansible_password=CANARY-ssh-password\nansible_become_pass=CANARY-become\n`,
      )
      const vars = join(dirname(options.inventory), 'group_vars/all/more.yml')
      writeFileSync(
        vars,
        'registry_password: CANARY-registry\nhttp_proxy: "http://user:CANARY-proxy@192.0.2.1:3128"\nkubeadm_token: abcdef.0123456789abcdef\n',
      )
      const folder = join(out, 'canary')
      mkdirSync(folder)
      const args = [
        '--inventory',
        options.inventory,
        '--admin',
        options.admin ?? '',
        '--kubespray',
        options.kubespray ?? '',
        '--kubeconfig',
        options.kubeconfig ?? '',
        '--ssh-config',
        options.sshConfig ?? '',
        '--extra-vars',
        options.extraVars ?? '',
        '--out',
        folder,
      ]
      const child = spawn('npm', ['test', '--silent', '--', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
      let terminal = ''
      child.stdout.on('data', (bytes: Buffer) => (terminal += bytes.toString()))
      child.stderr.on('data', (bytes: Buffer) => (terminal += bytes.toString()))
      const [status] = (await once(child, 'exit')) as [number]
      await twin.lay(healthy)
      expect([1, 2]).toContain(status)
      expect(terminal).toContain('log-no-secrets')
      const texts = new Map([['the terminal', terminal]])
      for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
        if (entry.isFile())
          texts.set(join(entry.parentPath, entry.name), readFileSync(join(entry.parentPath, entry.name), 'utf8'))
      expect([...texts.keys()].some(path => path.endsWith('index.html'))).toBe(true)
      const secrets = ['CANARY', 'abcdef.0123456789abcdef', '0a'.repeat(32), 'canary-bearer-token', ...canaries]
      const leaks = [...texts].flatMap(([path, text]) =>
        secrets.filter(secret => text.includes(secret)).map(secret => `${path}: ${secret}`),
      )
      expect(leaks).toEqual([])
    })
  },
)

/** The recording with secrets where a real cluster has them, and what to look for. */
function withCanaries(recording: Recording): { recording: Recording; canaries: string[] } {
  const pem = (name: string) =>
    `-----BEGIN RSA PRIVATE KEY-----\n${Buffer.from(`CANARY ${name} `.repeat(20)).toString('base64')}\n-----END RSA PRIVATE KEY-----\n`
  const changes = new Map<Source, Evidence>()
  const canaries: string[] = []
  for (const source of recording.sources()) {
    const evidence = recording.get(source)
    if (evidence === undefined || evidence.kind === 'command') continue
    const key = pem(source)
    const encoded = Buffer.from(key).toString('base64')
    const text = textOf(evidence)
    const changed = text
      .replaceAll(/client-key-data: .*/g, `client-key-data: ${encoded}`)
      .replace(/^-----END CERTIFICATE-----\n*$/m, found => `${found}${key}`)
    const content = /kubespray_install\.log$/.test(source)
      ? text.replace(
          '"changed": false,',
          `"token": "abcdef.0123456789abcdef", "certificate_key": "${'0a'.repeat(32)}",`,
        )
      : changed
    if (content === text) continue
    canaries.push(encoded, ...(key.split('\n')[1]?.match(/.{40}/g) ?? []).slice(0, 1))
    changes.set(source, { ...evidence, content })
  }
  return { recording: recording.with(changes), canaries }
}
