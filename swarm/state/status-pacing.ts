// When an agent sends its status: at once if something that matters has changed, else when the last one is old. A token bucket bounds an
// agent that flaps, so that a storm costs the swarm no more than the bucket holds.
import { statusAgeMs } from '../membership/ages.ts';
import { integerBelow, type Random } from '../ports/random.ts';
import { isNews, type Status } from './status.ts';

/** Said at once, before it has to wait. */
const AT_ONCE = 4;
/** One more for each of these parts of a calm status' age, and at the latest after this. */
const MORE_PER_AGE = 6;
const MORE_WITHIN_MS = 15_000;
/** How much sooner than its age a calm status may be said: agents that came up together do not speak together for ever. */
const SPREAD_PERCENT = 10;
/** Meshes may have come apart, as after a partition: now and then a calm status goes to all who are connected too. */
const URGENT_EVERY = 2;

export class StatusPacing {
  readonly #random: Random;
  #said: { status: Status; atMs: number; forMs: number } | undefined;
  #room = { left: AT_ONCE, atMs: 0 };
  #calmInARow = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** The next status is said, whatever it is. */
  again(): void {
    this.#said = undefined;
  }

  /** Whether a status is to be said now, and how; undefined: not now. It counts as said. */
  due(status: Status, members: number, nowMs: number): 'urgent' | 'calm' | undefined {
    const ageMs = statusAgeMs(members);
    const news = this.#said === undefined || isNews(this.#said.status, status);
    const isOld = this.#said === undefined || nowMs - this.#said.atMs >= this.#said.forMs;
    this.#room.left = Math.min(
      AT_ONCE,
      this.#room.left + (nowMs - this.#room.atMs) / Math.min(MORE_WITHIN_MS, ageMs / MORE_PER_AGE),
    );
    this.#room.atMs = nowMs;
    const hasRoom = news && this.#room.left >= 1;
    if (!hasRoom && !isOld) return undefined;
    if (hasRoom) this.#room.left--;
    const share = 1 - (SPREAD_PERCENT * integerBelow(this.#random, 101)) / 10_000;
    this.#said = { status, atMs: nowMs, forMs: ageMs * share };
    this.#calmInARow = news ? 0 : this.#calmInARow + 1;
    return news || this.#calmInARow % URGENT_EVERY === 0 ? 'urgent' : 'calm';
  }
}
