// NOVA: what this agent does beside its own machine while it coordinates. Now and then it shows its planner the swarm, and has decided what
// that wishes for; what is wrong with several machines at once becomes one incident, with what they have in common.

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
/** So many are unwell before anybody is asked what is wrong there. */
const ASK_FROM = 3;
const ASK_EVERY_MS = 10_000;
/** It has to be so for a moment: after a cut, or a new coordinator, much looks worse than it is. */
const SURE_AFTER_MS = 5_000;
/** What several machines have in common is gone for so long before that is over. */
const OVER_AFTER_MS = 30_000;
export const TOGETHER_POLICY = 'together';

/** Something that is wrong on a machine, as that machine says. */
export interface OpenElsewhere {
  peer: PeerId;
  id: string;
  target: string;
}

export interface NovaEvents {
  /** What is open on those machines, as they say. */
  openOn(peers: readonly PeerId[]): Promise<OpenElsewhere[]>;
  save(incident: Incident): Promise<unknown>;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

const SHORT = ['CpuPressure', 'MemoryPressure', 'IoPressure'] as const;
const isUnwell = ({ conditions }: Status): boolean => conditions.Ready === 'False' || conditions.ServicesReady === 'False';
const isShort = ({ conditions }: Status): boolean => SHORT.some((name) => conditions[name] === 'True');

const NOTHING: Planned = { wish: undefined, correlation: undefined };

/** Nothing is being tried, few are unwell, and nobody is short of anything. */
function isQuiet({ bundles, upgrades, members }: PlannerView): boolean {
  const unwell = members.filter(({ unwellMs }) => unwellMs !== undefined).length;
  const isTrying = bundles.candidate !== null || upgrades.candidate !== null;
  return !isTrying && unwell < ASK_FROM && members.every(({ shortMs }) => shortMs === undefined);
}

export class Nova {
  readonly #ports: Ports;
  readonly #members: Members;
  readonly #consensus: Pick<Consensus, 'committee' | 'decisions' | 'vitals'>;
  readonly #events: NovaEvents;
  /** Since when members are unwell, or short of something, as this agent has seen it; all of these monotonic. */
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
    // What it sees is old, and a plan takes CPU that is not there.
    if (vitals.isBlind) return;
    const view = await this.#view();
    // A thread costs memory: at rest there is nothing to plan.
    const planned = isQuiet(view) ? NOTHING : await this.#ports.compute.plan(view, PLAN_WITHIN_MS);
    if (committee.log.leading === undefined || this.#task.isStopped) return;
    await this.#tell(planned.correlation);
    if (planned.wish === undefined) return;
    if (planned.wish.kind === 'move') this.#movedMs = this.#ports.clock.monotonicMs();
    await decisions.decide(planned.wish, DECIDE_WITHIN_MS).catch(() => undefined); // it plans again
  }

  /** Another coordinates: what is wrong together is for that one to say. */
  async #yield(): Promise<void> {
    this.#unwellMs.clear();
    this.#shortMs.clear();
    this.#sinceMs = undefined;
    await this.#end('another member coordinates now');
  }

  // What it sees

  async #view(): Promise<PlannerView> {
    const { committee, decisions } = this.#consensus;
    const { state } = decisions;
    const { self } = this.#members;
    const seenMs = this.#ports.clock.monotonicMs();
    // The planner compares with when things were decided: that is dated by the swarm's clock. What was seen here is dated back from it.
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

  /** @param nowMs monotonic. @param aheadMs what the swarm's clock is ahead of that. */
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

  // What is wrong with several machines at once

  async #tell(correlation: Correlation | undefined): Promise<void> {
    const { clock } = this.#ports;
    const nowMs = clock.monotonicMs();
    if (correlation === undefined) {
      this.#sinceMs = undefined;
      const { seenMs = nowMs } = this.#together ?? {};
      if (nowMs - seenMs >= OVER_AFTER_MS) await this.#end('it is over: fewer machines are unwell');
      return;
    }
    this.#sinceMs ??= nowMs;
    if (nowMs - this.#sinceMs < SURE_AFTER_MS) return;
    const { cause, value, unwell } = correlation;
    const [key, names] = [`${cause} ${value}`, unwell.map((peer) => this.#members.nameOf(peer)).join(', ')];
    if (this.#together === undefined) await this.#begin(correlation, names, key);
    else if (this.#together.key !== key) {
      addStep(this.#together.incident, clock.wallMs(), 'detect', `probably rather ${words(correlation)}: ${names}`);
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
      summary: `${unwell.length} of ${all} machines are unwell together; probably ${words(correlation)}`,
    };
    const { self } = this.#members;
    const incident = openIncident(finding, self, this.#members.nameOf(self), nowMs, crypto.hash);
    escalate(incident);
    addStep(incident, nowMs, 'detect', `${finding.summary}: ${names}`, { cause, value, unwell: unwell.length, all });
    for (const { peer, id, target } of this.#open)
      addStep(incident, nowMs, 'detect', `${id} on ${this.#members.nameOf(peer)} belongs to it: ${target}`);
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
      return `the release that is being tried there (${value.slice(0, 8)}, on ${having})`;
    case 'policies':
      return `the policies that are being tried there (bundle ${value.slice(0, 8)}, on ${having})`;
    case 'version':
      return `version ${value} of KALOS, which ${having} run`;
    case 'domain':
      return `what they share in ${value}, where ${having} are`;
    case 'service':
      return `${value}, which is unwell on all of them`;
    case 'unknown':
      return 'something that they share and that is not seen';
  }
}
