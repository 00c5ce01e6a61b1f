// Reads of the decisions with a consistency: the state here; the swarm's state of at most a second ago; or the state as of the request.
import type { DecisionState } from '../../consensus/decisions/state.ts';
import { LogUnavailable } from '../../consensus/raft/requests.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Ports } from '../ports/ports.ts';
import type { Checkpoints } from './checkpoints.ts';
import type { Committee } from './committee.ts';
import type { Follower } from './follower.ts';
import type { AskMember } from './members.ts';

const LOOK_AGAIN_MS = 50;

/** The consistency of a read: the state here; a state that is at most a second old; or one that is not older than the request. */
export const READS = ['local', 'lease', 'linearizable'] as const;
/** For this long the leader is not asked again for the index. */
export const LEASE_MS = 1_000;
export type ReadMode = (typeof READS)[number];

export class Reads {
  readonly #ports: Pick<Ports, 'clock' | 'crypto'>;
  readonly #committee: Committee;
  readonly #checkpoints: Checkpoints;
  readonly #follower: Follower;
  readonly #ask: AskMember;
  /** The index of the log at the last request. */
  #confirmed = { index: 0, askedMs: Number.NEGATIVE_INFINITY };

  constructor(
    ports: Pick<Ports, 'clock' | 'crypto'>,
    committee: Committee,
    checkpoints: Checkpoints,
    follower: Follower,
    ask: AskMember,
  ) {
    this.#ports = ports;
    this.#committee = committee;
    this.#checkpoints = checkpoints;
    this.#follower = follower;
    this.#ask = ask;
  }

  /** The state here, once it is as current as requested. @throws LogUnavailable */
  async read(mode: ReadMode, timeoutMs: number): Promise<DecisionState> {
    if (mode === 'local') return this.#checkpoints.state;
    const { clock } = this.#ports;
    const askedMs = clock.monotonicMs();
    const isFresh = askedMs - this.#confirmed.askedMs <= LEASE_MS;
    if (mode === 'linearizable' || !isFresh) this.#confirmed = { index: await this.#index(timeoutMs), askedMs };
    await this.caughtUp(this.#confirmed.index, askedMs + timeoutMs - clock.monotonicMs());
    return this.#checkpoints.state;
  }

  /** Waits until the state here has that index. @throws LogUnavailable */
  async caughtUp(index: number, timeoutMs: number): Promise<void> {
    const { clock } = this.#ports;
    const untilMs = clock.monotonicMs() + timeoutMs;
    while (this.#checkpoints.state.index < index) {
      if (clock.monotonicMs() >= untilMs) throw new LogUnavailable(`decision ${index} has not arrived yet`, false);
      this.#follower.lookFor(index);
      await new Promise<void>((resolve) => clock.after(LOOK_AGAIN_MS, resolve));
    }
  }

  /** The index of the newest decision, as of now or later. */
  async #index(timeoutMs: number): Promise<number> {
    const { coordinator } = this.#committee;
    if (coordinator === undefined) throw new LogUnavailable(leaderless(this.#committee), false);
    if (coordinator === this.#ports.crypto.self) return this.ownIndex(timeoutMs);
    const answer = decodeCbor(await this.#ask(coordinator, encodeCbor(['index']), timeoutMs));
    if (typeof answer !== 'number') throw new LogUnavailable('the leader gave no index', false);
    return answer;
  }

  /** The same, as a member of the committee. @throws LogUnavailable */
  async ownIndex(timeoutMs: number): Promise<number> {
    const log = this.#committee.log.current;
    if (log === undefined) throw new LogUnavailable('this agent is not in the committee', false);
    await log.readable(timeoutMs);
    return log.machine.index;
  }
}

export const leaderless = ({ lacking }: Pick<Committee, 'lacking'>): string =>
  lacking === undefined ? 'the swarm has no leader' : `the swarm has no leader: ${lacking}`;
