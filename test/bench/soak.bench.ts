// What becomes of an agent over an hour: at rest, or under a changing load of stress-ng. Memory's slope, file descriptors,
// samples that were missed, and the incidents, which at rest are all false.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { AgentStatus } from '../../node/agent.ts';
import { RealSwarm } from '../support/agents.ts';
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

function look(pid: number, startMs: number): Look {
  const rss = readFileSync(`/proc/${pid}/status`, 'latin1').match(/^VmRSS:\s+(\d+)/m)?.[1];
  return { atS: (performance.now() - startMs) / 1_000, rssMb: Number(rss) / 1_024, files: readdirSync(`/proc/${pid}/fd`).length };
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

async function run({ option, progress }: BenchOptions): Promise<Figures> {
  const [minutes, load] = [option('minutes', 60), option('load', 0) === 1];
  if (load && !existsSync('/usr/bin/stress-ng')) throw new Error('stress-ng is not installed');
  const swarm = new RealSwarm();
  try {
    const agent = await swarm.start('soak', '');
    const startMs = performance.now();
    const untilMs = startMs + minutes * 60_000;
    const stressing = load ? stress(untilMs, progress) : Promise.resolve();
    const looks: Look[] = [];
    let told = 1;
    while (performance.now() < untilMs) {
      await pause(LOOK_EVERY_MS);
      looks.push(look(agent.process.pid ?? 0, startMs));
      if (performance.now() - startMs < told * 60_000) continue;
      progress(`${told} min: ${looks.at(-1)?.rssMb.toFixed(1)} MiB, ${looks.at(-1)?.files} files`);
      told++;
    }
    await stressing;
    const { samples, uptimeMs } = await swarm.json<AgentStatus>(agent, 'status');
    const incidents = await swarm.rows(agent, 'select id, policy, target, opened_ms, closed_ms, outcome, summary from incidents');
    for (const one of incidents) progress(`${one.id} ${one.policy} ${one.target}: ${one.summary}; ${one.outcome}`);
    // What the start leaves behind is no slope.
    const settled = looks.slice(Math.floor(looks.length / 4));
    return {
      rows: [
        ['memory', `${settled.at(-1)?.rssMb.toFixed(1)} MiB, ${slope(settled, 'rssMb').toFixed(2)} MiB an hour`, ''],
        ['open files', `${settled.at(-1)?.files}, ${slope(settled, 'files').toFixed(2)} an hour`, ''],
        ['incidents', incidents.map(({ policy, target }) => `${policy} ${target}`).join(', ') || 'none', ''],
      ],
      keys: {
        minutes,
        rss_mb: settled.at(-1)?.rssMb,
        rss_slope_mb_h: slope(settled, 'rssMb'),
        files_slope_h: slope(settled, 'files'),
        missed: Math.max(0, Math.floor(uptimeMs / 1_000) - samples),
        incidents: incidents.length,
      },
      unmeasured: [],
    };
  } finally {
    await swarm.stop();
  }
}

export const soak: Bench = {
  name: 'soak',
  description: 'an hour at rest, or under stress-ng with --load 1: memory, descriptors, missed samples, incidents',
  run,
};
