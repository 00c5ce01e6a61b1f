// NOVA: what this agent does for the whole swarm while it is leader. Each second it gives its planner a view of the swarm, and has the
// planner's proposal decided. When several machines are unhealthy together it opens one incident with their probable common cause.

import type { Correlation } from '../../consensus/committee/correlation.ts';
import type { MemberView, Planned, PlannerView } from '../../consensus/committee/planner.ts';
import { claimTarget } from '../../consensus/vote/claim.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Status } from '../../swarm/state/status.ts';
import type { Consensus } from '../decisions/consensus.ts';
import { illnessOf } from '../decisions/health.ts';
import type { Members } from '../decisions/members.ts';
import { addStep, closeIncident, escalate, type Incident, openIncident } from '../detection/incident.ts';
import { PeriodicTask } from '../periodic-task.ts';
import type { Ports } from '../ports/ports.ts';

const PLAN_EVERY_MS = 1_000;
const PLAN_WITHIN_MS = 5_000;
const DECIDE_WITHIN_MS = 2_000;
/** From this many unhealthy members on, they are asked for their incidents. */
const ASK_FROM = 3;
const ASK_EVERY_MS = 10_000;
/** A correlation must last this long: after a partition, or with a new leader, much looks worse than it is. */
const SURE_AFTER_MS = 5_000;
/** The incident ends after this long without a correlation. */
const OVER_AFTER_MS = 30_000;
export const TOGETHER_POLICY = 'together';

/** An open incident of another machine, as that machine answers. */
export interface OpenElsewhere {
  peer: PeerId;
  id: string;
  target: string;
}

export interface NovaEvents {
  /** The open incidents of those machines. */
  openOn(peers: readonly PeerId[]): Promise<OpenElsewhere[]>;
  save(incident: Incident): Promise<unknown>;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

const SHORT = ['CpuPressure', 'MemoryPressure', 'IoPressure'] as const;
const isUnwell = ({ conditions }: Status): boolean => conditions.Ready === 'False' || conditions.ServicesReady === 'False';
const isShort = ({ conditions }: Status): boolean => SHORT.some((name) => conditions[name] === 'True');

const NOTHING: Planned = { wish: undefined, correlation: undefined };

/** No roll-out is in progress, few members are unhealthy, and none is short of a resource. */
function isQuiet({ bundles, upgrades, members }: PlannerView): boolean {
  const unwell = members.filter(({ unwellMs }) => unwellMs !== undefined).length;
  const isRollingOut = bundles.candidate !== null || upgrades.candidate !== null;
  return !isRollingOut && unwell < ASK_FROM && members.every(({ shortMs }) => shortMs === undefined);
}

export class Nova {
  readonly #ports: Ports;
  readonly #members: Members;
  readonly #consensus: Pick<Consensus, 'committee' | 'decisions' | 'vitals'>;
  readonly #events: NovaEvents;
  /** Since when members are unhealthy, or short of a resource, as seen from here; monotonic. */
  readonly #unwellMs = new Map<PeerId, number>();
  readonly #shortMs = new Map<PeerId, number>();
  #open: readonly OpenElsewhere[] = [];
  #askedMs = Number.NEGATIVE_INFINITY;
  #movedMs = Number.NEGATIVE_INFINITY;
  #together: { incident: Incident; key: string; seenMs: number } | undefined;
  #sinceMs: number | undefined;
  readonly #task: PeriodicTask;

