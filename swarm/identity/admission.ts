// Who is let in. On every new connection both sides show their certificates (hello.ts) before any other protocol; an issuer
// redeems join tokens and renews certificates in the same exchange, so that who has none never gets further than that.
import type { Clock } from '../ports/clock.ts';
import type { Crypto } from '../ports/crypto.ts';
import type { Random } from '../ports/random.ts';
import type { Store, StoreOperation } from '../ports/store.ts';
import type { Admitted, Greeter, PeerId } from '../ports/transport.ts';
import { counted } from '../words.ts';
import {
  type Answer,
  asBefore,
  encodeAnswer,
  encodeHello,
  type Grant,
  type Hello,
  isLaterHello,
  parseAnswer,
  parseHello,
  type Refusal,
} from './hello.ts';
import { Instances, type InstancesEvents } from './instances.ts';
import {
  CLOCK_TOLERANCE_MS,
  DEPUTY_LIFE_MS,
  ISSUER_LIFE_MS,
  MEMBER_LIFE_MS,
  NO_ISSUER_GRACE_MS,
  OPERATOR_LIFE_MS,
  RENEWABLE_MS,
} from './lifetimes.ts';
import {
  encodeBody,
  type IssuerCertificate,
  keyOfRecord,
  MAX_NAME,
  MEMBER_NAME,
  type MemberCertificate,
  NETWORK_KEY_BYTES,
  type NetworkRotation,
  type OperatorCertificate,
  type RecordKind,
  type Revocation,
  type Role,
  recordToSign,
  type Signature,
  type SignedRecord,
  sealRecord,
  seatKeyOf,
  signRecord,
} from './record.ts';
import { MAX_RECORDS, Roster, type Standing } from './roster.ts';
import { type JoinToken, mayRedeem, TOKEN_SECRET_BYTES } from './token.ts';
import { type Redemption, TokenLedger } from './token-ledger.ts';

const RECORD_PREFIX = 'roster/';
const GENESIS_KEY = 'genesis';
/** On the disk that founded the swarm. */
export const FOUNDER_KEY = 'founder';
const TOKEN_ID_BYTES = 8;
/** A clock that differs by more is worth a word. */
const CLOCK_WORTH_TELLING_MS = 60_000;

export type Signer = Pick<Crypto, 'self' | 'sign'>;

export interface AdmissionPorts {
  crypto: Crypto;
  clock: Clock;
  /** The swarm's time (swarm-time.ts), by which certificates begin and end; by default the machine's own clock. */
  time?: Pick<Clock, 'wallMs'>;
  store: Store;
  random: Random;
}

export interface AdmissionConfig {
  swarmId: string;
  /** What the agent would be called where it joins; its certificate says what it is called. */
  name: string;
  token: JoinToken | undefined;
  /** Where the agent runs, in words; undefined: its name. */
  place?: string | undefined;
  /** The root keys that are at hand here; none where they are kept elsewhere. */
  rootSigners: readonly Signer[];
}

export interface AdmissionEvents {
  log(level: 'info' | 'warn', text: string): void;
  /** A record that is new here. @param own made here: it is to be passed on. */
  learned(record: SignedRecord, own: boolean): void;
  /** Whether an issuer is among the peers that live. */
  issuerWithinReach(): boolean;
  /** Whether an issuer that made a token is there to redeem it. */
  isAlive(peer: PeerId): boolean;
  /** Asks the maker of a token to redeem it. @throws Error with the reason */
  forwardToken(maker: PeerId, id: Uint8Array, secret: Uint8Array, by: PeerId): Promise<Role>;
  /** A token was made, redeemed or ended here: resolves once the other issuers that are there know it. */
  tokensChanged(): Promise<void>;
  /** Of another run of a peer: over the connection that there is. */
  askInstance: InstancesEvents['ask'];
}

interface Judged {
  refusal: Answer['refusal'];
  grant: Grant | undefined;
  proof?: Uint8Array | undefined;
}

/** Why the token was not taken, or what it could not be brought to. */
export class JoinRefused extends Error {}

export class Admission implements Greeter {
  readonly roster: Roster;
  readonly ledger: TokenLedger;
  readonly instances: Instances;
  readonly #ports: AdmissionPorts;
  readonly #config: AdmissionConfig;
  readonly #events: AdmissionEvents;
  readonly #told = new Set<PeerId>();
  /** Why this agent was refused last, by whom it dialed. */
  lastRefusal: { by: PeerId; code: Refusal; text: string } | undefined;

