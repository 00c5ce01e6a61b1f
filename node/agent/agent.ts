// One agent, the same in reality and in simulation: createAgent(config, ports) is the only seam between the two.
// It starts and stops its parts in order, and reports its status; the parts do the work.

import { forgetSwarm } from '../../swarm/identity/roster-store.ts';
import type { Traffic } from '../../swarm/ports/transport.ts';
import { DrainingStore } from '../../swarm/runtime/draining-store.ts';
import { messageOf } from '../../swarm/words.ts';
import { bringUp } from '../action/bring-up.ts';
import type { Committee } from '../decisions/committee.ts';
import type { Decisions } from '../decisions/decisions.ts';
import { type Change, serviceRow } from '../detection/detector.ts';
import type { SwarmLink } from '../link/swarm-link.ts';
import type { Ports } from '../ports/ports.ts';
import { type Question, questionsWith } from '../query/pack.ts';
import type { AgentConfig, AgentEvents } from './agent-config.ts';
import { type AgentParts, makeParts } from './agent-parts.ts';
import { type AgentEdge, type AgentStatus, membersOf } from './agent-status.ts';
import { type EndingStep, endInTurn, unlessRefused } from './ending.ts';
import { ownStatus } from './own-status.ts';

export class Agent {
  #config: AgentConfig;
  readonly #ports: Ports;
  readonly #events: AgentEvents;
  readonly parts: AgentParts;
  /** Its place in the swarm. */
  readonly swarm: SwarmLink;
  /** The committee, and its decisions. */
  readonly committee: Committee;
  readonly decisions: Decisions;
  /** The process around it; undefined in a simulation. */
  edge: AgentEdge | undefined;
  #startedMs = 0;
  #hasLeft = false;
  #stopping: Promise<void> | undefined;
  #endsServices = false;

