// What becomes of a swarm of three over hours, at rest or under a changing load of stress-ng, while services are killed, frozen and
// made to answer with errors, and members are killed: memory's slope, samples that were missed, incidents that nobody was
// told of, and changes of the coordinator, none of which has a cause. With --agents 1 --faults 0: one agent alone.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { AgentStatus } from '../../node/agent/agent-status.ts';
import type { Incident } from '../../node/detection/incident.ts';
import { AS_AGENT, freePort, type RealAgent, RealSwarm } from '../support/agents.ts';
import { ask } from '../support/ask.ts';
import type { Bench, BenchOptions, Figures } from './bench.ts';

const LOOK_EVERY_MS = 5_000;
const MIXES = [
  ['--cpu', '2'],
  ['--vm', '1', '--vm-bytes', '40%'],
  ['--hdd', '1', '--hdd-bytes', '256M'],
  ['--fork', '2'],
  ['--sock', '2'],
  ['--cpu', '1', '--vm', '1', '--vm-bytes', '25%', '--hdd', '1', '--sock', '1'],
] as const;
const MIX_S = 60;
const PAUSE_S = 30;

interface Look {
  atS: number;
  rssMb: number;
  files: number;
}

/** Undefined of a process that has ended, and of one that nobody has waited for yet. */
function look(pid: number, startMs: number): Look | undefined {
  try {
    const rss = readFileSync(`/proc/${pid}/status`, 'latin1').match(/^VmRSS:\s+(\d+)/m)?.[1];
    if (rss === undefined) return undefined;
    const files = readdirSync(`/proc/${pid}/fd`).length;
    return { atS: (performance.now() - startMs) / 1_000, rssMb: Number(rss) / 1_024, files };
  } catch {
    return undefined;
  }
}

