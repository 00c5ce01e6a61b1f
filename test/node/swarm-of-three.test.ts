// Three real agents on loopback, as processes: the whole loop on a real service, told from another peer, and what
// happens when an agent dies. No sleeps: each step waits for what it needs.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AgentStatus } from '../../node/agent/agent-status.ts';
import type { QueryAnswer } from '../../node/query/answer.ts';
import type { Explanation } from '../../node/query/explain.ts';
import { AS_AGENT, freePort, kalos, type RealAgent, RealSwarm } from '../support/agents.ts';
import { ask } from '../support/ask.ts';
import { eventually } from '../support/clock.ts';
import { patient } from '../support/patience.ts';

const SERVER = 'require("node:http").createServer((q, r) => r.end("ok")).listen(Number(process.argv[1]), "127.0.0.1")';

const swarm = new RealSwarm();
let alpha: RealAgent;
let beta: RealAgent;
let gamma: RealAgent;

const status = (agent: RealAgent) => swarm.status(agent);

/** Who an agent sees, in a line, for failures. */
const brief = ({ name, coordinator, members }: AgentStatus) =>
  `${name} sees ${members.map((member) => `${member.name} ${member.state}`).join(', ')}, led by ${coordinator}`;

beforeAll(async () => {
  const port = await freePort();
  const service = `mode = "act"\n[[service]]\nname = "web"\n${AS_AGENT}command = [${[process.execPath, '-e', SERVER, String(port)].map((part) => JSON.stringify(part)).join(', ')}]\nport = ${port}\n`;
  alpha = await swarm.start('alpha', '');
  [beta, gamma] = await Promise.all([swarm.start('beta', service), swarm.start('gamma', '')]);
  await eventually('all to see three alive, named, and one coordinator', async () => {
    const seen = await Promise.all(swarm.agents.map(status));
    const whole = seen.every(
      ({ members }) =>
        members.length === 3 && members.every(({ name, state }) => state === 'alive' && /^(alpha|beta|gamma)$/.test(name)),
    );
    const coordinators = new Set(seen.map(({ coordinator }) => coordinator));
    if (!whole || coordinators.size !== 1 || coordinators.has(undefined)) throw new Error(seen.map(brief).join('; '));
    return true;
  });
});

beforeEach(({ onTestFailed }) => {
  onTestFailed(() => console.log(swarm.agents.map((agent) => `== ${agent.name}\n${RealSwarm.outputOf(agent)}`).join('\n')));
});

afterAll(() => swarm.stop());

async function webOfBeta(): Promise<{ pid: number; health: string; state: string }> {
  const [row] = await swarm.rows(gamma, "select pid, health, state from services where node = 'beta'");
  return row as unknown as { pid: number; health: string; state: string };
}

