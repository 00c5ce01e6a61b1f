// Decision and its brakes: the cheapest confident tier, abstention as an answer, and a guard that nothing passes by.
import { describe, expect, it } from 'vitest';
import { Guard, type GuardQuestion, MODES, STORM_CHANGES, STORM_PAUSE_MS } from '../../node/action/guard.ts';
import { maintenanceReason } from '../../node/action/maintenance.ts';
import type { Snapshot } from '../../node/action/tool.ts';
import { decide, type Remedy } from '../../node/decision/decide.ts';
import type { Compute } from '../../node/ports/compute.ts';
import type { ToolCall } from '../../node/tool-call.ts';

const compute: Compute = {
  plan: () => expect.fail('nothing is planned here'),
  classify: async () => ({ label: 'memory-growth', confidence: 0.93 }),
  sqlNeeds: async () => ({ ok: false, message: '' }),
  sqlRun: async () => ({ ok: false, message: '' }),
  inspect: async () => ({ ok: false as const, message: 'none' }),
  close: async () => undefined,
};
const blind: Compute = { ...compute, classify: async () => undefined };
const fresh = { worked: 0, failed: 0 };
const exited = {
  policy: 'service-exited',
  target: 'web',
  remedies: [{ calls: [{ tool: 'service.restart', service: 'web' }], record: fresh, similar: fresh, triedNow: 0 }],
  features: [1],
};

describe('a decision', () => {
  it('follows the declared remedy when the witnesses certify it', async () => {
    const decision = await decide({ ...exited, claimOutcome: 'certified' }, compute);
    expect(decision).toMatchObject({
      kind: 'act',
      calls: [{ tool: 'service.restart', service: 'web' }],
      routed: { tier: 'reactive' },
    });
    expect(decision.reason).toContain('certified by the witnesses');
  });

  it('watches what the witnesses refute', async () => {
    expect(await decide({ ...exited, claimOutcome: 'refuted' }, compute)).toMatchObject({
      kind: 'watch',
      routed: { tier: 'reactive' },
    });
  });

  it('trusts a remedy less that keeps failing, until the safest option is left', async () => {
    const remedies = exited.remedies.map((remedy) => ({ ...remedy, record: { worked: 0, failed: 9 } }));
    const decision = await decide({ ...exited, claimOutcome: 'undecided', remedies }, blind);
    expect(decision).toMatchObject({ kind: 'watch', routed: { tier: undefined } });
  });

  it('does not try first again what failed here, in this incident or before', async () => {
    const calls = (tool: string) => [{ tool, service: 'web' }];
    const chosen = async (...remedies: Remedy[]) => {
      const decision = await decide({ ...exited, claimOutcome: 'undecided', remedies }, blind);
      return decision.kind === 'act' ? decision.calls[0]?.tool : 'watch';
    };
    const first: Remedy = { calls: calls('fs.write'), record: fresh, similar: fresh, triedNow: 0 };
    const second: Remedy = { calls: calls('service.restart'), record: fresh, similar: fresh, triedNow: 0 };
    expect(await chosen(first, second)).toBe('fs.write');
    expect(await chosen({ ...first, triedNow: 1 }, second)).toBe('service.restart');
    expect(await chosen({ ...first, triedNow: 1 }, { ...second, triedNow: 1 })).toBe('fs.write');
    expect(await chosen({ ...first, record: { worked: 0, failed: 1 } }, second)).toBe('service.restart');
    expect(await chosen({ ...first, record: { worked: 2, failed: 1 } }, second)).toBe('fs.write');
  });

  it('tries first what did not fail elsewhere in similar cases, unless it is known here', async () => {
    const chosen = async (first: Partial<Remedy>): Promise<string | undefined> => {
      const never = { worked: 0, failed: 0 };
      const one = (service: string, given: Partial<Remedy> = {}): Remedy => ({
        calls: [{ tool: 'service.restart', service }],
        record: never,
        similar: never,
        triedNow: 0,
        ...given,
      });
      const remedies = [one('first', first), one('second')];
      const input = { policy: 'p', target: 't', remedies, claimOutcome: 'certified', features: undefined } as const;
      const decision = await decide(input, { classify: async () => undefined } as unknown as Compute);
      return decision.kind === 'act' ? String(decision.calls[0]?.service) : undefined;
    };
    expect(await chosen({})).toBe('first');
    expect(await chosen({ similar: { worked: 1, failed: 1 } })).toBe('first');
    expect(await chosen({ similar: { worked: 1, failed: 2 } })).toBe('second');
    expect(await chosen({ record: { worked: 1, failed: 1 }, similar: { worked: 0, failed: 3 } })).toBe('first');
    expect(await chosen({ record: { worked: 1, failed: 2 } })).toBe('second');
    expect(await chosen({ triedNow: 1 })).toBe('second');
  });

  it('is as confident as what it knows: witnesses first, then how it did here, and half of that elsewhere', async () => {
    const confidence = async (given: Partial<Remedy>, claimOutcome: 'certified' | 'unasked' = 'unasked', isTrial = false) => {
      const never = { worked: 0, failed: 0 };
      const remedy: Remedy = {
        calls: [{ tool: 'service.restart', service: 'web' }],
        record: never,
        similar: never,
        triedNow: 0,
        ...given,
      };
      const input = { policy: 'p', target: 't', remedies: [remedy], claimOutcome, features: undefined, isTrial };
      const { routed } = await decide(input, { classify: async () => undefined } as unknown as Compute);
      const [first] = routed.considered;
      return first?.answer.kind === 'act' ? Number(first.answer.confidence.toFixed(4)) : undefined;
    };
    expect([await confidence({}), await confidence({}, 'certified')]).toEqual([0.8, 0.95]);
    expect(await confidence({ record: { worked: 3, failed: 0 } })).toBe(0.8);
    expect(await confidence({ record: { worked: 0, failed: 1 } })).toBe(0.5667);
    expect(await confidence({ record: { worked: 0, failed: 1 } }, 'unasked', true)).toBe(0.6);
    expect(await confidence({ record: { worked: 0, failed: 1 } }, 'certified')).toBe(0.6417);
    expect(await confidence({ similar: { worked: 2, failed: 0 } })).toBe(0.7333);
    expect(await confidence({ similar: { worked: 0, failed: 4 } })).toBe(0.525);
  });

  it('without a remedy asks the incident model, which only watches', async () => {
    const decision = await decide({ ...exited, remedies: [], claimOutcome: 'undecided' }, compute);
    expect(decision).toMatchObject({ kind: 'watch', routed: { tier: 'operational' } });
    expect(decision.reason).toContain('memory-growth (93 %)');
  });

  it('records that each tier abstained where none can tell', async () => {
    const { routed } = await decide({ ...exited, remedies: [], claimOutcome: 'unasked', features: undefined }, blind);
    expect(routed.considered.map(({ tier, answer }) => `${tier} ${answer.kind}`)).toEqual([
      'reactive abstain',
      'operational abstain',
      'tactical abstain',
      'strategic abstain',
    ]);
  });
});

