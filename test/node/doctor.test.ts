// What `kalos doctor` finds of a state directory, a policy of the actuator and an agent, and what it mends.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { doctor } from '../../node/cli/doctor.ts';
import { explainPolicy, meaningsOf } from '../../node/cli/doctor-policy.ts';
import { EXIT } from '../../node/cli/exit-codes.ts';
import type * as StateDirectory from '../../node/config/adapters/state-directory.ts';
import { fakeAgent } from '../support/fake-agent.ts';

const place = mkdtempSync(join(tmpdir(), 'kalos-doctor-'));
/** Another than this machine's. */
const SYSTEM_POLICY = join(place, 'system.policy');
vi.mock('../../node/config/adapters/state-directory.ts', async (own) => ({
  ...(await own<typeof StateDirectory>()),
  get SYSTEM_POLICY() {
    return SYSTEM_POLICY;
  },
}));

const agent = fakeAgent();
afterAll(() => rmSync(place, { recursive: true, force: true }));

type Options = Parameters<typeof doctor>[2];
interface Finding {
  check: string;
  result: string;
  detail: string;
  fix: string | null;
}
async function examined(directory: string, options: Options = { fix: false, dryRun: false }) {
  const { code, out } = await agent.run(() => doctor(directory, 'json', options));
  const { findings, mended } = JSON.parse(out) as { findings: Finding[]; mended: string[] };
  const of = (check: string): [string, string, string | null] | undefined => {
    const one = findings.find((finding) => finding.check === check);
    return one && [one.result, one.detail, one.fix];
  };
  return { code, mended, of, checks: findings.map(({ check }) => check) };
}

const STATUS = { name: 'ada', mode: 'act', members: [{}], twin: null, metrics: {} };
const AUDIT = { ok: true, records: 1, root: '0123456789abcdef0123' };
beforeEach(() => {
  agent.answers['GET /v1/status'] = STATUS;
  agent.answers['GET /v1/audit/verification'] = AUDIT;
});

describe('an agent', () => {
  const found = async (status: Record<string, unknown> = {}, audit: unknown = AUDIT) => {
    agent.answers['GET /v1/status'] = { ...STATUS, ...status };
    agent.answers['GET /v1/audit/verification'] = audit;
    return examined(agent.directory);
  };

  it('is well', async () => {
    const { code, of, checks } = await found();
    expect(checks).toEqual([
      ...['runtime', 'sensors', 'pressure', 'incident model', 'state', 'state disk', 'actuator', 'agent', 'key', 'audit'],
    ]);
    expect(of('runtime')).toEqual(['ok', `Node ${process.version}, ${process.arch}`, null]);
    expect(of('state')).toEqual(['ok', agent.directory, null]);
    expect(of('agent')).toEqual(['ok', 'ada runs, alone, mode act', null]);
    expect(of('key')).toEqual(['ok', 'no other agent with the same key is known', null]);
    expect(of('audit')).toEqual(['ok', '1 record, none changed, root 0123456789abcdef', null]);
    expect(code).toBe(EXIT.ok);
  });

  it('has a twin, an actuator that is silent, an audit that was changed', async () => {
    const { code, of } = await found(
      { members: [{}, {}, {}], twin: 'twins!', metrics: { 'kalos.actuator.silence': 10.4 } },
      { ok: false, index: 3, reason: 'it was changed' },
    );
    expect(of('agent')).toEqual(['ok', 'ada runs, one of 3 members, mode act', null]);
    expect(of('key')).toEqual(['broken', 'twins!', null]);
    expect(of('actuator answers')).toEqual([
      'broken',
      'no answer to the agent for 10 s: see its log, then run systemctl restart kalos-actuator; without systemd kill its process, and the agent restarts it',
      null,
    ]);
    expect(of('audit')).toEqual(['broken', 'record 3: it was changed', null]);
    expect(code).toBe(EXIT.degraded);
    expect((await found({ metrics: { 'kalos.actuator.silence': 9.9 } })).of('actuator answers')).toBeUndefined();
  });

  it('does not run: that is lacking, not broken', async () => {
    const { code, of } = await examined(join(place, 'nowhere'));
    expect(of('agent')).toEqual(['lacks', `no agent runs on ${join(place, 'nowhere')}`, null]);
    expect(of('state disk')).toEqual(['ok', 'not needed yet', null]);
    expect(code).toBe(EXIT.ok);
  });
});