describe('three real agents', () => {
  it('detect, vote, restart and verify a killed service; another peer tells the story', async () => {
    const before = await eventually('the service to answer', async () => {
      const web = await webOfBeta();
      return web.health === 'open' ? web : undefined;
    });
    process.kill(before.pid, 'SIGKILL');
    const id = await eventually('the incident to be resolved', async () => {
      const [row] = await swarm.rows(
        gamma,
        "select id, outcome from incidents where node = 'beta' and policy = 'service-exited'",
      );
      return row?.outcome === 'service.restart helped' ? String(row.id) : undefined;
    });
    const after = await webOfBeta();
    expect(after.state).toBe('running');
    expect(after.pid).not.toBe(before.pid);

    const told = await swarm.json<Explanation>(gamma, 'explain', id);
    expect(told.source).toBe('remote');
    expect(told.incident.steps.map(({ stage }) => stage)).toEqual(['detect', 'vote', 'decide', 'act', 'verify', 'remember']);
    expect(told.certificate).toMatchObject({ present: true, valid: true });
    expect(told.ownVote).toMatchObject({ verdict: 'yes', reason: 'port-refused' });
    const { stdout } = await kalos('explain', id, '--dir', gamma.directory);
    expect(stdout).toMatch(/certified by 2 witnesses/);
    expect(stdout).toMatch(/This agent’s own vote: yes/);
  });

  it('wake a frozen service by a signal', async () => {
    const { pid } = await webOfBeta();
    process.kill(pid, 'SIGSTOP');
    await eventually('the frozen service to be woken', async () => {
      const rows = await swarm.rows(alpha, "select outcome from incidents where policy = 'service-frozen'");
      return rows[0]?.outcome === 'service.signal helped' || undefined;
    });
    expect((await webOfBeta()).pid).toBe(pid);
  });

  it('keep an audit that verifies', async () => {
    const { stdout, code } = await kalos('doctor', '--dir', beta.directory, '-o', 'json');
    const { findings } = JSON.parse(stdout) as { findings: { check: string; result: string }[] };
    expect(findings.find(({ check }) => check === 'audit')?.result).toBe('ok');
    expect(code).toBe(0);
  });

  it('answer SQL over all, and say what is wrong with a statement', async () => {
    const rows = await swarm.rows(beta, 'select node, count(*) as n from processes group by node order by node');
    expect(rows.map(({ node }) => node)).toEqual(['alpha', 'beta', 'gamma']);
    expect(rows.every(({ n }) => Number(n) > 5)).toBe(true);
    const wrong = await kalos('query', 'select * from nope', '--dir', beta.directory);
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('tables: nodes, members, conditions')]);
  });

  it('answer for whom they are asked, and only those are asked', async () => {
    const query = (...args: string[]) => kalos('query', ...args, '-o', 'json', '--dir', beta.directory);
    const answered = async (...args: string[]) => {
      const { expected, rows } = JSON.parse((await query(...args)).stdout) as { expected: number; rows: { node: string }[] };
      return [expected, rows.map(({ node }) => node).sort()];
    };
    const sql = 'select node, version from kernel_info';
    expect(await answered(`${sql} where node in ('alpha', 'gamma')`)).toEqual([2, ['alpha', 'gamma']]);
    expect(await answered(sql, '--nodes', 'alpha,beta')).toEqual([2, ['alpha', 'beta']]);
    expect(await answered(sql, '--on', 'gamma')).toEqual([1, ['gamma']]);
    expect(await answered(sql, '--mode', 'local')).toEqual([1, ['beta']]);
    expect(await answered(sql, '--nodes', 'state=alive')).toEqual([3, ['alpha', 'beta', 'gamma']]);
    expect((await query(sql, '--nodes', '*')).stderr).toMatch(/empty selector/);
    expect((await query(sql, '--on', 'nobody')).stderr).toMatch(/no member matches nobody/);
    const csv = await kalos('query', '--ask', 'kernels', '-o', 'csv', '--dir', alpha.directory);
    expect([csv.code, csv.stdout.split('\n')[0]]).toEqual([0, 'version,machines,nodes']);
    const ofGamma = "select distinct asked_by, what from query_log where node = 'gamma' and asked_by = 'beta'";
    const log = await swarm.rows(alpha, ofGamma);
    expect(log).toContainEqual({ asked_by: 'beta', what: 'kernel_info (node, version)' });
    expect((await query(ofGamma)).stdout).toContain('beta may not inspect gamma: it is not an issuer');
  });

  it('count their own rows, and send what is needed of them', async () => {
    const counted = await swarm.rows(
      beta,
      'select node, count(*) as processes, max(resident_size) > 1000 as is_large from processes where pid > 1 group by node',
    );
    expect(counted.map(({ node, is_large }) => [node, is_large])).toEqual([
      ['alpha', 1],
      ['beta', 1],
      ['gamma', 1],
    ]);
    expect(counted.every(({ processes }) => Number(processes) > 3)).toBe(true);
    const first = await swarm.rows(beta, 'select node, pid as id from processes order by resident_size desc limit 4');
    expect(first.length).toBe(4);
    const log = await swarm.rows(alpha, "select what, rows from query_log where node = 'gamma' and what like 'processes (%pid%'");
    expect(log.map(({ rows }) => rows)).toEqual([1, 4]);
  });

  it('are asked without end, and nobody is cut off for that; who asks from elsewhere has a turn', async () => {
    const tables = [
      'services',
      'links',
      'sensors',
      'policies',
      'cases',
      'actions',
      'plans',
      'approvals',
      'silences',
      'metrics',
      'conditions',
      'load_average',
      'uptime',
    ];
    const sql = `select ${tables.map((table) => `(select count(*) from ${table})`).join(' + ')}`;
    const greedy = Array.from({ length: 24 }, () => ask<QueryAnswer>(beta.directory, '/v1/query', { sql, timeoutMs: 2_000 }));
    const others = await kalos('query', 'select node from kernel_info', '--dir', gamma.directory, '-o', 'json');
    expect(JSON.parse(others.stdout)).toMatchObject({ answered: 3 });
    const answers = await Promise.all(greedy);
    expect(answers.some(({ missing }) => missing.some(({ reason }) => reason.startsWith('not asked: ')))).toBe(true);
    for (const agent of [alpha, gamma]) expect(RealSwarm.outputOf(agent)).not.toContain('blocked for a minute');
    const after = await ask<QueryAnswer>(beta.directory, '/v1/query', { sql: 'select node from kernel_info', timeoutMs: 5_000 });
    expect(after.answered).toBe(3);
  });

  it('come back in time with all but who is frozen, and say so', async () => {
    gamma.process.kill('SIGSTOP');
    const startMs = performance.now();
    const cut = await kalos(
      'query',
      'select node, count(*) from processes group by node',
      '--timeout',
      `${patient(1_000)}ms`,
      '--dir',
      alpha.directory,
    );
    gamma.process.kill('SIGCONT');
    expect(performance.now() - startMs).toBeLessThan(patient(3_000));
    expect([cut.code, cut.stderr]).toEqual([6, expect.stringMatching(/2 of 3 nodes answered[\s\S]*missing: gamma/)]);
    expect(cut.stdout).toMatch(/alpha[\s\S]*beta/);
    await eventually(
      'gamma to answer',
      async () => (await swarm.rows(alpha, 'select node from kernel_info')).length === 3 || undefined,
    );
  });

  it('decide together: who is paused keeps still until it is woken, and every peer knows, also of a moment ago', async () => {
    const nova = await eventually('a committee of three', async () => {
      const answer = await swarm.nova(gamma);
      return answer.committee.filter(({ seat }) => seat === 'voter').length === 3 ? answer : undefined;
    });
    expect([nova.seat, nova.committee.map(({ node }) => node).sort()]).toEqual(['voter', ['alpha', 'beta', 'gamma']]);
    const refused = await kalos('pause', 'beta', '--dir', gamma.directory);
    expect([refused.code, refused.stderr]).toEqual([
      2,
      expect.stringContaining('gamma may not decide about others: it is not an issuer'),
    ]);
    const made = await kalos('pause', 'beta', '--reason', 'being moved', '--dir', alpha.directory);
    expect([made.code, made.stdout]).toEqual([0, expect.stringMatching(/^decision \d+: beta is paused/)]);
    const tail = await kalos('log', 'tail', '--read', 'linearizable', '--dir', gamma.directory);
    expect([tail.code, tail.stdout]).toEqual([0, expect.stringContaining('beta is paused: being moved')]);
    const before = await webOfBeta();
    process.kill(before.pid, 'SIGKILL');
    await eventually('beta to say why it does nothing', async () => {
      const [row] = await swarm.rows(gamma, "select id from incidents where node = 'beta' and state = 'watching'");
      const { stdout } = await kalos('explain', String(row?.id), '--dir', gamma.directory);
      return stdout.includes('the swarm has paused this agent: being moved') || undefined;
    });
    expect((await kalos('wake', 'beta', '--dir', alpha.directory)).code).toBe(0);
    await eventually('beta to repair it then', async () => {
      const { health, pid } = await webOfBeta();
      return (health === 'open' && pid !== before.pid) || undefined;
    });
    const [leads] = await swarm.rows(
      gamma,
      "select log_index from decisions where kind = 'leads' order by log_index desc limit 1",
    );
    const shown = await kalos('log', 'show', String(leads?.log_index), '--dir', beta.directory);
    expect([shown.code, shown.stdout]).toEqual([0, expect.stringContaining('is leader')]);
    const [epoch] = await swarm.rows(
      gamma,
      "select log_index from decisions where kind = 'epoch' order by log_index desc limit 1",
    );
    const belong = await kalos('log', 'show', String(epoch?.log_index), '--dir', beta.directory);
    expect([belong.code, belong.stdout]).toEqual([
      0,
      expect.stringMatching(/^membership changed: 3 members\n.*digest {3}[0-9a-f]{64}\n/s),
    ]);
    const { coordinator } = await status(beta);
    const next = swarm.agents.find(({ name }) => name !== coordinator)?.name ?? '';
    expect((await kalos('nova', 'transfer', next, '--dir', alpha.directory)).code).toBe(0);
    await eventually('all to follow', async () => {
      const seen = await Promise.all(swarm.agents.map(status));
      return seen.every((one) => one.coordinator === next) || undefined;
    });
  });

  it('replace a coordinator that is killed, call a query without it partial, and take it back', async () => {
    const { coordinator } = await status(beta);
    const dead = swarm.agents.find(({ name }) => name === coordinator) as RealAgent;
    const rest = swarm.agents.filter(({ name }) => name !== coordinator);
    dead.process.kill('SIGKILL');
    const successor = await eventually('a new coordinator', async () => {
      const seen = new Set((await Promise.all(rest.map(status))).map((one) => one.coordinator));
      const [one] = seen;
      return seen.size === 1 && one !== undefined && one !== coordinator ? one : undefined;
    });
    expect(rest.map(({ name }) => name)).toContain(successor);
    await eventually('the dead agent to be down', async () => {
      const { members } = await status(rest[0] as RealAgent);
      return members.find(({ name }) => name === coordinator)?.state === 'down' || undefined;
    });
    const partial = await kalos(
      'query',
      'select node, count(*) from processes group by node',
      '--dir',
      (rest[0] as RealAgent).directory,
    );
    expect([partial.code, partial.stderr]).toEqual([6, expect.stringContaining(`missing: ${coordinator} (down)`)]);
    expect((await kalos('status', '--dir', (rest[0] as RealAgent).directory)).code).toBe(3);

    await swarm.start(dead.name, '', dead); // on its old state, without being told where the others are
    await eventually('the restarted agent to be back', async () => {
      const seen = await Promise.all(swarm.agents.map(status));
      return seen.every(({ members }) => members.length === 3 && members.every(({ state }) => state === 'alive')) || undefined;
    });
  });

  it('lose nobody’s trace when an agent leaves properly: the rest forget it at once', async () => {
    const leaver = swarm.agents.find(({ name }) => name === 'gamma') as RealAgent;
    leaver.process.kill('SIGTERM');
    await eventually('the others to be two', async () => {
      const { members } = await status(beta);
      return members.length === 2 || undefined;
    });
  });
});

