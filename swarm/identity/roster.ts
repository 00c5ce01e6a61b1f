// Who belongs to the swarm: the merged set of certificates and revocations. Of each the newest counts, and a revocation ends
// all certificates up to its epoch; so merging is commutative, associative and idempotent, but for what an issuer signed
// that was revoked since: whoever held that before keeps it until it ends, nobody takes it again.
import { encodeCbor } from '../dissemination/cbor.ts';
import type { Crypto } from '../ports/crypto.ts';
import type { PeerId, Verdict } from '../ports/transport.ts';
import { type Genesis, parseGenesis } from './genesis.ts';
import {
  type CertifiedKind,
  type IssuerCertificate,
  isLaterRecord,
  isSignedBy,
  isSingle,
  keyOfRecord,
  type MemberCertificate,
  type NetworkRotation,
  type OperatorCertificate,
  parseRecord,
  type Recovery,
  type Revocation,
  type SignedRecord,
  type SingleBody,
  seatKeyOf,
  versionOf,
} from './record.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** What a member's certificate lives; it is renewed at half. */
export const MEMBER_LIFE_MS = DAY_MS;
export const ISSUER_LIFE_MS = 20 * 365 * DAY_MS;
/** What a deputy's certificate lives at most: it admits members and renews their certificates, and decides nothing. */
export const DEPUTY_LIFE_MS = 400 * DAY_MS;
export const OPERATOR_LIFE_MS = 2 * 365 * DAY_MS;
/** Clocks may be wrong by so much, each way, and nothing is refused for it. */
export const CLOCK_TOLERANCE_MS = 2 * HOUR_MS;
/** While no issuer is within reach, an ended certificate is honoured for so long. */
export const NO_ISSUER_GRACE_MS = 7 * DAY_MS;
/** Who was off for longer needs a new token; revocations are kept for longer than that. */
export const RENEWABLE_MS = 90 * DAY_MS;
const REVOCATION_KEPT_MS = 100 * DAY_MS;

export const MAX_MEMBERS = 10_000;
const MAX_OTHERS = 256;
const MAX_REVOCATIONS = 20_000;
/** On a disk: of all kinds, and of members what says that they are for the committee. */
export const MAX_RECORDS = 2 * MAX_MEMBERS + 3 * MAX_OTHERS + MAX_REVOCATIONS;

/** What a peer is to this swarm. `future`: its certificate begins later than any clock error explains. */
export type Standing = 'member' | 'expired' | 'future' | 'revoked' | 'stranger';

export type RosterOffer = { verdict: 'accept'; record: SignedRecord } | { verdict: Exclude<Verdict, 'accept'> };

type Certified = CertifiedKind;
/** One newest record of each subject. */
type Shelf = Map<PeerId, SignedRecord>;
const shelves = (): Record<Certified, Shelf> => ({ issuer: new Map(), member: new Map(), operator: new Map() });

export class Roster {
  readonly #crypto: Pick<Crypto, 'verify' | 'peerOf' | 'hash'>;
  readonly swarmId: string;
  readonly #certificates = shelves();
  readonly #revocations = shelves();
  readonly #names = new Map<string, PeerId>();
  /** Who sits on the committee by the word of one that decides, and in which epoch: a deputy renews that, and cannot give it. */
  readonly #seated = new Map<PeerId, number>();
  readonly #singles = new Map<SingleBody['kind'], SignedRecord>();
  #genesis: Genesis | undefined;
  /** Moves with every change. */
  version = 0;
  #digest: { version: number; bytes: Uint8Array } | undefined;

  constructor(crypto: Pick<Crypto, 'verify' | 'peerOf' | 'hash'>, swarmId: string) {
    this.#crypto = crypto;
    this.swarmId = swarmId;
  }

  get genesis(): Genesis | undefined {
    return this.#genesis;
  }

