// While this agent coordinates it says when who belongs has changed, so that there is an order to it that everybody knows.
import { equalBytes } from '../../swarm/dissemination/cbor.ts';
import type { Roster } from '../../swarm/identity/roster.ts';
import type { Clock } from '../../swarm/ports/clock.ts';
import type { Decisions } from './decisions.ts';

/** What is the same for so long is said; and said again where that came to nothing. */
const AFTER_MS = 5_000;
const WITHIN_MS = 3_000;

export class RosterEpochs {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #roster: Roster;
  readonly #decisions: () => Decisions;
  #seen: { digest: Uint8Array; sinceMs: number } = { digest: new Uint8Array(), sinceMs: 0 };

  constructor(clock: Pick<Clock, 'monotonicMs'>, roster: Roster, decisions: () => Decisions) {
    this.#clock = clock;
    this.#roster = roster;
    this.#decisions = decisions;
  }

  /** Now and then, while this agent leads. */
  tell(): void {
    const digest = this.#roster.digest();
    const nowMs = this.#clock.monotonicMs();
    if (!equalBytes(digest, this.#seen.digest)) this.#seen = { digest, sinceMs: nowMs };
    const decisions = this.#decisions();
    const { newest } = decisions.state.epochs;
    if (nowMs - this.#seen.sinceMs < AFTER_MS || (newest !== null && equalBytes(newest.digest, digest))) return;
    this.#seen.sinceMs = nowMs;
    const members = this.#roster.members().length;
    decisions.decide({ kind: 'epoch', digest, members }, WITHIN_MS).catch(() => undefined); // again in a while
  }
}