describe('the command line', () => {
  it('says what to do when no agent runs, when one runs already, and when an option is wrong', async () => {
    const none = await kalos('status', '--dir', '/tmp/kalos-nobody-here');
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('start one with: kalos up')]);
    const twice = await kalos('up', '--dir', beta.directory);
    expect([twice.code, twice.stderr]).toEqual([1, expect.stringContaining('already runs')]);
    const usage = await kalos('statsu');
    expect([usage.code, usage.stderr]).toEqual([2, expect.stringContaining('did you mean status?')]);
    expect((await kalos('status', '-o', 'xml')).code).toBe(2);
    expect((await kalos('--help')).code).toBe(0);
    const unknown = await kalos('explain', 'inc-0000000000', '--dir', beta.directory);
    expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining('no member that answered knows')]);
  });

  it('prints the same answer as JSON and YAML, with a version', async () => {
    const yaml = await kalos('query', 'select 1 as one', '--dir', beta.directory, '-o', 'yaml');
    expect(yaml.stdout).toMatch(/^outputVersion: 1\n[\s\S]*rows:\n {2}- one: 1\n/);
    const json = await kalos('sim', 'run', '--seed', '3', '--nodes', '5', '-o', 'json');
    expect(JSON.parse(json.stdout)).toMatchObject({ outputVersion: 1, seed: 3, nodes: 5, violations: [] });
  });
});
