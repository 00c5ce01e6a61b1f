// Runs a scenario with real agents, in real time: the same format, the same faults as far as they can be injected, and the same checks as
// far as they are possible from outside.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findPackage } from '../../../node/adapters/package.ts';
import type { AgentStatus } from '../../../node/agent/agent-status.ts';
import type { Incident } from '../../../node/detection/incident.ts';
import { KalosError } from '../../../node/errors.ts';
import { messageOf } from '../../../swarm/words.ts';
import { SeededRandom } from '../../random.ts';
import { brokenStory } from '../../scenario/expect.ts';
import { FAULTS, type FaultKind } from '../../scenario/faults.ts';
import { describeFault, type PlannedFault, planFaults, RECOVERY_MS, selectFrom } from '../../scenario/plan.ts';
import type { Scenario } from '../../scenario/schema.ts';
import { REAL_FAULTS } from './faults.ts';
import { pause, type RealMachine, RealMachines } from './machines.ts';

const execute = promisify(execFile);
const LOOK_EVERY_MS = 1_000;
const SETTLED_MS = 20_000;

export interface RealReport {
  scenario: string;
  nodes: number;
  seed: number;
  tookMs: number;
  faults: { atMs: number; text: string; on: string[] }[];
  incidents: { id: string; node: string; policy: string; target: string; outcome: string; certified: boolean; tookMs: number }[];
  violations: string[];
  /** What of the scenario was not checked, and why. */
  unseen: string[];
}

export interface RealOptions {
  scenario: Scenario;
  nodes: number;
  seed: number;
  onProgress(atMs: number, text: string): void;
}

/** Refuses a scenario with faults that this machine cannot inject, before it starts. Random faults are drawn from those that it can. */
function possible(scenario: Scenario): Scenario {
  const impossible = [...new Set(scenario.fault.map(({ kind }) => kind))].filter((kind) => REAL_FAULTS[kind] === undefined);
  if (impossible.length > 0)
    throw new KalosError(
      'usage',
      `${scenario.name} has faults that are only simulated: ${impossible.join(', ')}`,
      `real faults: ${Object.keys(REAL_FAULTS).join(', ')}`,
    );
  if (scenario.drawn === undefined) return scenario;
  const kinds = (scenario.drawn.kinds ?? (Object.keys(FAULTS) as FaultKind[])).filter((kind) => REAL_FAULTS[kind] !== undefined);
  if (kinds.length === 0) throw new KalosError('usage', `${scenario.name} has only simulated faults`);
  return { ...scenario, drawn: { ...scenario.drawn, kinds } };
}

class RealRun {
  readonly machines: RealMachines;
  readonly violations: string[] = [];
  readonly faults: RealReport['faults'] = [];
  readonly #options: RealOptions;
  readonly #coordinators = new Map<number, string>();
  readonly #excusedMs = new Map<number, number>();
  readonly #pids = new Map<string, number>();
  #coordinator: number | undefined;
  #startMs = 0;

