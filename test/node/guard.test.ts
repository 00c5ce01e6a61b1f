// The guard to its limits: which brake stands in the way, in which words, until when, and what counts towards it.
import { describe, expect, it } from 'vitest';
import {
  type Authority,
  type Ceiling,
  Guard,
  isPerson,
  MODES,
  riskOf,
  STORM_CHANGES,
  STORM_PAUSE_MS,
  STORM_WITHIN_MS,
} from '../../node/action/guard.ts';
import { changeToolOf } from '../../node/action/tools.ts';
import type { ToolCall } from '../../node/tool-call.ts';

const call = (service = 'web'): ToolCall => ({ tool: 'service.restart', service });
const before = { name: 'web', state: 'exited', pid: null, startTicks: null, starts: 1, critical: 0 };
const AUTHORITIES: Authority[] = ['policy', 'certified', 'operator', 'operators'];
const { uses, withinMs } = changeToolOf(call()).rate;

const judged = (guard: Guard, nowMs = 0, authority: Authority = 'policy', more: object = {}) =>
  guard.judge({ call: call(), before, authority, nowMs, maintenance: undefined, ...more });

describe('who may', () => {
  it('is by authority and risk', () => {
    const kinds = (given: object): string[] => AUTHORITIES.map((authority) => judged(new Guard('act'), 0, authority, given).kind);
    expect(kinds({})).toEqual(['go', 'go', 'go', 'go']);
    expect(kinds({ before: { ...before, critical: 1 } })).toEqual(['ask', 'go', 'go', 'go']);
    const clean = { tool: 'fs.clean', directory: '/srv/data', suffix: '.tmp', older_than_s: 60 };
    expect(kinds({ call: clean, before: { count: 1 } })).toEqual(['refused', 'refused', 'refused', 'go']);
    expect(judged(new Guard('act'), 0, 'operator', { call: clean, before: { count: 1 } })).toEqual({
      kind: 'refused',
      reason: 'R3 is irreversible and needs two operators (kalos change draft)',
    });
    expect(AUTHORITIES.map(isPerson)).toEqual([false, false, true, true]);
    expect(MODES.map((mode) => judged(new Guard(mode), 0, 'certified').kind)).toEqual(['shown', 'ask', 'go']);
  });

  it('is for a critical service as for what is disruptive', () => {
    const tool = changeToolOf(call());
    expect([riskOf(tool, call(), before), riskOf(tool, call(), { ...before, critical: 1 })]).toEqual(['R1', 'R2']);
  });
});

