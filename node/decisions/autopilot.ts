// What the leader does to keep the right members in the committee, one step at a time (consensus/committee/autopilot.ts). It invites
// candidates, changes the configuration, and transfers leadership if it is unfit, stops, or leaves the swarm.
import { type AutopilotMember, type AutopilotSeat, autopilot } from '../../consensus/committee/autopilot.ts';
import type { ConfChange } from '../../consensus/raft/config.ts';
import { LogUnavailable } from '../../consensus/raft/requests.ts';
import type { NodeId } from '../../consensus/raft/types.ts';
import type { Clock, Timer } from '../../swarm/ports/clock.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { until } from '../../swarm/runtime/until.ts';
import type { Candidates } from './candidates.ts';
import type { Members } from './members.ts';
import type { DecisionLog, OwnLog } from './own-log.ts';
import type { Seats } from './seats.ts';

const STEER_EVERY_MS = 1_000;
const STEER_SOON_MS = 50;
/** An unfit leader tries again to transfer leadership after this. */
const HAND_OVER_AGAIN_MS = 60_000;
/** A voter without messages for this long is inactive. Heartbeats come each 250 ms. */
const SILENT_MS = 2_000;
const HAND_OVER_MS = 1_000;
const HAND_OVER_LOOK_MS = 20;
export const TRANSFER_WITHIN_MS = 2_000;
const RETIRE_MS = 10_000;

export interface AutopilotEvents {
  /** Each second, while this agent leads. */
  leading(log: DecisionLog): void;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

export class Autopilot {
  readonly #clock: Clock;
  readonly #members: Members;
  readonly #log: OwnLog;
  readonly #seats: Seats;
  readonly #candidates: Candidates;
  readonly #events: AutopilotEvents;
  /** Since when each follower is active. */
  readonly #stableMs = new Map<NodeId, number>();
  #handedMs = Number.NEGATIVE_INFINITY;
  #isLeaving = false;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(clock: Clock, members: Members, log: OwnLog, seats: Seats, candidates: Candidates, events: AutopilotEvents) {
    this.#clock = clock;
    this.#members = members;
    this.#log = log;
    this.#seats = seats;
    this.#candidates = candidates;
    this.#events = events;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Something has changed: takes the next step soon. */
  soon(): void {
    this.#timer?.cancel();
    this.#timer = this.#stopped ? undefined : this.#clock.after(STEER_SOON_MS, () => this.steer());
  }

