// Thirty real agents in network namespaces: how fast they find each other, what they cost while nothing happens, how fast all
// know of a killed, a frozen and a cut-off one, and whether stalls make anybody `down`; beside HashiCorp's Serf in the same
// namespaces. Bars: kill known to all ≤ 0.5 s median, ≤ 1.5 s at most; freeze or cut ≤ 3.5 / ≤ 6 s; no false `down`;
// ≤ 2 KB/s a node on the wire; ≤ 130 MB and ≤ 3 % of a core an agent.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { pause, type RealMachine, RealMachines } from '../../sim/adapters/real/machines.ts';
import type { Traffic } from '../../swarm/ports/transport.ts';
import { eventually } from '../support/clock.ts';
import { mean, measure } from '../support/process-cost.ts';
import type { Bench, BenchOptions, Figures } from './bench.ts';

const SERF = '/usr/bin/serf';
const START_AT_ONCE = 5;
const DAY_MS = 86_400_000;
const PATIENCE_MS = 120_000;
const STALLED = 8;
const STALL_MS = 4_000;
const STORM_TURN_MS = 5_000;
/** Pressure is an average over ten seconds. */
const STORM_REST_MS = 30_000;

/** When each agent said what of whom: told from its log, which it writes at once. */
interface Said {
  atMs: number;
  who: string;
  state: string;
}

/** The wall clock of a line's time of day: the run is not longer than a day. */
function atOf(time: string): number {
  const [hours = 0, minutes = 0, seconds = 0] = time.split(':').map(Number);
  const now = Date.now();
  const midnight = now - (now % DAY_MS);
  const ms = midnight + hours * 3_600_000 + minutes * 60_000 + seconds * 1_000;
  return ms > now + 1_000 ? ms - DAY_MS : ms;
}

function saidBy(machine: RealMachine, sinceMs: number): Said[] {
  const said = readFileSync(machine.log, 'utf8').matchAll(/^([\d:.]{12}) (node-\d+) is (\w+)$/gm);
  return [...said]
    .map(([, time = '', who = '', state = '']) => ({ atMs: atOf(time), who, state }))
    .filter(({ atMs }) => atMs >= sinceMs);
}

interface Known {
  firstMs: number;
  allMs: number;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const most = (values: readonly number[]): number => Math.max(...values);
const ms = (value: number): string => `${Math.round(value)} ms`;

class Swarm {
  readonly machines: RealMachines;
  readonly #progress: (text: string) => void;

  constructor(nodes: number, progress: (text: string) => void) {
    this.machines = new RealMachines(nodes, []);
    this.#progress = progress;
  }

  get all(): readonly RealMachine[] {
    return this.machines.all;
  }

  /** Ms from when the last one was up until all saw all. */
  async start(): Promise<number> {
    await this.machines.build();
    const [first, ...rest] = this.all;
    await first?.start(undefined);
    for (let at = 0; at < rest.length; at += START_AT_ONCE) {
      await Promise.all(rest.slice(at, at + START_AT_ONCE).map((machine) => machine.start(first)));
      this.#progress(`${Math.min(this.all.length, at + START_AT_ONCE + 1)} of ${this.all.length} agents are up`);
    }
    const upMs = Date.now();
    await this.allAlive(0);
    const lastMs = most(this.all.flatMap((machine) => saidBy(machine, 0).map(({ atMs }) => atMs)));
    return Math.max(0, lastMs - upMs);
  }

  /** By what each said last of each: all of all that run. */
  async allAlive(sinceMs: number): Promise<void> {
    const running = this.all.filter((machine) => machine.running);
    await eventually(
      'all to see all',
      () => {
        for (const machine of running) {
          const last = new Map(saidBy(machine, sinceMs).map(({ who, state }) => [who, state]));
          const seen = running.filter(
            ({ name }) => name !== machine.name && (last.get(name) ?? (sinceMs > 0 ? 'alive' : '')) === 'alive',
          );
          if (seen.length !== running.length - 1) return undefined;
        }
        return true;
      },
      PATIENCE_MS,
    );
  }

  /** When the first and the last of the others said that each of these is gone. */
  async known(gone: readonly RealMachine[], byMs: number, among: readonly RealMachine[]): Promise<Known> {
    const names = new Set(gone.map(({ name }) => name));
    const times = (): number[] | undefined => {
      const found = among.flatMap((machine) => {
        const said = saidBy(machine, byMs).filter(
          ({ who, state }) => names.has(who) && (state === 'unreachable' || state === 'down'),
        );
        return [...names].map((name) => said.find(({ who }) => who === name)?.atMs ?? Number.NaN);
      });
      return found.every((atMs) => !Number.isNaN(atMs)) ? found : undefined;
    };
    const found = await eventually(`all to know of ${[...names].join(', ')}`, times, PATIENCE_MS);
    return { firstMs: Math.min(...found) - byMs, allMs: most(found) - byMs };
  }