describe('a brake', () => {
  it('of the kill switch and the mode comes first, in words', () => {
    const guard = new Guard('observe');
    const observes = 'mode is observe: start with --mode act to let KALOS repair';
    expect([guard.standing(call(), 0), judged(guard)]).toEqual([observes, { kind: 'shown', reason: observes }]);
    guard.halted = 'a drill';
    const halted = 'actions are halted (a drill): kalos resume allows them again';
    expect([guard.standing(call(), 0), judged(guard, 0, 'operators')]).toEqual([halted, { kind: 'refused', reason: halted }]);
    guard.halted = undefined;
    guard.mode = 'advise';
    expect(guard.standing(call(), 0)).toBeUndefined();
  });

  it('of a tool’s rate is for all, until the first use is as old as the time', () => {
    const guard = new Guard('act');
    for (let use = 0; use < uses; use++) {
      expect(guard.brake(call(), 'operator', use)).toBeUndefined();
      guard.use(call(), 'operator', use);
    }
    const limited = { kind: 'escalate', reason: 'rate limit: service.restart ran 3 times on web in 5 minutes' };
    for (const authority of AUTHORITIES) {
      expect(judged(guard, withinMs - 1, authority)).toEqual(limited);
      expect(guard.brake(call(), authority, withinMs - 1)).toEqual(limited);
      expect(judged(guard, withinMs, authority).kind).toBe('go');
    }
    expect([guard.standing(call(), withinMs - 1), guard.standing(call(), withinMs)]).toEqual([limited.reason, undefined]);
    guard.use(call(), 'operator', withinMs); // of the four one is too old to count
    expect(guard.brake(call(), 'operator', withinMs)).toEqual(limited);
    expect(guard.brake(call(), 'operator', withinMs + 1)).toBeUndefined();
  });

  const storm = (spreadMs: number, authority: Authority = 'policy'): Guard => {
    const guard = new Guard('act');
    for (let i = 0; i < STORM_CHANGES; i++) guard.use(call(`s${i}`), authority, Math.round((i * spreadMs) / (STORM_CHANGES - 1)));
    return guard;
  };

  it('of a storm is for policies, for a while after its last change', () => {
    const lastMs = STORM_WITHIN_MS - 1;
    const guard = storm(lastMs);
    const paused = { kind: 'escalate', reason: '12 changes in 2 minutes: policies pause' };
    expect(AUTHORITIES.map((authority) => guard.brake(call(), authority, lastMs + 1))).toEqual([
      paused,
      paused,
      undefined,
      undefined,
    ]);
    expect(AUTHORITIES.map((authority) => judged(guard, lastMs + 1, authority).kind)).toEqual([
      'escalate',
      'escalate',
      'go',
      'go',
    ]);
    expect(guard.standing(call(), lastMs + STORM_PAUSE_MS - 1)).toBe(paused.reason);
    expect(guard.standing(call(), lastMs + STORM_PAUSE_MS)).toBeUndefined();
  });

  it('of a storm is none where changes are people’s, fewer, or further apart', () => {
    expect(storm(100, 'operator').brake(call(), 'policy', 200)).toBeUndefined();
    expect(storm(STORM_WITHIN_MS).brake(call(), 'policy', STORM_WITHIN_MS)).toBeUndefined();
    const fewer = new Guard('act');
    for (let i = 1; i < STORM_CHANGES; i++) fewer.use(call(`s${i}`), 'policy', 0);
    expect(fewer.brake(call(), 'policy', 1)).toBeUndefined();
    fewer.use(call('last'), 'certified', 0);
    expect(fewer.brake(call(), 'policy', 1)?.kind).toBe('escalate');
  });

  it('of a budget is for policies, for what they made within its time', () => {
    let budget: Ceiling | undefined = { changes: 2, withinMs: 60_000, reason: 'a freeze' };
    const guard = new Guard('act', () => budget);
    const reason = 'the budget allows policies 2 changes here in 1 minute: a freeze (kalos budget list)';
    guard.use(call('a'), 'policy', 0);
    guard.use(call('b'), 'operator', 0);
    expect(guard.standing(call(), 1)).toBeUndefined();
    guard.use(call('c'), 'certified', 10);
    expect([judged(guard, 11), guard.brake(call(), 'policy', 11), guard.standing(call(), 11)]).toEqual([
      { kind: 'escalate', reason },
      { kind: 'escalate', reason },
      reason,
    ]);
    expect([guard.brake(call(), 'operator', 11), judged(guard, 11, 'operator')]).toEqual([undefined, { kind: 'go' }]);
    expect([guard.standing(call(), 59_999), guard.standing(call(), 60_000)]).toEqual([reason, undefined]);
    budget = undefined;
    expect(guard.standing(call(), 11)).toBeUndefined();
    budget = { changes: 0, withinMs: 60_000, reason: 'a freeze' };
    expect(new Guard('act', () => budget).standing(call(), 0)).toContain('policies 0 changes');
  });

  it('of a budget counts five hundred changes', () => {
    const guard = new Guard('act', () => ({ changes: 500, withinMs: 3_600_000, reason: 'a freeze' }));
    for (let i = 0; i < 499; i++) guard.use(call('a'), 'policy', i * 1_000);
    const nowMs = 499_000 + STORM_PAUSE_MS;
    expect(guard.standing(call('b'), nowMs)).toBeUndefined();
    guard.use(call('a'), 'policy', nowMs);
    guard.use(call('a'), 'policy', nowMs + 1);
    expect(guard.standing(call('b'), nowMs + 1)).toContain('policies 500 changes');
  });
});
