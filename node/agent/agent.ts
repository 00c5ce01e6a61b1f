// One agent, the same in reality and in simulation: createAgent(config, ports) is the only seam between the two.
// It wires the seven steps of the loop; the work is done in their folders.

import type { Vote } from '../../consensus/vote/claim.ts';
import { forgetSwarm, type Signer } from '../../swarm/identity/roster-store.ts';
import type { JoinToken } from '../../swarm/identity/token.ts';
import type { Traffic } from '../../swarm/ports/transport.ts';
import { DrainingStore } from '../../swarm/runtime/draining-store.ts';
import type { Status } from '../../swarm/state/status.ts';
import { messageOf } from '../../swarm/words.ts';
import { bringUp } from '../action/bring-up.ts';
import type { Mode } from '../action/guard.ts';
import type { MaintenanceWindow } from '../action/maintenance.ts';
import { AuditLog } from '../audit/audit-log.ts';
import { GrayWatch } from '../coordination/gray.ts';
import { Nova } from '../coordination/nova.ts';
import { isOfMachine, openOn } from '../coordination/open-elsewhere.ts';
import { PlacedServices } from '../coordination/placed-services.ts';
import { SwarmPolicies } from '../coordination/swarm-policies.ts';
import { SwarmUpgrades } from '../coordination/swarm-upgrades.ts';
import type { Committee } from '../decisions/committee.ts';
import type { Decisions } from '../decisions/decisions.ts';
import type { Conditions } from '../detection/conditions.ts';
import { type Change, serviceRow } from '../detection/detector.ts';
import type { Incident } from '../detection/incident.ts';
import type { LearnedThreshold } from '../detection/threshold.ts';
import { KeptStatuses } from '../link/kept-statuses.ts';
import { MembershipAdmin } from '../link/membership-admin.ts';
import type { HeldKeys } from '../link/network-keys.ts';
import { SwarmLink } from '../link/swarm-link.ts';
import type { Case } from '../memory/cases.ts';
import { Memory } from '../memory/memory.ts';
import type { ServiceSpec } from '../ports/actuator.ts';
import type { Ports } from '../ports/ports.ts';
import type { QueryResult } from '../query/answer.ts';
import { type TableSources, tableSources } from '../query/catalogue/table.ts';
import { answerExplain, type ExplainResult, explain } from '../query/explain.ts';
import { answerTable } from '../query/gather.ts';
import type { Inspectors } from '../query/inspectors.ts';
import { type Overview, overview } from '../query/overview.ts';
import { type Question, questionsWith } from '../query/pack.ts';
import { type QueryOptions, query } from '../query/query.ts';
import type { Reporter } from '../reporter.ts';
import type { Declared } from '../telemetry/declared.ts';
import type { Recording } from '../telemetry/flight-recorder.ts';
import type { Past } from '../telemetry/history.ts';
import { type AgentEdge, type AgentStatus, membersOf } from './agent-status.ts';
import { ApiTokens } from './api-tokens.ts';
import { AuditWatch } from './audit-watch.ts';
import { type EndingStep, endInTurn, unlessRefused } from './ending.ts';
import { Executor } from './executor.ts';
import { Grants } from './grants.ts';
import { Healer } from './healer.ts';
import { ownStatus } from './own-status.ts';
import { Permits } from './permits.ts';
import { type KnownPolicy, PolicySet } from './policies.ts';
import { readsOf } from './reads.ts';
import { SignedChanges } from './signed-changes.ts';
import { StallReports } from './stalls.ts';
import { Stories } from './stories.ts';
import { Supervision } from './supervision.ts';
import { type EngineConfig, Watcher } from './watcher.ts';

