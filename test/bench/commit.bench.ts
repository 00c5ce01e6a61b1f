// How many small writes a group of three commits a second, each on a LevelDB of its own that is synced, in one process; and how long
// one takes at a tenth of that. Bar: 5,000 a second.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_SETTINGS } from '../../consensus/raft/log-settings.ts';
import { ReplicatedLog } from '../../consensus/raft/replicated-log.ts';
import { SystemClock } from '../../node/adapters/clock.ts';
import { LevelStore } from '../../node/adapters/level-store.ts';
import { SystemRandom } from '../../node/adapters/random.ts';
import { Registers } from '../../sim/raft/registers.ts';
import { verifyMs } from '../support/certificates.ts';
import { eventually } from '../support/clock.ts';
import { makePeer } from '../support/crypto.ts';
import type { Bench, Figures } from './bench.ts';

const MEMBERS = [1, 2, 3];
const KEYS = 1_000;
const LOAD_SHARE = 0.1;
const PATIENCE_MS = 30_000;

async function group(root: string): Promise<{ logs: ReplicatedLog[]; stores: LevelStore[] }> {
  const crypto = await makePeer();
  const logs: ReplicatedLog[] = [];
  const stores: LevelStore[] = [];
  for (const id of MEMBERS) {
    const store = await LevelStore.open(join(root, String(id)));
    stores.push(store);
    const events = {
      // As bytes, and in another turn of the loop, as from another process.
      send: (to: number, bytes: Uint8Array) => void setImmediate(() => logs[to - 1]?.receive(id, bytes)),
      changed: () => undefined,
      applied: () => undefined,
      diskFails: () => undefined,
      failed: (error: unknown) => {
        throw error;
      },
    };
    const ports = { clock: new SystemClock(), store, random: new SystemRandom(), crypto };
    logs.push(await ReplicatedLog.open(id, MEMBERS, new Registers(), ports, events, DEFAULT_SETTINGS));
  }
  return { logs, stores };
}

const command = (i: number) => ({ op: 'put', key: `key-${i % KEYS}`, value: `value ${i}` }) as const;

/** So many at once, again as soon as one is done. @returns a second */
/** Of the certificate that is checked. */
const VOTES = 21;

async function saturated(leader: ReplicatedLog, writes: number, atOnce: number): Promise<number> {
  let next = 0;
  const startMs = performance.now();
  const worker = async (): Promise<void> => {
    for (let i = next++; i < writes; i = next++) await leader.propose(command(i), PATIENCE_MS);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return (writes / (performance.now() - startMs)) * 1000;
}

/** At even distances. @returns ms of each, sorted */
async function paced(leader: ReplicatedLog, writes: number, perS: number): Promise<number[]> {
  const startMs = performance.now();
  const took = await Promise.all(
    Array.from({ length: writes }, async (_, i) => {
      await new Promise((resolve) => setTimeout(resolve, (i * 1000) / perS));
      const beganMs = performance.now();
      await leader.propose(command(i), PATIENCE_MS);
      return performance.now() - beganMs;
    }),
  );
  if (performance.now() - startMs > (2_000 * writes) / perS) throw new Error('it does not keep up with a tenth of its load');
  return took.sort((a, b) => a - b);
}

export const commit: Bench = {
  name: 'commit',
  description:
    'three members in one process on synced LevelDBs: small writes a second, and how long one takes at a tenth of that',
  run: async ({ option, progress }): Promise<Figures> => {
    const root = mkdtempSync(join(tmpdir(), 'kalos-commit-'));
    const { logs, stores } = await group(root);
    try {
      const leader = await eventually('a leader', () => logs.find(({ state }) => state.state === 'StateLeader'));
      const writes = option('writes', 40_000);
      await saturated(leader, writes / 10, 500);
      const rates: [number, number][] = [];
      for (const atOnce of [1, 16, 500]) {
        rates.push([atOnce, await saturated(leader, atOnce === 1 ? writes / 100 : atOnce === 16 ? writes / 10 : writes, atOnce)]);
        progress(`${atOnce} at once: ${Math.round(rates.at(-1)?.[1] ?? 0)} a second`);
      }
      const most = Math.max(...rates.map(([, rate]) => rate));
      const took = await paced(leader, Math.round(most * LOAD_SHARE * 5), most * LOAD_SHARE);
      const at = (share: number): number => took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? Number.NaN;
      const checked = await verifyMs(VOTES, 20);
      return {
        rows: [
          ...rates.map(([atOnce, rate]): [string, string, string] => [`${atOnce} at once`, `${Math.round(rate)} writes/s`, '-']),
          [`at ${Math.round(most * LOAD_SHARE)} a second`, `p50 ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms`, '-'],
          [`a certificate of ${VOTES} votes, checked`, `${checked.fresh.toFixed(2)} ms`, '-'],
        ],
        keys: { entries_per_s: most, commit_p50_ms: at(0.5), commit_p99_ms: at(0.99), certificate_verify_ms: checked.fresh },
        unmeasured: [],
      };
    } finally {
      for (const log of logs) log.stop();
      for (const store of stores) await store.close();
      rmSync(root, { recursive: true });
    }
  },
};
