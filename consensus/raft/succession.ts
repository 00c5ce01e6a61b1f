// Succession to a leader whose connection has closed: it may be down, so members do not wait for the election timeout. Those that see it campaign
// in turn, each after the time in which it would have heard of the campaign before. Delayed messages of the old leader are ignored.
import type { Clock, Timer } from '../../swarm/ports/clock.ts';
import { integerBelow, type Random } from '../../swarm/ports/random.ts';
import type { RawNode } from './raw-node.ts';
import { NONE, type NodeId } from './types.ts';

const SUCCESSION_STEP_MS = 10;
const SUCCESSION_RTTS = 1.2;
/** A pre-vote and a vote take two round trips. */
const SUCCESSION_ROUNDS = 3;
const SUCCESSION_AGAIN_MS = 50;
const SUCCESSION_TRIES = 10;

export class Succession {
  readonly #node: RawNode;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #rttMs: () => number;
  readonly #campaign: () => void;
  #timer: Timer | undefined;
  #gone = { id: NONE, untilMs: 0 };

  /** @param campaign lets the node campaign, if it still may */
  constructor(node: RawNode, clock: Clock, random: Random, rttMs: () => number, campaign: () => void) {
    this.#node = node;
    this.#clock = clock;
    this.#random = random;
    this.#rttMs = rttMs;
    this.#campaign = campaign;
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** The connection to the leader has closed, and this node has forgotten its leader. */
  begin(leader: NodeId): void {
    this.#gone = { id: leader, untilMs: this.#clock.monotonicMs() + this.#rttMs() };
    this.#campaignAfter(this.#turnMs(leader), SUCCESSION_TRIES);
  }

  /** Whether a message is a late one of the old leader, sent before its connection closed. */
  isLate(from: NodeId): boolean {
    return from === this.#gone.id && this.#clock.monotonicMs() < this.#gone.untilMs;
  }

  /** Another member campaigns: wait for its result. */
  yield(): void {
    if (this.#timer !== undefined) this.#campaignAfter(this.#againMs(), SUCCESSION_TRIES);
  }

  /** Campaigns, and soon again if no member has won: votes may have split, or others had not yet seen the closed connection. */
  #campaignAfter(delayMs: number, tries: number): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (tries === 0) return;
    this.#timer = this.#clock.after(delayMs, () => {
      this.#timer = undefined;
      if (this.#node.raft.lead !== NONE) return;
      this.#campaign();
      this.#campaignAfter(this.#againMs(), tries - 1);
    });
  }

  #againMs(): number {
    const roundsMs = SUCCESSION_ROUNDS * this.#rttMs();
    return roundsMs + SUCCESSION_AGAIN_MS + integerBelow(this.#random, SUCCESSION_AGAIN_MS + roundsMs);
  }

  /** The members' order changes with each term, so that a first member that cannot win is not always first. */
  #turnMs(gone: NodeId): number {
    const { tracker, term } = this.#node.raft;
    const others = tracker.config.voters.ids().filter((id) => id !== gone);
    const turn = (others.indexOf(this.#node.raft.id) + term) % Math.max(1, others.length);
    return turn * (SUCCESSION_STEP_MS + SUCCESSION_RTTS * this.#rttMs()) + integerBelow(this.#random, SUCCESSION_STEP_MS);
  }
}
