// A machine that is far too busy: three agents beside N loops that take all they get. Nothing is wrong with any agent, so nobody should
// say so: coordinators that change, findings other than that the machine is short of CPU, members that are considered down; and how long
// a newcomer takes to join.
import { type ChildProcess, spawn } from 'node:child_process';
import { loadavg } from 'node:os';
import type { AgentStatus } from '../../node/agent/agent-status.ts';
import { AS_AGENT, type RealAgent, RealSwarm } from '../support/agents.ts';
import type { Bench, BenchOptions, Figures } from './bench.ts';

const QUIET_MS = 20_000;
const LOOK_EVERY_MS = 5_000;
/** Of a machine that is short of CPU these are true. */
const TRUE_POLICIES = /^(cpu-pressure|baseline-.*|run-queue.*)$/;
const JOIN_PATIENCE_MS = 120_000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Loops that end by themselves too, should this process be killed. */
function burn(count: number, forS: number): () => void {
  const loops = Array.from(
    { length: count },
    (): ChildProcess => spawn('timeout', [`${forS}`, 'sh', '-c', 'while :; do :; done'], { stdio: 'ignore' }),
  );
  return () => {
    for (const loop of loops) loop.kill('SIGTERM');
  };
}

const service = (port: number): string =>
  `mode = "act"
[[service]]
name = "web"
${AS_AGENT}command = ["${process.execPath}", "-e", "require('net').createServer((c) => c.end()).listen(${port}, '127.0.0.1')"]
port = ${port}
`;

/** What agents printed of who coordinates, and of members that they consider down, from a line on. */
function said(agents: readonly RealAgent[], from: ReadonlyMap<string, number>): { terms: Set<string>; gone: string[] } {
  const lines = agents.flatMap((agent) =>
    RealSwarm.outputOf(agent)
      .slice(from.get(agent.name) ?? 0)
      .split('\n'),
  );
  return {
    terms: new Set(lines.flatMap((line) => line.match(/term \d+: leader is \S+/)?.[0] ?? [])),
    gone: lines.filter((line) => / is (unreachable|down)$/.test(line)),
  };
}

async function joined(swarm: RealSwarm): Promise<number> {
  const startMs = performance.now();
  const [first] = swarm.agents;
  if (first === undefined) throw new Error('nobody is there');
  const late = pause(JOIN_PATIENCE_MS).then(() => 'late');
  const seen = (async () => {
    swarm.patienceMs = JOIN_PATIENCE_MS;
    await swarm.start('late', '');
    for (;;) {
      const { members } = await swarm.json<AgentStatus>(first, 'status');
      if (members.some(({ name, state }) => name === 'late' && state === 'alive')) return 'seen';
      await pause(500);
    }
  })();
  const what = await Promise.race([seen, late]).catch((error: unknown) => String(error));
  return what === 'seen' ? performance.now() - startMs : Number.POSITIVE_INFINITY;
}

async function run({ option, progress }: BenchOptions): Promise<Figures> {
  const [minutes, loops] = [option('minutes', 6), option('loops', 30)];
  const swarm = new RealSwarm();
  let relieve = (): void => undefined;
  try {
    for (const [index, name] of ['one', 'two', 'three'].entries()) await swarm.start(name, service(21_080 + index));
    await pause(QUIET_MS);
    const before = new Map(swarm.agents.map((agent) => [agent.name, RealSwarm.outputOf(agent).length]));
    const sinceMs = Date.now();
    const old = [...swarm.agents];
    relieve = burn(loops, minutes * 60 + 120);
    const untilMs = performance.now() + minutes * 60_000;
    let told = 0;
    let joinMs: number | undefined;
    while (performance.now() < untilMs) {
      await pause(LOOK_EVERY_MS);
      if (joinMs === undefined && performance.now() > untilMs - minutes * 30_000) {
        joinMs = await joined(swarm);
        progress(`a newcomer joined in ${Math.round(joinMs)} ms`);
      }
      const { terms, gone } = said(old, before);
      if (terms.size + gone.length > told)
        progress(`load ${loadavg()[0]?.toFixed(1)}: ${[...terms].join(', ')}; considered down ${gone.length} times`);
      told = terms.size + gone.length;
    }
    relieve();
    await pause(LOOK_EVERY_MS);
    const { terms, gone } = said(old, before);
    const incidents = (
      await Promise.all(
        old.map((agent) =>
          swarm.rows(agent, `select id, node, policy, target, summary from incidents where opened_ms >= ${sinceMs}`),
        ),
      )
    ).flat();
    const own = [...new Map(incidents.map((one) => [one.id, one])).values()];
    const wrong = own.filter(({ policy }) => !TRUE_POLICIES.test(String(policy)));
    for (const { node, policy, target, summary } of wrong) progress(`false: ${node} ${policy} ${target}: ${summary}`);
    for (const agent of old) progress(`--- ${agent.name}\n${RealSwarm.outputOf(agent).slice(before.get(agent.name) ?? 0)}`);
    return {
      rows: [
        ['changes of the coordinator', `${terms.size}`, ''],
        ['false findings', `${wrong.length}`, ''],
        ['members considered down', `${gone.length}`, ''],
        ['a newcomer joins in', `${((joinMs ?? 0) / 1_000).toFixed(1)} s`, ''],
      ],
      keys: {
        minutes,
        loops,
        coordinator_changes: terms.size,
        false_findings: wrong.length,
        held_for_gone: gone.length,
        join_ms: joinMs !== undefined && Number.isFinite(joinMs) ? joinMs : undefined,
      },
      unmeasured: joinMs === Number.POSITIVE_INFINITY ? [`join_ms: not within ${JOIN_PATIENCE_MS / 1_000} s`] : [],
    };
  } finally {
    relieve();
    await swarm.stop();
  }
}

export const busy: Bench = {
  name: 'busy',
  description: 'three agents on a machine that is far too busy: --minutes 6 --loops 30',
  run,
};
