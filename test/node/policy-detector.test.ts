// Policies over observations: evidence and remedies to the letter, targets that vanish, time that nobody saw, and what is learned and kept.
import { describe, expect, it } from 'vitest';
import type { Observation } from '../../node/detection/detector.ts';
import { type PolicyInput, type PolicyScope, policySchema } from '../../node/detection/policy.ts';
import { PolicyDetector } from '../../node/detection/policy-detector.ts';
import type { Field, Target } from '../../node/detection/targets.ts';

const mounts = (...all: [string, Record<string, Field>][]): Observation['targets'] =>
  new Map<PolicyScope, Target[]>([
    ['machine', [{ name: 'machine', fields: {} }]],
    ['mount', all.map(([name, fields]) => ({ name, fields: { path: name, type: 'ext4', ...fields } }))],
  ]);
const observe = (nowMs: number, targets: Observation['targets'], metrics: Record<string, number> = {}): Observation => ({
  ...{ nowMs, wallMs: nowMs, metrics: new Map(Object.entries(metrics)), targets },
});
const detector = (...all: PolicyInput[]) => new PolicyDetector(all.map((one) => policySchema.parse(one)));
const kinds = (changes: ReturnType<PolicyDetector['observe']>) => changes.map(({ kind, finding }) => `${kind} ${finding.target}`);
const full: PolicyInput = {
  name: 'full',
  scope: 'mount',
  when: 'mount.utilization > 0.9',
  for_s: 0,
  clear_s: 0,
  summary: 'full',
};

describe('the evidence of a finding', () => {
  it('is what its expression names, and what is something', () => {
    const policy: PolicyInput = {
      ...full,
      when: `mount.utilization > threshold.much && metrics['t'] > 1.0 && mount.inodes_utilization < 0.5`,
      threshold: { much: { metric: 't', times: 5, low: 0.1, high: 0.5 } },
    };
    const fields = { utilization: 0.75, inodes_utilization: 0, empty: '', no: false, minus: -1, long: 'x'.repeat(201) };
    const kept = { fits: 'x'.repeat(200), yes: true, some: 3 };
    const seen = detector(policy).observe(
      observe(0, mounts(['/', { ...fields, ...kept, endless: Number.POSITIVE_INFINITY }]), { t: 2, other: 3 }),
    );
    expect(seen.map(({ finding }) => finding.evidence)).toEqual([
      {
        ...{ t: 2, 'threshold.much': 0.5, 'mount.path': '/', 'mount.type': 'ext4', 'mount.utilization': 0.75 },
        ...{ 'mount.inodes_utilization': 0, 'mount.fits': kept.fits, 'mount.yes': true, 'mount.some': 3 },
      },
    ]);
  });
});

describe('a target', () => {
  it('that is gone clears, and what did not fire yet is forgotten', () => {
    const policies = detector(full, { ...full, name: 'slow', for_s: 10 });
    const both = mounts(['/', { utilization: 0.95 }], ['/gone', { utilization: 0.95 }]);
    expect(kinds(policies.observe(observe(0, both)))).toEqual(['fired /', 'fired /gone']);
    expect(policies.holds({ policy: 'slow', target: '/gone' })).toBe(true);
    expect(kinds(policies.observe(observe(1_000, mounts(['/', { utilization: 0.95 }]))))).toEqual(['cleared /gone']);
    expect(policies.holds({ policy: 'slow', target: '/gone' })).toBe(false);
    expect(policies.firing().map(({ target }) => target)).toEqual(['/']);
  });

  it('is judged again once its finding is taken back', () => {
    const policies = detector(full);
    const at = mounts(['/', { utilization: 0.95 }]);
    expect(kinds(policies.observe(observe(0, at)))).toEqual(['fired /']);
    expect(kinds(policies.observe(observe(1_000, at)))).toEqual([]);
    policies.rearm({ policy: 'full', target: '/' });
    expect(policies.firing()).toEqual([]);
    expect(kinds(policies.observe(observe(2_000, at)))).toEqual(['fired /']);
  });

  it('is not known to have lasted while nobody looked', () => {
    const policies = detector({ ...full, for_s: 5 });
    const at = mounts(['/', { utilization: 0.95 }]);
    policies.observe(observe(0, at));
    policies.skip(60_000);
    expect(kinds(policies.observe(observe(62_000, at)))).toEqual([]);
    expect(kinds(policies.observe(observe(64_999, at)))).toEqual([]);
    expect(kinds(policies.observe(observe(65_000, at)))).toEqual(['fired /']);
  });

  it('without what the expression needs is neither well nor not: its condition is unknown', () => {
    const policies = detector({ ...full, condition: 'DiskPressure' });
    expect(kinds(policies.observe(observe(0, mounts(['/', { utilization: 0.95 }]))))).toEqual(['fired /']);
    expect([...policies.unknownConditions()]).toEqual([]);
    expect(kinds(policies.observe(observe(1_000, mounts(['/', {}]))))).toEqual([]);
    expect([...policies.unknownConditions()]).toEqual(['DiskPressure']);
    expect(policies.firing()).toHaveLength(1);
    expect(kinds(policies.observe(observe(2_000, mounts(['/', { utilization: 0.5 }]))))).toEqual(['cleared /']);
    expect([...policies.unknownConditions()]).toEqual([]);
  });

  it('is one of 4,096 at the most', () => {
    const all = Array.from({ length: 4_097 }, (_, n): [string, Record<string, Field>] => [`/${n}`, { utilization: 0.95 }]);
    expect(detector(full).observe(observe(0, mounts(...all)))).toHaveLength(4_096);
  });
});

it('what thresholds learned is kept by policy and name, and recalled where it is still there', () => {
  const busy: PolicyInput = {
    ...{ name: 'busy', when: `metrics['t'] > threshold.much`, summary: 'busy' },
    threshold: { much: { metric: 't', times: 5, low: 20, high: 90 } },
  };
  const policies = detector(busy, full);
  expect(policies.learned()).toEqual({});
  for (let at = 0; at < 200; at++) policies.observe(observe(at * 1_000, mounts(), { t: 40 }));
  const learned = policies.learned();
  expect(learned).toEqual({ 'busy much': { median: 40, spread: expect.closeTo(0.7) } });
  const next = detector(busy);
  next.recall({ ...learned, 'other much': { median: 1, spread: 1 } });
  expect(next.learned()).toEqual(learned);
  expect(next.thresholds('busy').much?.value).toBeCloseTo(43.5);
  expect(next.thresholds('other')).toEqual({});
});