  /** Takes the genesis record, where it is that of this swarm: nothing can be checked without it. */
  adopt(bytes: Uint8Array): boolean {
    if (this.#genesis !== undefined) return true;
    const genesis = parseGenesis(this.#crypto, bytes);
    if (genesis?.swarmId !== this.swarmId) return false;
    this.#genesis = genesis;
    return true;
  }

  records(): SignedRecord[] {
    const shelves = [...Object.values(this.#certificates), ...Object.values(this.#revocations)];
    return [...shelves.flatMap((shelf) => [...shelf.values()]), ...this.#singles.values()];
  }

  /** Who is certified as what, and who is no more; renewals aside. */
  digest(): Uint8Array {
    if (this.#digest?.version === this.version) return this.#digest.bytes;
    const all = this.records().flatMap((record) => {
      const { body } = record;
      // What has ended goes from each machine at a time of its own.
      if (isSingle(body) || (body.kind !== 'revocation' && this.#isRevoked(body.kind, body.subject, body.epoch))) return [];
      return [[keyOfRecord(record), body.epoch]];
    });
    const bytes = this.#crypto.hash(encodeCbor(all.sort(([a = ''], [b = '']) => (a < b ? -1 : 1))));
    this.#digest = { version: this.version, bytes };
    return bytes;
  }

  #shelfOf(body: Exclude<SignedRecord['body'], SingleBody>): Shelf {
    return body.kind === 'revocation' ? this.#revocations[body.of] : this.#certificates[body.kind];
  }

  /** What is held in the place that a record would take. */
  #heldFor({ body }: SignedRecord): SignedRecord | undefined {
    return isSingle(body) ? this.#singles.get(body.kind) : this.#shelfOf(body).get(body.subject);
  }

  /** The newest change of the network key. */
  get networkRotation(): NetworkRotation | undefined {
    return this.#singles.get('network')?.body as NetworkRotation | undefined;
  }

  /** The newest new beginning of the committee. */
  get recovery(): Recovery | undefined {
    return this.#singles.get('recovery')?.body as Recovery | undefined;
  }

  member(peer: PeerId): MemberCertificate | undefined {
    return this.#certificates.member.get(peer)?.body as MemberCertificate | undefined;
  }

  recordOfMember(peer: PeerId): SignedRecord | undefined {
    return this.#certificates.member.get(peer);
  }

  recordOfIssuer(peer: PeerId): SignedRecord | undefined {
    return this.#certificates.issuer.get(peer);
  }

  revocation(of: Certified, peer: PeerId): Revocation | undefined {
    return this.#revocations[of].get(peer)?.body as Revocation | undefined;
  }

  /** Whose certificates hold, whether they have ended or not; revoked ones are not among them. */
  members(): MemberCertificate[] {
    return this.#ofKind('member') as MemberCertificate[];
  }

  operators(): OperatorCertificate[] {
    return this.#ofKind('operator') as OperatorCertificate[];
  }

  issuers(): IssuerCertificate[] {
    return this.#ofKind('issuer') as IssuerCertificate[];
  }

  #ofKind(kind: Certified): SignedRecord['body'][] {
    return [...this.#certificates[kind].values()]
      .map(({ body }) => body)
      .filter(({ subject, epoch }) => !this.#isRevoked(kind, subject, epoch));
  }

  isMember(peer: PeerId): boolean {
    const certificate = this.member(peer);
    return certificate !== undefined && !this.#isRevoked('member', peer, certificate.epoch);
  }

  /** An issuer that root keys made for long: beside admitting it may revoke, and decide about others. */
  decides(peer: PeerId, nowMs: number): boolean {
    return this.isIssuer(peer, nowMs) && !this.isDeputy(peer);
  }

  /** Whether it is for the committee, as far as this agent has seen it said by who may. */
  isForCommittee(peer: PeerId): boolean {
    return this.isMember(peer) && this.#seated.get(peer) === this.member(peer)?.epoch;
  }

  /** Certificates that say so, or not, for good: a deputy signs what was said before. */
  isByDeputy({ signatures }: SignedRecord): boolean {
    return signatures.every(({ by }) => this.isDeputy(by));
  }

  /** By what its certificate lives: one of 0.3.0 is read the same by all. */
  isDeputy(peer: PeerId): boolean {
    const body = this.#certificates.issuer.get(peer)?.body;
    return body !== undefined && body.untilMs - body.fromMs <= DEPUTY_LIFE_MS;
  }

  /** Whether it lets others in and renews certificates. */
  isIssuer(peer: PeerId, nowMs: number): boolean {
    const body = this.#certificates.issuer.get(peer)?.body;
    return body !== undefined && body.untilMs > nowMs && !this.#isRevoked('issuer', peer, body.epoch) && this.isMember(peer);
  }

  /** The member of that name, peer id, or end of a peer id; all of them, where a name is the end of another's peer id. */
  find(text: string): MemberCertificate[] {
    const isEnd = (subject: PeerId): boolean => text.length >= 4 && subject.endsWith(text);
    return this.members().filter(({ name, subject }) => name === text || subject === text || isEnd(subject));
  }

  nameTaken(name: string, but: PeerId): boolean {
    const owner = this.#names.get(name);
    return owner !== undefined && owner !== but && this.isMember(owner) && this.member(owner)?.name === name;
  }

  /** What a peer is now, by the newest certificate that is known. */
  standing(peer: PeerId, nowMs: number): Standing {
    const certificate = this.member(peer);
    if (certificate === undefined) return this.revocation('member', peer) === undefined ? 'stranger' : 'revoked';
    if (this.#isRevoked('member', peer, certificate.epoch)) return 'revoked';
    if (certificate.fromMs - CLOCK_TOLERANCE_MS > nowMs) return 'future';
    return certificate.untilMs + CLOCK_TOLERANCE_MS > nowMs ? 'member' : 'expired';
  }

  #isRevoked(of: Certified, peer: PeerId, epoch: number): boolean {
    const revocation = this.revocation(of, peer);
    return revocation !== undefined && revocation.epoch >= epoch;
  }

  /** The epoch that a new certificate of a peer must have. */
  nextEpoch(of: Certified, peer: PeerId): number {
    const revoked = this.revocation(of, peer)?.epoch;
    return Math.max(revoked === undefined ? 0 : revoked + 1, this.#certificates[of].get(peer)?.body.epoch ?? 0);
  }

  /** Merges a record: `reject` what is malformed or forged, `ignore` what is known or cannot be judged yet. */
  offer(bytes: Uint8Array, nowMs: number): RosterOffer {
    const record = parseRecord(this.#crypto, bytes);
    if (record === undefined) return { verdict: isLaterRecord(bytes) ? 'ignore' : 'reject' };
    const { body } = record;
    const known = this.#heldFor(record);
    if (known !== undefined && versionOf(known) >= versionOf(record)) return { verdict: 'ignore' };
    if (isCertificate(body) && this.#isRevoked(body.kind, body.subject, body.epoch)) return { verdict: 'ignore' };
    const authority = this.#authority(record, nowMs);
    if (authority !== 'accept') return { verdict: authority };
    if (known === undefined && this.#isFull(body.kind, nowMs)) return { verdict: 'ignore' };
    this.#keep(record);
    return { verdict: 'accept', record };
  }

  #keep(record: SignedRecord): void {
    const { body } = record;
    if (isSingle(body)) this.#singles.set(body.kind, record);
    else this.#shelfOf(body).set(body.subject, record);
    if (body.kind === 'member') this.#names.set(body.name, body.subject);
    if (body.kind === 'member' && !this.isByDeputy(record)) {
      if (body.role === 'committee') this.#seated.set(body.subject, body.epoch);
      else this.#seated.delete(body.subject);
    }
    this.version++;
  }

  #isFull(kind: SignedRecord['body']['kind'], nowMs: number): boolean {
    if (kind === 'network' || kind === 'recovery') return false; // there is one
    if (kind === 'member') return this.#certificates.member.size >= MAX_MEMBERS;
    if (kind !== 'revocation') return this.#ofKind(kind).length >= MAX_OTHERS;
    const revocations = (): number => Object.values(this.#revocations).reduce((sum, { size }) => sum + size, 0);
    if (revocations() >= MAX_REVOCATIONS) this.reap(nowMs);
    return revocations() >= MAX_REVOCATIONS;
  }

  /** Whether those signed it who may. */
  #authority(record: SignedRecord, nowMs: number): Verdict {
    const { body } = record;
    if (this.#genesis === undefined) return 'ignore';
    switch (body.kind) {
      case 'issuer':
        return body.untilMs - body.fromMs <= ISSUER_LIFE_MS && this.#bearsEnoughRoots(record) ? 'accept' : 'reject';
      case 'operator':
        return body.untilMs - body.fromMs <= OPERATOR_LIFE_MS && this.#bearsEnoughRoots(record) ? 'accept' : 'reject';
      case 'member':
        if (body.untilMs - body.fromMs > MEMBER_LIFE_MS) return 'reject';
        return this.#bearsIssuer(record, nowMs);
      case 'recovery':
        return this.#bearsEnoughRoots(record) ? 'accept' : 'reject';
      case 'network':
        return record.signatures[0]?.by === body.subject ? this.#bearsDecider(record, nowMs) : 'reject';
      case 'revocation': {
        if (this.#bearsEnoughRoots(record)) return 'accept';
        if (body.of !== 'member') return 'reject';
        // A member may always end its own membership.
        if (isSignedBy(this.#crypto, this.swarmId, record, body.subject)) return 'accept';
        return this.#bearsDecider(record, nowMs);
      }
    }
  }

  #bearsEnoughRoots(record: SignedRecord): boolean {
    return this.bearsRoots(record) >= (this.#genesis?.threshold ?? 1);
  }

  /** How many distinct root keys have truly signed a record. */
  bearsRoots(record: SignedRecord): number {
    const rootKeys = this.#genesis?.rootKeys ?? [];
    return rootKeys.filter((key) => isSignedBy(this.#crypto, this.swarmId, record, key)).length;
  }

  /** What a deputy signs beyond its right is ignored and not rejected: members of 0.3.0 accept it and pass it on. */
  #bearsDecider(record: SignedRecord, nowMs: number): Verdict {
    const by = record.signatures[0]?.by;
    return by !== undefined && this.isDeputy(by) ? 'ignore' : this.#bearsIssuer(record, nowMs);
  }

  /** An issuer whose certificate has not come yet may still be one. */
  #bearsIssuer(record: SignedRecord, nowMs: number): Verdict {
    const by = record.signatures[0]?.by;
    if (by === undefined || record.signatures.length !== 1) return 'reject';
    const issuer = this.#certificates.issuer.get(by)?.body;
    if (issuer === undefined) return 'ignore';
    if (this.#isRevoked('issuer', by, issuer.epoch) || this.#hasLeft(by)) return 'ignore';
    if (issuer.untilMs < Math.min(nowMs, record.body.fromMs)) return 'ignore';
    return isSignedBy(this.#crypto, this.swarmId, record, by) ? 'accept' : 'reject';
  }

  /** Its membership was ended, and it was not admitted again: then it admits nobody either. */
  #hasLeft(peer: PeerId): boolean {
    return this.revocation('member', peer) !== undefined && !this.isMember(peer);
  }

  /** Forgets whom nobody would let in any more, and revocations of what could not be renewed anyway. Gives the keys of what went. */
  reap(nowMs: number): string[] {
    const gone: string[] = [];
    for (const record of this.records()) {
      const { body } = record;
      if (isSingle(body)) continue;
      const isOld =
        body.kind === 'revocation'
          ? body.fromMs + REVOCATION_KEPT_MS < nowMs
          : body.kind === 'member' && body.untilMs + RENEWABLE_MS < nowMs;
      const isEnded = body.kind !== 'revocation' && this.#isRevoked(body.kind, body.subject, body.epoch);
      if (!isOld && !isEnded) continue;
      this.#shelfOf(body).delete(body.subject);
      gone.push(keyOfRecord(record));
      if (body.kind === 'member' && this.#seated.delete(body.subject)) gone.push(seatKeyOf(body.subject));
    }
    if (gone.length > 0) this.version++;
    return gone;
  }
}

const isCertificate = (body: SignedRecord['body']): body is MemberCertificate | IssuerCertificate | OperatorCertificate =>
  body.kind !== 'revocation' && !isSingle(body);
