// A person's hand on a real agent, through the command line: tools, dry runs, actions, rollback, approvals, the kill
// switch, and an audit that can be proven to somebody else.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentStatus } from '../../node/agent/agent-status.ts';
import type { ActAnswer } from '../../node/api/routes.ts';
import { kalos, type RealAgent, RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';

const CONFIG = 'mode = "advise"\n[[service]]\nname = "idle"\ncommand = ["sleep", "600"]\n';

const swarm = new RealSwarm();
let agent: RealAgent;

beforeAll(async () => {
  agent = await swarm.start('solo', CONFIG);
});
afterAll(() => swarm.stop());

const here = (...args: string[]) => kalos(...args, '--dir', agent.directory);
const act = (...args: string[]) => swarm.json<ActAnswer>(agent, 'act', ...args);
/** Of the service: a machine that is busy with other tests has incidents of its own. */
const openOnes = async () => (await swarm.status(agent)).openIncidents.filter(({ target }) => target === 'idle');
/** A repair counts once it is verified: until then the incident is open, and the service may end again. */
const allClosed = () => eventually('every incident to be closed', async () => (await openOnes()).length === 0 || undefined);
const idle = async () => (await swarm.json<AgentStatus>(agent, 'status')).services[0];

describe('by hand', () => {
  it('tools are listed, described, and suggested where one is misspelt', async () => {
    expect((await here('tools')).stdout).toMatch(/service\.restart\s+R1/);
    expect((await here('tools', 'service.signal')).stdout).toMatch(/signal=TERM\|KILL\|STOP/);
    const wrong = await here('act', 'service.restrat', 'service=idle');
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('did you mean service.restart?')]);
  });

  it('a dry run says what would change, and changes nothing', async () => {
    const before = await idle();
    expect(await act('service.restart', 'service=idle', '--dry-run')).toMatchObject({
      result: 'dry-run',
      diff: [expect.stringContaining('is replaced'), expect.anything()],
    });
    expect(await idle()).toEqual(before);
  });

  it('an action is confirmed by what the machine shows, and rolled back by its inverse', async () => {
    const stopped = await act('service.signal', 'service=idle', 'signal=STOP');
    expect(stopped).toMatchObject({ result: 'confirmed', detail: 'process state T', undo: 'service.signal idle CONT' });
    const back = await swarm.json<ActAnswer>(agent, 'rollback', stopped.plan);
    expect(back).toMatchObject({ result: 'confirmed', detail: expect.stringContaining('in state S') });
    const unknown = await here('rollback', 'act-0000000000');
    expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringMatching(/no plan .* exists/)]);
  });

  it('arguments outside the schema are refused: wildcards, other signals, doubled and foreign keys', async () => {
    const outcomes = await Promise.all([
      here('act', 'service.restart', 'service=*'),
      here('act', 'service.signal', 'service=idle', 'signal=SEGV'),
      here('act', 'service.restart', 'service=idle', 'service=other'),
      here('act', 'service.restart', 'service=idle', 'command=sh'),
      here('act', 'service.restart'),
    ]);
    expect(outcomes.map(({ code }) => code)).toEqual([2, 2, 2, 2, 2]);
  });

  it('in mode advise a repair waits for a person', async () => {
    const { pid } = (await idle()) ?? {};
    process.kill(pid ?? Number.NaN, 'SIGKILL');
    const id = await eventually('the repair to wait for approval', async () => (await swarm.status(agent)).approvals[0]?.id);
    const listed = await here('approve');
    expect([listed.code, listed.stdout]).toEqual([4, expect.stringContaining(id)]);
    expect((await idle())?.state).toBe('exited');
    expect((await here('approve', id)).code).toBe(0);
    await allClosed();
    expect((await idle())?.state).toBe('running');
    expect((await here('approve', id)).code).toBe(2);
  });

  it('what waits for approval is withdrawn when a person mends it first', async () => {
    process.kill((await idle())?.pid ?? Number.NaN, 'SIGKILL');
    const id = await eventually('the repair to wait for approval', async () => (await swarm.status(agent)).approvals[0]?.id);
    expect(await act('service.start', 'service=idle')).toMatchObject({ result: 'confirmed' });
    await allClosed();
    const after = await idle();
    expect((await here('approve', id)).code).toBe(2);
    expect(await idle()).toEqual(after);
    const steps = await swarm.rows(
      agent,
      "select p.tier, p.step, p.tool, p.target, p.arguments, a.phase from plans p join actions a using (node, id) where p.tool = 'service.start' and p.tier = 'operator'",
    );
    expect(steps).toEqual([
      { tier: 'operator', step: 1, tool: 'service.start', target: 'idle', arguments: '{"service":"idle"}', phase: 'confirmed' },
    ]);
  });

  it('what is silenced is told, and not asked about until the silence is lifted', async () => {
    expect((await here('silence', '--target', '*', '--for', '1h')).code).toBe(2);
    expect((await here('silence', '--target', 'idle')).stderr).toContain('needs a duration');
    const made = await here(
      'silence',
      '--policy',
      'service-exited',
      '--target',
      'idle',
      '--for',
      '1h',
      '--reason',
      'planned work',
    );
    const silenceId = made.stdout.split(' ')[0] ?? '';
    expect((await here('silence')).stdout).toContain('planned work');
    process.kill((await idle())?.pid ?? Number.NaN, 'SIGKILL');
    const id = await eventually(
      'the incident to be told',
      async () => (await openOnes()).find(({ state }) => state === 'watching')?.id,
    );
    expect((await here('explain', id)).stdout).toContain('silenced: planned work');
    expect((await swarm.json<AgentStatus>(agent, 'status')).approvals).toEqual([]);
    expect((await here('silence', '--lift', silenceId)).code).toBe(0);
    const waiting = await eventually('the repair to wait for approval', async () => (await swarm.status(agent)).approvals[0]?.id);
    await here('approve', waiting);
    await allClosed();
    expect((await idle())?.state).toBe('running');
  });

  it('stop-all refuses everything until resume, also after a restart of the agent', async () => {
    expect((await here('stop-all', '--reason', 'a drill')).code).toBe(0);
    agent.process.kill('SIGKILL');
    await eventually('the agent to end', () => agent.process.signalCode ?? undefined);
    agent = await swarm.start('solo', CONFIG, agent);
    const refused = await here('act', 'service.restart', 'service=idle');
    expect([refused.code, refused.stdout]).toEqual([5, expect.stringContaining('actions are halted (a drill)')]);
    expect((await here('status')).stdout).toContain('Actions are halted: a drill');
    expect((await here('resume')).code).toBe(0);
    expect(await act('service.restart', 'service=idle')).toMatchObject({ result: 'confirmed' });
  });

  it('all of it is in the audit, which verifies and can be proven offline', async () => {
    const { records } = await swarm.json<{ records: { kind: string; text: string }[] }>(agent, 'audit', 'list', '--last', '100');
    const texts = records.map(({ kind, text }) => `${kind} ${text}`);
    expect(texts).toEqual(
      expect.arrayContaining([
        'control actions halted: a drill',
        'control actions resumed',
        expect.stringMatching(/^intent service\.restart idle: /),
        expect.stringMatching(/^outcome confirmed: /),
      ]),
    );
    expect((await here('audit', 'verify')).code).toBe(0);

    const proof = await here('audit', 'prove', String(records.length - 1));
    const file = join(agent.directory, 'proof.json');
    writeFileSync(file, proof.stdout);
    expect([await kalos('audit', 'check', file)].map(({ code, stdout }) => [code, stdout.startsWith('valid')])).toEqual([
      [0, true],
    ]);
    writeFileSync(file, proof.stdout.replace('"kind": "outcome"', '"kind": "refused"'));
    expect((await kalos('audit', 'check', file)).code).toBe(8);

    const grown = await here('audit', 'prove', '--since', '2');
    writeFileSync(file, grown.stdout);
    expect((await kalos('audit', 'check', file)).code).toBe(0);
    expect((await here('audit', 'prove', '9999')).code).toBe(2);
  });
});