describe('a state directory', () => {
  it('that is not there is made', async () => {
    const path = join(place, 'new');
    const before = await examined(path);
    expect(before.of('state')).toEqual(['lacks', `${path} does not exist yet: kalos up creates it`, `create ${path}`]);
    const dry = await examined(path, { fix: true, dryRun: true });
    expect([dry.mended[0], existsSync(path)]).toEqual([`would fix state: create ${path}`, false]);
    const mended = await examined(path, { fix: true, dryRun: false });
    expect([mended.mended[0], mended.of('state')]).toEqual([`fixed state: create ${path}`, ['ok', path, null]]);
    expect(statSync(path).mode & 0o777).toBe(0o700);
  });

  it('that others may read is closed, for its group too', async () => {
    const path = join(place, 'open');
    mkdirSync(path, { mode: 0o700 });
    for (const mode of [0o750, 0o701]) {
      chmodSync(path, mode);
      const { code, of } = await examined(path);
      expect([code, of('state')]).toEqual([
        EXIT.degraded,
        ['broken', `${path} is open to others (mode ${mode.toString(8)})`, `chmod 700 ${path}`],
      ]);
    }
    expect((await examined(path, { fix: true, dryRun: false })).of('state')).toEqual(['ok', path, null]);
  });

  it('is told in a table, and what was mended after it', async () => {
    const path = join(place, 'table');
    mkdirSync(path, { mode: 0o755 });
    const { out } = await agent.run(() => doctor(path, 'table', { fix: true, dryRun: true }));
    expect(out).toContain(`failed   state             ${path} is open to others (mode 755)\n`);
    expect(out).toContain(`would fix state: chmod 700 ${path}\n`);
    const csv = await agent.run(() => doctor(path, 'csv', { fix: false, dryRun: false }));
    expect(csv.out).toContain(`\nstate,broken,${path} is open to others (mode 755),chmod 700 ${path}\n`);
    await expect(doctor(path, 'table', { fix: false, dryRun: true })).rejects.toThrow('--dry-run needs --fix');
  });
});

describe('the policy of an actuator', () => {
  it('is written where there is none, and judged', async () => {
    const path = join(place, 'policy');
    mkdirSync(path, { mode: 0o700 });
    const file = join(path, 'actuator.policy');
    expect((await examined(path)).of('actuator')).toEqual([
      'lacks',
      `it may only manage services: ${file} is missing; see docs/CONFIG.md`,
      `create ${file} with examples (allows nothing yet)`,
    ]);
    const mended = await examined(path, { fix: true, dryRun: false });
    expect(mended.mended).toContain(`fixed actuator: create ${file} with examples (allows nothing yet)`);
    expect([statSync(file).mode & 0o777, readFileSync(file, 'utf8')]).toEqual([0o600, expect.stringContaining('# allow path')]);
    expect(mended.of('actuator')).toEqual(['ok', `its policy is ${file}`, null]);
    expect((await examined(path, { fix: true, dryRun: false })).mended).toEqual(['doctor can fix nothing here']);
    expect(mended.of('state disk')).toEqual(['ok', expect.stringMatching(/^[\d.]+ [KMGT]iB free$/), null]);
    writeFileSync(file, 'allow nonsense\n');
    const wrong = await examined(path);
    expect([wrong.code, wrong.of('actuator')?.[0]]).toEqual([EXIT.degraded, 'broken']);
    writeFileSync(file, 'allow path /etc\nallow sysctl vm.swappiness\n');
    expect((await examined(path)).of('actuator')).toEqual([
      'ok',
      `its policy is ${file}; the agent can become root by allow path /etc: kalos doctor --policy ${file}`,
      null,
    ]);
  });

  it('is the machine’s where the directory has none', async () => {
    const path = join(place, 'of-the-machine');
    mkdirSync(path, { mode: 0o700 });
    writeFileSync(SYSTEM_POLICY, 'allow sysctl vm.swappiness\n');
    try {
      expect((await examined(path)).of('actuator')).toEqual(['ok', `its policy is ${SYSTEM_POLICY}`, null]);
    } finally {
      rmSync(SYSTEM_POLICY);
    }
  });

  it('is listed rule by rule, with whether it makes the agent root', async () => {
    const file = join(place, 'rules');
    writeFileSync(file, 'allow path /etc\nallow sysctl vm.swappiness\n');
    expect(meaningsOf(file).map(({ rule, root }) => [rule, root])).toEqual([
      ['allow path /etc', true],
      ['allow sysctl vm.swappiness', false],
    ]);
    const { code, out } = await agent.run(() => explainPolicy(file, 'csv'));
    expect([code, out.split('\n').map((line) => line.split(',').slice(0, 2))]).toEqual([
      EXIT.ok,
      [['rule', 'root'], ['allow path /etc', 'yes'], ['allow sysctl vm.swappiness', ''], ['']],
    ]);
    writeFileSync(file, 'allow nonsense\n');
    expect(() => meaningsOf(file)).toThrow(
      expect.objectContaining({ code: 'config', message: expect.not.stringMatching(/^kalos-actuator/) }),
    );
  });
});
