import ssh2 from 'ssh2'

/** A new Ed25519 key pair. ssh2 1.17 makes one in some hundreds malformed (its padding): such a one is made again. */
export function keyPair(): { private: string; public: string } {
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync('ed25519')
    if (!(ssh2.utils.parseKey(pair.private) instanceof Error)) return pair
  }
}