  constructor(options: RealOptions) {
    this.#options = options;
    const services = Array.isArray(options.scenario.machine.service) ? options.scenario.machine.service : [];
    const port = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);
    this.machines = new RealMachines(
      options.nodes,
      services.map((one) => ({ name: String(one.name), port: port(one.port) })),
    );
  }

  get nowMs(): number {
    return performance.now() - this.#startMs;
  }

  #wrong(text: string): void {
    this.violations.push(`at ${(this.nowMs / 1_000).toFixed(1)} s: ${text}`);
    this.#report(`violated: ${text}`);
  }

  #report(text: string): void {
    this.#options.onProgress(this.nowMs, text);
  }

  async run(): Promise<void> {
    const { scenario, seed } = this.#options;
    this.#startMs = performance.now();
    await this.machines.build();
    const [first, ...rest] = this.machines.all;
    await first?.start(undefined);
    for (const machine of rest) await machine.start(first);
    this.#report(`${this.machines.all.length} agents are up`);
    this.#startMs = performance.now();
    this.#excuse(this.machines.all, SETTLED_MS);
    const faults = planFaults(scenario, seed).map((fault, index) => this.#make(fault, index));
    while (this.nowMs < scenario.duration) {
      await pause(LOOK_EVERY_MS);
      await this.#look();
    }
    await Promise.all(faults);
    await this.#end();
  }

  #excuse(on: readonly RealMachine[], forMs: number): void {
    for (const { index } of on) this.#excusedMs.set(index, Math.max(this.#excusedMs.get(index) ?? 0, this.nowMs + forMs));
  }

  #isExcused({ index, paused, running }: RealMachine): boolean {
    return paused || !running || (this.#excusedMs.get(index) ?? 0) > this.nowMs;
  }

  async #make(fault: PlannedFault, index: number): Promise<void> {
    await pause(fault.atMs - this.nowMs);
    const { all } = this.machines;
    const random = new SeededRandom(this.#options.seed, `fault ${index}`);
    const on = selectFrom(all.length, fault.on, random, this.#coordinator).flatMap((at) => all[at] ?? []);
    const { local, everywhere } = FAULTS[fault.kind];
    const touched = everywhere === true ? all : on;
    const text = describeFault(fault);
    this.faults.push({ atMs: Math.round(this.nowMs), text, on: on.map(({ name }) => name) });
    this.#report(`${text}: ${on.map(({ name }) => name).join(' ')}`);
    if (local !== true) this.#excuse(touched, fault.forMs + RECOVERY_MS);
    try {
      const end = await REAL_FAULTS[fault.kind]?.({ machines: this.machines, on, forMs: fault.forMs, args: fault.args });
      if (end === undefined || fault.forMs <= 0) return;
      await pause(fault.forMs);
      await end();
      this.#report(`${fault.kind} ended`);
      if (local !== true) this.#excuse(touched, RECOVERY_MS);
    } catch (error) {
      this.#wrong(`${text} could not be injected: ${messageOf(error)}`);
    }
  }

  async #statuses(): Promise<{ machine: RealMachine; status: AgentStatus }[]> {
    const asked = this.machines.all
      .filter(({ running, paused }) => running && !paused)
      .map(async (machine) => ({ machine, status: await machine.status() }));
    return (await Promise.all(asked)).flatMap(({ machine, status }) => (status === undefined ? [] : [{ machine, status }]));
  }

  async #look(): Promise<void> {
    const seen = await this.#statuses();
    for (const { machine, status } of seen) {
      this.#coordinator = this.machines.all.find(({ name }) => name === status.coordinator)?.index ?? this.#coordinator;
      if (status.coordinator === machine.name) {
        const other = this.#coordinators.get(status.term);
        if (other !== undefined && other !== machine.name)
          this.#wrong(`two leaders in term ${status.term}: ${other} and ${machine.name}`);
        this.#coordinators.set(status.term, machine.name);
      }
      for (const { name, pid } of status.services) {
        const key = `${machine.name} ${name}`;
        if (pid === null || machine.touched.has(name)) continue;
        const before = this.#pids.get(key);
        if (before !== undefined && before !== pid) this.#wrong(`${key} had no fault, yet its process was replaced`);
        this.#pids.set(key, pid);
      }
      if (this.#isExcused(machine)) continue;
      for (const other of this.machines.all) {
        if (this.#isExcused(other)) continue;
        const state = status.members.find(({ name }) => name === other.name)?.state;
        if (state !== 'alive') this.#wrong(`${machine.name} considers ${other.name} ${state ?? 'no member'}, without a fault`);
      }
    }
  }

  async #end(): Promise<void> {
    const seen = await this.#statuses();
    const { all } = this.machines;
    if (seen.length < all.length) this.#wrong(`only ${seen.length} of ${all.length} agents answer`);
    const coordinators = new Set(seen.map(({ status }) => status.coordinator));
    if (coordinators.size !== 1 || coordinators.has(undefined)) this.#wrong(`not one leader: ${[...coordinators].join(', ')}`);
    const names = all
      .map(({ name }) => name)
      .sort()
      .join(' ');
    for (const { machine, status } of seen) {
      const alive = status.members
        .filter(({ state }) => state === 'alive')
        .map(({ name }) => name)
        .sort()
        .join(' ');
      if (alive !== names) this.#wrong(`${machine.name} sees ${alive} alive, not ${names}`);
      for (const { id, state, target } of status.openIncidents)
        if (state !== 'escalated') this.#wrong(`${machine.name}: ${id} on ${target} is still open`);
      for (const { name, state } of status.services)
        if (state !== 'running' && !status.openIncidents.some((one) => one.target === name))
          this.#wrong(`${machine.name}: service ${name} is ${state}, and no incident reports it`);
      await execute(join(findPackage().root, 'bin', 'kalos'), ['audit', 'verify', '--dir', machine.directory]).catch(
        (error: { stdout?: string; message: string }) =>
          this.#wrong(`${machine.name}: the audit does not verify: ${error.stdout ?? error.message}`),
      );
    }
  }

  async incidents(): Promise<{ machine: RealMachine; incidents: Incident[] }[]> {
    const asked = this.machines.all.map(async (machine) => ({
      machine,
      incidents: (await machine.ask<Incident[]>('/v1/incidents')) ?? [],
    }));
    return Promise.all(asked);
  }
}

/** @throws KalosError if this machine cannot do it, or an agent does not start. */
export async function runReal(options: RealOptions): Promise<RealReport> {
  const scenario = possible(options.scenario);
  const startedMs = performance.now();
  const run = new RealRun({ ...options, scenario });
  const interrupted = (): void => void run.machines.remove().finally(() => process.exit(130));
  process.once('SIGINT', interrupted);
  try {
    await run.run();
    const incidents = await run.incidents();
    const unseen: string[] = [];
    for (const expectation of scenario.expect) {
      if (!('policy' in expectation)) {
        unseen.push(`expect ${JSON.stringify(expectation)}: only the simulator can check files, settings and start counts`);
        continue;
      }
      const { node } = expectation;
      const on = typeof node === 'number' ? [incidents.at(node)] : incidents;
      for (const one of on)
        run.violations.push(...brokenStory(one?.incidents ?? [], expectation).map((text) => `${one?.machine.name}: ${text}`));
    }
    return {
      scenario: scenario.name,
      nodes: options.nodes,
      seed: options.seed,
      tookMs: Math.round(performance.now() - startedMs),
      faults: run.faults,
      incidents: incidents.flatMap(({ machine, incidents }) =>
        incidents.map(({ id, policy, target, outcome, certificate, openedMs, closedMs }) => ({
          id,
          node: machine.name,
          policy,
          target,
          outcome,
          certified: certificate !== '',
          tookMs: closedMs === 0 ? 0 : Math.round(closedMs - openedMs),
        })),
      ),
      violations: run.violations,
      unseen,
    };
  } finally {
    process.off('SIGINT', interrupted);
    await run.machines.remove();
  }
}
