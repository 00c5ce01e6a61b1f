// What the swarm has decided, as this agent knows it: from its own log where it is of the committee, else from what a majority of the
// committee attests; how it wishes for decisions, and how current what it knows is.

import { z } from 'zod';
import {
  Attestations,
  type CertifiedCheckpoint,
  certifiedFrom,
  isCertified,
  signersOf,
} from '../../consensus/decisions/checkpoint.ts';
import { type Decision, decisionSchema, isOlder, type Wish, wished } from '../../consensus/decisions/decision.ts';
import { type Drain, drainBytes, endMs, isProven } from '../../consensus/decisions/drains.ts';
import { kindOf } from '../../consensus/decisions/kinds.ts';
import { Keeping } from '../../consensus/decisions/placements.ts';
import { DecisionState, type Outcome } from '../../consensus/decisions/state.ts';
import { majority } from '../../consensus/quorum.ts';
import { LogUnavailable } from '../../consensus/raft/requests.ts';
import { type Equivocation, equivocatorOf } from '../../consensus/vote/equivocation.ts';
import { decodeCbor, encodeCbor, equalBytes, toHex } from '../../swarm/dissemination/cbor.ts';
import type { Recovery } from '../../swarm/identity/record.ts';
import type { Timer } from '../../swarm/ports/clock.ts';
import { SIGNATURE_BYTES } from '../../swarm/ports/crypto.ts';
import { integerBelow } from '../../swarm/ports/random.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { messageOf } from '../../swarm/words.ts';
import { wordsOf } from '../issue-words.ts';
import type { Ports } from '../ports/ports.ts';
import type { Committee, DecisionLog } from './committee.ts';

const STATE_KEY = 'decisions/state';
const ID_BYTES = 16;
const ATTEST_SOON_MS = 50;
/** What was lost is said again. */
const ATTEST_AGAIN_MS = 5_000;
const REQUEST_MS = 2_000;
const ACCUSE_WITHIN_MS = 60_000;
const AGAIN_MS = 250;
/** How soon one asks for what was decided: spread, so that not all ask at once. */
const FOLLOW_SPREAD_MS = 300;
const FOLLOW_AGAIN_MS = 2_000;
/** Without a voter that is known from before, so many others must name the same. */
const AGREEING = 2;
const MAX_ASKED = 5;

const NOBODY_DRAINED = { index: -1, endMs: 0, peers: new Map<PeerId, Drain>() };
const keptSchema = z.array(z.tuple([z.string(), z.number()])).max(256);

/** How much is asked of a read: what is here; or what is here once it is no older than a second; or than the question. */
export const READS = ['local', 'lease', 'linearizable'] as const;
/** For so long nobody is asked again how far the log is. */
export const LEASE_MS = 1_000;
export type ReadMode = (typeof READS)[number];

export interface DecisionsEvents {
  /** The swarm's time (swarm-time.ts). */
  wallMs(): number;
  send(to: PeerId, bytes: Uint8Array): void;
  request(to: PeerId, body: Uint8Array, withinMs: number): Promise<Uint8Array>;
  alive(): readonly PeerId[];
  isMember(peer: PeerId): boolean;
  /** All whose membership holds, by the roster. */
  members(): readonly PeerId[];
  /** Whether a member may decide about others. */
  mayDecide(peer: PeerId): boolean;
  nameOf(peer: PeerId): string;
  /** How many members there are, and how many look sick. */
  health(): { members: number; sick: number };
  /** The newest new beginning of the committee. */
  recovery(): Recovery | undefined;
  /** Of KALOS, by its status. */
  versionOf(peer: PeerId): string | undefined;
  /** How far each member is, by its status. */
  decidedBy(peer: PeerId): number;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

export class Decisions {
  readonly #ports: Ports;
  readonly #committee: Committee;
  readonly #events: DecisionsEvents;
  readonly #attestations: Attestations;
  readonly #swarmId: string;
  /** What others attested, or what was so when this agent last ran. */
  readonly #followed = new DecisionState();
  #trusted: CertifiedCheckpoint | undefined;
  #attesting: Timer | undefined;
  #following: Timer | undefined;
  #isFollowing = false;
  #isLeading = false;
  /** As the coordinator, in this term. */
  readonly #keeping = new Keeping();
  #keepingTerm = 0;
  #liars: { index: number; peers: ReadonlySet<PeerId> } = { index: -1, peers: new Set() };
  #drained: { index: number; endMs: number; peers: ReadonlyMap<PeerId, Drain> } = NOBODY_DRAINED;
  /** How far the log was when somebody asked last. */
  #confirmed = { index: 0, askedMs: Number.NEGATIVE_INFINITY };
  #stopped = false;