export interface AgentConfig {
  name: string;
  version: string;
  swarmId: string;
  mode: Mode;
  /** Shipped ones and those of the configuration; live ones come on top. */
  policies: readonly KnownPolicy[];
  engine: EngineConfig;
  maintenance: readonly MaintenanceWindow[];
  /** Of its own, beside those of the package. */
  questions: readonly Question[];
  declared: Declared;
  /** What fails together with this machine: a rack, a room. */
  domain?: string | undefined;
  /** Where it runs, in words. */
  place?: string | undefined;
  /** In the order in which they are started; each after those that it depends on. */
  services: readonly ServiceSpec[];
  /** Addresses to try while no member is connected. */
  join: readonly string[];
  /** What it joins with, where it is no member yet. */
  token: JoinToken | undefined;
  /** The root keys that are at hand here. */
  rootSigners: readonly Signer[];
  issuers?: number | undefined;
  inspect?: Inspectors | undefined;
  /** Undefined where the swarm has no network key. */
  networkKeys?: HeldKeys | undefined;
}

export interface AgentEvents {
  log(level: 'info' | 'warn', text: string): void;
  /** Something that must not fail did: the agent has to be stopped. Its journal makes that safe. */
  failed(error: unknown): void;
  /** It is to end, with `stop('restart')`, and to be started again. */
  restart(): void;
}

const MAX_OWN_VOTES = 1_024;

export class Agent {
  #config: AgentConfig;
  readonly #ports: Ports;
  readonly #events: AgentEvents & Reporter;
  readonly #watcher: Watcher;
  readonly #policies: PolicySet;
  readonly #link: SwarmLink;
  readonly #kept: KeptStatuses;
  readonly #memory: Memory;
  readonly #audit: AuditLog;
  readonly #executor: Executor;
  /** Who decides for the swarm, and what was decided. */
  readonly committee: Committee;
  readonly decisions: Decisions;
  readonly auditWatch: AuditWatch;
  readonly grants: Grants;
  readonly #permits: Permits;
  readonly #placed: PlacedServices;
  readonly swarmPolicies: SwarmPolicies;
  readonly upgrades: SwarmUpgrades;
  readonly #nova: Nova;
  readonly #gray: GrayWatch;
  readonly stories: Stories;
  readonly #stalls: StallReports;
  /** What two operators sign. */
  readonly signedChanges: SignedChanges;
  readonly #healer: Healer;
  readonly #supervision: Supervision;
  readonly membershipAdmin: MembershipAdmin;
  readonly apiTokens: ApiTokens;
  /** What only the process around it knows; undefined in a simulation. */
  edge: AgentEdge | undefined;
  readonly #sources: TableSources;
  readonly #ownVotes = new Map<string, Vote>();
  #startedMs = 0;
  #isGone = false;
  #stopping: Promise<void> | undefined;
  #endsServices = false;