  constructor(config: AgentConfig, given: Ports, outside: AgentEvents) {
    this.#config = config;
    this.#ports = { ...given, store: new DrainingStore(given.store, given.clock) };
    // A failure while it stops does not prevent the stop.
    const failed = (error: unknown): void =>
      this.#stopping === undefined ? outside.failed(error) : outside.log('warn', `while stopping: ${messageOf(error)}`);
    this.#events = { ...outside, failed };
    this.parts = makeParts(config, this.#ports, this.#events, (changes) => this.#onChanges(changes));
    this.swarm = this.parts.link;
    this.committee = this.swarm.consensus.committee;
    this.decisions = this.swarm.consensus.decisions;
  }

  async start(): Promise<void> {
    const { watcher, policies, memory, executor, permits, grants, signedChanges, healer, stalls } = this.parts;
    const { link, kept, stories, audit, auditWatch, apiTokens } = this.parts;
    const { placed, swarmPolicies, upgrades, nova, gray } = this.parts;
    this.#startedMs = this.#ports.clock.monotonicMs();
    await memory.open();
    for (const wrong of await policies.open()) this.#events.log('warn', `a live policy was skipped: ${wrong}`);
    watcher.setPolicies(policies.all().map(({ policy }) => policy));
    await watcher.detectors.recall(this.#ports.store);
    await audit.open();
    for (const part of [apiTokens, permits, grants, signedChanges, executor]) await part.open();
    await auditWatch.open();
    await stories.open();
    await link.start();
    await kept.open();
    const { version, mode } = this.#config;
    await audit.append('start', this.#ports.transport.self, `${link.admission.name} ${version}, mode ${mode}`);
    await this.#bringUp();
    this.#ports.actuator.onBack(() => {
      this.#bringUp().catch(this.#events.failed);
    });
    await healer.incidents.recover();
    await executor.recover();
    watcher.start();
    for (const one of [placed, swarmPolicies, upgrades, nova, gray, stalls]) one.start();
  }

  #bringUp(): Promise<void> {
    return bringUp(this.#config.services, this.#ports, this.#events);
  }

  /** Ends this agent's membership, and informs the members; stop the agent after it: that deletes the swarm's data. @throws MembershipError */
  async leave(force: boolean): Promise<void> {
    const { membershipAdmin } = this.parts;
    membershipAdmin.mayLeave(force);
    await this.committee.autopilot.retire();
    await membershipAdmin.leave(force);
    this.#hasLeft = true;
  }

  /** Announces the stop, then stops its parts, services and the store; once. @param how `restart`: services keep running until it is back */
  stop(how: 'for good' | 'restart' = 'for good'): Promise<void> {
    if (how === 'for good') this.#endsServices = true;
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  #stop(): Promise<void> {
    const { watcher, executor, healer, stalls, link, kept, stories, auditWatch } = this.parts;
    const { placed, swarmPolicies, upgrades, nova, gray } = this.parts;
    const { actuator, compute, store } = this.#ports;
    const stop = (part: { stop(): void }): EndingStep => ['the agent’s tasks', () => part.stop()];
    const steps: EndingStep[] = [
      ...[swarmPolicies, upgrades, nova, gray, stalls].map(stop),
      // While the swarm can still be informed.
      ['fail-over services', () => (this.#endsServices ? unlessRefused(this.#ports, placed.stop()) : placed.leave())],
      ...[watcher, healer.incidents, stories, executor, auditWatch].map(stop),
      ['the network', () => link.stop()],
      ['the member table', () => unlessRefused(this.#ports, kept.close())],
      ['services', () => (this.#endsServices ? actuator.close() : actuator.leave())],
      ['child processes', () => compute.close()],
      ['the membership', () => (this.#hasLeft ? unlessRefused(this.#ports, forgetSwarm(store)) : undefined)],
      ['the store', () => store.close()],
    ];
    return endInTurn(steps, (text) => this.#events.log('warn', text));
  }

  #onChanges(changes: readonly Change[]): void {
    const { supervision, healer, watcher, executor, link } = this.parts;
    supervision.look();
    // Published first, so that witnesses have the status when the claim arrives.
    const aboutToOpen = changes.filter(({ kind }) => kind === 'fired').length;
    const status = ownStatus(this.#ports, this.#config, link.members, link.consensus, {
      metrics: watcher.samples.metrics,
      conditions: watcher.conditions(),
      openIncidents: healer.incidents.size + aboutToOpen,
      isHalted: executor.brakes.halted !== undefined,
    });
    link.announcements.publish(status);
    healer.onChanges(changes);
  }

  /** The saved queries. */
  questions(): Question[] {
    return questionsWith(this.#config.questions);
  }

  /** Applies the part of a configuration that can change without a restart, all or nothing. @throws PolicyError */
  async reconfigure(
    { mode, maintenance, policies, questions }: Pick<AgentConfig, 'mode' | 'maintenance' | 'policies' | 'questions'>,
    what: string,
  ): Promise<void> {
    this.parts.policies.configure(policies);
    this.parts.executor.brakes.reconfigure({ mode, maintenance });
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

  /** Records a person's decision in this agent's audit. */
  async noted(text: string): Promise<void> {
    await this.parts.audit.append('control', this.swarm.members.self, text);
  }

  traffic(): ReadonlyMap<string, Traffic> {
    return this.#ports.transport.traffic();
  }

  status(): AgentStatus {
    const { version, swarmId, mode } = this.#config;
    const { watcher, memory, executor, audit } = this.parts;
    const { members, admission } = this.swarm;
    const { coordinator, lacking, term } = this.committee;
    return {
      name: admission.name,
      peer: members.self,
      swarmId,
      version,
      mode,
      halted: executor.brakes.halted ?? null,
      twin: admission.instances.conflictOf(members.self) ?? null,
      refusal: this.refusal ?? null,
      page: this.edge?.page ?? null,
      uptimeMs: Math.round(this.#ports.clock.monotonicMs() - this.#startedMs),
      addresses: this.#ports.transport.addresses(),
      coordinator: coordinator && members.nameOf(coordinator),
      uncoordinated: lacking ?? null,
      term,
      members: membersOf(members, coordinator),
      conditions: watcher.conditions(),
      sensors: this.#ports.sensors.source,
      samples: watcher.samples.count,
      series: watcher.samples.history.series,
      seriesBytes: watcher.samples.history.bytes,
      metrics: Object.fromEntries(watcher.samples.metrics),
      services: watcher.services.views().map(serviceRow),
      openIncidents: memory
        .incidents()
        .filter(({ closedMs }) => closedMs === 0)
        .map(({ id, summary, target, state }) => ({ id, summary, target, state })),
      approvals: executor.approvals
        .all()
        .map(({ plan, diff, expiresMs }) => ({ id: plan.id, incident: plan.incident, diff, expiresMs })),
      silences: executor.brakes.silences.active(),
      unseen: watcher.looks.unseen,
      auditRecords: audit.records,
    };
  }
}

/** @throws PolicyError if a policy's expression is invalid. */
export function createAgent(config: AgentConfig, ports: Ports, events: AgentEvents): Agent {
  return new Agent(config, ports, events);
}
