// The table of members and their states. What follows from the set of members alone, how many observers each has and which they are, is
// computed once for each configuration (Rapid's word for a set of members).
import type { PeerId } from '../ports/transport.ts';
import { type CutParameters, cutParameters } from './cut-table.ts';
import { observersOf } from './observers.ts';

/** `joining`: admitted, and not heard of yet. `left`: it has announced that it leaves. A removed member is not in the table. */
export type MemberState = 'joining' | 'alive' | 'unreachable' | 'down' | 'left';

export interface Member {
  peer: PeerId;
  state: MemberState;
  connected: boolean;
  /** Whether a sign of it was seen since this agent started. */
  met: boolean;
  /** Monotonic ms of the last sign of life. */
  heardMs: number;
  /** Monotonic ms of the last change of state. */
  sinceMs: number;
}

export const MAX_MEMBERS = 10_000;

export class MemberTable {
  readonly #members = new Map<PeerId, Member>();
  /** Rises with every change of the table, states included. */
  version = 0;
  /** Rises with every change of the set of members; those that left do not belong to it. */
  configuration = 0;
  #peers: readonly PeerId[] | undefined;
  readonly #observers = new Map<PeerId, ReadonlySet<PeerId>>();

  get(peer: PeerId): Member | undefined {
    return this.#members.get(peer);
  }

  /** Those that left included. */
  get size(): number {
    return this.#members.size;
  }

  /** Those that left included. */
  all(): Member[] {
    return [...this.#members.values()];
  }

  /** All but those that left, the agent itself included. */
  present(): Member[] {
    return this.all().filter(({ state }) => state !== 'left');
  }

  alive(): PeerId[] {
    return this.all()
      .filter(({ state }) => state === 'alive')
      .map(({ peer }) => peer);
  }

  /** @returns false if it is in the table already, or the table is full. */
  add(peer: PeerId, state: MemberState, nowMs: number): boolean {
    if (this.#members.has(peer) || this.#members.size >= MAX_MEMBERS) return false;
    this.#members.set(peer, { peer, state, connected: false, met: false, heardMs: nowMs, sinceMs: nowMs });
    this.#reconfigured();
    return true;
  }

  remove(peer: PeerId): void {
    if (this.#members.delete(peer)) this.#reconfigured();
  }

  /** @returns false if it is in that state already. */
  change(member: Member, state: MemberState, nowMs: number): boolean {
    const before = member.state;
    if (before === state) return false;
    member.state = state;
    member.sinceMs = nowMs;
    if (before === 'left' || state === 'left') this.#reconfigured();
    else this.version++;
    return true;
  }

  #reconfigured(): void {
    this.version++;
    this.configuration++;
    this.#peers = undefined;
    this.#observers.clear();
  }

  /** The members, in the order of the table. */
  get peers(): readonly PeerId[] {
    this.#peers ??= this.present().map(({ peer }) => peer);
    return this.#peers;
  }

  get parameters(): CutParameters {
    return cutParameters(this.peers.length);
  }

  observersOf(peer: PeerId): ReadonlySet<PeerId> {
    let observers = this.#observers.get(peer);
    if (observers === undefined) {
      observers = new Set(observersOf(peer, this.peers));
      this.#observers.set(peer, observers);
    }
    return observers;
  }
}
