// The simulated swarm's records: a genesis with one root key, the first machine as issuer, and a certificate for each machine, as if all had
// joined with tokens before the simulation begins.

import { type Genesis, makeGenesis } from '../swarm/identity/genesis.ts';
import { keyOfRecord } from '../swarm/identity/record.ts';
import { certifiedBy, FOUNDER_KEY, foundSwarm } from '../swarm/identity/roster-store.ts';
import type { Crypto } from '../swarm/ports/crypto.ts';
import type { StoreOperation } from '../swarm/ports/store.ts';

const NONCE_BYTES = 16;

export class Credentials {
  readonly genesis: Genesis;
  /** The root key of the swarm. */
  readonly root: Crypto;
  readonly #founder: Crypto;
  readonly #founding: readonly StoreOperation[];

  constructor(founder: Crypto, root: Crypto, nowMs: number) {
    this.#founder = founder;
    this.root = root;
    const rootKeys = [root.self];
    const nonce = new Uint8Array(NONCE_BYTES);
    this.genesis = makeGenesis(founder, { name: 'simulated', rootKeys, threshold: 1, createdMs: nowMs, nonce });
    this.#founding = foundSwarm(founder, this.genesis, [root], { name: 'node-0', nowMs });
  }

  /** Records that only the first disk of the first machine has. */
  get founding(): readonly StoreOperation[] {
    return this.#founding.filter(({ key }) => key === FOUNDER_KEY);
  }

  /** The content of a machine's disk once it has been admitted. */
  of(crypto: Crypto, name: string, nowMs: number): StoreOperation[] {
    const role = 'member';
    const own = certifiedBy(this.#founder, this.genesis.swarmId, crypto.self, { name, role, nowMs });
    const operations = this.#founding.filter(({ key }) => key !== FOUNDER_KEY);
    if (crypto.self !== this.#founder.self) operations.push({ kind: 'put', key: `roster/${keyOfRecord(own)}`, value: own.bytes });
    return operations;
  }
}