/** By least squares, in an hour. */
function slope(looks: readonly Look[], of: 'rssMb' | 'files'): number {
  const [meanAt, mean] = [average(looks.map(({ atS }) => atS)), average(looks.map((one) => one[of]))];
  const over = looks.reduce((sum, one) => sum + (one.atS - meanAt) * (one[of] - mean), 0);
  const under = looks.reduce((sum, { atS }) => sum + (atS - meanAt) ** 2, 0);
  return (over / under) * 3_600;
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function stress(untilMs: number, progress: BenchOptions['progress']): Promise<void> {
  for (let i = 0; performance.now() < untilMs; i++) {
    const mix = MIXES[i % MIXES.length] ?? [];
    progress(`stress-ng ${mix.join(' ')}`);
    const child: ChildProcess = spawn('stress-ng', [...mix, '--temp-path', '/tmp', '--timeout', `${MIX_S}s`, '--quiet'], {
      stdio: 'ignore',
    });
    await new Promise((resolve) => child.once('exit', resolve));
    await pause(PAUSE_S * 1_000);
  }
}

const FAULT_EVERY_MS = 20_000;
/** A member that does not coordinate is killed at every so many faults. */
const KILL_EVERY = 15;
const UNTOLD_MS = 120_000;
/** A shorter life says more of a start than of a slope. */
const LIFE_S = 1_200;

/** A service that answers over HTTP, until it is told to answer with errors. */
const SERVER =
  'let bad = false; process.on("SIGUSR2", () => { bad = true; }); require("node:http").createServer((q, r) => r.writeHead(bad ? 500 : 200).end("ok")).listen(Number(process.argv[1]), "127.0.0.1")';

async function configured(name: string): Promise<string> {
  const port = await freePort();
  const command = [process.execPath, '-e', SERVER, String(port)].map((part) => JSON.stringify(part)).join(', ');
  return `mode = "act"\n[[service]]\nname = "web-${name}"\n${AS_AGENT}command = [${command}]\nport = ${port}\ncheck = { kind = "http", path = "/" }\n`;
}

/** One agent through all its lives. */
interface Watched {
  agent: RealAgent;
  config: string;
  looks: Look[];
  /** Of lives that have ended. */
  missed: number;
}

const status = ({ agent }: Watched): Promise<AgentStatus> => ask(agent.directory, '/v1/status');

/** What is seen of the swarm from outside, every few seconds. */
class Soaked {
  readonly all: Watched[];
  readonly #progress: BenchOptions['progress'];
  readonly #open = new Map<string, number>();
  readonly untold = new Set<string>();
  coordinatorChanges = 0;
  #coordinator: string | undefined;

  constructor(all: Watched[], progress: BenchOptions['progress']) {
    this.all = all;
    this.#progress = progress;
  }

  get coordinator(): string | undefined {
    return this.#coordinator;
  }

  async look(startMs: number): Promise<void> {
    for (const one of this.all) {
      const { pid } = one.agent.process;
      const seen = pid === undefined ? undefined : look(pid, startMs);
      if (seen === undefined) continue;
      one.looks.push(seen);
      const incidents = await ask<Incident[]>(one.agent.directory, '/v1/incidents').catch(() => undefined);
      if (incidents !== undefined) this.#lookAt(one.agent.name, incidents);
    }
    const [first] = this.all;
    const now = first && (await status(first).catch(() => undefined))?.coordinator;
    if (now === undefined || now === this.#coordinator) return;
    if (this.#coordinator !== undefined) {
      this.coordinatorChanges++;
      this.#progress(`the coordinator changed from ${this.#coordinator} to ${now}`);
    }
    this.#coordinator = now;
  }

  #lookAt(name: string, incidents: readonly Incident[]): void {
    const nowMs = performance.now();
    for (const { id, policy, target, state, severity, closedMs } of incidents) {
      const key = `${name} ${id}`;
      if (closedMs > 0 || severity === 'info' || ['acting', 'escalated', 'waiting'].includes(state)) {
        this.#open.delete(key);
        continue;
      }
      const sinceMs = this.#open.get(key) ?? nowMs;
      this.#open.set(key, sinceMs);
      if (nowMs - sinceMs <= UNTOLD_MS || this.untold.has(key)) continue;
      this.untold.add(key);
      this.#progress(`untold: ${key}: ${policy} on ${target} is ${state}`);
    }
  }
}

async function harm(swarm: RealSwarm, soaked: Soaked, nth: number, progress: BenchOptions['progress']): Promise<void> {
  const one = soaked.all[nth % soaked.all.length];
  if (one === undefined) return;
  const { name, directory } = one.agent;
  if (nth % KILL_EVERY === KILL_EVERY - 1 && soaked.coordinator !== name && soaked.all[0] !== one) {
    const { exitCode, signalCode } = one.agent.process;
    // It may not have come back the last time.
    if (exitCode === null && signalCode === null) {
      const { uptimeMs, samples } = await status(one);
      one.missed += Math.max(0, Math.floor(uptimeMs / 1_000) - samples);
      progress(`${name} is killed`);
      await swarm.kill(one.agent);
    }
    one.agent = await swarm.start(name, one.config, one.agent);
    return;
  }
  const { services } = await ask<AgentStatus>(directory, '/v1/status');
  const pid = services[0]?.pid;
  const signal = (['SIGKILL', 'SIGSTOP', 'SIGUSR2'] as const)[nth % 3];
  if (typeof pid === 'number' && signal !== undefined) process.kill(pid, signal);
}

async function harmAll(swarm: RealSwarm, soaked: Soaked, untilMs: number, progress: BenchOptions['progress']): Promise<void> {
  for (let nth = 0; performance.now() + FAULT_EVERY_MS < untilMs; nth++) {
    await pause(FAULT_EVERY_MS);
    await harm(swarm, soaked, nth, progress).catch((error: unknown) => progress(`fault ${nth}: ${String(error)}`));
  }
}

async function run({ option, progress }: BenchOptions): Promise<Figures> {
  const [minutes, agents, load] = [option('minutes', 120), option('agents', 3), option('load', 1) === 1];
  const hasStress = existsSync('/usr/bin/stress-ng');
  const swarm = new RealSwarm();
  try {
    const all: Watched[] = [];
    for (let nth = 0; nth < agents; nth++) {
      const name = `soak${nth + 1}`;
      const config = await configured(name);
      all.push({ agent: await swarm.start(name, config), config, looks: [], missed: 0 });
    }
    const soaked = new Soaked(all, progress);
    const startMs = performance.now();
    const untilMs = startMs + minutes * 60_000;
    const work = [
      ...(load && hasStress ? [stress(untilMs, progress)] : []),
      ...(option('faults', 1) === 1 ? [harmAll(swarm, soaked, untilMs, progress)] : []),
    ];
    for (let told = 1; performance.now() < untilMs; ) {
      await pause(LOOK_EVERY_MS);
      await soaked.look(startMs);
      if (performance.now() - startMs < told * 60_000) continue;
      const memory = all.map(({ looks }) => `${looks.at(-1)?.rssMb.toFixed(0)} MiB`).join(', ');
      progress(`${told} min: ${memory}; ${soaked.coordinator} coordinates; ${soaked.untold.size} untold`);
      told++;
    }
    await Promise.all(work);
    return await figuresOf(minutes, soaked, load && !hasStress ? ['load: stress-ng is not installed'] : []);
  } finally {
    await swarm.stop();
  }
}

async function figuresOf(minutes: number, soaked: Soaked, unmeasured: string[]): Promise<Figures> {
  const rows: Figures['rows'] = [];
  let missed = 0;
  const slopes: { rssMb: number; files: number }[] = [];
  const outcomes = new Map<string, number>();
  for (const one of soaked.all) {
    const { samples, uptimeMs } = await status(one);
    const lived = uptimeMs / 1_000;
    missed += one.missed + Math.max(0, Math.floor(lived) - samples);
    // Of its last life, without what its start leaves behind.
    const life = one.looks.filter(({ atS }) => atS > (one.looks.at(-1)?.atS ?? 0) - lived);
    const settled = life.slice(Math.floor(life.length / 4));
    if (lived >= LIFE_S) {
      slopes.push({ rssMb: slope(settled, 'rssMb'), files: slope(settled, 'files') });
    }
    rows.push([
      `memory of ${one.agent.name}`,
      `${settled.at(-1)?.rssMb.toFixed(1)} MiB after ${(lived / 60).toFixed(0)} min, ${slope(settled, 'rssMb').toFixed(2)} MiB an hour`,
      '',
    ]);
    for (const { policy, outcome, state } of await ask<Incident[]>(one.agent.directory, '/v1/incidents')) {
      const what = `${policy}: ${outcome === '' ? state : outcome}`;
      outcomes.set(what, (outcomes.get(what) ?? 0) + 1);
    }
  }
  for (const [what, count] of outcomes) rows.push([what, String(count), '']);
  const { coordinatorChanges, untold } = soaked;
  const steepest = (of: (one: { rssMb: number; files: number }) => number) =>
    slopes.length === 0 ? undefined : Math.max(...slopes.map(of));
  return {
    rows,
    keys: {
      minutes,
      rss_slope_mb_h: steepest((one) => one.rssMb),
      files_slope_h: steepest((one) => one.files),
      missed,
      untold: untold.size,
      coordinator_changes: coordinatorChanges,
    },
    unmeasured,
  };
}

export const soak: Bench = {
  name: 'soak',
  description:
    'three agents for two hours under stress-ng and faults: memory, missed samples, what is untold, changes of the coordinator',
  run,
};
