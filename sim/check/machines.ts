// Checkers of the machines: actions are within limits, faults are repaired or escalated, nothing else is changed, and tables stay within
// their limits.
import { decodeCertificate, verifyCertificate } from '../../consensus/vote/certificate.ts';
import { MIN_WITNESSES } from '../../node/action/authorization.ts';
import { STORM_CHANGES, STORM_WITHIN_MS } from '../../node/action/guard.ts';
import { ORDINARY_RATE } from '../../node/action/tool.ts';
import { MAX_OPEN } from '../../node/action/transaction.ts';
import type { Primitive } from '../../node/ports/actuator.ts';
import { toHex } from '../../swarm/dissemination/cbor.ts';
import type { Cluster } from '../cluster.ts';
import type { ChangeEvent } from '../machine/changes.ts';
import type { SimulatedNode } from '../node.ts';
import { type Checker, someOf } from './checker.ts';

/** Uses of one tool on one target within a time, without undos. */
const MAX_USES = ORDINARY_RATE.uses;
const USES_WITHIN_MS = ORDINARY_RATE.withinMs;

/** No step runs twice, a target has one change at a time, limits are kept, and services without a fault are not changed. */
export class ActionChecker implements Checker {
  readonly name = 'actions';

  begin(cluster: Cluster): void {
    const shared: Shared = { nonces: new Set(), underWay: new Set() };
    for (const node of cluster.nodes) {
      const seen = new Watched(cluster, node, shared);
      node.linux.changes.onEvent = (event) => seen.event(event);
    }
  }

  end(cluster: Cluster): void {
    for (const { name, linux } of cluster.nodes) {
      const open = linux.changes.open();
      if (open.length > 0) cluster.violation(`${name}: ${open.join(', ')} neither confirmed nor undone`);
    }
  }
}

/** State of all machines: certificates that were used, and disruptive changes in progress. */
interface Shared {
  readonly nonces: Set<string>;
  readonly underWay: Set<string>;
}

/** The changes in progress on one machine. */
class Watched {
  readonly #cluster: Cluster;
  readonly #node: SimulatedNode;
  readonly #open = new Map<string, Set<string>>();
  readonly #done = new Set<string>();
  readonly #uses = new Map<string, number[]>();
  #armedMs: number[] = [];
  #wipes = 0;
  /** Changes at a time. */
  readonly #maxOpen: number;
  readonly #shared: Shared;
  readonly #critical: ReadonlySet<string>;

  constructor(cluster: Cluster, node: SimulatedNode, shared: Shared) {
    this.#cluster = cluster;
    this.#shared = shared;
    this.#critical = new Set(cluster.settings.services.filter(({ critical }) => critical === true).map(({ name }) => name));
    this.#maxOpen = cluster.settings.engine.maxConcurrent ?? MAX_OPEN;
    this.#node = node;
  }

