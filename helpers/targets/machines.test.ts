import { homedir } from 'node:os'
import { expect, test } from 'vitest'
import { Expectations } from '../expectations/expectations.ts'
import { Inventory } from '../expectations/inventory/inventory.ts'
import { noOverrides } from '../expectations/overrides.ts'
import { release } from '../expectations/release.ts'
import { type ConnectionOptions, machineAt, machineOf } from './machines.ts'
import { SshConfigFile, sshArguments } from './ssh-options.ts'

/** The machine that one line of an inventory describes. */
function machine(
  line: string,
  { config = '', vars = '', ...options }: Partial<ConnectionOptions> & { config?: string; vars?: string } = {},
) {
  const text = `node1 ${line}\n[kube_control_plane]\nnode1\n[all:vars]\nx=1\n${vars}\n`
  const inventory = Inventory.read({ sources: [{ path: 'inventory.ini', text }], varsFiles: [], extraVars: [] })
  const expectations = new Expectations(inventory, release('v2.29.1'), noOverrides)
  return machineOf('node1', expectations, { environment: {}, sshConfig: SshConfigFile.parse(config), ...options })
}

test.each([
  ['the name itself', '', { host: 'node1', port: 22, user: 'root', become: undefined }],
  [
    'address, port and user',
    'ansible_host=192.0.2.1 ansible_port=2222 ansible_user=ops',
    { host: '192.0.2.1', port: 2222, user: 'ops' },
  ],
  [
    'their older names',
    'ansible_ssh_host=192.0.2.1 ansible_ssh_port=2222 ansible_ssh_user=ops',
    { host: '192.0.2.1', port: 2222, user: 'ops' },
  ],
  ['a key', 'ansible_ssh_private_key_file=~/.ssh/lab', { keys: [`${homedir()}/.ssh/lab`] }],
  ['a password', 'ansible_password=secret', { password: 'secret' }],
  ['become', 'ansible_user=ops ansible_become=yes ansible_become_password=pw', { become: { password: 'pw' } }],
  ['become, but root already', 'ansible_user=root ansible_become=true', { become: undefined }],
  ['become said no', 'ansible_user=ops ansible_become=False', { become: undefined }],
  ['a template', 'ansible_host="{{ ip }}" ip=192.0.2.7', { host: '192.0.2.7' }],
  ['the machine itself', 'ansible_connection=local', { local: true }],
  [
    'ssh arguments',
    `ansible_ssh_common_args='-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -p 2200'`,
    { port: 2200, insecureHostKeys: true, knownHosts: ['/dev/null'] },
  ],
])('Ansible says %s', (_, line, expected) => {
  expect(machine(line)).toMatchObject(expected)
})

test.each([
  ['-J', `-J ops@bastion:2222`],
  ['ProxyJump', '-o ProxyJump=ops@bastion:2222'],
  ['ProxyCommand', `-o ProxyCommand="ssh -W %h:%p -q -p 2222 ops@bastion"`],
  ['ProxyCommand with options', `-o ProxyCommand="ssh -o StrictHostKeyChecking=no -W %h:%p -l ops -p 2222 bastion"`],
])('a jump host by %s', (_, args) => {
  const { jumps } = machine('ansible_host=192.0.2.1', { vars: `ansible_ssh_common_args='${args}'` })
  expect(jumps).toMatchObject([{ host: 'bastion', user: 'ops', port: 2222, jumps: [] }])
})

test('jump hosts follow each other, each as the configuration has it', () => {
  const config =
    'Host a\n  HostName 192.0.2.8\n  ProxyJump b\nHost b\n  HostName 192.0.2.9\n  User door\nHost node1\n  ProxyJump a'
  expect(machine('', { config }).jumps.map(({ host, user }) => `${user}@${host}`)).toEqual([
    'door@192.0.2.9',
    'root@192.0.2.8',
  ])
})

test("options rank above Ansible's variables, those above the SSH configuration", () => {
  const config = 'Host 192.0.2.1\n  User configured\n  Port 2200\n  IdentityFile /configured\n  HostKeyAlias alias\n'
  const line = 'ansible_host=192.0.2.1'
  expect(machine(line, { config })).toMatchObject({
    user: 'configured',
    port: 2200,
    keys: ['/configured'],
    hostKeyAlias: 'alias',
  })
  expect(machine(`${line} ansible_user=ansible`, { config })).toMatchObject({ user: 'ansible' })
  expect(machine(`${line} ansible_user=ansible`, { config, user: 'option' })).toMatchObject({ user: 'option' })
  expect(machine(line, { config, privateKey: '/given', become: true })).toMatchObject({
    keys: ['/given'],
    become: { password: undefined },
  })
})

test('agent and passphrase come from the environment, unless the configuration has another agent', () => {
  const environment = { SSH_AUTH_SOCK: '/agent', SSH_KEY_PASSPHRASE: 'phrase', BECOME_PASSWORD: 'pw', USER: 'me' }
  expect(machine('', { environment, become: true })).toMatchObject({
    agent: '/agent',
    passphrase: 'phrase',
    user: 'me',
    become: { password: 'pw' },
  })
  expect(machine('', { environment, config: 'Host *\n  IdentityAgent none' }).agent).toBeUndefined()
})

test.each([
  ['ansible_port=ssh', /the port of node1 is ssh: give a number from 1 to 65535 \(ansible_port\)/],
  ['ansible_user=ops ansible_become=true ansible_become_method=su', /ansible_become_method of node1 is su: only sudo/],
  [
    'ansible_user=ops ansible_become=true ansible_become_user=admin',
    /ansible_become_user of node1 is admin: evidence is read as root/,
  ],
  [
    "ansible_password=\"{{ lookup('env', 'PW') }}\"",
    /ansible_password of node1 can not be known .*Give it on the command line or in the environment/,
  ],
  [
    `ansible_ssh_common_args='-o ProxyCommand="nc %h %p"'`,
    /ProxyCommand of node1: only 'ssh -W %h:%p HOST' can be followed, not 'nc %h %p'. Use ProxyJump instead/,
  ],
])('%s is refused in a line that says what to do', (line, message) => {
  expect(() => machine(line)).toThrow(message)
})

test.each([
  ['admin-lb', { host: 'admin-lb', port: 22, user: 'root' }],
  ['ops@192.0.2.1:2222', { host: '192.0.2.1', port: 2222, user: 'ops' }],
  ['[2001:db8::1]:2222', { host: '2001:db8::1', port: 2222 }],
])('a host beside the inventory: %s', (text, expected) => {
  expect(machineAt(text, { environment: {}, sshConfig: SshConfigFile.parse('') })).toMatchObject(expected)
})

test('arguments of ssh are read as ssh reads them', () => {
  expect(Object.fromEntries(sshArguments(`-i '/a b' -oPort=2200 -o "User ops" -q -W %h:%p host`))).toEqual({
    identityfile: ['/a b'],
    port: ['2200'],
    user: ['ops'],
    w: ['%h:%p'],
    destination: ['host'],
  })
})
