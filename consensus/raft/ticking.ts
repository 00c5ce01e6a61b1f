// When a Raft core ticks. One that leads or may campaign does by a timer, over long links more slowly, and silence that the usual gaps explain
// does not count (patience.ts). One that can do neither, which is nearly all of a large group, needs no timer: what has gone by is counted when
// a message comes, for a lease may decide over the answer.
import type { Clock, Timer } from '../../swarm/ports/clock.ts';
import type { LogSettings } from './log-settings.ts';
import { Patience } from './patience.ts';
import type { RawNode } from './raw-node.ts';
import { NONE, type NodeId } from './types.ts';

/** Over long links a tick, and with it heartbeats and the patience with who is silent, lasts longer. */
const RTTS_PER_TICK = 0.5;

export class Ticking {
  readonly #node: RawNode;
  readonly #clock: Clock;
  readonly #settings: LogSettings;
  readonly #rttMs: () => number;
  /** Ticks the core; `isSilence`: the tick counts as one in which nobody was heard. */
  readonly #tick: (isSilence: boolean) => void;
  readonly #patience = new Patience();
  readonly #heardMs = new Map<NodeId, number>();
  #timer: Timer | undefined;
  #stopped = false;
  /** Up to when ticks are counted, while no timer counts them. */
  #countedMs = 0;

  constructor(node: RawNode, clock: Clock, settings: LogSettings, rttMs: () => number, tick: (isSilence: boolean) => void) {
    this.#node = node;
    this.#clock = clock;
    this.#settings = settings;
    this.#rttMs = rttMs;
    this.#tick = tick;
  }

  get #tickMs(): number {
    return Math.max(this.#settings.tickMs, RTTS_PER_TICK * this.#rttMs());
  }

  get #needsTimer(): boolean {
    const { state, promotable } = this.#node.raft;
    return state !== 'StateFollower' || promotable;
  }

  /** Sets the timer where it is needed and does not run yet. */
  resume(): void {
    if (this.#timer === undefined && !this.#stopped && this.#needsTimer) this.#again();
  }

  #again(): void {
    const tickMs = this.#tickMs;
    const dueMs = this.#clock.monotonicMs() + tickMs;
    this.#timer = this.#clock.after(tickMs, () => {
      const nowMs = this.#clock.monotonicMs();
      this.#timer = undefined;
      this.#countedMs = nowMs;
      this.#tick(this.#patience.counts(this.#stretch(tickMs), nowMs - dueMs > tickMs));
      this.resume();
    });
  }

  /** A message is about to be stepped: the ticks that went by without a timer come first. */
  heard(from: NodeId): void {
    const nowMs = this.#clock.monotonicMs();
    this.#heardMs.set(from, nowMs);
    if (this.#timer === undefined) this.#countTicks(nowMs);
    this.#patience.heard(from, nowMs);
  }

  /** For how long a member has said nothing; infinite where it never has said anything. */
  silentMs(id: NodeId): number {
    return this.#clock.monotonicMs() - (this.#heardMs.get(id) ?? Number.NEGATIVE_INFINITY);
  }

  #countTicks(nowMs: number): void {
    const tickMs = this.#tickMs;
    const silenceMs = tickMs * this.#stretch(tickMs);
    const ticks = Math.floor((nowMs - this.#countedMs) / silenceMs);
    this.#countedMs += ticks * silenceMs;
    for (let tick = Math.min(ticks, 2 * this.#settings.electionTicks); tick > 0; tick--) this.#tick(true);
  }

  /** Somebody else leads. */
  leaderChanged(): void {
    this.#patience.clear();
  }

  /** How much longer than usual others may say nothing. */
  #stretch(tickMs: number): number {
    const { id, state, lead, tracker } = this.#node.raft;
    const others =
      state === 'StateLeader' ? tracker.config.voters.ids().filter((other) => other !== id) : lead === NONE ? [] : [lead];
    return this.#patience.stretch(others, tickMs * this.#settings.electionTicks);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }
}
