// While this agent is leader it records changes of the roster as epochs in the log, so that all members know them in one sequence.
import { equalBytes } from '../../swarm/dissemination/cbor.ts';
import type { Roster } from '../../swarm/identity/roster.ts';
import type { Clock } from '../../swarm/ports/clock.ts';
import type { Decisions } from './decisions.ts';

/** A roster that is unchanged for this long is recorded; and again after this, if that failed. */
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

  /** Each second, while this agent leads. */
  look(): void {
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
