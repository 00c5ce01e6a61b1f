// Admission: on every new connection both sides show their certificates (hello.ts) before any other protocol. An issuer redeems join tokens
// and renews certificates in the same exchange (issuer.ts), so that a peer without a certificate reaches nothing else.
import type { Clock } from '../ports/clock.ts';
import type { Crypto } from '../ports/crypto.ts';
import type { Random } from '../ports/random.ts';
import type { Store } from '../ports/store.ts';
import type { Admitted, Greeter, PeerId } from '../ports/transport.ts';
import { Drafts } from './drafts.ts';
import {
  encodeAnswer,
  encodeHello,
  granted,
  type Hello,
  isLaterHello,
  type Judged,
  parseAnswer,
  parseHello,
  type Refusal,
  refused,
} from './hello.ts';
import { Instances, type InstancesEvents } from './instances.ts';
import { Issuer, type IssuerEvents } from './issuer.ts';
import { CLOCK_TOLERANCE_MS, NO_ISSUER_GRACE_MS } from './lifetimes.ts';
import type { SignedRecord } from './record.ts';
import { RootKeys } from './root-keys.ts';
import { Roster, type Standing } from './roster.ts';
import { RosterStore, type Signer } from './roster-store.ts';
import { type JoinToken, mayRedeem } from './token.ts';

/** A larger difference of clocks is logged. */
const CLOCK_WARNING_MS = 60_000;

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
  /** The name that the agent asks for when it joins; its certificate has the actual one. */
  name: string;
  token: JoinToken | undefined;
  /** Where the agent runs, in words; undefined: its name. */
  place?: string | undefined;
  /** The root keys on this machine; none if they are kept elsewhere. */
  rootSigners: readonly Signer[];
}

export interface AdmissionEvents extends Omit<IssuerEvents, 'log'> {
  log(level: 'info' | 'warn', text: string): void;
  /** A record that is new here. @param own it was signed here: it must be published. */
  learned(record: SignedRecord, own: boolean): void;
  /** Whether an issuer is among the members that are alive. */
  issuerWithinReach(): boolean;
  /** Asks over the existing connection for the statement of another run of a peer. */
  askInstance: InstancesEvents['ask'];
}

/** Why the token was rejected, or why no issuer could be reached with it. */
export class JoinRefused extends Error {}

export class Admission implements Greeter {
  readonly roster: Roster;
  readonly store: RosterStore;
  readonly drafts: Drafts;
  readonly rootKeys: RootKeys;
  readonly issuer: Issuer;
  readonly instances: Instances;
  readonly #ports: AdmissionPorts & { time: Pick<Clock, 'wallMs'> };
  readonly #config: AdmissionConfig;
  readonly #events: AdmissionEvents;
  readonly #warned = new Set<PeerId>();
  /** The last refusal of this agent, and the peer that refused it. */
  lastRefusal: { by: PeerId; code: Refusal; text: string } | undefined;

