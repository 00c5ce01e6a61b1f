// Policies have tests of their own: those that are shipped hold, and the command says what does not.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { findPackage } from '../../node/adapters/package.ts';
import { shippedPolicies } from '../../node/detection/adapters/shipped-policies.ts';
import { testPolicy } from '../../node/detection/policy-test.ts';
import { kalos } from '../support/agents.ts';

const place = mkdtempSync(join(tmpdir(), 'kalos-policy-'));
afterAll(() => rmSync(place, { recursive: true }));

const policy = (...args: string[]) => kalos('policy', ...args, '--dir', place);
const write = (text: string): void => writeFileSync(join(place, 'kalos.toml'), text);

const OWN = (fires: boolean): string => `
[[policy]]
name = "too-many"
when = "metrics['system.process.count'] > 500.0"
for_s = 10
summary = "too many processes"
[[policy.test]]
name = "a thousand"
metrics = { "system.process.count" = 1000 }
for_s = 11
fires = ${fires}
`;

describe('the shipped policies', () => {
  it('are those of every file in their directory', () => {
    const { policies } = findPackage();
    const names = readdirSync(policies).flatMap((file) =>
      [...readFileSync(join(policies, file), 'utf8').matchAll(/^\[\[policy\]\]\nname = "(.*)"$/gm)].map(([, name]) => name),
    );
    expect(
      shippedPolicies()
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(names.toSorted());
  });

  it.each(
    shippedPolicies()
      .filter(({ test }) => test.length > 0)
      .map((one) => [one.name, one] as const),
  )('%s does what its tests say', (_name, one) => {
    expect(testPolicy(one).filter(({ passed }) => !passed)).toEqual([]);
  });

  it('name what a drift would be put right with', () => {
    const sysctl = shippedPolicies().find(({ name }) => name === 'sysctl-drift');
    expect(sysctl && testPolicy(sysctl)[0]?.remedy).toEqual([{ tool: 'sysctl.set', key: 'vm.swappiness', value: '60' }]);
  });
});

describe('kalos policy', () => {
  it('tests one’s own beside the shipped ones, and exits with 1 where one does not hold', async () => {
    write(OWN(true));
    const good = await policy('test', 'too-many');
    expect([good.code, good.stdout]).toEqual([0, expect.stringContaining('a thousand: it fires')]);
    write(OWN(false));
    const bad = await policy('test');
    expect([bad.code, bad.stdout]).toEqual([1, expect.stringContaining('it fires, but it should not')]);
  });

  it('lists and shows them with their origin', async () => {
    write(OWN(true));
    const { policies } = JSON.parse((await policy('list', '-o', 'json')).stdout) as {
      policies: { name: string; origin: string }[];
    };
    expect(policies.find(({ name }) => name === 'too-many')?.origin).toBe('own');
    expect(policies.filter(({ origin }) => origin === 'shipped').length).toBe(shippedPolicies().length);
    expect((await policy('show', 'too-many')).stdout).toContain('origin: own');
    const missing = await policy('show', 'disk-ful');
    expect([missing.code, missing.stderr]).toEqual([2, expect.stringContaining('did you mean disk-full?')]);
  });

  it('says what is wrong with an expression, and with a remedy that names no tool', async () => {
    write(OWN(true).replace('> 500.0', '> '));
    expect((await policy('test')).stderr).toContain('policy too-many');
    write(OWN(true).replace('for_s = 10', 'remedy = { tool = "service.restrat" }'));
    expect((await policy('test')).stderr).toContain('did you mean "service.restart"');
  });
});
