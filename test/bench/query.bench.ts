// Live SQL over real agents: how long an answer takes, what it says when three are frozen, and how long 100,000 rows take to fill
// and to ask. Bars: p99 ≤ 300 ms with 30 agents; complete but for the frozen ones, within the timeout, exit code 6; ≤ 500 ms.
import { join } from 'node:path';
import { ForkedCompute } from '../../node/adapters/forked-compute.ts';
import { findPackage } from '../../node/adapters/package.ts';
import { callAgent } from '../../node/api/client.ts';
import type { QueryAnswer } from '../../node/query/answer.ts';
import { TABLES } from '../../node/query/catalogue/catalogue.ts';
import { kalos, RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';
import type { Bench, Figures } from './bench.ts';

const AT_ONCE = 2;
/** Agents that have just started are busy with themselves. */
const SETTLE_MS = 20_000;
const FROZEN = 3;
const FROZEN_TIMEOUT_MS = 2_000;
const ROWS = 100_000;
const FILLS = 7;

/**
 * In this order: what runs first is run while thirty engines on two cores find out, all at the same moment, which of their
 * functions to optimise. No other machine does that; it is told, and not counted.
 */
const TURNS = ['first', 'read', 'sampled'] as const;

/** One that the agents have at hand, and one that each reads from its machine when it is asked. */
const STATEMENTS = {
  first: 'select node, count(*), sum(resident_size) from processes group by node',
  sampled: 'select node, count(*), sum(resident_size) from processes group by node',
  read: 'select node, memory_available * 100 / memory_total as percent from memory_info',
} as const;

const quantile = (sorted: readonly number[], at: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * at))] ?? Number.NaN;

async function timed(count: number, work: () => Promise<void>): Promise<number[]> {
  const took: number[] = [];
  for (let i = 0; i < count; i++) {
    const startMs = performance.now();
    await work();
    took.push(performance.now() - startMs);
  }
  return took.sort((a, b) => a - b);
}

async function filled(): Promise<number[]> {
  const compute = new ForkedCompute(join(findPackage().root, 'bin', 'main.ts'), '');
  const columns = ['node', 'pid', 'name', 'resident_size'];
  const rows = Array.from({ length: ROWS }, (_, i) => [`node-${i % 100}`, i, `process ${i % 50}`, i * 4_096]);
  const sql = 'select node, count(*), sum(resident_size) from processes group by node order by 3 desc';
  try {
    await compute.sqlRun('select 1', TABLES, [], 5_000, 'test');
    return await timed(FILLS, async () => {
      const ran = await compute.sqlRun(sql, TABLES, [{ table: 'processes', columns, rows }], 10_000, 'test');
      if (!ran.ok) throw new Error(ran.message);
    });
  } finally {
    await compute.close();
  }
}

export const query: Bench = {
  name: 'query',
  description: 'live SQL over real agents, with some of them frozen, and over 100,000 rows',
  run: async ({ option, progress }): Promise<Figures> => {
    const nodes = option('nodes', 30);
    const count = option('queries', 200);
    const fill = await filled();
    progress(`${ROWS} rows: ${fill.map(Math.round).join(' ')} ms`);
    const swarm = new RealSwarm();
    try {
      const first = await swarm.start('node-0', '');
      let next = 1;
      const starting = async (): Promise<void> => {
        for (let i = next++; i < nodes; i = next++) await swarm.start(`node-${i}`, '');
      };
      await Promise.all(Array.from({ length: AT_ONCE }, starting));
      const ask = (sql: string, timeoutMs = 5_000) =>
        callAgent<QueryAnswer>(first.directory, 'POST', '/v1/query', { sql, timeoutMs });
      await eventually('all to answer', async () => (await ask(STATEMENTS.read)).rows.length === nodes || undefined, 120_000);
      progress('all answer; settling');
      await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
      const took: Record<keyof typeof STATEMENTS, number[]> = { first: [], sampled: [], read: [] };
      for (const kind of TURNS) {
        await ask(STATEMENTS[kind]);
        took[kind] = await timed(count, async () => {
          const { missing } = await ask(STATEMENTS[kind]);
          if (missing.length > 0) throw new Error(`missing: ${missing.map(({ node }) => node).join(' ')}`);
        });
        progress(`${kind}: p50 ${quantile(took[kind], 0.5).toFixed(0)} ms, p99 ${quantile(took[kind], 0.99).toFixed(0)} ms`);
      }
      const frozen = swarm.agents.slice(-FROZEN);
      for (const { process: child } of frozen) child.kill('SIGSTOP');
      const startMs = performance.now();
      const ran = await kalos(
        'query',
        STATEMENTS.sampled,
        '--timeout',
        `${FROZEN_TIMEOUT_MS / 1_000}s`,
        '-o',
        'json',
        '--dir',
        first.directory,
      );
      const frozenMs = performance.now() - startMs;
      for (const { process: child } of frozen) child.kill('SIGCONT');
      const answer = JSON.parse(ran.stdout) as QueryAnswer & { rows: { node: string }[] };
      const isRight =
        ran.code === 6 &&
        answer.rows.length === nodes - FROZEN &&
        answer.missing
          .map(({ node }) => node)
          .sort()
          .join() ===
          frozen
            .map(({ name }) => name)
            .sort()
            .join();
      const text = (sorted: readonly number[]): string =>
        `p50 ${Math.round(quantile(sorted, 0.5))} ms, p99 ${Math.round(quantile(sorted, 0.99))} ms`;
      return {
        rows: [
          [`${nodes} agents, from what they have at hand, ${count} times`, text(took.sampled), '-'],
          [`the same, the first ${count} after the start`, text(took.first), '-'],
          [`${nodes} agents, read from each machine, ${count} times`, text(took.read), '-'],
          [
            `${FROZEN} frozen, timeout ${FROZEN_TIMEOUT_MS} ms`,
            `${answer.rows.length} rows, ${answer.missing.length} missing, exit code ${ran.code}, ${Math.round(frozenMs)} ms`,
            '-',
          ],
          [`${ROWS} rows filled and asked`, `${Math.round(quantile(fill, 0.5))} ms`, '-'],
        ],
        keys: {
          nodes,
          live_p50_ms: quantile(took.sampled, 0.5),
          live_p99_ms: quantile(took.sampled, 0.99),
          live_first_p99_ms: quantile(took.first, 0.99),
          read_p99_ms: quantile(took.read, 0.99),
          frozen_ok: isRight ? 1 : 0,
          fill_100k_ms: quantile(fill, 0.5),
        },
        unmeasured: [],
      };
    } finally {
      await swarm.stop();
    }
  },
};
