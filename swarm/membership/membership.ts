// Who belongs and who answers: a thin membership from connections and the age of statuses. A closed connection is
// doubted at once and believed after a grace in which the peer may redial; nobody is removed by silence.
// Observers with alerts and cuts (Rapid, Suresh et al. 2018) replace this; the states and inputs stay.
import type { PeerId } from '../ports/transport.ts';
import type { BaseInput, Core, Effect, Instant } from '../runtime/effects.ts';

export type MemberState = 'alive' | 'unreachable' | 'left';

export interface Member {
  peer: PeerId;
  state: MemberState;
  connected: boolean;
  /** Monotonic ms of the last sign of life. */
  heardMs: number;
  /** Wall-clock ms of the last change of state. */
  sinceMs: number;
}

export const MAX_MEMBERS = 10_000;
/** How long a closed connection may stay closed before its peer counts as unreachable. */
export const REDIAL_GRACE_MS = 1_000;
/** Statuses come at least every 30 s: after three the peer is doubted though a connection seems open. */
export const SILENCE_MS = 90_000;
const SWEEP_MS = 1_000;

export type MembershipInput =
  | { kind: 'start'; known: readonly PeerId[] }
  /** `heard` is a sign of life; `known` is hearsay of a peer, which proves none. */
  | { kind: 'connected' | 'disconnected' | 'heard' | 'known' | 'left'; peer: PeerId };

export type MembershipNotice = { kind: 'changed'; peer: PeerId; state: MemberState } | { kind: 'redial'; peer: PeerId };

type Effects = Effect<never, MembershipNotice, 'sweep'>[];

export class Membership implements Core<MembershipInput, never, MembershipNotice, 'sweep'> {
  readonly #self: PeerId;
  readonly #members = new Map<PeerId, Member>();
  readonly #lostMs = new Map<PeerId, number>();

  constructor(self: PeerId) {
    this.#self = self;
  }

  /** All members but those that left, the agent itself included. */
  members(): Member[] {
    return [...this.#members.values()].filter((member) => member.state !== 'left');
  }

  get(peer: PeerId): Member | undefined {
    return this.#members.get(peer);
  }

  alive(): PeerId[] {
    return this.members()
      .filter((member) => member.state === 'alive')
      .map((member) => member.peer);
  }

  step(input: MembershipInput | BaseInput<never, 'sweep'>, now: Instant): Effects {
    switch (input.kind) {
      case 'start':
        this.#add(this.#self, 'alive', now);
        for (const peer of input.known) this.#add(peer, 'unreachable', now);
        return [{ kind: 'timer', id: 'sweep', afterMs: SWEEP_MS }];
      case 'connected':
        this.#lostMs.delete(input.peer);
        return this.#seen(input.peer, true, now);
      case 'heard':
        return this.#seen(input.peer, undefined, now);
      case 'known':
        this.#add(input.peer, 'unreachable', now);
        return [];
      case 'disconnected':
        return this.#lost(input.peer, now);
      case 'left':
        return this.#change(input.peer, 'left', now);
      case 'timer':
        return [...this.#sweep(now), { kind: 'timer', id: 'sweep', afterMs: SWEEP_MS }];
      case 'message':
        return [];
    }
  }

  #add(peer: PeerId, state: MemberState, now: Instant): Member | undefined {
    const known = this.#members.get(peer);
    if (known !== undefined) return known;
    if (this.#members.size >= MAX_MEMBERS) return undefined;
    const member: Member = { peer, state, connected: false, heardMs: now.monotonicMs, sinceMs: now.wallMs };
    this.#members.set(peer, member);
    return member;
  }

  #seen(peer: PeerId, connected: boolean | undefined, now: Instant): Effects {
    const isNew = !this.#members.has(peer);
    const member = this.#add(peer, 'alive', now);
    if (member === undefined) return [];
    member.heardMs = now.monotonicMs;
    if (connected !== undefined) member.connected = connected;
    if (isNew) return [{ kind: 'notice', notice: { kind: 'changed', peer, state: 'alive' } }];
    return this.#change(peer, 'alive', now);
  }

  #lost(peer: PeerId, now: Instant): Effects {
    const member = this.#members.get(peer);
    if (member === undefined) return [];
    member.connected = false;
    if (member.state !== 'alive') return [];
    this.#lostMs.set(peer, now.monotonicMs);
    return [{ kind: 'notice', notice: { kind: 'redial', peer } }];
  }

  #change(peer: PeerId, state: MemberState, now: Instant): Effects {
    const member = this.#members.get(peer);
    if (member === undefined || member.state === state) return [];
    member.state = state;
    member.sinceMs = now.wallMs;
    this.#lostMs.delete(peer);
    return [{ kind: 'notice', notice: { kind: 'changed', peer, state } }];
  }

  #sweep(now: Instant): Effects {
    const effects: Effects = [];
    for (const member of this.#members.values()) {
      if (member.state !== 'alive' || member.peer === this.#self) continue;
      const lostMs = this.#lostMs.get(member.peer);
      const gone = lostMs !== undefined && !member.connected && now.monotonicMs - lostMs >= REDIAL_GRACE_MS;
      const silent = now.monotonicMs - member.heardMs > SILENCE_MS;
      if (gone || silent) effects.push(...this.#change(member.peer, 'unreachable', now));
    }
    return effects;
  }
}
