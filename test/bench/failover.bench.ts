// Five real processes on loopback: how long it takes from kill -9 of the leader, or its freeze, until the next write is committed, and
// whether anybody is elected needlessly while every process stalls its loop for 200 ms each second in turn; beside etcd. Bars: kill
// ≤ 100 ms median and ≤ 300 ms at most; freeze ≤ 1.5 s median; no needless election in ten minutes.
import { RaftProcesses } from '../support/raft/raft-processes.ts';
import type { Bench, Figures } from './bench.ts';
import { measureEtcd } from './etcd.ts';

const MEMBERS = 5;
const TRY_EVERY_MS = 5;
const TRY_FOR_MS = 2_000;
const STALL_MS = 200;
const TELL_EVERY = 10;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);
const median = (values: readonly number[]): number => sorted(values)[Math.floor(values.length / 2)] ?? Number.NaN;

/** Ms until a write is committed by any of the others, each of which is asked again each few ms. */
async function untilCommitted(group: RaftProcesses, without: number, startMs: number, key: string): Promise<number> {
  let tookMs: number | undefined;
  const others = group.members.filter(({ id }) => id !== without);
  while (tookMs === undefined) {
    for (const member of others)
      void member.propose(key, String(startMs), TRY_FOR_MS).then((ok) => {
        if (ok) tookMs ??= performance.now() - startMs;
      });
    await pause(TRY_EVERY_MS);
  }
  return tookMs;
}

async function failures(group: RaftProcesses, count: number, does: 'SIGKILL' | 'SIGSTOP', progress: (text: string) => void) {
  const took: number[] = [];
  for (let turn = 1; turn <= count; turn++) {
    const leader = await group.settled();
    await leader.propose('settled', String(turn), TRY_FOR_MS);
    await pause(300);
    const startMs = performance.now();
    leader.child.kill(does);
    took.push(await untilCommitted(group, leader.id, startMs, `turn-${turn}`));
    if (does === 'SIGSTOP') leader.child.kill('SIGCONT');
    else leader.restart();
    if (turn % TELL_EVERY === 0)
      progress(`${does} ${turn} of ${count}: median ${median(took).toFixed(0)} ms, at most ${Math.max(...took).toFixed(0)} ms`);
  }
  return took;
}

/** Elections while each process in turn holds its loop for 200 ms, one each 200 ms: each second all have. */
async function stalls(group: RaftProcesses, seconds: number): Promise<number> {
  await group.settled();
  const before = group.elections.length;
  const untilMs = performance.now() + seconds * 1000;
  for (let turn = 0; performance.now() < untilMs; turn++) {
    group.members[turn % group.members.length]?.tell({ kind: 'stall', forMs: STALL_MS });
    await pause(1_000 / group.members.length);
  }
  await group.settled();
  return group.elections.length - before;
}

export const failover: Bench = {
  name: 'failover',
  description: 'five Raft processes: kill -9 and SIGSTOP of the leader until the next committed write, stalls; beside etcd',
  run: async ({ option, progress }): Promise<Figures> => {
    const group = new RaftProcesses();
    let isStopped = false;
    try {
      await group.start(MEMBERS);
      const kills = await failures(group, option('kills', 100), 'SIGKILL', progress);
      const freezes = await failures(group, option('freezes', 20), 'SIGSTOP', progress);
      const seconds = option('stalls', 600);
      progress(`stalls for ${seconds} s`);
      const spurious = await stalls(group, seconds);
      await group.stop();
      isStopped = true;
      const rivals = await measureEtcd(option('rival', 10), progress);
      const figures = (values: readonly number[]): string =>
        `${median(values).toFixed(0)} ms median, ${Math.max(...values).toFixed(0)} ms at most`;
      const of = (which: 'tuned' | 'default'): string =>
        rivals === undefined ? '-' : `etcd ${which}: ${figures(rivals[which])}`;
      return {
        rows: [
          [`kill -9 of the leader, ${kills.length} times: next write committed`, figures(kills), of('tuned')],
          ['', '', of('default')],
          [`SIGSTOP of the leader, ${freezes.length} times: next write committed`, figures(freezes), '-'],
          [`elections in ${seconds} s of stalls (200 ms each second in turn)`, String(spurious), '-'],
        ],
        keys: {
          kill_p50_ms: median(kills),
          kill_max_ms: Math.max(...kills),
          freeze_p50_ms: median(freezes),
          spurious,
          rival_kill_p50_ms: rivals && median(rivals.tuned),
        },
        unmeasured: rivals === undefined ? ['etcd: not installed (Debian package etcd-server), or --rival 0'] : [],
      };
    } finally {
      if (!isStopped) await group.stop();
    }
  },
};
