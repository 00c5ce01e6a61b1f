// What a command costs: CPU of `kalos status` and `kalos query` against a real agent, launcher and Node included. Bar: status ≤ 150 ms.
import { execFileSync } from 'node:child_process';
import { KALOS, RealSwarm } from '../support/agents.ts';
import type { Bench, BenchOptions, Figures } from './bench.ts';

/** Milliseconds of CPU, user and system, of one run of a command, of so many. */
function cpuMs(command: readonly string[], times: number): number {
  const script = `nth=0; while [ $nth -lt ${times} ]; do "$@" > /dev/null; nth=$((nth + 1)); done; times`;
  const printed = execFileSync('sh', ['-c', script, 'sh', ...command], { encoding: 'utf8' });
  const [, children = ''] = printed.trim().split('\n');
  const spent = [...children.matchAll(/(\d+)m([\d.]+)s/g)].map(
    ([, minutes, seconds]) => Number(minutes) * 60_000 + Number(seconds) * 1_000,
  );
  return spent.reduce((sum, one) => sum + one, 0) / times;
}

async function run({ option, progress }: BenchOptions): Promise<Figures> {
  const times = option('times', 20);
  const swarm = new RealSwarm();
  try {
    const agent = await swarm.start('solo', '');
    const measured = (words: readonly string[]): number => {
      progress(`kalos ${words[0]}, ${times} times`);
      return cpuMs([KALOS, ...words, '--dir', agent.directory], times);
    };
    const status = measured(['status']);
    const query = measured(['query', 'select node, name from services']);
    const node = cpuMs([process.execPath, '-e', '0'], times);
    return {
      rows: [
        ['CPU of kalos status, ms', status.toFixed(0), `Node alone: ${node.toFixed(0)}`],
        ['CPU of kalos query, ms', query.toFixed(0), ''],
      ],
      keys: { status_cpu_ms: status, query_cpu_ms: query },
      unmeasured: [],
    };
  } finally {
    await swarm.stop();
  }
}

export const cli: Bench = { name: 'cli', description: 'what a command costs: CPU of status and query', run };