  /** Takes the next step, and again after a second. */
  steer(): void {
    this.#timer?.cancel();
    if (this.#stopped) return;
    this.#timer = this.#clock.after(STEER_EVERY_MS, () => this.steer());
    const log = this.#log.leading;
    if (log === undefined) return this.#stableMs.clear();
    this.#events.leading(log);
    this.#candidates.look([...log.conf.voters, ...log.conf.learners].flatMap((id) => this.#seats.peerOf(id) ?? []));
    const step = autopilot({
      self: this.#members.self,
      isLeaving: this.#isLeaving,
      members: this.#membersSeen(log),
      conf: log.conf,
      seats: this.#seatsSeen(log),
    });
    if (step?.kind === 'invite') this.#candidates.invite(step.peers);
    else if (step !== undefined) this.#change(log, step.changes);
    else this.#yieldIfUnfit(log);
  }

  #membersSeen(log: DecisionLog): AutopilotMember[] {
    const candidates = this.#candidates;
    const nowMs = this.#clock.monotonicMs();
    candidates.forgetOld(new Set(log.conf.voters.filter((id) => (log.follower(id)?.silentMs ?? 0) > SILENT_MS)));
    return this.#members.all().map(({ peer, state, sinceMs }) => ({
      peer,
      hasRole: this.#members.roster.isForCommittee(peer),
      isAlive: state === 'alive',
      forMs: nowMs - sinceMs,
      known: candidates.knownOf(peer),
      domain: candidates.domainOf(peer),
      isUnfit: candidates.isUnfit(peer),
    }));
  }

  #seatsSeen(log: DecisionLog): Map<NodeId, AutopilotSeat> {
    const nowMs = this.#clock.monotonicMs();
    return new Map(
      this.#seats.ids().map((id) => {
        const { silentMs = Number.POSITIVE_INFINITY, behind = Number.POSITIVE_INFINITY } = log.follower(id) ?? {};
        const isActive = silentMs <= SILENT_MS;
        if (!isActive) this.#stableMs.delete(id);
        else if (!this.#stableMs.has(id)) this.#stableMs.set(id, nowMs);
        const stableMs = nowMs - (this.#stableMs.get(id) ?? nowMs);
        return [id, { id, peer: this.#seats.peerOf(id), isActive, behind, stableMs }];
      }),
    );
  }

  #change(log: DecisionLog, changes: readonly ConfChange[]): void {
    try {
      log.changeConf({ transition: 'ConfChangeTransitionAuto', changes });
    } catch (error) {
      if (!(error instanceof LogUnavailable)) throw error;
      return; // at the next step
    }
    for (const { type, node } of changes) {
      const does = type === 'ConfChangeRemoveNode' ? 'removed' : type === 'ConfChangeAddNode' ? 'voter' : 'learner';
      this.#events.log('info', `committee: ${does} ${this.#seats.nameOf(node)}`);
    }
  }

  /** An unfit leader transfers leadership; the new leader then replaces it. */
  #yieldIfUnfit(log: DecisionLog): void {
    const nowMs = this.#clock.monotonicMs();
    if (!this.#candidates.isUnfit(this.#members.self) || nowMs - this.#handedMs < HAND_OVER_AGAIN_MS) return;
    // If all are equally unfit, a transfer gains nothing.
    const heir = this.#heirs(log).find((id) => this.#candidates.doesBetter(this.#seats.peerOf(id)));
    if (heir === undefined) return;
    this.#handedMs = nowMs;
    this.#events.log('info', 'this agent is unfit to lead: leadership moves to another member');
    this.handOver(heir).catch((error: unknown) => this.#events.failed(error));
  }

  /** Voters that could become leader, the best first. */
  #heirs(log: DecisionLog): NodeId[] {
    const unfit = (id: NodeId): number => Number(this.#candidates.isUnfit(this.#seats.peerOf(id) ?? ''));
    return log.conf.voters
      .filter((id) => id !== log.id && (log.follower(id)?.silentMs ?? Number.POSITIVE_INFINITY) < SILENT_MS)
      .sort((a, b) => unfit(a) - unfit(b) || (log.follower(a)?.behind ?? 0) - (log.follower(b)?.behind ?? 0));
  }

  /** Transfers leadership to another voter that has the whole log. */
  async handOver(to?: NodeId): Promise<void> {
    const log = this.#log.leading;
    if (log === undefined) return;
    const next = to ?? this.#heirs(log)[0];
    if (next === undefined) return;
    log.transferLeader(next);
    await until(this.#clock, () => log.state.state !== 'StateLeader', HAND_OVER_MS, HAND_OVER_LOOK_MS);
  }

  /** Transfers leadership to a given member, on request of another. @throws with the reason */
  async transferFor(from: PeerId, to: PeerId): Promise<void> {
    const log = this.#log.leading;
    const members = this.#members;
    if (log === undefined) throw new Error('this agent is no longer the leader');
    if (!members.mayDecide(from)) throw new Error(`${members.nameOf(from)} may not transfer leadership: it is not an issuer`);
    const id = log.conf.voters.find((one) => this.#seats.isOf(one, to));
    if (id === undefined) throw new Error(`${members.nameOf(to)} is not a voter of the committee`);
    if (id === log.id) return;
    log.transferLeader(id);
    await until(this.#clock, () => log.state.lead === id, TRANSFER_WITHIN_MS, HAND_OVER_LOOK_MS);
    if (log.state.lead !== id) throw new Error(`${members.nameOf(to)} did not become leader in ${TRANSFER_WITHIN_MS / 1_000} s`);
  }

  /** Transfers leadership before this agent's membership ends. */
  async retire(): Promise<void> {
    const log = this.#log.leading;
    const hasOthers = this.#members.all().some(({ peer, state }) => peer !== this.#members.self && state === 'alive');
    if (log === undefined || !hasOthers) return;
    this.#isLeaving = true;
    this.steer();
    await until(this.#clock, () => log.state.state !== 'StateLeader', RETIRE_MS, STEER_SOON_MS);
  }
}
