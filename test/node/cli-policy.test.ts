// What `kalos policy` prints of policies, with an agent and without one, and what it makes of files and tests.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { EXIT } from '../../node/cli/exit-codes.ts';
import {
  addPolicy,
  applyPolicies,
  deletePolicy,
  listPolicies,
  readPolicies,
  resetPolicy,
  showPolicy,
  switchPolicy,
  testPolicies,
} from '../../node/cli/policy.ts';
import { shippedPolicies } from '../../node/detection/adapters/shipped-policies.ts';
import { policySchema } from '../../node/detection/policy.ts';
import { fakeAgent, linesOf } from '../support/fake-agent.ts';

const agent = fakeAgent();
const directory = mkdtempSync(join(tmpdir(), 'kalos-policies-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const file = (name: string, text: string): string => {
  writeFileSync(join(directory, name), text, { mode: 0o600 });
  return join(directory, name);
};
const sent = () => agent.asked.filter(({ method }) => method !== 'GET').map(({ path, body }) => [path, body]);

const policy = (given: Record<string, unknown> = {}) =>
  policySchema.parse({ name: 'mine', when: "metrics['system.process.count'] > 500.0", summary: 'too many', ...given });
const known = (...policies: Record<string, unknown>[]): void => {
  agent.answers['GET /v1/policies'] = policies.map((one) => ({ policy: policy(one), origin: 'live' }));
};
const options = (output: 'table' | 'wide' | 'csv' | 'json' = 'table') => ({ dir: agent.directory, output });
const restart = (service: string) => ({ tool: 'service.restart', service });

describe('policies', () => {
  it('are listed with their remedies: all of one, or the next', async () => {
    const remedy = [{ do: [restart('a'), restart('b')] }, { do: [restart('a')] }];
    known({ remedy, for_s: 5, clear_s: 6, cooldown_s: 7, severity: 'critical' }, { name: 'off', enabled: false });
    expect(linesOf((await agent.run(() => listPolicies(options()))).out)).toEqual([
      'POLICY  SCOPE  SEVERITY  REMEDY  ORIGIN  SUMMARY',
      'mine  machine  critical  service.restart + service.restart, or service.restart  live  too many',
      'off  machine  disabled  -  live  too many',
      '',
    ]);
    const wide = linesOf((await agent.run(() => listPolicies(options('wide')))).out);
    expect(wide.slice(0, 2)).toEqual([
      'POLICY  SCOPE  SEVERITY  REMEDY  ORIGIN  FOR  CLEAR  COOLDOWN  WHEN  SUMMARY',
      "mine  machine  critical  service.restart + service.restart, or service.restart  live  5  6  7  metrics['system.process.count'] > 500.0  too many",
    ]);
    const json = await agent.run(() => listPolicies(options('json')));
    expect(JSON.parse(json.out).policies[0]).toMatchObject({ name: 'mine', origin: 'live', for_s: 5 });
  });

  it('are those of the configuration where no agent runs, or where a file is named: one’s own over the shipped', async () => {
    const [first] = shippedPolicies();
    const own = `[[policy]]\nname = "${first?.name}"\nwhen = "true"\nsummary = "my own"\n`;
    const config = file('kalos.toml', own);
    known({});
    const names = async (given: Record<string, unknown>): Promise<string[][]> =>
      (await agent.run(() => listPolicies({ ...options('csv'), ...given }))).out
        .trimEnd()
        .split('\n')
        .slice(1)
        .map((line) => line.split(','));
    const declared = await names({ config });
    expect([declared.length, declared.at(-1)?.[0], declared.at(-1)?.[4], declared[0]?.[4]]).toEqual([
      shippedPolicies().length,
      first?.name,
      'own',
      'shipped',
    ]);
    expect(await names({ dir: directory })).toEqual(declared); // nobody listens there
    delete agent.answers['GET /v1/policies'];
    await expect(listPolicies(options())).rejects.toMatchObject({ code: 'not-found' });
  });

  it('are shown, switched, removed and reset by their names', async () => {
    known({ threshold: { limit: { metric: 'system.process.count', low: 1, high: 9 } } }, { name: 'plain' });
    agent.answers['POST /v1/policies'] = { applied: ['plain'] };
    agent.answers['POST /v1/policies/mine/reset'] = {};
    agent.answers['POST /v1/policies/a%2Fb/removal'] = {};
    const shown = await agent.run(() => showPolicy(options(), 'plain'));
    expect([shown.code, shown.out.split('\n').slice(0, 1), shown.out.endsWith('origin: live\n')]).toEqual([
      EXIT.ok,
      ['name: plain'],
      true,
    ]);
    await expect(showPolicy(options(), 'plian')).rejects.toThrow('no policy is called plian; did you mean plain?');
    const said = async (run: () => Promise<number>) => {
      const { code, out } = await agent.run(run);
      return [code, out];
    };
    expect(await said(() => switchPolicy(options(), 'plain', true))).toEqual([EXIT.ok, 'plain is enabled\n']);
    expect(await said(() => switchPolicy(options(), 'plain', false))).toEqual([EXIT.ok, 'plain is disabled\n']);
    expect(await said(() => deletePolicy(options(), 'a/b'))).toEqual([EXIT.ok, 'a/b is deleted\n']);
    expect(await said(() => resetPolicy(options(), 'mine'))).toEqual([EXIT.ok, 'mine relearns limit\n']);
    await expect(resetPolicy(options(), 'plain')).rejects.toThrow('plain has no learned thresholds');
    expect(sent().map(([path]) => path)).toEqual([
      ...['/v1/policies', '/v1/policies', '/v1/policies/a%2Fb/removal', '/v1/policies/mine/reset'],
    ]);
    expect(sent()[0]?.[1]).toEqual({ policies: [{ ...policy({ name: 'plain' }), enabled: true }] });
  });
});

describe('a file of policies', () => {
  const tables = '[[policy]]\nname = "a"\nwhen = "true"\nsummary = "s"\n';

  it('is applied whole, and holds nothing else', async () => {
    agent.answers['POST /v1/policies'] = { applied: ['a', 'b'] };
    expect(await agent.run(() => applyPolicies(options(), file('good.toml', tables)))).toEqual({
      code: EXIT.ok,
      out: 'a is active\nb is active\n',
      err: '',
    });
    expect(sent()).toEqual([['/v1/policies', { policies: [{ name: 'a', when: 'true', summary: 's' }] }]]);
    const [other, empty, single] = [
      file('other.toml', `mode = "act"\n${tables}`),
      file('empty.toml', ''),
      file('single.toml', tables.replace('[[policy]]', '[policy]')),
    ];
    expect(() => readPolicies(other)).toThrow(`${other}: mode: only [[policy]] tables can be applied`);
    for (const one of [empty, single]) expect(() => readPolicies(one)).toThrow(`${one} has no [[policy]] table`);
    expect(() => readPolicies(file('none.toml', 'policy = []'))).toThrow('has no [[policy]] table');
  });
});

describe('a policy of one line', () => {
  it('takes its action as words or as one text, and no more of its summary than there is room for', async () => {
    known({});
    const input = { properties: { service: { type: 'string' } } };
    agent.answers['GET /v1/tools'] = [{ name: 'service.restart', kind: 'change', input }];
    agent.answers['POST /v1/policies'] = { applied: ['new'] };
    const add = async (when: string, action: string[]) => {
      await agent.run(() => addPolicy({ dir: agent.directory, scope: 'machine', severity: 'warning' }, 'new', when, action));
      return (sent().at(-1)?.[1] as { policies: Record<string, unknown>[] } | undefined)?.policies[0];
    };
    for (const action of [['service.restart  service=web'], ['service.restart', 'service=web']])
      expect((await add('true', action))?.remedy).toEqual([{ do: [restart('web')] }]);
    expect((await add('true', ['service.restart', 'service=a b']))?.remedy).toEqual([{ do: [restart('a b')] }]);
    for (const action of [[], [''], ['alert'], [' alert ']]) expect((await add('true', action))?.remedy).toEqual([]);
    expect((await add('x'.repeat(201), []))?.summary).toBe('x'.repeat(200));
  });
});

describe('the tests of policies', () => {
  const metrics = { 'system.process.count': 1_000 };
  const test = (fires: boolean) => [{ name: 'a thousand', metrics, for_s: 11, fires }];

  it('hold or not, counted, with those that have none', async () => {
    const run = async (output: 'table' | 'csv', name?: string) => agent.run(() => testPolicies(options(output), name));
    known({ test: test(true) }, { name: 'other', test: test(false) }, { name: 'bare' });
    expect(await run('table')).toEqual({
      code: EXIT.error,
      out: [
        'ok    mine: a thousand: it fires',
        'fail  other: a thousand: it fires, but it should not',
        '1 of 2 tests pass; one policy has no tests\n',
      ].join('\n'),
      err: '',
    });
    expect(await run('table', 'mine')).toMatchObject({
      code: EXIT.ok,
      out: 'ok    mine: a thousand: it fires\n1 of 1 test pass; 0 policies have no tests\n',
    });
    expect(await run('csv')).toMatchObject({
      code: EXIT.error,
      out: [
        'policy,test,passed,detail',
        'mine,a thousand,true,it fires',
        'other,a thousand,false,"it fires, but it should not"\n',
      ].join('\n'),
    });
  });

  it('of an expression that is wrong are a mistake of the configuration', async () => {
    known({ when: 'metrics[', test: test(true) });
    await expect(testPolicies(options(), undefined)).rejects.toMatchObject({
      code: 'config',
      hint: 'policies are CEL expressions: see docs/CONFIG.md',
    });
  });
});
