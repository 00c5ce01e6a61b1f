// When an agent sends its status: immediately after a relevant change, else when the last one is old. A token bucket limits an agent that
// flaps, so that a storm costs the swarm no more than the bucket allows.
import { statusAgeMs } from '../membership/ages.ts';
import { integerBelow, type Random } from '../ports/random.ts';
import { isNews, type Status } from './status.ts';

/** Statuses that are sent without a wait. */
const AT_ONCE = 4;
/** One more for each such part of a calm status' age, at the latest after this. */
const MORE_PER_AGE = 6;
const MORE_WITHIN_MS = 15_000;
/** How much sooner a calm status may be sent, so that agents that started together do not send together for ever. */
const SPREAD_PERCENT = 10;
/** Meshes may have come apart, as after a partition: some calm statuses go directly to all connected peers. */
const URGENT_EVERY = 2;

export class StatusPacing {
  readonly #random: Random;
  #sent: { status: Status; atMs: number; forMs: number } | undefined;
  #room = { left: AT_ONCE, atMs: 0 };
  #calmInARow = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** The next status is sent in any case. */
  again(): void {
    this.#sent = undefined;
  }

  /** Whether and how to send a status now; undefined: not now. If so, it counts as sent. */
  due(status: Status, members: number, nowMs: number): 'urgent' | 'calm' | undefined {
    const ageMs = statusAgeMs(members);
    const news = this.#sent === undefined || isNews(this.#sent.status, status);
    const isOld = this.#sent === undefined || nowMs - this.#sent.atMs >= this.#sent.forMs;
    this.#room.left = Math.min(
      AT_ONCE,
      this.#room.left + (nowMs - this.#room.atMs) / Math.min(MORE_WITHIN_MS, ageMs / MORE_PER_AGE),
    );
    this.#room.atMs = nowMs;
    const hasRoom = news && this.#room.left >= 1;
    if (!hasRoom && !isOld) return undefined;
    if (hasRoom) this.#room.left--;
    const share = 1 - (SPREAD_PERCENT * integerBelow(this.#random, 101)) / 10_000;
    this.#sent = { status, atMs: nowMs, forMs: ageMs * share };
    this.#calmInARow = news ? 0 : this.#calmInARow + 1;
    return news || this.#calmInARow % URGENT_EVERY === 0 ? 'urgent' : 'calm';
  }
}