  others(...gone: RealMachine[]): RealMachine[] {
    return this.all.filter((machine) => !gone.includes(machine));
  }

  /** Which of those that ran all the time somebody held for down. */
  falselyDown(sinceMs: number): string[] {
    return this.all.flatMap((machine) =>
      saidBy(machine, sinceMs)
        .filter(({ state }) => state === 'down')
        .map(({ who }) => `${machine.name} held ${who} for down`),
    );
  }
}

async function kills(swarm: Swarm, times: number, progress: (text: string) => void): Promise<Known[]> {
  const found: Known[] = [];
  for (let turn = 0; turn < times; turn++) {
    const machine = victim(swarm, turn);
    const killedMs = Date.now();
    machine.crash();
    found.push(await swarm.known([machine], killedMs, swarm.others(machine)));
    const backMs = Date.now();
    await machine.start(undefined);
    await backAgain(swarm.others(machine), machine, backMs);
    progress(`kill ${turn + 1} of ${times}: first ${ms(found.at(-1)?.firstMs ?? 0)}, all ${ms(found.at(-1)?.allMs ?? 0)}`);
  }
  return found;
}

/** Never the same twice in a row, and never the issuer. */
const victim = (swarm: Swarm, turn: number): RealMachine => swarm.all[1 + ((turn * 7) % (swarm.all.length - 1))] as RealMachine;

async function backAgain(among: readonly RealMachine[], machine: RealMachine, sinceMs: number): Promise<void> {
  const sees = (other: RealMachine): boolean =>
    saidBy(other, sinceMs).findLast(({ who }) => who === machine.name)?.state === 'alive';
  await eventually(`all to see ${machine.name} again`, () => among.every(sees) || undefined, PATIENCE_MS);
  await pause(2_000);
}

async function freezes(swarm: Swarm, times: number, progress: (text: string) => void): Promise<Known[]> {
  const found: Known[] = [];
  for (let turn = 0; turn < times; turn++) {
    const machine = victim(swarm, turn + 3);
    const frozenMs = Date.now();
    machine.signal('SIGSTOP');
    found.push(await swarm.known([machine], frozenMs, swarm.others(machine)));
    const backMs = Date.now();
    machine.signal('SIGCONT');
    await backAgain(swarm.others(machine), machine, backMs);
    progress(`freeze ${turn + 1} of ${times}: first ${ms(found.at(-1)?.firstMs ?? 0)}, all ${ms(found.at(-1)?.allMs ?? 0)}`);
  }
  return found;
}

/** One, two and three machines are cut off from all others, in turns. */
async function partitions(swarm: Swarm, times: number, progress: (text: string) => void): Promise<Known[]> {
  const found: Known[] = [];
  for (let turn = 0; turn < times; turn++) {
    const cut = Array.from({ length: 1 + (turn % 3) }, (_, i) => victim(swarm, turn + 5 * i));
    const rest = swarm.others(...cut);
    const cutMs = Date.now();
    await Promise.all(cut.map((machine) => machine.link(false)));
    found.push(await swarm.known(cut, cutMs, rest));
    const backMs = Date.now();
    await Promise.all(cut.map((machine) => machine.link(true)));
    for (const machine of cut) await backAgain(rest, machine, backMs);
    await swarm.allAlive(cutMs);
    progress(
      `partition ${turn + 1} of ${times}, ${cut.length} cut off: first ${ms(found.at(-1)?.firstMs ?? 0)}, all ${ms(found.at(-1)?.allMs ?? 0)}`,
    );
  }
  return found;
}

async function stalls(swarm: Swarm, progress: (text: string) => void): Promise<string[]> {
  progress(`${STALLED} agents are stalled for ${STALL_MS / 1000} s each, in turns`);
  const sinceMs = Date.now();
  for (let turn = 0; turn < STALLED; turn++) {
    const machine = victim(swarm, turn);
    machine.signal('SIGSTOP');
    await pause(STALL_MS);
    machine.signal('SIGCONT');
    await pause(500);
  }
  await pause(10_000);
  return swarm.falselyDown(sinceMs);
}

/** By kind of protocol, over all agents. */
async function traffic(swarm: Swarm): Promise<Map<string, Traffic>> {
  const sum = new Map<string, Traffic>();
  for (const machine of swarm.all)
    for (const [protocol, { bytes, writes }] of Object.entries(
      (await machine.ask<Record<string, Traffic>>('/v1/traffic')) ?? {},
    )) {
      const kind = protocol.replace(/^\/kalos\/[0-9a-f]+/, '');
      const known = sum.get(kind) ?? { bytes: 0, writes: 0 };
      sum.set(kind, { bytes: known.bytes + bytes, writes: known.writes + writes });
    }
  return sum;
}

async function idleBytes(
  swarm: Swarm,
  seconds: number,
  progress: (text: string) => void,
): Promise<{ bytesPerS: number; cpuShare: number; rssMb: number; kinds: [string, number, number][] }> {
  const kindsBefore = await traffic(swarm);
  const before = await swarm.machines.sentBytes();
  const startMs = performance.now();
  const cost = mean(
    await measure(
      swarm.all.map(({ pid }) => pid),
      seconds,
    ),
  );
  const after = await swarm.machines.sentBytes();
  const sent = after.reduce((sum, bytes, i) => sum + bytes - (before[i] ?? 0), 0);
  const perS = swarm.all.length * ((performance.now() - startMs) / 1000);
  const kindsAfter = await traffic(swarm);
  const kinds = [...kindsAfter].map(([kind, { bytes, writes }]): [string, number, number] => [
    kind,
    (bytes - (kindsBefore.get(kind)?.bytes ?? 0)) / perS,
    (writes - (kindsBefore.get(kind)?.writes ?? 0)) / perS,
  ]);
  kinds.sort((a, b) => b[2] - a[2]);
  for (const [kind, bytes, writes] of kinds)
    if (writes > 0) progress(`  ${kind}: ${bytes.toFixed(0)} B/s in ${writes.toFixed(2)} writes/s a node`);
  return { kinds, bytesPerS: sent / swarm.all.length / ((performance.now() - startMs) / 1000), ...cost };
}

/** The machine that they share is overloaded and at rest in turns: every agent has something to tell, all at once. */
async function inStorm(swarm: Swarm, seconds: number, progress: (text: string) => void): ReturnType<typeof idleBytes> {
  const burners = Array.from({ length: 2 * availableParallelism() }, () => spawn(process.execPath, ['-e', 'for (;;);']));
  let isBurning = true;
  const turns = setInterval(() => {
    isBurning = !isBurning;
    for (const burner of burners) burner.kill(isBurning ? 'SIGCONT' : 'SIGSTOP');
  }, STORM_TURN_MS);
  try {
    return await idleBytes(swarm, seconds, progress);
  } finally {
    clearInterval(turns);
    for (const burner of burners) burner.kill('SIGKILL');
  }
}

// Serf

interface SerfAgent {
  machine: RealMachine;
  child: ChildProcess;
  said: Said[];
}

/** Serf in the same namespaces, LAN defaults: full views, bytes at rest, kills. */
async function serf(swarm: Swarm, seconds: number, times: number, progress: (text: string) => void) {
  const launch = (machine: RealMachine): SerfAgent => {
    const join = machine.index === 0 ? [] : [`-retry-join=${swarm.all[0]?.address}:7946`, '-retry-interval=1s'];
    const args = ['agent', `-node=${machine.name}`, `-bind=${machine.address}:7946`, '-rpc-addr=127.0.0.1:7373', ...join];
    const child = spawn('ip', ['netns', 'exec', machine.namespace, SERF, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const said: Said[] = [];
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      for (const [, event = '', who = ''] of text.matchAll(/EventMember(Join|Failed): (node-\d+)/g))
        said.push({ atMs: Date.now(), who, state: event === 'Join' ? 'alive' : 'down' });
    });
    return { machine, child, said };
  };
  const agents = swarm.all.map(launch);
  const startedMs = Date.now();
  const last = (agent: SerfAgent, name: string) => agent.said.findLast(({ who }) => who === name)?.state;
  const whole = () => agents.every((agent) => swarm.all.every(({ name }) => last(agent, name) === 'alive')) || undefined;
  try {
    await eventually('serf to see all', whole, PATIENCE_MS);
    const fullViewMs = most(agents.flatMap(({ said }) => said.map(({ atMs }) => atMs))) - startedMs;
    await pause(20_000);
    const before = await swarm.machines.sentBytes();
    await pause(seconds * 1000);
    const after = await swarm.machines.sentBytes();
    const bytesPerS = after.reduce((sum, bytes, i) => sum + bytes - (before[i] ?? 0), 0) / agents.length / seconds;
    const known: number[] = [];
    for (let turn = 0; turn < times; turn++) {
      const { name } = victim(swarm, turn);
      const at = agents.findIndex(({ machine }) => machine.name === name);
      const dead = agents[at] as SerfAgent;
      const killedMs = Date.now();
      dead.child.kill('SIGKILL');
      const others = agents.filter((agent) => agent !== dead);
      await eventually('serf to know', () => others.every((agent) => last(agent, name) === 'down') || undefined, PATIENCE_MS);
      known.push(most(others.map(({ said }) => said.findLast(({ who }) => who === name)?.atMs ?? 0)) - killedMs);
      agents[at] = launch(dead.machine);
      await eventually('serf to see all again', whole, PATIENCE_MS);
      progress(`serf, kill ${turn + 1} of ${times}: all ${ms(known.at(-1) ?? 0)}`);
    }
    return { fullViewMs, bytesPerS, known };
  } finally {
    for (const { child } of agents) child.kill('SIGKILL');
  }
}

async function measureSerf(swarm: Swarm, { option, progress }: BenchOptions) {
  const times = option('rival', 6);
  if (times === 0 || !existsSync(SERF)) return undefined;
  await Promise.all(swarm.all.map((machine) => machine.leave()));
  progress('serf agents start in the same namespaces');
  return serf(swarm, option('seconds', 60), times, progress);
}

export const swarm: Bench = {
  name: 'swarm',
  description: 'thirty real agents: full views, cost at rest, kill, freeze and cut known to all, beside Serf (needs root)',
  run: async (options): Promise<Figures> => {
    const { option, progress } = options;
    const nodes = option('nodes', 30);
    const made = new Swarm(nodes, progress);
    try {
      const fullViewMs = await made.start();
      progress(
        `all see all, ${ms(fullViewMs)} after the last was up; settling for ${option('settle', 45)} s, then measuring for ${option('seconds', 60)} s`,
      );
      await pause(option('settle', 45) * 1000);
      const quietMs = Date.now();
      const idle = await idleBytes(made, option('seconds', 60), progress);
      const falseAtRest = made.falselyDown(quietMs);
      progress(
        `at rest: ${Math.round(idle.bytesPerS)} B/s a node, ${(idle.cpuShare * 100).toFixed(2)} % of a core, ${Math.round(idle.rssMb)} MB`,
      );
      const storm = await inStorm(made, option('seconds', 60), progress);
      progress(`in a storm: ${Math.round(storm.bytesPerS)} B/s a node, ${(storm.cpuShare * 100).toFixed(2)} % of a core`);
      await pause(STORM_REST_MS);
      const killed = await kills(made, option('kills', 12), progress);
      const frozen = await freezes(made, option('freezes', 12), progress);
      const cut = await partitions(made, option('partitions', 6), progress);
      const falseDown = [...falseAtRest, ...(await stalls(made, progress))];
      for (const text of falseDown) progress(text);
      const rival = await measureSerf(made, options);
      const gone = [...frozen, ...cut].map(({ allMs }) => allMs);
      const all = (known: readonly Known[]): number[] => known.map(({ allMs }) => allMs);
      const both = (values: readonly number[]): string =>
        values.length === 0 ? '-' : `${ms(median(values))}, at most ${ms(most(values))}`;
      return {
        rows: [
          ['agents', String(nodes), rival === undefined ? '-' : `${nodes} Serf`],
          [
            'all see all, after the last was up (Serf: after all were started)',
            ms(fullViewMs),
            rival === undefined ? '-' : ms(rival.fullViewMs),
          ],
          [
            'at rest, bytes/s a node, with headers',
            String(Math.round(idle.bytesPerS)),
            rival === undefined ? '-' : String(Math.round(rival.bytesPerS)),
          ],
          ['in a storm, bytes/s and CPU an agent', `${Math.round(storm.bytesPerS)}, ${(storm.cpuShare * 100).toFixed(2)} %`, '-'],
          ['at rest, CPU and memory an agent', `${(idle.cpuShare * 100).toFixed(2)} %, ${Math.round(idle.rssMb)} MB`, '-'],
          ['kill -9: first knows', both(killed.map(({ firstMs }) => firstMs)), '-'],
          ['kill -9: all know', both(all(killed)), rival === undefined ? '-' : both(rival.known)],
          ['SIGSTOP: first knows', both(frozen.map(({ firstMs }) => firstMs)), '-'],
          ['SIGSTOP: all know', both(all(frozen)), '-'],
          ['cut off: all know', both(all(cut)), '-'],
          [`held for down though only stalled (${STALLED} × ${STALL_MS / 1000} s)`, String(falseDown.length), '-'],
        ],
        keys: {
          nodes,
          full_view_ms: fullViewMs,
          kill_p50_ms: median(all(killed)),
          kill_max_ms: most(all(killed)),
          freeze_p50_ms: median(gone),
          freeze_max_ms: most(gone),
          false_down: falseDown.length,
          idle_bytes_s: idle.bytesPerS,
          cpu_share: idle.cpuShare,
          storm_bytes_s: storm.bytesPerS,
          storm_cpu_share: storm.cpuShare,
          rss_mb: idle.rssMb,
          rival_kill_p50_ms: rival && median(rival.known),
          rival_idle_bytes_s: rival?.bytesPerS,
        },
        unmeasured: rival === undefined ? ['Serf: not installed (Debian package serf), or --rival 0'] : [],
      };
    } finally {
      await made.machines.remove();
    }
  },
};