  constructor(config: AgentConfig, given: Ports, outside: AgentEvents) {
    this.#config = config;
    const ports = { ...given, store: new DrainingStore(given.store, given.clock) };
    this.#ports = ports;
    // What fails while it stops does not keep it from stopping.
    const failed = (error: unknown): void =>
      this.#stopping === undefined ? outside.failed(error) : outside.log('warn', `while stopping: ${messageOf(error)}`);
    const noted = (text: string, subject: string = ports.transport.self) => this.#audit.append('control', subject, text);
    const events = { ...outside, failed, noted };
    this.#events = events;
    this.#memory = new Memory(ports.store);
    this.#audit = new AuditLog(ports.store, ports.clock, ports.crypto);
    this.#policies = new PolicySet(ports.store, config.policies, config.engine.maxRules);
    const policies = this.#policies.all().map(({ policy }) => policy);
    const ofSwarm = {
      clockBehindMs: () => this.#link.time.behindMs(),
      isBlind: () => this.#link.order.vitals.isBlind,
    };
    this.#watcher = new Watcher(ports, { ...config, ...config.engine, policies, ...ofSwarm, ...events }, (changes) =>
      this.#onChanges(changes),
    );
    this.#link = this.#swarmLink();
    this.auditWatch = this.#watchOfAudits();
    this.#kept = new KeptStatuses(ports, this.#link.members, (error) => this.#events.failed(error));
    const { members, time, selection, ballots, admission, enrolment, order } = this.#link;
    const { committee, decisions } = order;
    this.committee = committee;
    this.decisions = decisions;
    this.grants = new Grants(ports, config.swarmId, members, decisions, admission.instances);
    this.#permits = new Permits(ports, { members, committee, decisions, time, selection, ballots }, this.grants);
    this.#executor = this.#wayToChange(ports, config);
    this.#placed = this.#placedServices();
    this.swarmPolicies = this.#policiesOfSwarm();
    this.upgrades = this.#upgradesOfSwarm();
    const place = { name: admission.name, swarmId: config.swarmId, roster: members.roster, executor: this.#executor };
    this.signedChanges = new SignedChanges(ports, place);
    this.stories = this.#witnessedStories();
    const parts = {
      ports,
      stories: this.stories,
      link: this.#link,
      watcher: this.#watcher,
      memory: this.#memory,
      executor: this.#executor,
      permits: this.#permits,
      placed: this.#placed,
      services: config.services,
      reporter: events,
    };
    this.#healer = new Healer(parts);
    this.#supervision = new Supervision({ ...parts, brakes: this.#executor.brakes });
    this.apiTokens = new ApiTokens(ports);
    const administered = { admission, members, committee, decisions, networkKeys: enrolment.networkKeys, audit: this.#audit };
    this.membershipAdmin = new MembershipAdmin(ports, config.swarmId, administered);
    this.#sources = this.#tables();
    this.#gray = this.#grayWatch();
    this.#nova = this.#coordinator();
    this.#stalls = new StallReports(ports, { nameOf: () => admission.name, save: (one) => this.#memory.save(one), ...events });
  }

  #wayToChange(ports: Ports, { maintenance, engine, mode }: AgentConfig): Executor {
    const parts = {
      ports,
      audit: this.#audit,
      peers: () => this.#link.members.alive().filter((peer) => peer !== ports.transport.self).length,
      settings: { mode, maintenance },
      limits: this.grants,
      permits: this.#permits,
      maxConcurrent: engine.maxConcurrent,
      reporter: this.#events,
    };
    return new Executor(parts);
  }

  #swarmLink(): SwarmLink {
    return new SwarmLink(this.#ports, this.#config, {
      request: async (protocol, from, body) => {
        if (protocol === 'audit') return this.auditWatch.answer(from, body);
        if (protocol === 'release') return this.upgrades.answer(body);
        return protocol === 'table'
          ? answerTable(from, body, this.#sources)
          : answerExplain(from, body, this.#sources, (peer, story) => this.stories.keep(peer, story));
      },
      voted: (_claim, vote) => this.#rememberVote(vote),
      measured: (claim) => this.#gray.evidenceOn(claim),
      ...this.#events,
    });
  }