  constructor(ports: AdmissionPorts, config: AdmissionConfig, events: AdmissionEvents) {
    this.#ports = ports;
    this.#config = config;
    this.#events = events;
    this.roster = new Roster(ports.crypto, config.swarmId);
    this.ledger = new TokenLedger(ports.store, ports.crypto.hash);
    const { swarmId, place = config.name } = config;
    const nameOf = (peer: PeerId): string => this.roster.member(peer)?.name ?? peer;
    this.instances = new Instances(ports, { swarmId, place }, { ask: events.askInstance, nameOf, log: events.log });
  }

  get #self(): PeerId {
    return this.#ports.crypto.self;
  }

  get #nowMs(): number {
    return (this.#ports.time ?? this.#ports.clock).wallMs();
  }

  get isMember(): boolean {
    return this.roster.isMember(this.#self);
  }

  get isIssuer(): boolean {
    return this.roster.isIssuer(this.#self, this.#nowMs);
  }

  /** What it is called: its certificate says. */
  get name(): string {
    return this.roster.member(this.#self)?.name ?? this.#config.name;
  }

  /** Reads what is on disk. An issuer that slept for long renews its own certificate at once. */
  async open(): Promise<void> {
    const { store } = this.#ports;
    const genesis = await store.get(GENESIS_KEY);
    if (genesis !== undefined) this.roster.authority.adopt(genesis);
    const records = await store.range(RECORD_PREFIX, { limit: MAX_RECORDS });
    // Issuers come before members in the order of keys, and revocations after both.
    for (const [, bytes] of records) this.roster.offer(bytes, this.#nowMs);
    await this.ledger.open();
    await this.renewOwn();
  }

  // What a connection begins with

  hello(to: PeerId): Uint8Array {
    return encodeHello(this.#helloTo(to));
  }

  #helloTo(to: PeerId): Hello {
    const own = this.roster.records.signed('member', this.#self);
    const issuer = own?.signatures[0] && this.roster.records.signed('issuer', own.signatures[0].by);
    const { token, name, swarmId } = this.#config;
    // The secret is for the maker of the token, and for the issuers that the token names.
    const redeems = token !== undefined && !this.isMember && mayRedeem(token, to);
    return {
      swarmId,
      wallMs: this.#ports.clock.wallMs(),
      certificate: own?.bytes,
      issuer: issuer?.bytes,
      redeem: redeems ? { id: token.id, secret: token.secret, name } : undefined,
      instance: this.instances.statement(),
    };
  }

  async welcome(from: PeerId, bytes: Uint8Array): Promise<Admitted> {
    const hello = parseHello(bytes);
    if (hello === undefined) return this.#answer(unreadable(bytes, 'hello'));
    return this.#answer(await this.#judge(from, hello), this.#helloTo(from));
  }

  async accept(from: PeerId, bytes: Uint8Array): Promise<Admitted> {
    const answer = parseAnswer(bytes);
    if (answer === undefined) return this.#answer(unreadable(bytes, 'answer'));
    if (answer.refusal !== undefined) {
      this.lastRefusal = { by: from, ...answer.refusal };
      if (answer.proof !== undefined) this.instances.told(answer.proof);
      return { admitted: false, answer: undefined, reason: answer.refusal.text };
    }
    await this.#take(answer.grant);
    if (answer.hello === undefined) return this.#answer(refused('malformed', 'it did not say who it is'));
    return this.#answer(await this.#judge(from, answer.hello));
  }

  async settle(_from: PeerId, bytes: Uint8Array): Promise<Admitted> {
    const answer = parseAnswer(bytes);
    if (answer?.proof !== undefined) this.instances.told(answer.proof);
    if (answer === undefined || answer.refusal !== undefined)
      return { admitted: false, answer: undefined, reason: answer?.refusal?.text ?? 'malformed' };
    await this.#take(answer.grant);
    return { admitted: true, answer: undefined, reason: '' };
  }

  #answer({ refusal, grant, proof }: Judged, hello?: Hello): Admitted {
    // Who is refused is not told who we are.
    const answer = encodeAnswer({ refusal, grant, proof, hello: refusal === undefined ? hello : undefined });
    return { admitted: refusal === undefined, answer, reason: refusal?.text ?? '' };
  }

  async #judge(from: PeerId, hello: Hello): Promise<Judged> {
    if (hello.swarmId !== this.#config.swarmId) return refused('swarm', 'this is another swarm');
    for (const bytes of [hello.issuer, hello.certificate]) {
      if (bytes === undefined) continue;
      const offer = this.roster.offer(bytes, this.#nowMs);
      if (offer.verdict === 'reject') return refused('malformed', 'the certificate is malformed or forged');
      if (offer.verdict === 'accept') await this.#learn(offer.record, false);
    }
    const behindMs = hello.wallMs - this.#ports.clock.wallMs();
    if (hello.redeem !== undefined && this.roster.standing(from, this.#nowMs) !== 'member')
      return this.#redeem(from, hello.redeem);
    const standing = this.roster.standing(from, this.#nowMs);
    if (standing === 'member' || standing === 'expired') this.#tellOfClock(from, behindMs);
    const judged = await this.#standingAs(from, standing, behindMs);
    return judged.refusal === undefined && hello.instance !== undefined ? this.#asOne(from, hello.instance, judged) : judged;
  }

  /** Unless another run of it is here already. */
  async #asOne(from: PeerId, instance: Uint8Array, judged: Judged): Promise<Judged> {
    const proof = await this.instances.judge(from, instance);
    if (proof === undefined) return judged;
    return { ...refused('twin', 'another agent with its key is connected: stop one of the two'), proof };
  }

  async #standingAs(from: PeerId, standing: Standing, behindMs: number): Promise<Judged> {
    switch (standing) {
      case 'revoked':
        return refused('revoked', 'its membership was revoked');
      case 'stranger':
        return refused('stranger', 'it has no certificate of this swarm: join with a token from kalos token create');
      case 'future':
        // Where both clocks agree they were set back, and the certificate is of before that.
        if (Math.abs(behindMs) < CLOCK_TOLERANCE_MS) return { refusal: undefined, grant: await this.#renewal(from) };
        return refused('clock', `its certificate begins later than now: clocks differ by ${clockText(behindMs)}`);
      case 'member':
        return { refusal: undefined, grant: await this.#renewal(from) };
      case 'expired': {
        const grant = await this.#renewal(from);
        if (grant !== undefined || this.#isExcused(from)) return { refusal: undefined, grant };
        return refused('expired', 'its certificate has ended: it is renewed by an issuer of the swarm');
      }
    }
  }

  /** With no issuer to renew it, an ended certificate is honoured for a while. */
  #isExcused(peer: PeerId): boolean {
    const untilMs = this.roster.member(peer)?.untilMs ?? 0;
    return !this.#events.issuerWithinReach() && untilMs + NO_ISSUER_GRACE_MS > this.#nowMs;
  }

  /** Whether a connected peer may stay connected. Its certificate had begun when it was admitted, even if the clock was set back since. */
  honours(peer: PeerId): boolean {
    const standing = this.roster.standing(peer, this.#nowMs);
    return standing === 'member' || standing === 'future' || (standing === 'expired' && this.#isExcused(peer));
  }

  #tellOfClock(peer: PeerId, aheadMs: number): void {
    if (Math.abs(aheadMs) < CLOCK_WORTH_TELLING_MS || this.#told.has(peer)) return;
    this.#told.add(peer);
    const name = this.roster.member(peer)?.name ?? peer;
    this.#events.log(
      'warn',
      `the clock of ${name} is ${clockText(aheadMs)} ${aheadMs > 0 ? 'ahead of' : 'behind'} this machine’s`,
    );
  }

  async #take(grant: Grant | undefined): Promise<void> {
    if (grant === undefined || !this.roster.authority.adopt(grant.genesis)) return;
    const operations: StoreOperation[] = [{ kind: 'put', key: GENESIS_KEY, value: grant.genesis }];
    for (const bytes of grant.records) {
      const offer = this.roster.offer(bytes, this.#nowMs);
      if (offer.verdict !== 'accept') continue;
      operations.push(...this.#puts(offer.record));
      this.#events.learned(offer.record, false);
    }
    await this.#ports.store.write(operations);
  }

  // What an issuer does

  async #redeem(from: PeerId, { id, secret, name }: NonNullable<Hello['redeem']>): Promise<Judged> {
    if (!this.isIssuer) return refused('token', 'this agent is no issuer: the token is for another');
    const maker = this.ledger.makerOf(id);
    const forwarded = maker !== undefined && this.#events.isAlive(maker) && this.#forward(maker, id, secret, from);
    const redemption = (await forwarded) || this.ledger.redeem(id, secret, from, this.#nowMs);
    if (!redemption.ok) return refused(redemption.code, redemption.text);
    try {
      // Used up before anything is granted for it.
      if (redemption.persist !== undefined) await this.#ports.store.write([redemption.persist]);
      void this.#events.tokensChanged();
      const record = await this.#issue(from, { name: this.#freeName(name, from), role: redemption.role });
      this.#events.log('info', `${record.name} has joined with a token`);
      if (redemption.role === 'committee') await this.#makeIssuer(from);
      return { refusal: undefined, grant: this.#grantTo(from) };
    } catch (error) {
      return refused('failed', `the issuer could not write it down: ${(error as Error).message}`);
    }
  }

  /** A use is taken in one place, as long as that is there. */
  async #forward(maker: PeerId, id: Uint8Array, secret: Uint8Array, by: PeerId): Promise<Redemption> {
    try {
      return { ok: true, role: await this.#events.forwardToken(maker, id, secret, by), persist: undefined };
    } catch (error) {
      return { ok: false, code: 'token', text: (error as Error).message };
    }
  }

  /** Takes a use of a token that this agent made, for another issuer. @throws Error with why not */
  async redeemFor(id: Uint8Array, secret: Uint8Array, by: PeerId): Promise<Role> {
    const redemption = this.ledger.redeem(id, secret, by, this.#nowMs);
    if (!redemption.ok) throw new Error(redemption.text);
    if (redemption.persist !== undefined) await this.#ports.store.write([redemption.persist]);
    return redemption.role;
  }

  /** Where the root keys are at hand, who may sit on the committee is made an issuer at once. */
  async #makeIssuer(peer: PeerId): Promise<void> {
    const { needed, atHand } = this.rootSignatures();
    if (atHand < needed) return;
    await this.publishAsRoot('issuer', encodeBody(this.#ports.crypto, this.issuerBody(peer)), []);
  }

  /** @param lifeMs of a deputy, or for long. */
  issuerBody(subject: PeerId, lifeMs = ISSUER_LIFE_MS): IssuerCertificate {
    const fromMs = this.#nowMs;
    return { kind: 'issuer', subject, epoch: this.roster.records.nextEpoch('issuer', subject), fromMs, untilMs: fromMs + lifeMs };
  }

  /** Makes a member a deputy issuer. @returns false without the root keys */
  async makeDeputy(peer: PeerId): Promise<boolean> {
    const { needed, atHand } = this.rootSignatures();
    if (atHand >= needed)
      await this.publishAsRoot('issuer', encodeBody(this.#ports.crypto, this.issuerBody(peer, DEPUTY_LIFE_MS)), []);
    return atHand >= needed;
  }

  operatorBody(subject: PeerId, name: string): OperatorCertificate {
    const [fromMs, epoch] = [this.#nowMs, this.roster.records.nextEpoch('operator', subject)];
    return { kind: 'operator', subject, epoch, fromMs, untilMs: fromMs + OPERATOR_LIFE_MS, name };
  }

  /** As a newcomer wishes, which may be hostile: of the letters that names have, and nobody else's. */
  #freeName(wished: string, peer: PeerId): string {
    const wanted = MEMBER_NAME.test(wished) ? wished : `x${wished.replace(/[^a-zA-Z0-9.-]/g, '-')}`.slice(0, MAX_NAME);
    let name = wanted;
    for (let n = 2; this.roster.nameTaken(name, peer); n++) name = `${wanted.slice(0, MAX_NAME - 4)}-${n}`;
    return name;
  }

  async #issue(subject: PeerId, { name, role }: { name: string; role: Role }): Promise<MemberCertificate> {
    const known = this.roster.member(subject);
    // Later than the one before, whatever the clock says: the larger one counts.
    const fromMs = Math.max(this.#nowMs, known === undefined ? 0 : known.fromMs + 1_000);
    const epoch = this.roster.records.nextEpoch('member', subject);
    const untilMs = fromMs + MEMBER_LIFE_MS;
    const body: MemberCertificate = { kind: 'member', subject, epoch, fromMs, untilMs, name, role, capabilities: [] };
    await this.publish(signRecord(this.#ports.crypto, this.#config.swarmId, body, [this.#ports.crypto]));
    return body;
  }

  /** A fresh certificate for who is past half of its own, or was certified by who issues no more; undefined where none is due, or this is no issuer. */
  async #renewal(peer: PeerId): Promise<Grant | undefined> {
    // Who was revoked would get a new epoch by this: that takes a token.
    if (!this.isIssuer || !this.roster.isMember(peer)) return undefined;
    const certificate = this.roster.member(peer);
    if (certificate === undefined || certificate.untilMs + RENEWABLE_MS < this.#nowMs) return undefined;
    if (this.renewalDue(peer)) await this.#issue(peer, { name: certificate.name, role: this.#roleOf(peer, certificate) });
    return this.#grantTo(peer);
  }

  /** One that decides signs what it knows; a deputy, what was said, which gives no seat. */
  #roleOf(peer: PeerId, { role }: MemberCertificate): Role {
    const isSeated = this.roster.isForCommittee(peer) || this.#isOwed(peer);
    return !this.roster.decides(this.#self, this.#nowMs) ? role : isSeated ? 'committee' : 'member';
  }

  /** A deputy let it in, with a token for the committee that was shown here. */
  #isOwed(peer: PeerId): boolean {
    if (this.roster.isForCommittee(peer) || this.roster.records.revocation('member', peer) !== undefined) return false;
    return this.roster.member(peer)?.role === 'committee' && this.ledger.seated(peer);
  }

  renewalDue(peer: PeerId): boolean {
    const record = this.roster.records.signed('member', peer);
    const [by, nowMs] = [record?.signatures[0]?.by, this.#nowMs];
    if (record === undefined || by === undefined) return false;
    if (this.roster.decides(this.#self, nowMs) && this.#isOwed(peer)) return true;
    return record.body.untilMs - nowMs < MEMBER_LIFE_MS / 2 || !this.roster.isIssuer(by, nowMs);
  }

  /** What is granted to a member that asks for it, in a request. Undefined where this is no issuer. */
  async renew(peer: PeerId): Promise<Uint8Array | undefined> {
    const grant = await this.#renewal(peer);
    return grant && asBefore(encodeAnswer({ refusal: undefined, hello: undefined, grant, proof: undefined }));
  }

  /** Takes what `renew` gave. */
  renewed(bytes: Uint8Array): Promise<void> {
    return this.#take(parseAnswer(bytes)?.grant);
  }

  async renewOwn(): Promise<void> {
    if (this.isIssuer && this.renewalDue(this.#self)) await this.#renewal(this.#self);
  }

  #grantTo(peer: PeerId): Grant | undefined {
    const { genesis } = this.roster.authority;
    const own = this.roster.records.signed('member', peer);
    const by = own?.signatures[0]?.by;
    if (genesis === undefined || own === undefined || by === undefined) return undefined;
    const records = [
      this.roster.records.signed('issuer', by),
      this.roster.records.signed('issuer', peer),
      own,
      this.roster.records.signed('member', this.#self),
    ];
    return { genesis: genesis.bytes, records: [...new Set(records)].flatMap((record) => record?.bytes ?? []) };
  }

  /** @throws RangeError */
  async makeToken(
    { role, ttlMs, uses, networkKey }: { role: Role; ttlMs: number; uses: number; networkKey: Uint8Array | undefined },
    addresses: readonly string[],
  ): Promise<JoinToken> {
    const id = this.#ports.random.bytes(TOKEN_ID_BYTES);
    const secret = this.#ports.random.bytes(TOKEN_SECRET_BYTES);
    const nowMs = this.#nowMs;
    await this.ledger.add({ id: Buffer.from(id).toString('hex'), role, expiresMs: nowMs + ttlMs, usesLeft: uses }, secret, nowMs);
    // It is good without this agent from the moment on in which it is handed out.
    await this.#events.tokensChanged();
    return { swarmId: this.#config.swarmId, issuer: this.#self, addresses, id, secret, networkKey };
  }

  /** False where there is no such token. */
  async endToken(id: string): Promise<boolean> {
    if (!(await this.ledger.revoke(id))) return false;
    await this.#events.tokensChanged();
    return true;
  }

  rename(certificate: MemberCertificate, name: string): Promise<MemberCertificate> {
    return this.#issue(certificate.subject, { name, role: this.#roleOf(certificate.subject, certificate) });
  }

  /** Ends a membership: by an issuer, or by the member itself. */
  async revoke(subject: PeerId, reason: string): Promise<void> {
    const { crypto } = this.#ports;
    await this.publish(signRecord(crypto, this.#config.swarmId, this.revocationBody('member', subject, reason), [crypto]));
  }

  /** Changes the network key of the swarm. @throws RangeError where this is no issuer. */
  async rotateNetworkKey(useAfterMs: number, keepMs: number): Promise<NetworkRotation> {
    const { crypto, random } = this.#ports;
    const key = random.bytes(NETWORK_KEY_BYTES);
    const fromMs = this.#nowMs + useAfterMs;
    const epoch = (this.roster.records.single('network')?.epoch ?? 0) + 1;
    const body: NetworkRotation = { kind: 'network', subject: this.#self, epoch, fromMs, untilMs: fromMs + keepMs, key };
    await this.publish(signRecord(crypto, this.#config.swarmId, body, [crypto]));
    return body;
  }

  revocationBody(of: Revocation['of'], subject: PeerId, reason: string): Revocation {
    const epoch = this.roster.records.nextEpoch(of, subject);
    return { kind: 'revocation', subject, epoch, fromMs: this.#nowMs, untilMs: this.#nowMs, of, reason };
  }

  /** How many root keys must sign, and how many of them are at hand here. */
  rootSignatures(): { needed: number; atHand: number } {
    return { needed: this.roster.authority.threshold, atHand: this.#config.rootSigners.length };
  }

  /** Publishes what root keys sign: those that are at hand here, and others whose signatures are given. @throws RangeError with too few. */
  async publishAsRoot(kind: RecordKind, body: Uint8Array, given: readonly Signature[]): Promise<void> {
    const { crypto } = this.#ports;
    const toSign = recordToSign(this.#config.swarmId, kind, body);
    const own = this.#config.rootSigners.map((signer) => ({ by: signer.self, signature: signer.sign(toSign) }));
    const signatures = [...new Map([...own, ...given].map((signature) => [signature.by, signature])).values()];
    const record = sealRecord(crypto, kind, body, signatures);
    if (!this.roster.authority.bearsEnoughRoots(record))
      throw new RangeError(
        `${counted(this.roster.authority.threshold, 'root key')} must sign this: name their files with --root-key`,
      );
    await this.publish(record);
  }

  /** Takes a record of our own, durably, and passes it on. */
  async publish(record: SignedRecord): Promise<void> {
    const offer = this.roster.offer(record.bytes, this.#nowMs);
    if (offer.verdict !== 'accept') throw new RangeError('this agent may not sign that');
    await this.#learn(record, true);
  }

  async #learn(record: SignedRecord, own: boolean): Promise<void> {
    await this.#ports.store.write(this.#puts(record));
    this.#events.learned(record, own);
  }

  /** What says that a member is for the committee stays on the disk when a deputy has renewed its certificate. */
  #puts(record: SignedRecord): StoreOperation[] {
    const { body } = record;
    if (body.kind !== 'member' || this.roster.authority.isByDeputy(record)) return [put(record)];
    const key = `${RECORD_PREFIX}${seatKeyOf(body.subject)}`;
    return [put(record), body.role === 'committee' ? { kind: 'put', key, value: record.bytes } : { kind: 'delete', key }];
  }

  /** Records that came by gossip or a pull. */
  keep(records: readonly SignedRecord[]): Promise<void> {
    return this.#ports.store.write(records.flatMap((record) => this.#puts(record)));
  }

  /** Forgets what nobody needs any more. */
  async reap(): Promise<void> {
    const gone = this.roster.reap(this.#nowMs);
    if (gone.length > 0) await this.#ports.store.write(gone.map((key) => ({ kind: 'delete', key: `${RECORD_PREFIX}${key}` })));
  }
}

const put = (record: SignedRecord): StoreOperation => ({
  kind: 'put',
  key: `${RECORD_PREFIX}${keyOfRecord(record)}`,
  value: record.bytes,
});

const refused = (code: Refusal, text: string): Judged => ({ refusal: { code, text }, grant: undefined });

function unreadable(bytes: Uint8Array, what: string): Judged {
  if (isLaterHello(bytes))
    return refused('malformed', 'the other agent speaks a later version of KALOS: update the older one of the two');
  return refused('malformed', `this is no ${what} of a version that is read here`);
}

function clockText(ms: number): string {
  const minutes = Math.round(Math.abs(ms) / 60_000);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

/** What is written down where a swarm begins: its genesis, its first issuer and its first member, who are one. */
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

/** What a store must forget when its agent leaves the swarm for good. */
export async function forgetSwarm(store: Store): Promise<void> {
  const keys = [GENESIS_KEY, FOUNDER_KEY];
  for (const prefix of [RECORD_PREFIX, 'token/', 'peer/', 'committee/', 'status/', 'held/', 'pushed/'])
    for (const [key] of await store.range(prefix, { limit: MAX_RECORDS })) keys.push(key);
  await store.write(keys.map((key) => ({ kind: 'delete', key })));
}
