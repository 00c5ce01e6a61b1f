// When a Raft core ticks. A leader, or a node that may campaign, ticks by a timer, more slowly over long links; silence that the usual gaps
// explain does not count (patience.ts). Other nodes, which are most of a large group, need no timer: the ticks that have passed are counted
// when a message comes, since the leader's lease may decide the answer.
import type { Clock, Timer } from '../../swarm/ports/clock.ts';
import type { LogSettings } from './log-settings.ts';
import { Patience } from './patience.ts';
import type { RawNode } from './raw-node.ts';
import { NONE, type NodeId } from './types.ts';

/** Over long links a tick is longer, and with it the heartbeat interval and the election timeout. */
const RTTS_PER_TICK = 0.5;

export class Ticking {
  readonly #node: RawNode;
  readonly #clock: Clock;
  readonly #settings: LogSettings;
  readonly #rttMs: () => number;
  /** Ticks the core; `isSilence`: the tick counts as silence of the others. */
  readonly #tick: (isSilence: boolean) => void;
  readonly #patience = new Patience();
  readonly #heardMs = new Map<NodeId, number>();
  #timer: Timer | undefined;
  #stopped = false;
  /** The time up to which ticks are counted, while there is no timer. */
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

  /** Sets the timer if it is needed and not running. */
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

  /** Called before a message is stepped: the ticks that have passed without a timer come first. */
  heard(from: NodeId): void {
    const nowMs = this.#clock.monotonicMs();
    this.#heardMs.set(from, nowMs);
    if (this.#timer === undefined) this.#countTicks(nowMs);
    this.#patience.heard(from, nowMs);
  }

  /** For how long a member has been silent; infinite if it never sent a message. */
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

  /** The leader has changed. */
  leaderChanged(): void {
    this.#patience.clear();
  }

  /** The factor by which others may be silent longer than usual. */
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