  constructor(
    ports: Ports,
    members: Members,
    consensus: Pick<Consensus, 'committee' | 'decisions' | 'vitals'>,
    events: NovaEvents,
  ) {
    this.#ports = ports;
    this.#members = members;
    this.#consensus = consensus;
    this.#events = events;
    this.#task = new PeriodicTask({
      clock: ports.clock,
      everyMs: PLAN_EVERY_MS,
      run: () => this.#turn(),
      failed: (why) => events.log('warn', `planning: ${why}`),
    });
  }

  start(): void {
    this.#task.start();
  }

  stop(): void {
    this.#task.stop();
  }

  async #turn(): Promise<void> {
    const { committee, decisions, vitals } = this.#consensus;
    if (committee.log.leading === undefined) return this.#yield();
    // Its view is old, and a plan takes CPU time that it does not have.
    if (vitals.isBlind) return;
    const view = await this.#view();
    // The planner's thread costs memory: at rest there is nothing to plan.
    const planned = isQuiet(view) ? NOTHING : await this.#ports.compute.plan(view, PLAN_WITHIN_MS);
    if (committee.log.leading === undefined || this.#task.isStopped) return;
    await this.#record(planned.correlation);
    if (planned.wish === undefined) return;
    if (planned.wish.kind === 'move') this.#movedMs = this.#ports.clock.monotonicMs();
    await decisions.decide(planned.wish, DECIDE_WITHIN_MS).catch(() => undefined); // the next plan proposes it again
  }

  /** Another member is leader: it opens such incidents now. */
  async #yield(): Promise<void> {
    this.#unwellMs.clear();
    this.#shortMs.clear();
    this.#sinceMs = undefined;
    await this.#end('another member is leader now');
  }

  // The view of the swarm

  async #view(): Promise<PlannerView> {
    const { committee, decisions } = this.#consensus;
    const { state } = decisions;
    const { self } = this.#members;
    const seenMs = this.#ports.clock.monotonicMs();
    // The planner compares with the times of decisions, which are by the swarm's clock. So what was seen here is converted to that.
    const nowMs = decisions.wallMs();
    const members = this.#members.all().map(({ peer, state: is }) => this.#seen(peer, is === 'alive', seenMs, nowMs - seenMs));
    const unwell = members.filter(({ unwellMs }) => unwellMs !== undefined);
    if (unwell.length < ASK_FROM) this.#open = [];
    else if (seenMs - this.#askedMs >= ASK_EVERY_MS) {
      this.#askedMs = seenMs;
      this.#open = await this.#events.openOn(unwell.filter(({ isAlive }) => isAlive).map(({ peer }) => peer));
    }
    return {
      nowMs,
      self,
      voters: committee.seats.voters() ?? [],
      members: members.map((one) => ({ ...one, services: this.#servicesOf(one.peer) })),
      names: new Map(
        [state.bundles.state.candidate, state.upgrades.state.candidate].flatMap((one) =>
          one === null ? [] : [...one.canary, ...(one.wave ?? [])].map((peer) => [peer, this.#members.nameOf(peer)] as const),
        ),
      ),
      bundles: state.bundles.state,
      upgrades: state.upgrades.state,
      placements: state.placements(),
      movedMs: this.#movedMs + nowMs - seenMs,
    };
  }

  #servicesOf(peer: PeerId): string[] {
    return this.#open.flatMap((one) => (one.peer === peer ? [one.target] : []));
  }

  /** @param nowMs monotonic. @param aheadMs how far the swarm's clock is ahead of that. */
  #seen(peer: PeerId, isAlive: boolean, nowMs: number, aheadMs: number): Omit<MemberView, 'services'> {
    const status = this.#members.statusOf(peer);
    const since = (all: Map<PeerId, number>, is: boolean): number | undefined => {
      if (!is) all.delete(peer);
      else if (!all.has(peer)) all.set(peer, nowMs);
      const sinceMs = all.get(peer);
      return sinceMs === undefined ? undefined : sinceMs + aheadMs;
    };
    return {
      peer,
      name: this.#members.nameOf(peer),
      isAlive,
      ill: illnessOf(peer, this.#members, this.#consensus.decisions.proven),
      unwellMs: since(this.#unwellMs, !isAlive || (status !== undefined && isUnwell(status))),
      shortMs: since(this.#shortMs, isAlive && status !== undefined && isShort(status)),
      version: status?.version ?? '',
      domain: status === undefined || status.zone === 0 ? '' : this.#consensus.committee.candidates.domainName(status.zone),
    };
  }

  // Incidents of several machines

  async #record(correlation: Correlation | undefined): Promise<void> {
    const { clock } = this.#ports;
    const nowMs = clock.monotonicMs();
    if (correlation === undefined) {
      this.#sinceMs = undefined;
      const { seenMs = nowMs } = this.#together ?? {};
      if (nowMs - seenMs >= OVER_AFTER_MS) await this.#end('ended: fewer machines are unhealthy');
      return;
    }
    this.#sinceMs ??= nowMs;
    if (nowMs - this.#sinceMs < SURE_AFTER_MS) return;
    const { cause, value, unwell } = correlation;
    const [key, names] = [`${cause} ${value}`, unwell.map((peer) => this.#members.nameOf(peer)).join(', ')];
    if (this.#together === undefined) await this.#begin(correlation, names, key);
    else if (this.#together.key !== key) {
      addStep(this.#together.incident, clock.wallMs(), 'detect', `new probable cause: ${words(correlation)}: ${names}`);
      await this.#events.save(this.#together.incident);
    }
    if (this.#together !== undefined) Object.assign(this.#together, { key, seenMs: nowMs });
  }

  async #begin(correlation: Correlation, names: string, key: string): Promise<void> {
    const { clock, crypto } = this.#ports;
    const nowMs = clock.wallMs();
    const { cause, value, unwell, all } = correlation;
    const finding = {
      policy: TOGETHER_POLICY,
      target: claimTarget(value === '' ? cause : `${cause} ${value}`, crypto.hash),
      severity: 'critical' as const,
      summary: `${unwell.length} of ${all} machines are unhealthy; probable cause: ${words(correlation)}`,
    };
    const { self } = this.#members;
    const incident = openIncident(finding, self, this.#members.nameOf(self), nowMs, crypto.hash);
    escalate(incident);
    addStep(incident, nowMs, 'detect', `${finding.summary}: ${names}`, { cause, value, unwell: unwell.length, all });
    for (const { peer, id, target } of this.#open)
      addStep(incident, nowMs, 'detect', `${id} on ${this.#members.nameOf(peer)} is part of this incident: ${target}`);
    this.#together = { incident, key, seenMs: clock.monotonicMs() };
    this.#events.log('warn', `${incident.id}: ${finding.summary}: ${names}`);
    await this.#events.save(incident);
  }

  async #end(outcome: string): Promise<void> {
    const incident = this.#together?.incident;
    if (incident === undefined) return;
    this.#together = undefined;
    const nowMs = this.#ports.clock.wallMs();
    addStep(incident, nowMs, 'remember', outcome);
    closeIncident(incident, nowMs, 'resolved', outcome);
    await this.#events.save(incident);
  }
}

function words({ cause, value, having }: Correlation): string {
  switch (cause) {
    case 'release':
      return `the release roll-out (${value.slice(0, 8)}, on ${having} machines)`;
    case 'policies':
      return `the policy roll-out (bundle ${value.slice(0, 8)}, on ${having} machines)`;
    case 'version':
      return `KALOS ${value}, which ${having} machines run`;
    case 'domain':
      return `failure domain ${value} (${having} machines)`;
    case 'service':
      return `${value}, unhealthy on all of them`;
    case 'unknown':
      return 'unknown: a shared cause that KALOS cannot see';
  }
}