describe('the guard', () => {
  const call: ToolCall = { tool: 'service.restart', service: 'web' };
  const before: Snapshot = { name: 'web', state: 'exited', pid: null, startTicks: null, starts: 1, critical: 0 };
  const ask = (guard: Guard, change: Partial<GuardQuestion> = {}) =>
    guard.judge({ call, before, authority: 'policy', nowMs: 0, maintenance: undefined, ...change });
  const kind = (guard: Guard, change: Partial<GuardQuestion> = {}) => ask(guard, change).kind;

  it('shows in mode observe, asks in advise, goes in act; a person passes the mode', () => {
    expect(MODES.map((mode) => kind(new Guard(mode)))).toEqual(['shown', 'ask', 'go']);
    expect(MODES.map((mode) => kind(new Guard(mode), { authority: 'operator' }))).toEqual(['go', 'go', 'go']);
  });

  it('refuses everything while acting is halted, to a person too', () => {
    const guard = new Guard('act');
    guard.halted = 'a drill';
    expect(kind(guard)).toBe('refused');
    expect(ask(guard, { authority: 'operator' })).toMatchObject({ kind: 'refused', reason: expect.stringContaining('a drill') });
  });

  it('refuses what was stopped on purpose, what has no process, and what runs already', () => {
    const guard = new Guard('act');
    expect(kind(guard, { before: { ...before, state: 'stopped' } })).toBe('refused');
    expect(kind(guard, { call: { tool: 'service.signal', service: 'web', signal: 'CONT' } })).toBe('refused');
    expect(kind(guard, { call: { tool: 'service.start', service: 'web' }, before: { ...before, state: 'running' } })).toBe(
      'refused',
    );
  });

  it('asks a person where it is disruptive (R2), even in mode act, and refuses what cannot be taken back (R3) but to two operators', () => {
    const guard = new Guard('act');
    const critical = { ...before, critical: 1 };
    expect(kind(guard, { before: critical })).toBe('ask');
    expect(kind(guard, { before: critical, authority: 'operator' })).toBe('go');
    const clean = (directory: string) => ({ tool: 'fs.clean', directory, suffix: '.tmp', older_than_s: 60 });
    expect(kind(guard, { call: clean('/srv/cache'), before: { count: 1, bytes: 1, files: '[]' } })).toBe('go');
    for (const authority of ['policy', 'operator'] as const)
      expect(kind(guard, { call: clean('/srv/data'), before: { count: 1, bytes: 1, files: '[]' }, authority })).toBe('refused');
    const signed = { call: clean('/srv/data'), before: { count: 1, bytes: 1, files: '[]' }, authority: 'operators' as const };
    expect(kind(guard, signed)).toBe('go');
  });

  it('keeps policies still in a maintenance window, and lets people act', () => {
    const guard = new Guard('act');
    expect(ask(guard, { maintenance: 'a new disk' })).toEqual({ kind: 'refused', reason: 'a new disk' });
    expect(kind(guard, { maintenance: 'a new disk', authority: 'operator' })).toBe('go');
  });

  it('escalates after the tool’s rate on a target, for that target alone, until time has passed', () => {
    const guard = new Guard('act');
    for (const nowMs of [0, 1, 2]) {
      expect(kind(guard, { nowMs })).toBe('go');
      guard.use(call, 'policy', nowMs);
    }
    expect(kind(guard, { nowMs: 3 })).toBe('escalate');
    expect(kind(guard, { nowMs: 3, call: { ...call, service: 'db' } })).toBe('go');
    expect(kind(guard, { nowMs: 300_003 })).toBe('go');
  });

  it('forgets no rate for what is done elsewhere meanwhile, and takes no more targets than it can count', () => {
    const guard = new Guard('act');
    for (let uses = 0; uses < 3; uses++) guard.use(call, 'operator', 0);
    for (let i = 0; i < 1_023; i++) guard.use({ ...call, service: `s${i}` }, 'operator', 1);
    expect(kind(guard, { nowMs: 2 })).toBe('escalate');
    expect(ask(guard, { nowMs: 2, call: { ...call, service: 'one-more' } })).toMatchObject({
      kind: 'escalate',
      reason: '1024 targets changed recently: the rate limit is full',
    });
    expect(kind(guard, { nowMs: 2, call: { ...call, service: 's7' } })).toBe('go');
    expect(kind(guard, { nowMs: 300_002, call: { ...call, service: 'one-more' } })).toBe('go');
    expect(kind(guard, { nowMs: 300_002 })).toBe('go');
  });

  it('lets a grant pass the mode to ask, and neither observe nor R2', () => {
    const critical = { ...before, critical: 1 };
    expect(MODES.map((mode) => kind(new Guard(mode), { granted: true }))).toEqual(['shown', 'go', 'go']);
    expect(MODES.map((mode) => kind(new Guard(mode), { granted: true, before: critical }))).toEqual(['shown', 'ask', 'ask']);
  });

  it('has policies pause in a storm of changes, over all targets, and people not', () => {
    const guard = new Guard('act');
    for (let i = 0; i < STORM_CHANGES; i++) {
      expect(kind(guard, { nowMs: i, call: { ...call, service: `s${i}` } })).toBe('go');
      guard.use({ ...call, service: `s${i}` }, 'policy', i);
    }
    expect(ask(guard, { nowMs: 50, call: { ...call, service: 'fresh' } })).toMatchObject({
      kind: 'escalate',
      reason: expect.stringContaining('policies pause'),
    });
    expect(kind(guard, { nowMs: 50, call: { ...call, service: 'fresh' }, authority: 'operator' })).toBe('go');
    expect(kind(guard, { nowMs: 50 + STORM_PAUSE_MS, call: { ...call, service: 'fresh' } })).toBe('go');
  });
});

describe('a maintenance window', () => {
  const at = (text: string): number => Date.parse(text);
  const night = { days: ['sat' as const], start: '23:00', minutes: 120, reason: 'backups' };

  it.each([
    ['2026-11-21T22:59:59Z', false],
    ['2026-11-21T23:00:00Z', true],
    ['2026-11-22T00:59:59Z', true], // it began on Saturday
    ['2026-11-22T01:00:00Z', false],
    ['2026-11-22T23:30:00Z', false],
  ])('on Saturdays from 23:00 for two hours, at %s: %s', (text, open) => {
    expect(maintenanceReason([night], at(text)) !== undefined).toBe(open);
  });

  it('without days is every day', () => {
    const { days, ...daily } = night;
    expect(days).toBeDefined();
    expect(maintenanceReason([daily], at('2026-11-24T23:30:00Z'))).toContain('backups');
    expect(maintenanceReason([], at('2026-11-24T23:30:00Z'))).toBeUndefined();
  });
});