  constructor(ports: AdmissionPorts, config: AdmissionConfig, events: AdmissionEvents) {
    const { swarmId, place = config.name, rootSigners } = config;
    this.#ports = { ...ports, time: ports.time ?? ports.clock };
    this.#config = config;
    this.#events = events;
    const roster = new Roster(ports.crypto, swarmId);
    this.roster = roster;
    this.store = new RosterStore(roster, this.#ports, events.learned);
    this.drafts = new Drafts(roster, this.#ports.time);
    this.rootKeys = new RootKeys(rootSigners, ports.crypto, this);
    this.issuer = new Issuer(this.#ports, this, events);
    const nameOf = (peer: PeerId): string => roster.member(peer)?.name ?? peer;
    this.instances = new Instances(ports, { swarmId, place }, { ask: events.askInstance, nameOf, log: events.log });
  }

  get #self(): PeerId {
    return this.#ports.crypto.self;
  }

  get #nowMs(): number {
    return this.#ports.time.wallMs();
  }

  get isMember(): boolean {
    return this.roster.isMember(this.#self);
  }

  /** Its name, by its certificate. */
  get name(): string {
    return this.roster.member(this.#self)?.name ?? this.#config.name;
  }

  /** Reads what is on disk. */
  async open(): Promise<void> {
    await this.store.open();
    await this.issuer.open();
  }

  // The exchange that begins a connection

  hello(to: PeerId): Uint8Array {
    return encodeHello(this.#helloTo(to));
  }

  #helloTo(to: PeerId): Hello {
    const own = this.roster.records.signed('member', this.#self);
    const issuer = own?.signatures[0] && this.roster.records.signed('issuer', own.signatures[0].by);
    const { token, name, swarmId } = this.#config;
    // The secret goes only to the issuer that created the token, and to the issuers that the token names.
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
      if (answer.proof !== undefined) this.instances.refused(answer.proof);
      return { admitted: false, answer: undefined, reason: answer.refusal.text };
    }
    await this.store.take(answer.grant);
    if (answer.hello === undefined) return this.#answer(refused('malformed', 'it sent no identity'));
    return this.#answer(await this.#judge(from, answer.hello));
  }

  async settle(_from: PeerId, bytes: Uint8Array): Promise<Admitted> {
    const answer = parseAnswer(bytes);
    if (answer?.proof !== undefined) this.instances.refused(answer.proof);
    if (answer === undefined || answer.refusal !== undefined)
      return { admitted: false, answer: undefined, reason: answer?.refusal?.text ?? 'malformed' };
    await this.store.take(answer.grant);
    return { admitted: true, answer: undefined, reason: '' };
  }

  #answer({ refusal, grant, proof }: Judged, hello?: Hello): Admitted {
    // A refused peer does not get our hello.
    const answer = encodeAnswer({ refusal, grant, proof, hello: refusal === undefined ? hello : undefined });
    return { admitted: refusal === undefined, answer, reason: refusal?.text ?? '' };
  }

  async #judge(from: PeerId, hello: Hello): Promise<Judged> {
    if (hello.swarmId !== this.#config.swarmId) return refused('swarm', 'it is in another swarm');
    for (const bytes of [hello.issuer, hello.certificate]) {
      if (bytes === undefined) continue;
      if ((await this.store.offer(bytes)) === 'reject') return refused('malformed', 'the certificate is malformed or forged');
    }
    const behindMs = hello.wallMs - this.#ports.clock.wallMs();
    if (hello.redeem !== undefined && this.roster.standing(from, this.#nowMs) !== 'member')
      return this.issuer.redeem(from, hello.redeem);
    const standing = this.roster.standing(from, this.#nowMs);
    if (standing === 'member' || standing === 'expired') this.#warnOfClock(from, behindMs);
    const judged = await this.#standingAs(from, standing, behindMs);
    return judged.refusal === undefined && hello.instance !== undefined ? this.#asOne(from, hello.instance, judged) : judged;
  }

  /** Refuses the peer if another run of its agent is connected already. */
  async #asOne(from: PeerId, instance: Uint8Array, judged: Judged): Promise<Judged> {
    const proof = await this.instances.judge(from, instance);
    if (proof === undefined) return judged;
    return refused('twin', 'another agent with its key is connected: stop one of the two', proof);
  }

  async #standingAs(from: PeerId, standing: Standing, behindMs: number): Promise<Judged> {
    switch (standing) {
      case 'revoked':
        return refused('revoked', 'its membership was revoked');
      case 'stranger':
        return refused('stranger', 'it has no certificate of this swarm: join with a token from kalos token create');
      case 'future':
        // If both clocks agree, both were set back after the certificate was issued.
        if (Math.abs(behindMs) < CLOCK_TOLERANCE_MS) return granted(await this.issuer.renewal(from));
        return refused('clock', `its certificate is not valid yet: clocks differ by ${clockText(behindMs)}`);
      case 'member':
        return granted(await this.issuer.renewal(from));
      case 'expired': {
        const grant = await this.issuer.renewal(from);
        if (grant !== undefined || this.#isExcused(from)) return granted(grant);
        return refused('expired', 'its certificate has expired: an issuer must be reachable to renew it');
      }
    }
  }

  /** If no issuer is reachable to renew it, an expired certificate is accepted for some time. */
  #isExcused(peer: PeerId): boolean {
    const untilMs = this.roster.member(peer)?.untilMs ?? 0;
    return !this.#events.issuerWithinReach() && untilMs + NO_ISSUER_GRACE_MS > this.#nowMs;
  }

  /** Whether a connected peer may stay connected. Its certificate was valid when it was admitted, even if the clock was set back since. */
  honours(peer: PeerId): boolean {
    const standing = this.roster.standing(peer, this.#nowMs);
    return standing === 'member' || standing === 'future' || (standing === 'expired' && this.#isExcused(peer));
  }

  #warnOfClock(peer: PeerId, aheadMs: number): void {
    if (Math.abs(aheadMs) < CLOCK_WARNING_MS || this.#warned.has(peer)) return;
    this.#warned.add(peer);
    const name = this.roster.member(peer)?.name ?? peer;
    this.#events.log(
      'warn',
      `the clock of ${name} is ${clockText(aheadMs)} ${aheadMs > 0 ? 'ahead of' : 'behind'} this machine’s`,
    );
  }

  /** Stores the records of an issuer's answer to a renewal request. */
  renewed(bytes: Uint8Array): Promise<void> {
    return this.store.take(parseAnswer(bytes)?.grant);
  }
}

function unreadable(bytes: Uint8Array, what: string): Judged {
  if (isLaterHello(bytes)) return refused('malformed', 'the other agent has a newer KALOS protocol: update the older agent');
  return refused('malformed', `unsupported version of ${what}`);
}

function clockText(ms: number): string {
  const minutes = Math.round(Math.abs(ms) / 60_000);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}