  constructor(ports: Ports, swarmId: string, committee: Committee, events: DecisionsEvents) {
    this.#ports = ports;
    this.#swarmId = swarmId;
    this.#committee = committee;
    this.#events = events;
    this.#attestations = new Attestations(ports.crypto, swarmId);
  }

  async open(): Promise<void> {
    const kept = decodeCbor((await this.#ports.store.get(STATE_KEY)) ?? encodeCbor(null));
    const [checkpoint, state] = Array.isArray(kept) ? kept : [];
    const certified = certifiedFrom(checkpoint);
    if (certified !== undefined && state instanceof Uint8Array) {
      this.#followed.restore(state);
      this.#trusted = certified;
    }
    this.#attestLater(ATTEST_AGAIN_MS);
  }

  stop(): void {
    this.#stopped = true;
    this.#attesting?.cancel();
    this.#following?.cancel();
  }

  /** What is known here; what it returns changes with time. */
  get state(): DecisionState {
    const own = this.#log?.machine;
    return own !== undefined && own.index >= this.#followed.index ? own : this.#followed;
  }

  get #log(): DecisionLog | undefined {
    return this.#committee.replica;
  }

  /** What a majority of the committee attests, for whoever wants to check it. */
  get checkpoint(): CertifiedCheckpoint | undefined {
    const [own, followed] = [this.#attestations.newest, this.#trusted];
    return (own?.index ?? 0) >= (followed?.index ?? 0) ? own : followed;
  }

  /** Witnesses that are asked no more: those whose lies this agent has seen the proof of. */
  quarantined(): ReadonlySet<PeerId> {
    const { state } = this;
    if (this.#liars.index !== state.index) {
      const proven = state.quarantined().filter((one) => equivocatorOf(this.#ports.crypto, this.#swarmId, one) === one.peer);
      const known = this.#liars.peers;
      const isSame = proven.length === known.size && proven.every(({ peer }) => known.has(peer));
      this.#liars = { index: state.index, peers: isSame ? known : new Set(proven.map(({ peer }) => peer)) };
    }
    return this.#liars.peers;
  }

  /** The time that what is decided begins and ends by. */
  wallMs(): number {
    return this.#events.wallMs();
  }

  /** Members on which nothing is to depend now: those whose drains this agent has seen the proof of. */
  drained(): ReadonlyMap<PeerId, Drain> {
    const nowMs = this.#events.wallMs();
    const { index, drains } = this.state;
    if (this.#drained.index !== index || nowMs >= this.#drained.endMs) {
      const { mayDecide, members } = this.#events;
      const believed = { mayDecide, members, liars: this.quarantined() };
      const holding = drains.all(nowMs).filter((one) => isProven(this.#ports.crypto, this.#swarmId, one, believed));
      const ends = Math.min(Number.POSITIVE_INFINITY, ...holding.map(endMs));
      this.#drained = { index, endMs: ends, peers: new Map(holding.map((one) => [one.peer, one])) };
    }
    return this.#drained.peers;
  }

  /** Has nothing depend on a member for a while, by this member’s wish: its own, or a person’s. */
  drain(peer: PeerId, forMs: number, reason: string, withinMs: number): Promise<Outcome> {
    const { crypto } = this.#ports;
    const wishedMs = Math.round(this.#events.wallMs());
    const proof = crypto.sign(drainBytes(this.#swarmId, { by: crypto.self, peer, forMs, wishedMs }));
    return this.decide({ kind: 'drain', peer, forMs, wishedMs, proof, members: 1, isOrdered: false, reason }, withinMs);
  }

  /** Has a witness that lied asked no more, by anybody. */
  accuse(peer: PeerId, { first, second }: Equivocation): void {
    this.#events.log('warn', `${this.#events.nameOf(peer)} signed two different votes on one claim`);
    if (this.quarantined().has(peer)) return;
    this.decide({ kind: 'quarantine', peer, first, second }, ACCUSE_WITHIN_MS).catch(() => undefined); // until it lies again
  }

  // Wishes

  /** Has something decided, by this member's wish: asked again under the same id until there is a leader. @throws LogUnavailable */
  async decide(wish: Wish, timeoutMs: number): Promise<Outcome> {
    const { clock, random, crypto } = this.#ports;
    const decision = wished(wish, crypto.self, toHex(random.bytes(ID_BYTES)), this.#events.wallMs());
    const parsed = decisionSchema.safeParse(decision);
    if (!parsed.success) return { ok: false, reason: wordsOf(parsed.error, decision, decisionSchema) };
    const untilMs = clock.monotonicMs() + timeoutMs;
    for (let why = nobody(this.#committee); ; ) {
      const leftMs = untilMs - clock.monotonicMs();
      if (leftMs <= 0 || this.#stopped) throw new LogUnavailable(why, true);
      try {
        const outcome = await this.#propose(decision, Math.min(leftMs, REQUEST_MS));
        if (outcome !== undefined) return outcome;
      } catch (error) {
        why = messageOf(error);
      }
      await new Promise<void>((resolve) => clock.after(Math.min(AGAIN_MS, Math.max(1, leftMs)), resolve));
    }
  }

  async #propose(decision: Decision, timeoutMs: number): Promise<Outcome | undefined> {
    const { coordinator } = this.#committee;
    if (coordinator === undefined) return undefined;
    if (coordinator === this.#ports.crypto.self) return this.#take(decision.by, decision, timeoutMs);
    const answer = decodeCbor(await this.#events.request(coordinator, encodeCbor(['propose', decision]), timeoutMs));
    const [ok, what, busy] = Array.isArray(answer) ? answer : [];
    if (ok === true && typeof what === 'number') {
      this.#lookFor(what);
      return { ok: true, index: what };
    }
    return { ok: false, reason: String(what), busy: busy === true };
  }

  /** As the coordinator. */
  async #take(from: PeerId, decision: Decision, timeoutMs: number): Promise<Outcome> {
    const log = this.#log;
    if (log === undefined || !this.#committee.isLeader) throw new LogUnavailable('this agent does not coordinate', false);
    if (decision.by !== from) return { ok: false, reason: 'nobody wishes in another’s name' };
    const isSelf = from === this.#ports.crypto.self;
    const { who } = kindOf(decision);
    if (who === 'leader' && !isSelf) return { ok: false, reason: 'that is for the coordinator to say' };
    const mayAny = who === 'member' || (isSelf && who !== 'issuer');
    if (!mayAny && !this.#events.mayDecide(from))
      return {
        ok: false,
        reason: `${this.#events.nameOf(from)} may not decide about others: it is no issuer (kalos members promote)`,
      };
    if (decision.kind === 'quarantine' && equivocatorOf(this.#ports.crypto, this.#swarmId, decision) !== decision.peer)
      return { ok: false, reason: 'that proves nothing' };
    const refused = this.#drainRefusal(decision);
    if (refused !== undefined) return { ok: false, reason: refused };
    const tooOld = this.#whoDoesNotKnow(decision);
    if (tooOld !== undefined) return { ok: false, reason: tooOld };
    return log.propose(this.#stamped(decision), timeoutMs);
  }

  #drainRefusal(decision: Decision): string | undefined {
    if (decision.kind === 'place' && this.drained().has(decision.by)) return 'this member is drained';
    const { mayDecide, members, nameOf } = this.#events;
    if (decision.kind === 'undrain') {
      const mayUndo = mayDecide(decision.by) || this.state.drains.of(decision.peer, 0)?.by === decision.by;
      return mayUndo ? undefined : `${nameOf(decision.by)} is no issuer, and did not drain it`;
    }
    const believed = { mayDecide, members, liars: this.quarantined() };
    const isGood =
      decision.kind !== 'drain' ||
      isProven(this.#ports.crypto, this.#swarmId, this.#stamped(decision) as typeof decision, believed);
    return isGood ? undefined : `${nameOf(decision.by)} is no issuer, and no certificate of its witnesses says so`;
  }

  /** What one member does not know would part what it holds from what the others hold. */
  #whoDoesNotKnow(decision: Decision): string | undefined {
    const { since } = kindOf(decision);
    const { alive, versionOf, nameOf } = this.#events;
    const old = since && alive().find((peer) => isOlder(versionOf(peer) ?? since, since));
    return old && `${nameOf(old)} runs KALOS ${versionOf(old)}: that takes ${since} on all members`;
  }

  /** With the coordinator's time, and whatever else is for it to say. */
  #stamped(decision: Decision): Decision {
    const atMs = Math.round(this.#events.wallMs());
    const stamped = kindOf(decision).stamp(decision, {
      later: (untilMs) => atMs + Math.max(0, untilMs - decision.atMs),
      health: () => this.#events.health(),
      isByPerson: (drain) => this.#isByPerson(drain),
    });
    return { ...decision, ...stamped, atMs } as Decision;
  }

  /** Of another, and no certificate: an issuer’s wish. */
  #isByPerson({ by, proof }: Extract<Decision, { kind: 'drain' }>): boolean {
    return this.#events.mayDecide(by) && proof.length === SIGNATURE_BYTES;
  }

  // Placements

  /** Says to the coordinator what is placed here. @returns of each whether it still is; undefined where nobody knows */
  async keep(held: readonly (readonly [service: string, fence: number])[], withinMs: number): Promise<boolean[] | undefined> {
    const { coordinator } = this.#committee;
    const { self } = this.#ports.crypto;
    if (coordinator === undefined) return undefined;
    if (coordinator === self) return this.#kept(self, held, withinMs);
    const answer = decodeCbor(await this.#events.request(coordinator, encodeCbor(['keep', held]), withinMs));
    return z.array(z.boolean()).length(held.length).safeParse(answer).data;
  }

  /** As the coordinator, once it is sure that it still is. */
  async #kept(from: PeerId, held: readonly (readonly [string, number])[], withinMs: number): Promise<boolean[]> {
    await this.#ownReadIndex(withinMs);
    // A follower can say as much, by asking its leader: but it is not the one who takes away what it hears nothing of.
    if (!this.#committee.isLeader) throw new LogUnavailable('this agent does not coordinate', false);
    const { clock } = this.#ports;
    this.#keepingIn(this.#log?.state.term ?? 0);
    return held.map(([service, fence]) =>
      this.#keeping.keep(from, service, fence, this.#log?.machine.placementOf(service), clock.monotonicMs()),
    );
  }

  #keepingIn(term: number): void {
    if (term === this.#keepingTerm) return;
    this.#keepingTerm = term;
    this.#keeping.clear();
  }

  /** What nobody keeps is given to others. */
  #takeAway(log: DecisionLog): void {
    this.#keepingIn(log.state.term);
    for (const { service, fence, peer } of this.#keeping.overdue(log.machine.placements(), this.#ports.clock.monotonicMs())) {
      const reason = `nothing was heard of ${this.#events.nameOf(peer ?? '')}`;
      this.decide({ kind: 'displace', service, fence, reason }, REQUEST_MS).catch(() => undefined); // again in a second
    }
  }

  /** Once a second while this agent leads: the log says so. */
  leading(log: DecisionLog): void {
    this.#takeAway(log);
    const { term } = log.state;
    const said = log.machine.recent().findLast(({ decision }) => decision.kind === 'leads');
    if (this.#isLeading || (said?.term === term && said.decision.by === this.#ports.crypto.self)) return;
    this.#isLeading = true;
    const ended = (): void => {
      this.#isLeading = false;
    };
    const { random, crypto } = this.#ports;
    const decision = wished({ kind: 'leads' }, crypto.self, toHex(random.bytes(ID_BYTES)), this.#events.wallMs());
    log.propose(decision, REQUEST_MS).then(ended, ended);
  }

  // Reads

  /** What is known here, in the end as current as is asked. @throws LogUnavailable */
  async read(mode: ReadMode, timeoutMs: number): Promise<DecisionState> {
    if (mode === 'local') return this.state;
    const { clock } = this.#ports;
    const askedMs = clock.monotonicMs();
    const isFresh = askedMs - this.#confirmed.askedMs <= LEASE_MS;
    if (mode === 'linearizable' || !isFresh) this.#confirmed = { index: await this.#readIndex(timeoutMs), askedMs };
    await this.caughtUp(this.#confirmed.index, askedMs + timeoutMs - clock.monotonicMs());
    return this.state;
  }

  /** Waits until what is known here is as far. @throws LogUnavailable */
  async caughtUp(index: number, timeoutMs: number): Promise<void> {
    const { clock } = this.#ports;
    const untilMs = clock.monotonicMs() + timeoutMs;
    while (this.state.index < index) {
      if (clock.monotonicMs() >= untilMs) throw new LogUnavailable(`decision ${index} has not come here yet`, false);
      this.#lookFor(index);
      await new Promise<void>((resolve) => clock.after(ATTEST_SOON_MS, resolve));
    }
  }

  /** The place of the newest decision, of now or later. */
  async #readIndex(timeoutMs: number): Promise<number> {
    const { coordinator } = this.#committee;
    if (coordinator === undefined) throw new LogUnavailable(nobody(this.#committee), false);
    if (coordinator === this.#ports.crypto.self) return this.#ownReadIndex(timeoutMs);
    const answer = decodeCbor(await this.#events.request(coordinator, encodeCbor(['index']), timeoutMs));
    if (typeof answer !== 'number') throw new LogUnavailable('the coordinator cannot say', false);
    return answer;
  }

  async #ownReadIndex(timeoutMs: number): Promise<number> {
    const log = this.#log;
    if (log === undefined) throw new LogUnavailable('this agent is not of the committee', false);
    await log.readable(timeoutMs);
    return log.machine.index;
  }

  // What others ask

  /** @throws where it cannot be answered */
  async answer(from: PeerId, body: Uint8Array): Promise<Uint8Array> {
    const decoded = decodeCbor(body);
    const [what, argument] = Array.isArray(decoded) ? decoded : [];
    switch (what) {
      case 'propose': {
        const decision = decisionSchema.parse(argument);
        const outcome = await this.#take(from, decision, REQUEST_MS);
        return encodeCbor(outcome.ok ? [true, outcome.index] : [false, outcome.reason, outcome.busy ?? false]);
      }
      case 'index':
        return encodeCbor(await this.#ownReadIndex(REQUEST_MS));
      case 'keep':
        return encodeCbor(await this.#kept(from, keptSchema.parse(argument), REQUEST_MS));
      case 'since':
        return this.#sinceFor(Number(argument));
      default:
        throw new Error('malformed question');
    }
  }

  /** What was decided since, or all that holds; and who attests it. */
  #sinceFor(index: number): Uint8Array {
    const { checkpoint, state } = this;
    if (checkpoint === undefined || checkpoint.index !== state.index || checkpoint.index <= index) return encodeCbor(null);
    const since = index === 0 ? undefined : state.since(index);
    const news = since?.map(({ index: at, term, decision }) => [at, term, decision]);
    return encodeCbor([checkpoint, news ?? null, news === undefined ? state.encode() : null]);
  }

  // As one of the committee

  /** Something was applied, or who votes has changed. */
  applied(): void {
    this.#attestLater(ATTEST_SOON_MS);
  }

  #attestLater(afterMs: number): void {
    this.#attesting?.cancel();
    if (!this.#stopped) this.#attesting = this.#ports.clock.after(afterMs, () => this.#attest());
  }

  #attest(): void {
    const log = this.#log;
    const peers = this.#committee.voters();
    const newest = this.#attestations.newest;
    if (log !== undefined && log.machine.index > 0 && peers?.includes(this.#ports.crypto.self)) {
      const voters = [...peers].sort();
      const isSaid = newest?.index === log.machine.index && newest.voters.join() === voters.join();
      if (!isSaid || newest.signatures.length < voters.length) {
        const digest = this.#ports.crypto.hash(log.machine.encode());
        const said = this.#attestations.attest({ index: log.machine.index, digest, voters });
        for (const peer of voters) if (peer !== this.#ports.crypto.self) this.#events.send(peer, said);
        this.#keepOwn(log);
      }
    }
    this.#attestLater(ATTEST_AGAIN_MS);
  }

  attested(from: PeerId, bytes: Uint8Array): void {
    const before = this.#attestations.newest;
    this.#attestations.receive(from, bytes);
    if (this.#attestations.newest !== before && this.#log !== undefined) this.#keepOwn(this.#log);
  }

  /** So that it is known at once after a restart. */
  #keepOwn(log: DecisionLog): void {
    const { newest } = this.#attestations;
    if (newest === undefined || newest.index <= (this.#trusted?.index ?? 0) || newest.index !== log.machine.index) return;
    const state = log.machine.encode();
    if (!equalBytes(this.#ports.crypto.hash(state), newest.digest)) {
      this.#events.log('warn', `what this agent holds of decision ${newest.index} is not what a majority of the committee holds`);
      return;
    }
    this.#adopt(newest, state);
  }

  #adopt(checkpoint: CertifiedCheckpoint, state: Uint8Array): void {
    this.#followed.restore(state);
    this.#trusted = checkpoint;
    if (this.#stopped) return;
    const value = encodeCbor([checkpoint, state]);
    this.#ports.store.write([{ kind: 'put', key: STATE_KEY, value }]).catch((error: unknown) => this.#events.failed(error));
  }

  // As a follower

  /** A member says how far it is. */
  heard(decided: number): void {
    if (decided > this.state.index) this.#lookFor(decided);
  }

  #lookFor(index: number): void {
    if (index <= this.state.index || this.#following !== undefined || this.#stopped) return;
    const afterMs = integerBelow(this.#ports.random, FOLLOW_SPREAD_MS);
    this.#following = this.#ports.clock.after(afterMs, () => void this.#follow(index));
  }

  async #follow(index: number): Promise<void> {
    if (this.#isFollowing) return;
    this.#isFollowing = true;
    try {
      await this.#pull(index);
    } catch (error) {
      this.#events.failed(error);
    }
    this.#isFollowing = false;
    this.#following = undefined;
    if (this.state.index >= index || this.#stopped) return;
    this.#following = this.#ports.clock.after(FOLLOW_AGAIN_MS, () => {
      this.#following = undefined;
      this.#lookFor(Math.max(index, ...this.#events.alive().map((peer) => this.#events.decidedBy(peer))));
    });
  }

  /** Asks those who are as far, one after the other, until one brings what can be believed. */
  async #pull(index: number): Promise<void> {
    const self = this.#ports.crypto.self;
    const able = this.#events.alive().filter((peer) => peer !== self && this.#events.decidedBy(peer) >= index);
    const { coordinator } = this.#committee;
    const asked = shuffled(able.length === 0 && coordinator !== undefined ? [coordinator] : able, (bound) =>
      integerBelow(this.#ports.random, bound),
    ).slice(0, MAX_ASKED);
    const named = new Map<string, number>();
    for (const peer of asked) {
      const answer = await this.#events
        .request(peer, encodeCbor(['since', this.#followed.index]), REQUEST_MS)
        .then(decodeCbor, () => undefined);
      const [given, news, state] = Array.isArray(answer) ? answer : [];
      const checkpoint = certifiedFrom(given);
      if (checkpoint === undefined || checkpoint.index <= this.#followed.index) continue;
      if (!isCertified(this.#ports.crypto, this.#swarmId, checkpoint)) continue;
      const voters = checkpoint.voters.join(' ');
      named.set(voters, (named.get(voters) ?? 0) + 1);
      if (!this.#isTrusted(checkpoint, named.get(voters) ?? 0, this.#events.alive().length - 1)) continue;
      const bytes = this.#stateOf(checkpoint, news, state);
      if (bytes === undefined) continue;
      this.#adopt(checkpoint, bytes);
      if (checkpoint.index >= index) return;
    }
  }

  /** Who is known to vote has signed it; or, where nobody is, others name the same voters, and they are members. */
  #isTrusted(checkpoint: CertifiedCheckpoint, naming: number, others: number): boolean {
    if (!checkpoint.voters.every((peer) => this.#events.isMember(peer))) return false;
    const signers = signersOf(this.#ports.crypto, this.#swarmId, checkpoint);
    const recovery = this.#events.recovery();
    if (recovery !== undefined && (this.#trusted?.index ?? 0) <= recovery.index) {
      // Those who voted before are over: who begins again was named by root keys.
      return checkpoint.index > recovery.index && signers.includes(recovery.subject);
    }
    const known = this.#trusted?.voters.filter((peer) => this.#events.isMember(peer)) ?? [];
    if (known.length > 0 && signers.filter((peer) => known.includes(peer)).length >= majority(known.length)) return true;
    // One alone is believed only where there is nobody else, and nothing is known yet.
    return naming >= (known.length > 0 ? AGREEING : Math.min(AGREEING, others));
  }

  /** The state that a checkpoint is of, made of what was decided since, or as a whole; undefined where it is another. */
  #stateOf(checkpoint: CertifiedCheckpoint, news: unknown, state: unknown): Uint8Array | undefined {
    try {
      const next = new DecisionState();
      next.restore(state instanceof Uint8Array ? state : this.#followed.encode());
      if (Array.isArray(news))
        for (const one of news) {
          const [index, term, decision] = Array.isArray(one) ? one : [];
          next.apply(decisionSchema.parse(decision), { index: Number(index), term: Number(term) });
        }
      const bytes = next.encode();
      return equalBytes(this.#ports.crypto.hash(bytes), checkpoint.digest) ? bytes : undefined;
    } catch {
      return undefined; // it is none
    }
  }
}

function shuffled<T>(all: readonly T[], below: (bound: number) => number): T[] {
  const out = [...all];
  for (let i = out.length - 1; i > 0; i--) {
    const j = below(i + 1);
    [out[i], out[j]] = [out[j] as T, out[i] as T];
  }
  return out;
}

const nobody = ({ lacking }: Pick<Committee, 'lacking'>): string =>
  lacking === undefined ? 'the swarm has no leader' : `the swarm has no leader: ${lacking}`;
