// `npm run bench -- NAME [--json] [--option value …]`

import { authority } from './authority.bench.ts';
import { ballotsBench } from './ballots.bench.ts';
import type { Bench } from './bench.ts';
import { report } from './bench.ts';
import { busy } from './busy.bench.ts';
import { certificates } from './certificates.bench.ts';
import { cli } from './cli.bench.ts';
import { commit } from './commit.bench.ts';
import { failOver } from './fail-over.bench.ts';
import { failover } from './failover.bench.ts';
import { gossip } from './gossip.bench.ts';
import { healing } from './healing.bench.ts';
import { idle } from './idle.bench.ts';
import { incidentModel } from './incident-model.bench.ts';
import { linearizability } from './linearizability.bench.ts';
import { lines } from './lines.bench.ts';
import { membership } from './membership.bench.ts';
import { mutants } from './mutants.bench.ts';
import { mutation } from './mutation.bench.ts';
import { policy } from './policy.bench.ts';
import { query } from './query.bench.ts';
import { raft } from './raft.bench.ts';
import { raftTraces } from './raft-traces.bench.ts';
import { sampler } from './sampler.bench.ts';
import { security } from './security.bench.ts';
import { sim } from './sim.bench.ts';
import { soak } from './soak.bench.ts';
import { status } from './status.bench.ts';
import { swarm } from './swarm.bench.ts';
import { transaction } from './transaction.bench.ts';
import { work } from './work.bench.ts';

const BENCHES: readonly Bench[] = [
  busy,
  gossip,
  healing,
  idle,
  incidentModel,
  membership,
  status,
  raft,
  failover,
  cli,
  commit,
  raftTraces,
  linearizability,
  lines,
  mutants,
  mutation,
  policy,
  query,
  sampler,
  security,
  sim,
  soak,
  swarm,
  authority,
  ballotsBench,
  certificates,
  failOver,
  transaction,
  work,
];

const [name, ...rest] = process.argv.slice(2);
const bench = BENCHES.find((known) => known.name === name);
if (bench === undefined) {
  process.stderr.write(
    `usage: npm run bench -- NAME [--json] [--option value …]\n${BENCHES.map((known) => `  ${known.name.padEnd(16)} ${known.description}`).join('\n')}\n`,
  );
  process.exit(2);
}

const options = {
  option: (option: string, fallback: number): number => {
    const at = rest.indexOf(`--${option}`);
    const value = at < 0 ? fallback : Number(rest[at + 1]);
    if (!Number.isFinite(value)) throw new Error(`--${option} takes a number`);
    return value;
  },
  text: (option: string, fallback: string): string => {
    const at = rest.indexOf(`--${option}`);
    return at < 0 ? fallback : (rest[at + 1] ?? fallback);
  },
  progress: (text: string): void => void process.stderr.write(`${text}\n`),
};
report(bench, await bench.run(options), rest.includes('--json'));
