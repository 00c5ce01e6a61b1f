// Who coordinates: terms and majorities as in Raft's election (Ongaro & Ousterhout 2014, §5.2), without a log.
// A candidate that cannot reach a majority does not raise the term, and a coordinator that hears no majority steps
// down, so that a partitioned minority neither elects nor disturbs. The Raft core takes this place later.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { integerBelow, type Random } from '../../swarm/ports/random.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { BaseInput, Core, Effect, Instant } from '../../swarm/runtime/effects.ts';
import { majority } from '../quorum.ts';

export const HEARTBEAT_MS = 1_000;
const ELECTION_MIN_MS = 3_000;
const ELECTION_SPREAD_MS = 2_000;
/** After the coordinator's connection closed: short, and spread so that one candidate usually comes first. */
const SUCCESSION_MIN_MS = 50;
const SUCCESSION_SPREAD_MS = 250;
export const ELECTION_KEY = 'election/state';

export type ElectionMessage =
  | { type: 'ask'; term: number }
  | { type: 'grant'; term: number }
  | { type: 'deny'; term: number }
  | { type: 'heartbeat'; term: number }
  | { type: 'heard'; term: number };

const TYPES = ['ask', 'grant', 'deny', 'heartbeat', 'heard'] as const;
const wireSchema = z.tuple([
  z
    .number()
    .int()
    .min(0)
    .max(TYPES.length - 1),
  z.number().int().nonnegative(),
]);

/** A coordinator says the same to everyone: it is encoded once, and, where all live in one process, decoded once. */
const encoded = new WeakMap<ElectionMessage, Uint8Array>();
const decoded = new WeakMap<Uint8Array, ElectionMessage>();

export function encodeElectionMessage(message: ElectionMessage): Uint8Array {
  const known = encoded.get(message);
  if (known !== undefined) return known;
  const bytes = encodeCbor([TYPES.indexOf(message.type), message.term]);
  encoded.set(message, bytes);
  return bytes;
}

export function decodeElectionMessage(bytes: Uint8Array): ElectionMessage | undefined {
  const known = decoded.get(bytes);
  if (known !== undefined) return known;
  const message = decodeAnew(bytes);
  if (message !== undefined) decoded.set(bytes, message);
  return message;
}

function decodeAnew(bytes: Uint8Array): ElectionMessage | undefined {
  const wire = wireSchema.safeParse(decodeCbor(bytes));
  const type = wire.success ? TYPES[wire.data[0]] : undefined;
  return wire.success && type !== undefined ? { type, term: wire.data[1] } : undefined;
}

export interface ElectionState {
  term: number;
  votedFor: PeerId | undefined;
}

const stateSchema = z.tuple([z.number().int().nonnegative(), z.string().nullable()]);

export function decodeElectionState(bytes: Uint8Array | undefined): ElectionState {
  const wire = stateSchema.safeParse(bytes === undefined ? undefined : decodeCbor(bytes));
  return wire.success ? { term: wire.data[0], votedFor: wire.data[1] ?? undefined } : { term: 0, votedFor: undefined };
}

export type ElectionInput =
  /** From here on it may campaign. */
  | { kind: 'start' }
  /** Who belongs to the swarm, and who of them can be reached now; both include the agent itself. */
  | { kind: 'members'; members: readonly PeerId[]; reachable: readonly PeerId[] }
  /** A term that a peer's status tells. Who joins must not elect in a term that others have already used. */
  | { kind: 'term-seen'; term: number };

export type ElectionNotice = { kind: 'coordinator'; term: number; coordinator: PeerId | undefined };

type TimerId = 'election' | 'heartbeat';
type Effects = Effect<ElectionMessage, ElectionNotice, TimerId>[];

export class Election implements Core<ElectionInput, ElectionMessage, ElectionNotice, TimerId> {
  readonly #self: PeerId;
  readonly #random: Random;
  #state: ElectionState;
  #role: 'follower' | 'candidate' | 'coordinator' = 'follower';
  #begun = false;
  #coordinator: PeerId | undefined;
  #members: readonly PeerId[];
  #reachable: ReadonlySet<PeerId>;
  readonly #granted = new Set<PeerId>();
  readonly #heardMs = new Map<PeerId, number>();

  constructor(self: PeerId, random: Random, state: ElectionState) {
    this.#self = self;
    this.#random = random;
    this.#state = state;
    this.#members = [self];
    this.#reachable = new Set([self]);
  }

  get term(): number {
    return this.#state.term;
  }

  get coordinator(): PeerId | undefined {
    return this.#coordinator;
  }

  step(input: ElectionInput | BaseInput<ElectionMessage, TimerId>, now: Instant): Effects {
    switch (input.kind) {
      case 'start':
        return this.#begin();
      case 'members':
        return this.#membersChanged(input.members, input.reachable, now);
      case 'term-seen':
        return input.term > this.#state.term && this.#role !== 'coordinator' ? this.#adopt(input.term) : [];
      case 'timer':
        return input.id === 'heartbeat' ? this.#beat(now) : this.#campaign(now);
      case 'message':
        return this.#receive(input.from, input.message, now);
    }
  }