  event(event: ChangeEvent): void {
    if (event.kind === 'armed')
      this.#armed(
        event.id,
        event.steps.map((step) => step.do),
      );
    else if (event.kind === 'finished') {
      this.#open.delete(event.id);
      this.#shared.underWay.delete(`${this.#node.name} ${event.id}`);
    } else this.#ran(event.key, event.primitive, event.undo);
  }

  #wrong(text: string): void {
    this.#cluster.violation(`${this.#node.name}: ${text}`);
  }

  #armed(id: string, primitives: readonly Primitive[]): void {
    const { nowMs } = this.#cluster.scheduler;
    const targets = new Set(primitives.flatMap((primitive) => this.#targetOf(primitive)));
    for (const [other, held] of this.#open) {
      const both = [...targets].find((target) => held.has(target));
      if (both !== undefined) this.#wrong(`${other} and ${id} change ${both} at the same time`);
    }
    this.#open.set(id, targets);
    if ([...targets].some((target) => this.#critical.has(target))) this.#warranted(id);
    if (this.#open.size > this.#maxOpen) this.#wrong(`${this.#open.size} changes at the same time`);
    if (this.#wipes !== this.#node.past.wipes) this.#armedMs = []; // the agent remembers on its disk
    this.#wipes = this.#node.past.wipes;
    this.#armedMs = [...this.#armedMs, nowMs].filter((ms) => nowMs - ms < STORM_WITHIN_MS);
    if (this.#armedMs.length > STORM_CHANGES)
      this.#wrong(`${this.#armedMs.length} changes in ${STORM_WITHIN_MS / 1_000} s: over the storm limit`);
  }

  /** A change to a critical service has a certificate of enough witnesses for exactly this change, and is one of few at the same time. */
  #warranted(id: string): void {
    const incident = this.#node.agent?.parts.memory.incidents().find((one) => id.startsWith(`${one.id}-`));
    const bytes = Uint8Array.from(atob(incident?.certificate ?? ''), (char) => char.charCodeAt(0));
    const certificate = decodeCertificate(bytes);
    const warrant = certificate?.claim.warrant;
    if (certificate === undefined || warrant === undefined) return this.#wrong(`${id} is disruptive and not certified`);
    const { crypto } = this.#cluster.node(0);
    const check = verifyCertificate(crypto, this.#cluster.swarmId, certificate);
    if (!check.valid) this.#wrong(`${id}: ${check.reason}`);
    if (warrant.plan !== id || certificate.claim.subject !== this.#node.peer)
      this.#wrong(`${id} uses the certificate of ${warrant.plan}`);
    if (certificate.witnesses.length < MIN_WITNESSES)
      this.#wrong(`${id} is certified by only ${certificate.witnesses.length} witnesses`);
    const { nonces, underWay } = this.#shared;
    const nonce = toHex(warrant.nonce);
    if (nonces.has(nonce)) this.#wrong(`${id}: its certificate was used before`);
    nonces.add(nonce);
    underWay.add(`${this.#node.name} ${id}`);
    const most = Math.max(1, Math.floor(this.#cluster.nodes.length / 10));
    if (underWay.size > most) this.#wrong(`${[...underWay].join(', ')}: disruptive changes at once, limit ${most}`);
  }

  /** The name of a service, also if its process is the target; else the name of the file or setting. */
  #targetOf([name, target]: Primitive): string[] {
    if (name.startsWith('service') || name.startsWith('file.') || name === 'sysctl.write') return [String(target)];
    const service = this.#node.linux.services.all().find(({ pid }) => name.startsWith('process.') && pid === target);
    return service === undefined ? [] : [service.name];
  }

  #ran(key: string, primitive: Primitive, undo: boolean): void {
    const { nowMs } = this.#cluster.scheduler;
    const what = `${undo ? 'undo of ' : ''}${key}`;
    if (this.#done.has(what)) this.#wrong(`${what} ran twice`);
    this.#done.add(what);
    const [name, target] = primitive;
    if (name !== 'service.start' && name !== 'service.stop') return;
    if (!this.#node.past.touched.has(String(target))) this.#wrong(`${name} on ${String(target)}, which had no fault`);
    if (undo) return;
    const use = `${name} ${String(target)} of disk ${this.#node.past.wipes}`;
    const recent = [...(this.#uses.get(use) ?? []), nowMs].filter((ms) => nowMs - ms < USES_WITHIN_MS);
    this.#uses.set(use, recent);
    if (recent.length > MAX_USES) this.#wrong(`${use}: ${recent.length} times in ${USES_WITHIN_MS / 60_000} minutes`);
  }
}

/** It was escalated, or waits for an approval. */
const isWithPerson = (state: string): boolean => state === 'escalated' || state === 'waiting';

/** At the end: every service runs or its incident is escalated; every incident is closed or escalated; every certificate is valid. */
export class HealingChecker implements Checker {
  readonly name = 'healing';

  end(cluster: Cluster): void {
    const elsewhere = new Set(cluster.settings.services.filter(({ failover }) => failover).map(({ name }) => name));
    for (const { node, agent } of cluster.agents()) {
      const incidents = agent.parts.memory.incidents();
      const open = incidents.filter(({ closedMs }) => closedMs === 0);
      for (const service of node.linux.services.all()) {
        if (elsewhere.has(service.name)) continue;
        const isEscalated = open.some(({ target, state }) => target === service.name && isWithPerson(state));
        const frozen = node.linux.services.isFrozen(service.name);
        if ((service.state !== 'running' || frozen) && !isEscalated)
          cluster.violation(
            `${node.name}: service ${service.name} is ${frozen ? 'frozen' : service.state}, and no incident reports it`,
          );
        const quietMs = cluster.scheduler.nowMs - this.#lastFaultMs(cluster);
        if (isEscalated && service.state === 'running' && !frozen && quietMs > WELL_MS)
          cluster.violation(`${node.name}: service ${service.name} is healthy, but its incident is still escalated`);
        if (!node.past.touched.has(service.name) && service.starts > 1)
          cluster.violation(`${node.name}: service ${service.name} had no fault, but was started ${service.starts} times`);
      }
      for (const { id, state } of open) if (!isWithPerson(state)) cluster.violation(`${node.name}: ${id} is still open`);
      for (const { id, certificate } of incidents) this.#certificate(cluster, node, id, certificate);
    }
  }

  #lastFaultMs({ history }: Cluster): number {
    return Math.max(0, ...history.faults.map(({ atMs, fault }) => atMs + fault.forMs));
  }

  #certificate(cluster: Cluster, { name, crypto, peer }: SimulatedNode, id: string, base64: string): void {
    if (base64 === '') return;
    const certificate = decodeCertificate(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)));
    const checked = certificate && verifyCertificate(crypto, cluster.swarmId, certificate);
    if (checked?.valid !== true)
      cluster.violation(`${name}: the certificate of ${id}: ${checked?.reason ?? 'it cannot be read'}`);
    // By this checker's own arithmetic: more than half of the honest witnesses, whichever of them lie.
    const asked = certificate?.witnesses.length ?? 0;
    const votes = new Set(certificate?.votes.map(({ witness }) => witness)).size;
    if (2 * votes <= asked + Math.floor((asked - 1) / 3))
      cluster.violation(`${name}: the certificate of ${id} has ${votes} votes of ${asked}`);
    if (certificate !== undefined && certificate.claim.subject !== peer)
      cluster.violation(`${name}: the certificate of ${id} is of another machine`);
  }
}

/** This long after the last fault, an incident of a healthy service must be closed. */
const WELL_MS = 60_000;

/** Longer than an agent takes to escalate what it does not repair, even if its machine is stalled or slow. */
const UNREPORTED_MS = 120_000;

/** An incident that is open for long is being repaired, escalated, or silenced by a person. */
export class UnreportedChecker implements Checker {
  readonly name = 'unreported';
  /** Since when an incident has been open and not escalated, by machine, start of its agent, and incident. */
  #since = new Map<string, number>();
  readonly #reported = new Set<string>();

  each(cluster: Cluster): void {
    const { nowMs } = cluster.scheduler;
    const still = new Map<string, number>();
    for (const { node, running } of cluster.running()) {
      const { whole: agent, swarm } = running;
      const wallMs = node.wallMs();
      for (const { id, policy, target, severity, state, closedMs } of agent?.parts.memory.incidents() ?? []) {
        if (closedMs > 0 || severity === 'info' || state === 'acting' || isWithPerson(state)) continue;
        const own = agent?.parts.executor.brakes.silences.covering(policy, target);
        if ((own ?? swarm.consensus.decisions.state.silenceOn(policy, target, wallMs)) !== undefined) continue;
        const key = `${node.name} ${node.past.starts} ${id}`;
        const sinceMs = this.#since.get(key) ?? nowMs;
        still.set(key, sinceMs);
        if (nowMs - sinceMs < UNREPORTED_MS || this.#reported.has(key)) continue;
        this.#reported.add(key);
        cluster.violation(`${node.name}: ${id} (${policy}) is open for two minutes without escalation`);
      }
    }
    this.#since = still;
  }
}

/** Every audit log is valid, and records every change that was made. */
export class AuditChecker implements Checker {
  readonly name = 'audit';
  readonly #armed = new Map<number, string[]>();

  begin(cluster: Cluster): void {
    for (const node of cluster.nodes) {
      const before = node.linux.changes.onEvent;
      const armed: string[] = [];
      this.#armed.set(node.index, armed);
      node.linux.changes.onEvent = (event) => {
        if (event.kind === 'armed') armed.push(event.id);
        before(event);
      };
    }
  }

  async end(cluster: Cluster): Promise<void> {
    for (const { node, agent } of cluster.agents()) {
      const audit = await agent.parts.audit.verify();
      if (!audit.ok) cluster.violation(`${node.name}: audit record ${audit.index}: ${audit.reason}`);
      if (node.past.wipes > 0) continue;
      const records = await agent.parts.audit.tail(Number.MAX_SAFE_INTEGER);
      for (const id of this.#armed.get(node.index) ?? []) {
        const kinds = records.filter(({ subject }) => subject === id).map(({ kind }) => kind);
        if (kinds.filter((kind) => kind === 'intent').length !== 1 || !kinds.includes('outcome'))
          cluster.violation(`${node.name}: the audit of change ${id} has ${kinds.join(', ') || 'nothing'}`);
      }
    }
  }
}

/** Tables may grow with the number of members only. */
export class BoundsChecker implements Checker {
  readonly name = 'bounds';
  #turn = 0;

  each(cluster: Cluster): void {
    const most = cluster.nodes.length;
    for (const { node, running } of someOf(cluster.running(), MAX_LOOKED_AT, this.#turn++)) {
      const { swarm, whole } = running;
      if (swarm.members.all().length > most)
        cluster.violation(`${node.name} knows ${swarm.members.all().length} members of ${most}`);
      if (swarm.members.statuses.size > most)
        cluster.violation(`${node.name} has ${swarm.members.statuses.size} statuses of ${most}`);
      const open = whole?.parts.memory.incidents().filter(({ closedMs }) => closedMs === 0).length ?? 0;
      if (swarm.ballots.waiting > open + VOTES_AFTER)
        cluster.violation(`${node.name} waits for ${swarm.ballots.waiting} votes on ${open} incidents`);
      const incidents = whole?.parts.memory.incidents().length ?? 0;
      if (incidents > MAX_INCIDENTS) cluster.violation(`${node.name} keeps ${incidents} incidents`);
    }
    if (cluster.scheduler.waiting > MAX_WAITING_EVENTS * most + EVENTS_ANYWAY)
      cluster.violation(`${cluster.scheduler.waiting} events wait for ${most} machines`);
  }
}

/** An incident may end while its votes are still pending. */
const VOTES_AFTER = 3;
/** Independent of the size. */
const EVENTS_ANYWAY = 20_000;
const MAX_INCIDENTS = 1_000;
const MAX_LOOKED_AT = 30;
/** Timers, messages in flight and cancelled events that are not due yet. */
const MAX_WAITING_EVENTS = 1_000;
