// Which keys may sign which records: all authority comes from the root keys in the genesis record. They appoint issuers and operators. An issuer
// certifies members, and revokes them unless it is a deputy.
import type { Crypto } from '../ports/crypto.ts';
import type { PeerId, Verdict } from '../ports/transport.ts';
import { type Genesis, parseGenesis } from './genesis.ts';
import { DEPUTY_LIFE_MS, ISSUER_LIFE_MS, MEMBER_LIFE_MS, OPERATOR_LIFE_MS } from './lifetimes.ts';
import { isSignedBy, type SignedRecord } from './record.ts';
import type { RecordSet } from './record-set.ts';

export class Authority {
  readonly #crypto: Pick<Crypto, 'verify' | 'peerOf' | 'hash'>;
  readonly #swarmId: string;
  readonly #records: RecordSet;
  #genesis: Genesis | undefined;

  constructor(crypto: Pick<Crypto, 'verify' | 'peerOf' | 'hash'>, swarmId: string, records: RecordSet) {
    this.#crypto = crypto;
    this.#swarmId = swarmId;
    this.#records = records;
  }

  get genesis(): Genesis | undefined {
    return this.#genesis;
  }

  /** Stores the genesis record if it is the one of this swarm: no record can be checked without it. */
  adopt(bytes: Uint8Array): boolean {
    if (this.#genesis !== undefined) return true;
    const genesis = parseGenesis(this.#crypto, bytes);
    if (genesis?.swarmId !== this.#swarmId) return false;
    this.#genesis = genesis;
    return true;
  }

  /** Whether a record has the required signatures. `ignore`: not known yet, or members of another version decide differently. */
  judge(record: SignedRecord, nowMs: number): Verdict {
    const { body } = record;
    if (this.#genesis === undefined) return 'ignore';
    switch (body.kind) {
      case 'issuer':
        return body.untilMs - body.fromMs <= ISSUER_LIFE_MS && this.bearsEnoughRoots(record) ? 'accept' : 'reject';
      case 'operator':
        return body.untilMs - body.fromMs <= OPERATOR_LIFE_MS && this.bearsEnoughRoots(record) ? 'accept' : 'reject';
      case 'member':
        if (body.untilMs - body.fromMs > MEMBER_LIFE_MS) return 'reject';
        return this.#bearsIssuer(record, nowMs);
      case 'recovery':
        return this.bearsEnoughRoots(record) ? 'accept' : 'reject';
      case 'network':
        return record.signatures[0]?.by === body.subject ? this.#bearsDecider(record, nowMs) : 'reject';
      case 'revocation': {
        if (this.bearsEnoughRoots(record)) return 'accept';
        if (body.of !== 'member') return 'reject';
        // A member may always end its own membership.
        if (isSignedBy(this.#crypto, this.#swarmId, record, body.subject)) return 'accept';
        return this.#bearsDecider(record, nowMs);
      }
    }
  }

  /** How many root keys must sign what only root keys may sign. */
  get threshold(): number {
    return this.#genesis?.threshold ?? 1;
  }

  /** Whether enough distinct root keys have signed a record, with valid signatures. */
  bearsEnoughRoots(record: SignedRecord): boolean {
    const rootKeys = this.#genesis?.rootKeys ?? [];
    return rootKeys.filter((key) => isSignedBy(this.#crypto, this.#swarmId, record, key)).length >= this.threshold;
  }

  /** Records beyond a deputy's rights are ignored and not rejected: members of 0.3.0 accept and forward them. */
  #bearsDecider(record: SignedRecord, nowMs: number): Verdict {
    const by = record.signatures[0]?.by;
    return by !== undefined && this.isDeputy(by) ? 'ignore' : this.#bearsIssuer(record, nowMs);
  }

  /** An issuer whose certificate has not come yet may still be one. */
  #bearsIssuer(record: SignedRecord, nowMs: number): Verdict {
    const by = record.signatures[0]?.by;
    if (by === undefined || record.signatures.length !== 1) return 'reject';
    const issuer = this.#records.certificate('issuer', by);
    if (issuer === undefined) return 'ignore';
    if (!this.#records.isInForce('issuer', by) || this.#hasLeft(by)) return 'ignore';
    if (issuer.untilMs < Math.min(nowMs, record.body.fromMs)) return 'ignore';
    return isSignedBy(this.#crypto, this.#swarmId, record, by) ? 'accept' : 'reject';
  }

  /** Its membership was revoked, and it was not admitted again: then it admits no member either. */
  #hasLeft(peer: PeerId): boolean {
    return this.#records.revocation('member', peer) !== undefined && !this.#records.isInForce('member', peer);
  }

  /** Recognised by the lifetime of its certificate, which members of every version read alike. */
  isDeputy(peer: PeerId): boolean {
    const certificate = this.#records.certificate('issuer', peer);
    return certificate !== undefined && certificate.untilMs - certificate.fromMs <= DEPUTY_LIFE_MS;
  }

  /** A deputy signs the role that a member had before, and cannot give another. */
  isByDeputy({ signatures }: SignedRecord): boolean {
    return signatures.every(({ by }) => this.isDeputy(by));
  }
}
