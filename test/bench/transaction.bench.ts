// Whether acting survives being killed: a real agent under kill -9 at random moments of its actions on a service of its
// own, and every crash point of a transaction on the simulated disk. Counts what must be zero; exits non-zero if it is not.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentStatus } from '../../node/agent.ts';
import type { ActAnswer } from '../../node/api/routes.ts';
import type { AuditVerification } from '../../node/cli/audit.ts';
import type { ToolCall } from '../../node/decision/plan.ts';
import { SeededRandom } from '../../sim/random.ts';
import { kalos, type RealAgent, RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';
import { everyCrash } from '../support/crash.ts';
import type { Bench, BenchOptions, Figures } from './bench.ts';

/** The service notes each of its starts: what was really done to the machine. */
const service = (log: string): string =>
  `[[service]]\nname = "noted"\ncommand = ["sh", "-c", "echo started >> ${log}; exec sleep 600"]\n`;
/** An action takes a little over a second: kills fall before, into and after it. */
const MAX_DELAY_MS = 1_600;
const PROGRESS_EVERY = 20;

interface Tally {
  kills: number;
  halfMade: number;
  repeated: number;
  auditLost: number;
}

interface Records {
  records: { subject: string; kind: string }[];
}

/** One life: asks for a restart, is killed at a random moment, starts again on what is left. */
async function oneKill(
  swarm: RealSwarm,
  agent: RealAgent,
  config: string,
  log: string,
  delayMs: number,
  tally: Tally,
): Promise<RealAgent> {
  const startsBefore = countStarts(log);
  const acting = kalos('act', 'service.restart', 'service=noted', '--dir', agent.directory, '-o', 'json');
  await new Promise((resolve) => setTimeout(resolve, delayMs));
  agent.process.kill('SIGKILL');
  await eventually('the agent to be dead', () => agent.process.signalCode ?? undefined);
  const answered = await acting;
  const acknowledged = answered.code === 0 ? (JSON.parse(answered.stdout) as ActAnswer).plan : undefined;
  tally.kills++;

  const next = await swarm.start('victim', config, agent);
  const verified = await swarm.json<AuditVerification>(next, 'audit', 'verify');
  const { records } = await swarm.json<Records>(next, 'audit', 'list', '--last', '50');
  if (!verified.ok) tally.auditLost++;
  if (acknowledged !== undefined && !records.some(({ subject, kind }) => subject === acknowledged && kind === 'outcome'))
    tally.auditLost++;
  const intents = records
    .slice(records.findLastIndex(({ kind }, i) => kind === 'start' && i < records.length - 1))
    .filter(({ kind }) => kind === 'intent').length;
  // One start for the deed, where an intent was written, and one by the new agent for the service that died with the old.
  if (countStarts(log) - startsBefore > Math.min(1, intents) + 1) tally.repeated++;
  const healed = await eventually('the service to run', async () => {
    const { services } = await swarm.json<AgentStatus>(next, 'status');
    return services[0]?.state === 'running' || undefined;
  }).catch(() => false);
  if (!healed) tally.halfMade++;
  return next;
}

function countStarts(log: string): number {
  try {
    return readFileSync(log, 'utf8').split('\n').length - 1;
  } catch {
    return 0; // it has not started yet
  }
}

async function realKills({ option, progress }: BenchOptions): Promise<Tally> {
  const kills = option('kills', 200);
  const random = new SeededRandom(option('seed', 1), 'kills');
  const place = mkdtempSync(join(tmpdir(), 'kalos-transaction-'));
  const log = join(place, 'starts');
  const tally: Tally = { kills: 0, halfMade: 0, repeated: 0, auditLost: 0 };
  const swarm = new RealSwarm();
  try {
    const config = service(log);
    let agent = await swarm.start('victim', config);
    while (tally.kills < kills) {
      agent = await oneKill(swarm, agent, config, log, random.between(0, MAX_DELAY_MS), tally);
      if (tally.kills % PROGRESS_EVERY === 0) progress(`${tally.kills} of ${kills} kills`);
    }
  } finally {
    await swarm.stop();
    rmSync(place, { recursive: true, force: true });
  }
  return tally;
}

const CALLS: readonly ToolCall[] = [
  { tool: 'service.restart', service: 'web' },
  { tool: 'service.start', service: 'web' },
  { tool: 'service.stop', service: 'web' },
];

async function simulatedCrashes(): Promise<Tally> {
  const tally: Tally = { kills: 0, halfMade: 0, repeated: 0, auditLost: 0 };
  for (const call of CALLS) {
    for await (const { outcome } of everyCrash(call)) {
      tally.kills++;
      tally.halfMade += outcome.openJournal;
      if (outcome.deeds > Math.min(1, outcome.intents)) tally.repeated++;
      if (outcome.auditBroken !== undefined || outcome.lostRecords > 0) tally.auditLost++;
    }
  }
  return tally;
}

async function run(options: BenchOptions): Promise<Figures> {
  options.progress('every crash point on the simulated disk');
  const simulated = await simulatedCrashes();
  const real = await realKills(options);
  const total = (key: keyof Tally): number => simulated[key] + real[key];
  if (total('halfMade') + total('repeated') + total('auditLost') > 0) process.exitCode = 1;
  const row = (what: string, { kills, halfMade, repeated, auditLost }: Tally): [string, string, string] => [
    what,
    `${kills} crashes: ${halfMade} half-made, ${repeated} repeated, ${auditLost} audit records lost`,
    '',
  ];
  return {
    rows: [row('real agent, kill -9', real), row('simulated disk, every write lost, kept or refused', simulated)],
    keys: {
      kills: real.kills,
      half_made: total('halfMade'),
      repeated: total('repeated'),
      audit_lost: total('auditLost'),
      disk_states: simulated.kills,
    },
    unmeasured: [
      'kills of the actuator and of both: the actuator is not a program of its own yet',
      'torn, reordered and corrupt writes: the simulated disk loses or refuses whole batches only',
    ],
  };
}

export const transaction: Bench = {
  name: 'transaction',
  description: 'kill -9 in the middle of actions, and every crash point on the simulated disk',
  run,
};
