// How fast the simulator is, on one core: simulated seconds a second, whole agents and protocols alone, with the checkers that look
// each second; memory for each of a thousand; and whether runs of one seed are equal, with and without the JIT.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Bench, BenchOptions, Figures } from './bench.ts';

const execute = promisify(execFile);
const ROOT = join(import.meta.dirname, '..', '..');
const FLAGS = ['--max-semi-space-size=64', '--max-old-space-size=12288', '--disable-warning=ExperimentalWarning'];

interface Speed {
  speed: number;
  settleSpeed: number;
  mbPerNode: number;
  events: number;
  messages: number;
  bytes: number;
  violations: number;
}

async function speedOf(nodes: number, kind: 'whole' | 'protocols', settleS: number, measureS: number): Promise<Speed> {
  const script = join(ROOT, 'test', 'support', 'sim-speed.ts');
  const { stdout } = await execute(process.execPath, [...FLAGS, script, String(nodes), kind, String(settleS), String(measureS)]);
  return JSON.parse(stdout) as Speed;
}

async function hashOf(flags: readonly string[], scenario: string, seed: number): Promise<string> {
  const arguments_ = ['sim', 'run', scenario, '--nodes', '8', '--seed', String(seed), '-o', 'json'];
  const { stdout } = await execute(process.execPath, [...FLAGS, ...flags, join(ROOT, 'dist', 'kalos.mjs'), ...arguments_], {
    maxBuffer: 64 * 2 ** 20,
  });
  return (JSON.parse(stdout) as { traceHash: string }).traceHash;
}

async function run({ option, progress }: BenchOptions): Promise<Figures> {
  const seconds = option('seconds', 60);
  const rows: Figures['rows'] = [];
  const measured: Record<string, Speed> = {};
  for (const kind of ['whole', 'protocols'] as const)
    for (const nodes of [100, 1_000]) {
      // Calm statuses of a thousand come every five minutes: one round of them is waited for.
      const settleS = nodes === 100 ? 60 : 300;
      progress(`${nodes} nodes, ${kind}: ${settleS} s to settle, then ${seconds} s`);
      const speed = await speedOf(nodes, kind, settleS, seconds);
      measured[`${kind} ${nodes}`] = speed;
      rows.push(
        [
          `${nodes} nodes, ${kind}: simulated seconds a second`,
          speed.speed.toFixed(1),
          nodes === 100 ? 'FoundationDB about 10, VOPR 709 (published)' : '',
        ],
        ['  while they join and settle', speed.settleSpeed.toFixed(1), ''],
        [
          '  events, messages, bytes a node and second',
          `${speed.events.toFixed(1)}, ${speed.messages.toFixed(1)}, ${speed.bytes.toFixed(0)}`,
          '',
        ],
        ['  memory a node, MiB', speed.mbPerNode.toFixed(2), ''],
      );
      if (speed.violations > 0) throw new Error(`${speed.violations} violations in a calm run`);
    }
  progress('determinism: two runs of four seeds, and one each without optimising compiler, JIT and with another heap');
  let deterministic = 1;
  for (const [scenario, seed] of [
    ['healing-mix', 1],
    ['everything', 2],
    ['churn', 3],
    ['links', 4],
  ] as const) {
    const variants = [[], [], ['--no-opt'], ['--jitless'], ['--max-semi-space-size=1', '--single-threaded']];
    const hashes = await Promise.all(variants.map((flags) => hashOf(flags, scenario, seed)));
    if (new Set(hashes).size !== 1) deterministic = 0;
  }
  if (deterministic === 0) throw new Error('runs of one seed differ');
  return {
    rows,
    keys: {
      speed_100: measured['whole 100']?.speed,
      speed_1000: measured['whole 1000']?.speed,
      protocol_speed_100: measured['protocols 100']?.speed,
      protocol_speed_1000: measured['protocols 1000']?.speed,
      mb_per_node: measured['whole 1000']?.mbPerNode,
      deterministic,
    },
    unmeasured: [],
  };
}

export const sim: Bench = { name: 'sim', description: 'the simulator’s speed, memory and determinism', run };
