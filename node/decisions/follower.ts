// How an agent that is behind gets the newest decisions: it asks members that have them, one after the other, and accepts a checkpoint that a
// majority of trusted voters has signed.
import { type CertifiedCheckpoint, certifiedFrom, isCertified, signersOf } from '../../consensus/decisions/checkpoint.ts';
import { decisionSchema } from '../../consensus/decisions/decision.ts';
import { DecisionState } from '../../consensus/decisions/state.ts';
import { majority } from '../../consensus/quorum.ts';
import { decodeCbor, encodeCbor, equalBytes } from '../../swarm/dissemination/cbor.ts';
import type { Timer } from '../../swarm/ports/clock.ts';
import { integerBelow } from '../../swarm/ports/random.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Ports } from '../ports/ports.ts';
import type { Checkpoints } from './checkpoints.ts';
import type { Committee } from './committee.ts';
import type { AskMember, Members } from './members.ts';

const REQUEST_MS = 2_000;
/** Members ask at random times within this, so that not all ask together. */
const FOLLOW_SPREAD_MS = 300;
const FOLLOW_AGAIN_MS = 2_000;
/** If no voter is known from before, this many members must name the same voters. */
const AGREEING = 2;
const MAX_ASKED = 5;

export class Follower {
  readonly #ports: Ports;
  readonly #swarmId: string;
  readonly #members: Members;
  readonly #committee: Committee;
  readonly #checkpoints: Checkpoints;
  readonly #ask: AskMember;
  readonly #failed: (error: unknown) => void;
  #timer: Timer | undefined;
  #isFollowing = false;
  #stopped = false;

  constructor(
    ports: Ports,
    swarmId: string,
    members: Members,
    committee: Committee,
    checkpoints: Checkpoints,
    { request, failed }: { request: AskMember; failed(error: unknown): void },
  ) {
    this.#ports = ports;
    this.#swarmId = swarmId;
    this.#members = members;
    this.#committee = committee;
    this.#checkpoints = checkpoints;
    this.#ask = request;
    this.#failed = failed;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Fetches the decision at this index, if it is not known here. */
  lookFor(index: number): void {
    if (index <= this.#checkpoints.state.index || this.#timer !== undefined || this.#stopped) return;
    const afterMs = integerBelow(this.#ports.random, FOLLOW_SPREAD_MS);
    this.#timer = this.#ports.clock.after(afterMs, () => void this.#follow(index));
  }

  async #follow(index: number): Promise<void> {
    if (this.#isFollowing) return;
    this.#isFollowing = true;
    try {
      await this.#pull(index);
    } catch (error) {
      this.#failed(error);
    }
    this.#isFollowing = false;
    this.#timer = undefined;
    if (this.#checkpoints.state.index >= index || this.#stopped) return;
    this.#timer = this.#ports.clock.after(FOLLOW_AGAIN_MS, () => {
      this.#timer = undefined;
      this.lookFor(Math.max(index, ...this.#members.alive().map((peer) => this.#decidedBy(peer))));
    });
  }

  /** The newest decision of a member, by its status. */
  #decidedBy(peer: PeerId): number {
    return this.#members.statusOf(peer)?.decided ?? 0;
  }

  /** Asks members that have it, one after the other, until one answers with a trusted checkpoint. */
  async #pull(index: number): Promise<void> {
    const { crypto, random } = this.#ports;
    const { followed } = this.#checkpoints;
    const able = this.#members.alive().filter((peer) => peer !== crypto.self && this.#decidedBy(peer) >= index);
    const { coordinator } = this.#committee;
    const asked = shuffled(able.length === 0 && coordinator !== undefined ? [coordinator] : able, (bound) =>
      integerBelow(random, bound),
    ).slice(0, MAX_ASKED);
    const named = new Map<string, number>();
    for (const peer of asked) {
      const answer = await this.#ask(peer, encodeCbor(['since', followed.index]), REQUEST_MS).then(decodeCbor, () => undefined);
      const [given, news, state] = Array.isArray(answer) ? answer : [];
      const checkpoint = certifiedFrom(given);
      if (checkpoint === undefined || checkpoint.index <= followed.index) continue;
      if (!isCertified(crypto, this.#swarmId, checkpoint)) continue;
      const voters = checkpoint.voters.join(' ');
      named.set(voters, (named.get(voters) ?? 0) + 1);
      if (!this.#isTrusted(checkpoint, named.get(voters) ?? 0, this.#members.alive().length - 1)) continue;
      const bytes = this.#stateOf(checkpoint, news, state);
      if (bytes === undefined) continue;
      this.#checkpoints.adopt(checkpoint, bytes);
      if (checkpoint.index >= index) return;
    }
  }

  /** Known voters have signed it; or, if none are known, several members name the same voters. All its voters are members. */
  #isTrusted(checkpoint: CertifiedCheckpoint, naming: number, others: number): boolean {
    const { roster } = this.#members;
    if (!checkpoint.voters.every((peer) => roster.isMember(peer))) return false;
    const signers = signersOf(this.#ports.crypto, this.#swarmId, checkpoint);
    const recovery = roster.records.single('recovery');
    const { trusted } = this.#checkpoints;
    if (recovery !== undefined && (trusted?.index ?? 0) <= recovery.index) {
      // The old voters are replaced: root keys named the first new one.
      return checkpoint.index > recovery.index && signers.includes(recovery.subject);
    }
    const known = trusted?.voters.filter((peer) => roster.isMember(peer)) ?? [];
    if (known.length > 0 && signers.filter((peer) => known.includes(peer)).length >= majority(known.length)) return true;
    // One member alone is believed only if there is no other, and no voter is known yet.
    return naming >= (known.length > 0 ? AGREEING : Math.min(AGREEING, others));
  }

  /** The state of a checkpoint, from the decisions since or as a whole; undefined if it does not match. */
  #stateOf(checkpoint: CertifiedCheckpoint, news: unknown, state: unknown): Uint8Array | undefined {
    try {
      const next = new DecisionState();
      next.restore(state instanceof Uint8Array ? state : this.#checkpoints.followed.encode());
      if (Array.isArray(news))
        for (const one of news) {
          const [index, term, decision] = Array.isArray(one) ? one : [];
          next.apply(decisionSchema.parse(decision), { index: Number(index), term: Number(term) });
        }
      const bytes = next.encode();
      return equalBytes(this.#ports.crypto.hash(bytes), checkpoint.digest) ? bytes : undefined;
    } catch {
      return undefined; // malformed
    }
  }
}

function shuffled<T>(all: readonly T[], below: (bound: number) => number): T[] {
  const out = [...all];
  for (let i = out.length - 1; i > 0; i--) {
    const j = below(i + 1);
    [out[i], out[j]] = [out[j] as T, out[i] as T];
  }
  return out;
}
