// Members that the swarm has quarantined or drained, if this agent has verified the proof: a decision alone is not believed.
import { type Believed, type Drain, endMs, isProven } from '../../consensus/decisions/drains.ts';
import { equivocatorOf } from '../../consensus/vote/equivocation.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Checkpoints } from './checkpoints.ts';
import type { Members } from './members.ts';

const NONE_DRAINED = { index: -1, endMs: 0, peers: new Map<PeerId, Drain>() };

export class Proven {
  readonly #crypto: Crypto;
  readonly #swarmId: string;
  readonly #members: Members;
  readonly #checkpoints: Checkpoints;
  readonly #wallMs: () => number;
  /** The result as of that decision, and until then. */
  #quarantined: { index: number; peers: ReadonlySet<PeerId> } = { index: -1, peers: new Set() };
  #drained: { index: number; endMs: number; peers: ReadonlyMap<PeerId, Drain> } = NONE_DRAINED;

  /** @param wallMs the swarm's time */
  constructor(crypto: Crypto, swarmId: string, members: Members, checkpoints: Checkpoints, wallMs: () => number) {
    this.#crypto = crypto;
    this.#swarmId = swarmId;
    this.#members = members;
    this.#checkpoints = checkpoints;
    this.#wallMs = wallMs;
  }

  /** Witnesses that get no claims, for they equivocated. The same object while its content is the same. */
  quarantined(): ReadonlySet<PeerId> {
    const { state } = this.#checkpoints;
    if (this.#quarantined.index !== state.index) {
      const proven = state.quarantined().filter((one) => equivocatorOf(this.#crypto, this.#swarmId, one) === one.peer);
      const known = this.#quarantined.peers;
      const isSame = proven.length === known.size && proven.every(({ peer }) => known.has(peer));
      this.#quarantined = { index: state.index, peers: isSame ? known : new Set(proven.map(({ peer }) => peer)) };
    }
    return this.#quarantined.peers;
  }

  /** Members that are drained now. */
  drained(): ReadonlyMap<PeerId, Drain> {
    const nowMs = this.#wallMs();
    const { index, drains } = this.#checkpoints.state;
    if (this.#drained.index !== index || nowMs >= this.#drained.endMs) {
      const valid = drains.all(nowMs).filter((one) => this.isProven(one));
      const ends = Math.min(Number.POSITIVE_INFINITY, ...valid.map(endMs));
      this.#drained = { index, endMs: ends, peers: new Map(valid.map((one) => [one.peer, one])) };
    }
    return this.#drained.peers;
  }

  /** Whether a drain has its proof: an issuer's signature, or a certificate of witnesses. */
  isProven(drain: Parameters<typeof isProven>[2]): boolean {
    const believed: Believed = {
      mayDecide: (peer) => this.#members.mayDecide(peer),
      members: () => this.#members.roster.members().map(({ subject }) => subject),
      liars: this.quarantined(),
    };
    return isProven(this.#crypto, this.#swarmId, drain, believed);
  }
}