  #watchOfAudits(): AuditWatch {
    return new AuditWatch(this.#ports, this.#audit, {
      witnesses: () => this.#link.selection.witnesses(),
      alive: () => this.#link.members.alive(),
      request: (to, body, withinMs) => this.#link.messenger.ask(to, 'audit', body, withinMs),
      nameOf: (peer) => this.#link.members.nameOf(peer),
      ...this.#events,
    });
  }

  #witnessedStories(): Stories {
    return new Stories(this.#ports, this.#config.swarmId, {
      witnesses: () => this.#link.selection.witnesses(),
      isWitnessOf: (peer) => this.#link.selection.subjects().includes(peer),
      tell: (peer, body, withinMs) => this.#link.messenger.ask(peer, 'explain', body, withinMs),
      ...this.#events,
    });
  }

  #grayWatch(): GrayWatch {
    const { members, selection, ballots, order } = this.#link;
    return new GrayWatch(this.#ports, this.decisions, members, selection, order.vitals, {
      vote: (claim, witnesses) => ballots.vote(claim, witnesses),
      save: (incident) => this.#memory.save(incident),
      ...this.#events,
    });
  }

  #coordinator(): Nova {
    return new Nova(this.#ports, this.#link.members, this.#link.order, {
      openOn: (peers) => openOn(peers, this.#sources),
      save: (incident) => this.#memory.save(incident),
      ...this.#events,
    });
  }

  #placedServices(): PlacedServices {
    const { services } = this.#config;
    const names = services.flatMap(({ name, failover }) => (failover === true ? [name] : []));
    return new PlacedServices(this.#ports, this.decisions, this.#link.members, names, {
      mayNotTake: () => this.#executor.brakes.halted ?? this.#executor.brakes.paused ?? this.#drained(),
      mustGiveUp: () => this.#drained(),
      mayNotMove: () =>
        this.#config.mode === 'act'
          ? (this.#executor.brakes.halted ?? this.#executor.brakes.paused)
          : `mode is ${this.#config.mode}`,
      isSick: () => this.#watcher.conditions().Ready === 'False',
      ...this.#events,
      noted: (service, text) => this.#audit.append('control', service, text),
    });
  }

  #drained(): string | undefined {
    const drain = this.decisions.proven.drained().get(this.#link.members.self);
    return drain && `this member is drained: ${drain.reason}`;
  }

  #policiesOfSwarm(): SwarmPolicies {
    return new SwarmPolicies(this.#ports, this.#config.swarmId, this.decisions, this.#link.members, {
      follow: (bundle, policies) => this.#policies.follow(bundle, policies, (all) => this.#watcher.setPolicies(all)),
      bundle: () => this.#policies.bundle,
      names: () => this.#policies.ofSwarm,
      incidents: () => this.#memory.incidents(),
      isReady: () => this.#watcher.conditions().Ready !== 'False',
      ...this.#events,
      noted: (text) => this.noted(text),
    });
  }

  #upgradesOfSwarm(): SwarmUpgrades {
    return new SwarmUpgrades(this.#ports, this.#config.swarmId, this.decisions, this.#link.members, {
      ask: (peer, body, withinMs) => this.#link.messenger.ask(peer, 'release', body, withinMs),
      coordinator: () => this.committee.coordinator,
      incidents: () => this.#memory.incidents().filter(isOfMachine),
      isReady: () => this.#watcher.conditions().Ready !== 'False',
      ...this.#events,
      noted: (text) => this.noted(text),
    });
  }

  /** What is asked of by SQL. */
  #tables(): TableSources {
    const { inspect } = this.#config;
    const reads = readsOf({
      ports: this.#ports,
      link: this.#link,
      watcher: this.#watcher,
      memory: this.#memory,
      executor: this.#executor,
      policies: this.#policies,
      audit: this.#audit,
      stories: this.stories,
      ownVotes: this.#ownVotes,
      inspectionRefusal: (peer) => this.grants.inspectionRefusal(peer, inspect),
    });
    return tableSources(reads, this.#ports.compute);
  }

  async start(): Promise<void> {
    this.#startedMs = this.#ports.clock.monotonicMs();
    await this.#memory.open();
    for (const wrong of await this.#policies.open()) this.#events.log('warn', `a live policy is left out: ${wrong}`);
    this.#watcher.setPolicies(this.#policies.all().map(({ policy }) => policy));
    await this.#watcher.detectors.recall(this.#ports.store);
    await this.#audit.open();
    for (const part of [this.apiTokens, this.#permits, this.grants, this.signedChanges, this.#executor]) await part.open();
    await this.auditWatch.open();
    await this.stories.open();
    await this.#link.start();
    await this.#kept.open();
    await this.#audit.append(
      'start',
      this.#ports.transport.self,
      `${this.#link.admission.name} ${this.#config.version}, mode ${this.#config.mode}`,
    );
    await this.#bringUp();
    this.#ports.actuator.onBack(() => {
      this.#bringUp().catch((error: unknown) => this.#events.failed(error));
    });
    await this.#healer.incidents.recover();
    await this.#executor.recover();
    this.#watcher.start();
    for (const one of [this.#placed, this.swarmPolicies, this.upgrades, this.#nova, this.#gray, this.#stalls]) one.start();
  }

  #bringUp(): Promise<void> {
    return bringUp(this.#config.services, this.#ports, this.#events);
  }

  /** Ends this agent's membership, tells the others, and forgets the swarm; the agent must be stopped after it. @throws MembershipError */
  async leave(force: boolean): Promise<void> {
    this.membershipAdmin.mayLeave(force);
    await this.committee.autopilot.retire();
    await this.membershipAdmin.leave(force);
    this.#isGone = true;
  }

  /** Says farewell, then stops services, network and storage, in this order; once. @param how `restart`: it is back at once, and services go on */
  stop(how: 'for good' | 'restart' = 'for good'): Promise<void> {
    if (how === 'for good') this.#endsServices = true;
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  #stop(): Promise<void> {
    const { actuator, compute, store } = this.#ports;
    const stop = (part: { stop(): void }): EndingStep => ['its tasks', () => part.stop()];
    const steps: EndingStep[] = [
      ...[this.swarmPolicies, this.upgrades, this.#nova, this.#gray, this.#stalls].map(stop),
      // While the swarm can still be told.
      ['fail-over services', () => (this.#endsServices ? unlessRefused(this.#ports, this.#placed.stop()) : this.#placed.leave())],
      ...[this.#watcher, this.#healer.incidents, this.stories, this.#executor, this.auditWatch].map(stop),
      ['the network', () => this.#link.stop()],
      ['its view of the members', () => unlessRefused(this.#ports, this.#kept.close())],
      ['services', () => (this.#endsServices ? actuator.close() : actuator.leave())],
      ['child processes', () => compute.close()],
      ['its membership', () => (this.#isGone ? unlessRefused(this.#ports, forgetSwarm(store)) : undefined)],
      ['the store', () => store.close()],
    ];
    return endInTurn(steps, (text) => this.#events.log('warn', text));
  }

  #onChanges(changes: readonly Change[]): void {
    this.#supervision.look();
    // Told first, so that witnesses who judge by it hold it when the claim comes.
    this.#link.announcements.publish(this.#status(changes.filter(({ kind }) => kind === 'fired').length));
    this.#healer.onChanges(changes);
  }

  #rememberVote(vote: Vote): void {
    this.#ownVotes.set(vote.claimId, vote);
    if (this.#ownVotes.size > MAX_OWN_VOTES) this.#ownVotes.delete(this.#ownVotes.keys().next().value ?? '');
  }

  #status(aboutToOpen: number): Status {
    return ownStatus(this.#ports, this.#config, this.#link.members, this.#link.order, {
      metrics: this.#watcher.samples.metrics,
      conditions: this.#watcher.conditions(),
      openIncidents: this.#healer.incidents.size + aboutToOpen,
      isHalted: this.#executor.brakes.halted !== undefined,
    });
  }

  /** Its place in the swarm: for whoever judges it from outside. */
  get swarm(): SwarmLink {
    return this.#link;
  }

  query(sql: string, options: QueryOptions): Promise<QueryResult> {
    return query(sql, options, this.#sources, this.#ports.compute);
  }

  /** What can be asked by name. */
  questions(): Question[] {
    return questionsWith(this.#config.questions);
  }

  explain(id: string, asker: string): Promise<ExplainResult> {
    return explain(id, { reads: this.#sources, crypto: this.#ports.crypto, swarmId: this.#config.swarmId, asker });
  }

  /** Applies the part of a configuration that can change without a restart: all of it or nothing. @throws PolicyError */
  async reconfigure(
    { mode, maintenance, policies, questions }: Pick<AgentConfig, 'mode' | 'maintenance' | 'policies' | 'questions'>,
    what: string,
  ): Promise<void> {
    this.#policies.configure(policies, (all) => this.#watcher.setPolicies(all));
    this.#executor.brakes.reconfigure({ mode, maintenance });
    this.#config = { ...this.#config, mode, maintenance, policies, questions };
    await this.noted(`configuration: ${what}`);
  }

  /** Why the disk of the state directory refuses writes; undefined while it accepts them. */
  get refusal(): string | undefined {
    return this.#ports.store.refusal;
  }

  wallMs(): number {
    return this.#ports.clock.wallMs();
  }

  /** What a person had decided is in this agent's audit too. */
  async noted(text: string): Promise<void> {
    await this.#audit.append('control', this.#link.members.self, text);
  }

  traffic(): ReadonlyMap<string, Traffic> {
    return this.#ports.transport.traffic();
  }

  conditions(): Conditions {
    return this.#watcher.conditions();
  }

  overview(): Overview {
    return overview(this.#sources);
  }

  series(): string[] {
    return this.#watcher.samples.history.names();
  }

  targets(): string[] {
    return this.#watcher.targets();
  }

  /** What a series was; undefined where it is unknown. */
  past(name: string): { fine: Past; coarse: { mean: Past; most: Past } | undefined } | undefined {
    const fine = this.#watcher.samples.history.fine(name);
    return fine && { fine, coarse: this.#watcher.samples.history.coarse(name) };
  }

  cases(): Case[] {
    return this.#memory.cases.all();
  }

  /** The minute before an incident; undefined where none is kept. */
  recording(incident: string): Promise<Recording | undefined> {
    return this.#memory.recording(incident);
  }

  /** The one way to a change on this machine. */
  get executor(): Executor {
    return this.#executor;
  }

  get audit(): AuditLog {
    return this.#audit;
  }

  /** Every policy, with what its thresholds are now. */
  policies(): (KnownPolicy & { thresholds: Record<string, LearnedThreshold> })[] {
    return this.#policies.all().map((known) => ({ ...known, thresholds: this.#watcher.detectors.thresholds(known.policy.name) }));
  }

  /** Adds or replaces live policies; all of them or none. @throws PolicyError */
  async applyPolicies(inputs: readonly unknown[]): Promise<string[]> {
    const names = (await this.#policies.apply(inputs, (policies) => this.#watcher.setPolicies(policies))).map(({ name }) => name);
    await this.#audit.append('control', this.#link.members.self, `policies applied: ${names.join(', ')}`);
    return names;
  }

  /** False where there is no live policy of that name. */
  async removePolicy(name: string): Promise<boolean> {
    const removed = await this.#policies.remove(name, (policies) => this.#watcher.setPolicies(policies));
    if (removed) await this.#audit.append('control', this.#link.members.self, `policy removed: ${name}`);
    return removed;
  }

  /** Has a policy's thresholds learn again. */
  resetPolicy(name: string): void {
    this.#watcher.detectors.resetThresholds(name);
  }

  incidents(): Incident[] {
    return this.#memory.incidents();
  }

  status(): AgentStatus {
    const { version, swarmId, mode } = this.#config;
    const { members, admission } = this.#link;
    const { name } = admission;
    const { coordinator, lacking, term } = this.committee;
    return {
      name,
      peer: this.#link.members.self,
      swarmId,
      version,
      mode,
      halted: this.#executor.brakes.halted ?? null,
      twin: admission.instances.conflictOf(this.#link.members.self) ?? null,
      refusal: this.refusal ?? null,
      page: this.edge?.page ?? null,
      uptimeMs: Math.round(this.#ports.clock.monotonicMs() - this.#startedMs),
      addresses: this.#ports.transport.addresses(),
      coordinator: coordinator && members.nameOf(coordinator),
      uncoordinated: lacking ?? null,
      term,
      members: membersOf(members, coordinator),
      conditions: this.#watcher.conditions(),
      sensors: this.#ports.sensors.source,
      samples: this.#watcher.samples.count,
      series: this.#watcher.samples.history.series,
      seriesBytes: this.#watcher.samples.history.bytes,
      metrics: Object.fromEntries(this.#watcher.samples.metrics),
      services: this.#watcher.services.views().map(serviceRow),
      openIncidents: this.#memory
        .incidents()
        .filter(({ closedMs }) => closedMs === 0)
        .map(({ id, summary, target, state }) => ({ id, summary, target, state })),
      approvals: this.#executor.approvals
        .all()
        .map(({ plan, diff, expiresMs }) => ({ id: plan.id, incident: plan.incident, diff, expiresMs })),
      silences: this.#executor.brakes.silences.active(),
      unseen: this.#watcher.looks.unseen,
      auditRecords: this.#audit.records,
    };
  }
}

/** @throws PolicyError where a policy's expression is wrong. */
export function createAgent(config: AgentConfig, ports: Ports, events: AgentEvents): Agent {
  return new Agent(config, ports, events);
}