  /** Once: an agent that joins begins when it meets the first member, and waits as long as a follower would. */
  #begin(): Effects {
    if (this.#begun) return [];
    this.#begun = true;
    return [this.#members.length === 1 ? this.#succession() : this.#electionTimer()];
  }

  #quorum(): number {
    return majority(this.#members.length);
  }

  #electionTimer(): Effects[number] {
    return { kind: 'timer', id: 'election', afterMs: ELECTION_MIN_MS + integerBelow(this.#random, ELECTION_SPREAD_MS) };
  }

  #succession(): Effects[number] {
    return { kind: 'timer', id: 'election', afterMs: SUCCESSION_MIN_MS + integerBelow(this.#random, SUCCESSION_SPREAD_MS) };
  }

  #persist(): Effects[number] {
    return { kind: 'persist', key: ELECTION_KEY, value: [this.#state.term, this.#state.votedFor ?? null] };
  }

  #membersChanged(members: readonly PeerId[], reachable: readonly PeerId[], now: Instant): Effects {
    // A newcomer has the coordinator's whole patience before its silence counts.
    const before = new Set(this.#members);
    for (const peer of members) if (!before.has(peer)) this.#heardMs.set(peer, now.monotonicMs);
    this.#members = members;
    this.#reachable = new Set(reachable);
    const lost = this.#coordinator !== undefined && this.#coordinator !== this.#self && !this.#reachable.has(this.#coordinator);
    if (!lost) return [];
    return [...this.#follow(undefined), this.#succession()];
  }

  /** Changes whom this agent holds for the coordinator, saying so where it changed. */
  #follow(coordinator: PeerId | undefined): Effects {
    if (this.#coordinator === coordinator) return [];
    this.#coordinator = coordinator;
    return [{ kind: 'notice', notice: { kind: 'coordinator', term: this.#state.term, coordinator } }];
  }

  #campaign(now: Instant): Effects {
    const reachable = this.#members.filter((peer) => this.#reachable.has(peer)).length;
    if (reachable < this.#quorum()) return [...this.#follow(undefined), this.#electionTimer()];
    this.#role = 'candidate';
    this.#state = { term: this.#state.term + 1, votedFor: this.#self };
    this.#granted.clear();
    this.#granted.add(this.#self);
    const ask: ElectionMessage = { type: 'ask', term: this.#state.term };
    const asks: Effects = this.#others().map((to) => ({ kind: 'send', to, message: ask }));
    return [this.#persist(), ...this.#follow(undefined), ...asks, this.#electionTimer(), ...this.#winIfGranted(now)];
  }

  #others(): PeerId[] {
    return this.#members.filter((peer) => peer !== this.#self);
  }

  #winIfGranted(now: Instant): Effects {
    if (this.#role !== 'candidate' || this.#granted.size < this.#quorum()) return [];
    this.#role = 'coordinator';
    this.#heardMs.clear();
    for (const peer of this.#members) this.#heardMs.set(peer, now.monotonicMs);
    return [{ kind: 'cancel', id: 'election' }, ...this.#follow(this.#self), ...this.#beat(now)];
  }

  #beat(now: Instant): Effects {
    if (this.#role !== 'coordinator') return [];
    this.#heardMs.set(this.#self, now.monotonicMs);
    const heard = this.#members.filter(
      (peer) => now.monotonicMs - (this.#heardMs.get(peer) ?? Number.NEGATIVE_INFINITY) < ELECTION_MIN_MS,
    );
    if (heard.length < this.#quorum()) {
      this.#role = 'follower';
      return [...this.#follow(undefined), this.#electionTimer()];
    }
    const message: ElectionMessage = { type: 'heartbeat', term: this.#state.term };
    const beats: Effects = this.#others().map((to) => ({ kind: 'send', to, message }));
    return [...beats, { kind: 'timer', id: 'heartbeat', afterMs: HEARTBEAT_MS }];
  }

  #receive(from: PeerId, message: ElectionMessage, now: Instant): Effects {
    const adopted = message.term > this.#state.term ? this.#adopt(message.term) : [];
    switch (message.type) {
      case 'ask':
        return [...adopted, ...this.#answerAsk(from, message.term)];
      case 'grant':
        if (this.#role === 'candidate' && message.term === this.#state.term && this.#members.includes(from))
          this.#granted.add(from);
        return [...adopted, ...this.#winIfGranted(now)];
      case 'heartbeat':
        return [...adopted, ...this.#heartbeat(from, message.term)];
      case 'heard':
        if (message.term === this.#state.term) this.#heardMs.set(from, now.monotonicMs);
        return adopted;
      case 'deny':
        return adopted;
    }
  }

  #adopt(term: number): Effects {
    this.#state = { term, votedFor: undefined };
    this.#role = 'follower';
    return [this.#persist(), ...this.#follow(undefined), this.#electionTimer()];
  }

  #answerAsk(from: PeerId, term: number): Effects {
    const free = this.#state.votedFor === undefined || this.#state.votedFor === from;
    if (term < this.#state.term || !free) return [{ kind: 'send', to: from, message: { type: 'deny', term: this.#state.term } }];
    this.#state = { term, votedFor: from };
    return [this.#persist(), { kind: 'send', to: from, message: { type: 'grant', term } }, this.#electionTimer()];
  }

  #abdicate(): Effects {
    this.#role = 'follower';
    return [...this.#follow(undefined), this.#succession()];
  }

  #heartbeat(from: PeerId, term: number): Effects {
    if (term < this.#state.term) return [{ kind: 'send', to: from, message: { type: 'deny', term: this.#state.term } }];
    // Two swarms of one secret that were begun apart have met: neither term counts, a new one decides.
    if (this.#role === 'coordinator') return this.#abdicate();
    this.#role = 'follower';
    return [...this.#follow(from), { kind: 'send', to: from, message: { type: 'heard', term } }, this.#electionTimer()];
  }
}
