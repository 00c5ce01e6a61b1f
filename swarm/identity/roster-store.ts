// The roster on this agent's disk: a new record is written before it has any effect. Also all data of a swarm on a disk: written when the swarm
// is created, erased when its agent leaves for good.
import type { Clock } from '../ports/clock.ts';
import type { Crypto } from '../ports/crypto.ts';
import type { Store, StoreOperation } from '../ports/store.ts';
import type { PeerId } from '../ports/transport.ts';
import type { Grant } from './hello.ts';
import { ISSUER_LIFE_MS, MEMBER_LIFE_MS } from './lifetimes.ts';
import { keyOfRecord, type MemberCertificate, type Role, type SignedRecord, seatKeyOf, signRecord } from './record.ts';
import { MAX_RECORDS, type Roster, type RosterOffer } from './roster.ts';

const RECORD_PREFIX = 'roster/';
const GENESIS_KEY = 'genesis';
/** On the disk of the machine that created the swarm. */
export const FOUNDER_KEY = 'founder';

export type Signer = Pick<Crypto, 'self' | 'sign'>;

export interface RosterStorePorts {
  store: Store;
  /** The clock for the validity of certificates. */
  time: Pick<Clock, 'wallMs'>;
}

export class RosterStore {
  readonly #roster: Roster;
  readonly #ports: RosterStorePorts;
  readonly #learned: (record: SignedRecord, own: boolean) => void;

  /** @param learned called with each new record; `own`: it was signed here, and must be published */
  constructor(roster: Roster, ports: RosterStorePorts, learned: (record: SignedRecord, own: boolean) => void) {
    this.#roster = roster;
    this.#ports = ports;
    this.#learned = learned;
  }

  /** Reads what is on disk. */
  async open(): Promise<void> {
    const { store, time } = this.#ports;
    const genesis = await genesisOn(store);
    if (genesis !== undefined) this.#roster.authority.adopt(genesis);
    const records = await store.range(RECORD_PREFIX, { limit: MAX_RECORDS });
    // Issuers come before members in the order of keys, and revocations after both.
    for (const [, bytes] of records) this.#roster.offer(bytes, time.wallMs());
  }

  /** Merges a record that a peer shows on a new connection. */
  async offer(bytes: Uint8Array): Promise<RosterOffer['verdict']> {
    const offer = this.#roster.offer(bytes, this.#ports.time.wallMs());
    if (offer.verdict === 'accept') await this.#learn(offer.record, false);
    return offer.verdict;
  }

  /** Merges a record that was signed here, durably, and publishes it. @throws RangeError if it is not valid. */
  async publish(record: SignedRecord): Promise<void> {
    const offer = this.#roster.offer(record.bytes, this.#ports.time.wallMs());
    if (offer.verdict !== 'accept') throw new RangeError('this agent may not sign this record');
    await this.#learn(record, true);
  }

  async #learn(record: SignedRecord, own: boolean): Promise<void> {
    await this.keep([record]);
    this.#learned(record, own);
  }

  /** Stores an issuer's grant to a newcomer: the first records of its roster. */
  async take(grant: Grant | undefined): Promise<void> {
    if (grant === undefined || !this.#roster.authority.adopt(grant.genesis)) return;
    const operations: StoreOperation[] = [{ kind: 'put', key: GENESIS_KEY, value: grant.genesis }];
    for (const bytes of grant.records) {
      const offer = this.#roster.offer(bytes, this.#ports.time.wallMs());
      if (offer.verdict !== 'accept') continue;
      operations.push(...this.#puts(offer.record));
      this.#learned(offer.record, false);
    }
    await this.#ports.store.write(operations);
  }

  /** Writes records that the roster has accepted. */
  keep(records: readonly SignedRecord[]): Promise<void> {
    return this.#ports.store.write(records.flatMap((record) => this.#puts(record)));
  }

  /** The certificate with a member's committee role stays on the disk when a deputy renews its certificate. */
  #puts(record: SignedRecord): StoreOperation[] {
    const { body } = record;
    if (body.kind !== 'member' || this.#roster.authority.isByDeputy(record)) return [put(record)];
    const key = `${RECORD_PREFIX}${seatKeyOf(body.subject)}`;
    return [put(record), body.role === 'committee' ? { kind: 'put', key, value: record.bytes } : { kind: 'delete', key }];
  }

  /** Removes records that are no longer needed. */
  async reap(): Promise<void> {
    const { store, time } = this.#ports;
    const gone = this.#roster.reap(time.wallMs());
    if (gone.length > 0) await store.write(gone.map((key) => ({ kind: 'delete', key: `${RECORD_PREFIX}${key}` })));
  }
}

const put = (record: SignedRecord): StoreOperation => ({
  kind: 'put',
  key: `${RECORD_PREFIX}${keyOfRecord(record)}`,
  value: record.bytes,
});

/** The first records of a new swarm: its genesis, its first issuer and its first member, which is the same agent. */
export function foundSwarm(
  crypto: Crypto,
  genesis: { swarmId: string; bytes: Uint8Array },
  rootSigners: readonly Signer[],
  { name, nowMs }: { name: string; nowMs: number },
): StoreOperation[] {
  const shared = { subject: crypto.self, epoch: 0, fromMs: nowMs };
  const issuer = signRecord(crypto, genesis.swarmId, { kind: 'issuer', ...shared, untilMs: nowMs + ISSUER_LIFE_MS }, rootSigners);
  return [
    { kind: 'put', key: GENESIS_KEY, value: genesis.bytes },
    { kind: 'put', key: FOUNDER_KEY, value: new Uint8Array() },
    put(issuer),
    put(certifiedBy(crypto, genesis.swarmId, crypto.self, { name, role: 'committee', nowMs })),
  ];
}

/** A member's certificate by this issuer. */
export function certifiedBy(
  issuer: Crypto,
  swarmId: string,
  subject: PeerId,
  { name, role, nowMs }: { name: string; role: Role; nowMs: number },
): SignedRecord {
  const untilMs = nowMs + MEMBER_LIFE_MS;
  const body: MemberCertificate = { kind: 'member', subject, epoch: 0, fromMs: nowMs, untilMs, name, role, capabilities: [] };
  return signRecord(issuer, swarmId, body, [issuer]);
}

/** The genesis record of the swarm that a disk belongs to. */
export function genesisOn(store: Store): Promise<Uint8Array | undefined> {
  return store.get(GENESIS_KEY);
}

/** The keys to erase when an agent leaves the swarm for good. */
export async function forgetSwarm(store: Store): Promise<void> {
  const keys = [GENESIS_KEY, FOUNDER_KEY];
  for (const prefix of [RECORD_PREFIX, 'token/', 'peer/', 'committee/', 'status/', 'held/', 'pushed/'])
    for (const [key] of await store.range(prefix, { limit: MAX_RECORDS })) keys.push(key);
  await store.write(keys.map((key) => ({ kind: 'delete', key })));
}
