// The roster: the merged set of certificates and revocations. The newest of each counts, and a revocation ends all certificates up to its
// epoch. So merging is commutative, associative and idempotent, with one exception: records of an issuer that was revoked later. Agents
// that had such a record before keep it until it expires; others do not accept it.
import { encodeCbor } from '../dissemination/cbor.ts';
import type { Crypto } from '../ports/crypto.ts';
import type { PeerId, Verdict } from '../ports/transport.ts';
import { Authority } from './authority.ts';
import { CLOCK_TOLERANCE_MS, RENEWABLE_MS, REVOCATION_KEPT_MS } from './lifetimes.ts';
import {
  type IssuerCertificate,
  isLaterRecord,
  isSingle,
  keyOfRecord,
  type MemberCertificate,
  type OperatorCertificate,
  parseRecord,
  type SignedRecord,
  seatKeyOf,
  versionOf,
} from './record.ts';
import { RecordSet } from './record-set.ts';

export const MAX_MEMBERS = 10_000;
const MAX_OTHERS = 256;
const MAX_REVOCATIONS = 20_000;
/** Key prefixes on a disk: records of all kinds, and member certificates with the committee role. */
export const MAX_RECORDS = 2 * MAX_MEMBERS + 3 * MAX_OTHERS + MAX_REVOCATIONS;

/** The standing of a peer in this swarm. `future`: its certificate begins later than a clock error explains. */
export type Standing = 'member' | 'expired' | 'future' | 'revoked' | 'stranger';

export type RosterOffer = { verdict: 'accept'; record: SignedRecord } | { verdict: Exclude<Verdict, 'accept'> };

export class Roster {
  readonly #crypto: Pick<Crypto, 'verify' | 'peerOf' | 'hash'>;
  readonly swarmId: string;
  readonly records = new RecordSet();
  readonly authority: Authority;
  readonly #names = new Map<string, PeerId>();
  /** Members with a committee role signed by a full issuer, and the epoch: a deputy can renew the role, and cannot give it. */
  readonly #seated = new Map<PeerId, number>();
  #digest: { version: number; bytes: Uint8Array } | undefined;

  constructor(crypto: Pick<Crypto, 'verify' | 'peerOf' | 'hash'>, swarmId: string) {
    this.#crypto = crypto;
    this.swarmId = swarmId;
    this.authority = new Authority(crypto, swarmId, this.records);
  }

