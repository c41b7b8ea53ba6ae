/** How a machine is reached over SSH, with every setting resolved. */
export interface Machine {
  /** The name in the inventory. */
  readonly name: string
  readonly host: string
  readonly port: number
  readonly user: string
  /** Files of private keys, tried in order. */
  readonly keys: readonly string[]
  readonly passphrase: string | undefined
  readonly password: string | undefined
  /** The agent's socket. */
  readonly agent: string | undefined
  readonly become: Become | undefined
  /** `ansible_connection: local`: the machine that this runs on. */
  readonly local: boolean
  /** Hosts to go through, the nearest first. */
  readonly jumps: readonly Machine[]
  /** Names under which the host key may stand in known_hosts beside `host`: `HostKeyAlias`. */
  readonly hostKeyAlias: string | undefined
  readonly knownHosts: readonly string[]
  /** Accept any host key: for throw-away labs only. */
  readonly insecureHostKeys: boolean
}

/** `ansible_become*`: sudo to root. */
export interface Become {
  readonly password: string | undefined
}

/** Why a machine can not be read; the report shows it as it is, so it says what to do. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable'
}
