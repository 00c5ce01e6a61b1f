// What an agent costs a machine that is well: CPU and memory alone and in a swarm of three, beside netdata and monit.
// CPU is user plus system time of the process and its children over the measured span; memory is resident set, summed
// over the process tree, at its end. The bars: 2 % of a core, 90 MB alone, 130 MB in a swarm.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentStatus } from '../../node/agent/agent-status.ts';
import { freePort, RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';
import { type Cost, mean, measure, tree } from '../support/process-cost.ts';
import type { Bench, BenchOptions, Figures } from './bench.ts';

const pidOf = (child: ChildProcess): number => child.pid ?? 0;

async function measureAgents(count: number, { option, progress }: BenchOptions): Promise<Cost & { series: number }> {
  const swarm = new RealSwarm();
  try {
    for (let i = 0; i < count; i++) await swarm.start(`agent-${i}`, '');
    const first = swarm.agents[0];
    if (first === undefined) throw new Error('no agent');
    await eventually(
      'all to be joined',
      async () => (await swarm.json<AgentStatus>(first, 'status')).members.length === count || undefined,
    );
    progress(
      `${count} agent${count > 1 ? 's' : ''} up; settling for ${option('settle', 20)} s, then measuring for ${option('seconds', 60)} s`,
    );
    await new Promise((resolve) => setTimeout(resolve, option('settle', 20) * 1000));
    const costs = await measure(
      swarm.agents.map((agent) => pidOf(agent.process)),
      option('seconds', 60),
    );
    const { series } = await swarm.json<AgentStatus>(first, 'status');
    return { ...mean(costs), series };
  } finally {
    await swarm.stop();
  }
}

interface Rival {
  name: string;
  program: string;
  args(directory: string, port: number): string[];
}

const RIVALS: readonly Rival[] = [
  {
    name: 'netdata',
    program: '/usr/sbin/netdata',
    args: (directory, port) => ['-D', '-i', '127.0.0.1', '-p', String(port), '-P', join(directory, 'netdata.pid'), '-u', 'root'],
  },
  {
    name: 'monit',
    program: '/usr/bin/monit',
    args: (directory, port) => {
      const config = join(directory, 'monitrc');
      const lines = [
        'set daemon 5',
        `set idfile ${directory}/id`,
        `set statefile ${directory}/state`,
        `set pidfile ${directory}/monit.pid`,
        `set httpd port ${port} and use address 127.0.0.1 allow 127.0.0.1`,
        'check system $HOST if loadavg (1min) > 8 then alert if memory usage > 90% then alert',
      ];
      writeFileSync(config, `${lines.join('\n')}\n`, { mode: 0o600 });
      return ['-I', '-c', config];
    },
  },
];

async function measureRival(rival: Rival, { option, progress }: BenchOptions): Promise<Cost | undefined> {
  if (!existsSync(rival.program)) return undefined;
  const directory = mkdtempSync(join(tmpdir(), `kalos-${rival.name}-`));
  const child = spawn(rival.program, rival.args(directory, await freePort()), { stdio: 'ignore' });
  try {
    progress(`${rival.name} up; settling, then measuring`);
    await new Promise((resolve) => setTimeout(resolve, option('settle', 20) * 1000));
    if (child.exitCode !== null) throw new Error(`${rival.name} ended by itself with ${child.exitCode}`);
    return (await measure([pidOf(child)], option('seconds', 60)))[0];
  } finally {
    const left = tree(pidOf(child)).map(({ pid }) => pid);
    child.kill('SIGTERM');
    await eventually(`${rival.name} to end`, () => child.exitCode !== null || child.signalCode !== null || undefined);
    for (const pid of left) {
      try {
        execFileSync('kill', ['-9', String(pid)], { stdio: 'ignore' });
      } catch {
        // it has ended with its parent
      }
    }
    rmSync(directory, { recursive: true, force: true });
  }
}

const shown = (cost: Cost | undefined): string =>
  cost === undefined ? '-' : `${(cost.cpuShare * 100).toFixed(2)} % of a core, ${cost.rssMb.toFixed(1)} MiB`;

/** Processes that do nothing: three series each, so that there are a thousand. */
function makeSleepers(count: number): ChildProcess[] {
  return Array.from({ length: count }, () => spawn('sleep', ['3600'], { stdio: 'ignore' }));
}

async function run(options: BenchOptions): Promise<Figures> {
  const sleepers = makeSleepers(options.option('sleepers', 300));
  try {
    return await measureAll(options);
  } finally {
    for (const sleeper of sleepers) sleeper.kill();
  }
}

async function measureAll(options: BenchOptions): Promise<Figures> {
  const alone = await measureAgents(1, options);
  const swarm = await measureAgents(3, options);
  const [netdata, monit] = [await measureRival(RIVALS[0] as Rival, options), await measureRival(RIVALS[1] as Rival, options)];
  return {
    rows: [
      ['alone', shown(alone), `netdata ${shown(netdata)}`],
      ['in a swarm of three, mean', shown(swarm), `monit ${shown(monit)}`],
      ['series each second', String(alone.series), ''],
    ],
    keys: {
      cpu_share: alone.cpuShare,
      rss_mb: alone.rssMb,
      swarm_cpu_share: swarm.cpuShare,
      swarm_rss_mb: swarm.rssMb,
      series: alone.series,
      rival_cpu_share: netdata?.cpuShare,
      rival_rss_mb: netdata?.rssMb,
    },
    unmeasured: [
      netdata === undefined ? 'netdata is not installed' : '',
      monit === undefined ? 'monit is not installed' : '',
    ].filter((text) => text !== ''),
  };
}

export const idle: Bench = {
  name: 'idle',
  description: 'CPU and memory of an agent at rest, alone and in a swarm of three, beside netdata and monit',
  run,
};
