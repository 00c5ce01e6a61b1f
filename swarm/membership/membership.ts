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
/** A calm status is sent again when it is this old: 30 s, and in proportion longer where there are more than a hundred, so that what each hears stays the same. */
const STATUS_AGE_MS = 30_000;
const MANY_MEMBERS = 100;
const OLDEST_STATUS_MS = 300_000;
/** So many statuses may be missed before a peer is doubted though a connection seems open. */
const MISSED_STATUSES = 3;

export function statusAgeMs(members: number): number {
  return Math.min(OLDEST_STATUS_MS, STATUS_AGE_MS * Math.max(1, members / MANY_MEMBERS));
}

export function silenceMs(members: number): number {
  return MISSED_STATUSES * statusAgeMs(members);
}
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
  /** Nobody is silent for too long before. */
  #silentMs = 0;
  /** Moves with every change of who is known, or of anyone's state. */
  version = 0;

  constructor(self: PeerId) {
    this.#self = self;
  }

  /** All members but those that left, the agent itself included. */
  members(): Member[] {
    return [...this.#members.values()].filter((member) => member.state !== 'left');
  }

  /** Known by hearsay alone: neither met nor lost. */
  isHearsay(peer: PeerId): boolean {
    return this.#members.get(peer)?.state === 'unreachable' && !this.#lostMs.has(peer);
  }

  /** Those that left included. */
  get size(): number {
    return this.#members.size;
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
    this.version++;
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
    this.version++;
    member.sinceMs = now.wallMs;
    this.#lostMs.delete(peer);
    return [{ kind: 'notice', notice: { kind: 'changed', peer, state } }];
  }

  /** Looks at all, and notes when the first of them could be silent for too long: before then nobody needs to be looked at. */
  #sweepSilent(now: Instant): Effects {
    const effects: Effects = [];
    const mostMs = silenceMs(this.#members.size);
    let earliestMs = now.monotonicMs;
    for (const { peer, state, heardMs } of this.#members.values()) {
      if (state !== 'alive' || peer === this.#self) continue;
      if (now.monotonicMs - heardMs > mostMs) effects.push(...this.#change(peer, 'unreachable', now));
      else earliestMs = Math.min(earliestMs, heardMs);
    }
    this.#silentMs = earliestMs + mostMs;
    return effects;
  }

  #sweep(now: Instant): Effects {
    const effects: Effects = [];
    for (const [peer, lostMs] of this.#lostMs) {
      const member = this.#members.get(peer);
      if (member?.state === 'alive' && !member.connected && now.monotonicMs - lostMs >= REDIAL_GRACE_MS)
        effects.push(...this.#change(peer, 'unreachable', now));
    }
    if (now.monotonicMs >= this.#silentMs) effects.push(...this.#sweepSilent(now));
    return effects;
  }
}
