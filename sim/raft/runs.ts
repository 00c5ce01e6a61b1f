// Runs of a Raft group: with random faults, and with repeated kills of the leader.
import { SeededRandom } from '../random.ts';
import { GroupFaults } from './faults.ts';
import { RaftGroup } from './group.ts';

const FAULTS_FROM_MS = 2_000;
const FAULTS_UNTIL_MS = 15_000;
const FAULT_EVERY_MS = 1_000;
/** After the faults the group elects a leader, and answers, within this time. */
const SETTLED_MS = 21_000;
const LAN_MS = [0.3, 3] as const;
/** A low value, so that short runs have snapshots. */
const SMALL = { snapshotEvery: 15, keptEntries: 5 };
const SETTLE_MS = 3_000;
const LOOK_MS = 1;

export interface RaftRun {
  seed: number;
  violations: string[];
  faults: string[];
  /** Requests of clients, and their answers. */
  asked: number;
  answered: number;
  terms: number;
}

/** Five voters and two members that wait to be added, thirteen seconds of faults, then none. */
export async function runFaults(seed: number): Promise<RaftRun> {
  const group = new RaftGroup({ seed, voters: 5, spares: 2, latencyMs: LAN_MS, clients: 4, settings: SMALL });
  new GroupFaults(group, new SeededRandom(seed, 'faults')).draw(FAULTS_FROM_MS, FAULTS_UNTIL_MS, FAULT_EVERY_MS);
  await group.runUntil(SETTLED_MS);
  group.settled();
  group.end();
  const { checks, faults } = group;
  const { history } = group.clients;
  const answered = history.filter(({ output }) => output !== undefined).length;
  return { seed, violations: checks.violations, faults, asked: history.length, answered, terms: checks.terms };
}

/** Ms from each kill of a leader until another knows that it leads. @param latencyMs one way */
export async function runKills(seed: number, kills: number, latencyMs: readonly [number, number]): Promise<number[]> {
  const group = new RaftGroup({ seed, voters: 5, spares: 0, latencyMs, clients: 0 });
  const { scheduler } = group;
  const took: number[] = [];
  while (took.length < kills) {
    await group.runUntil(scheduler.nowMs + SETTLE_MS);
    const { leader } = group;
    if (leader === undefined) continue;
    const killedMs = scheduler.nowMs;
    const elected = group.elections.length;
    group.crash(leader);
    while (group.elections.length === elected) await group.runUntil(scheduler.nowMs + LOOK_MS);
    took.push((group.elections.at(-1)?.atMs ?? Number.NaN) - killedMs);
    group.boot(leader);
  }
  group.end();
  if (group.checks.violations.length > 0) throw new Error(group.checks.violations.join('\n'));
  return took;
}