  /** The hash of all certificates and revocations, without renewals. */
  digest(): Uint8Array {
    const { version } = this.records;
    if (this.#digest?.version === version) return this.#digest.bytes;
    const all = this.records.all().flatMap((record) => {
      const { body } = record;
      // Each machine removes expired records at its own time.
      if (isSingle(body) || (body.kind !== 'revocation' && this.records.isRevoked(body.kind, body.subject, body.epoch)))
        return [];
      return [[keyOfRecord(record), body.epoch]];
    });
    const bytes = this.#crypto.hash(encodeCbor(all.sort(([a = ''], [b = '']) => (a < b ? -1 : 1))));
    this.#digest = { version, bytes };
    return bytes;
  }

  member(peer: PeerId): MemberCertificate | undefined {
    return this.records.certificate('member', peer);
  }

  /** Members with a certificate, expired or not, that is not revoked. */
  members(): MemberCertificate[] {
    return this.records.inForce('member');
  }

  operators(): OperatorCertificate[] {
    return this.records.inForce('operator');
  }

  issuers(): IssuerCertificate[] {
    return this.records.inForce('issuer');
  }

  isMember(peer: PeerId): boolean {
    return this.records.isInForce('member', peer);
  }

  /** Whether it admits members and renews certificates. */
  isIssuer(peer: PeerId, nowMs: number): boolean {
    const certificate = this.records.certificate('issuer', peer);
    return (
      certificate !== undefined && certificate.untilMs > nowMs && this.records.isInForce('issuer', peer) && this.isMember(peer)
    );
  }

  /** A full issuer, which root keys appointed: it may also revoke, and decide about others. */
  decides(peer: PeerId, nowMs: number): boolean {
    return this.isIssuer(peer, nowMs) && !this.authority.isDeputy(peer);
  }

  /** Whether it has the committee role, by a record of a full issuer that this agent has seen. */
  isForCommittee(peer: PeerId): boolean {
    return this.isMember(peer) && this.#seated.get(peer) === this.member(peer)?.epoch;
  }

  /** The members with that name, peer id or end of a peer id: several if a name is the end of another member's peer id. */
  find(text: string): MemberCertificate[] {
    const isEnd = (subject: PeerId): boolean => text.length >= 4 && subject.endsWith(text);
    return this.members().filter(({ name, subject }) => name === text || subject === text || isEnd(subject));
  }

  nameTaken(name: string, but: PeerId): boolean {
    const owner = this.#names.get(name);
    return owner !== undefined && owner !== but && this.isMember(owner) && this.member(owner)?.name === name;
  }

  /** The standing of a peer now, by its newest certificate. */
  standing(peer: PeerId, nowMs: number): Standing {
    const certificate = this.member(peer);
    if (certificate === undefined) return this.records.revocation('member', peer) === undefined ? 'stranger' : 'revoked';
    if (!this.isMember(peer)) return 'revoked';
    if (certificate.fromMs - CLOCK_TOLERANCE_MS > nowMs) return 'future';
    return certificate.untilMs + CLOCK_TOLERANCE_MS > nowMs ? 'member' : 'expired';
  }

  /** Merges a record: `reject` malformed or forged ones, `ignore` known ones and those that cannot be checked yet. */
  offer(bytes: Uint8Array, nowMs: number): RosterOffer {
    const record = parseRecord(this.#crypto, bytes);
    if (record === undefined) return { verdict: isLaterRecord(bytes) ? 'ignore' : 'reject' };
    const { body } = record;
    const known = this.records.heldFor(record);
    if (known !== undefined && versionOf(known) >= versionOf(record)) return { verdict: 'ignore' };
    if (isCertificate(body) && this.records.isRevoked(body.kind, body.subject, body.epoch)) return { verdict: 'ignore' };
    const verdict = this.authority.judge(record, nowMs);
    if (verdict !== 'accept') return { verdict };
    if (known === undefined && this.#isFull(body.kind, nowMs)) return { verdict: 'ignore' };
    this.#keep(record);
    return { verdict: 'accept', record };
  }

  #keep(record: SignedRecord): void {
    const { body } = record;
    this.records.put(record);
    if (body.kind === 'member') this.#names.set(body.name, body.subject);
    if (body.kind === 'member' && !this.authority.isByDeputy(record)) {
      if (body.role === 'committee') this.#seated.set(body.subject, body.epoch);
      else this.#seated.delete(body.subject);
    }
  }

  #isFull(kind: SignedRecord['body']['kind'], nowMs: number): boolean {
    if (kind === 'network' || kind === 'recovery') return false; // there is one
    if (kind === 'member') return this.records.memberCount >= MAX_MEMBERS;
    if (kind !== 'revocation') return this.records.inForce(kind).length >= MAX_OTHERS;
    if (this.records.revocationCount >= MAX_REVOCATIONS) this.reap(nowMs);
    return this.records.revocationCount >= MAX_REVOCATIONS;
  }

  /** Removes members that no issuer would admit again, and revocations that are no longer needed. @returns the keys of the removed records */
  reap(nowMs: number): string[] {
    const gone: string[] = [];
    for (const record of this.records.all()) {
      const { body } = record;
      if (isSingle(body)) continue;
      const isOld =
        body.kind === 'revocation'
          ? body.fromMs + REVOCATION_KEPT_MS < nowMs
          : body.kind === 'member' && body.untilMs + RENEWABLE_MS < nowMs;
      const isEnded = body.kind !== 'revocation' && this.records.isRevoked(body.kind, body.subject, body.epoch);
      if (!isOld && !isEnded) continue;
      this.records.delete(record);
      gone.push(keyOfRecord(record));
      if (body.kind === 'member' && this.#seated.delete(body.subject)) gone.push(seatKeyOf(body.subject));
    }
    return gone;
  }
}

const isCertificate = (body: SignedRecord['body']): body is MemberCertificate | IssuerCertificate | OperatorCertificate =>
  body.kind !== 'revocation' && !isSingle(body);
