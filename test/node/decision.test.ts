// Decision and its brakes: the cheapest confident tier, abstention as an answer, and a guard that nothing passes by.
import { describe, expect, it } from 'vitest';
import { Guard, MODES } from '../../node/action/guard.ts';
import { decide } from '../../node/decision/decide.ts';
import type { ToolCall } from '../../node/decision/plan.ts';
import type { ServiceSample } from '../../swarm/ports/actuator.ts';
import type { Compute } from '../../swarm/ports/compute.ts';

const compute: Compute = {
  classify: async () => ({ label: 'memory-growth', confidence: 0.93 }),
  sqlNeeds: async () => ({ ok: false, message: '' }),
  sqlRun: async () => ({ ok: false, message: '' }),
  close: async () => undefined,
};
const blind: Compute = { ...compute, classify: async () => undefined };
const fresh = { worked: 0, failed: 0 };
const exited = {
  policy: 'service-exited',
  target: 'web',
  remedy: { tool: 'service.restart' as const },
  record: fresh,
  features: [1],
};

describe('a decision', () => {
  it('follows the declared remedy when the witnesses certify it', async () => {
    const decision = await decide({ ...exited, claimOutcome: 'certified' }, compute);
    expect(decision).toMatchObject({
      kind: 'act',
      call: { tool: 'service.restart', service: 'web' },
      routed: { tier: 'reactive' },
    });
    expect(decision.reason).toContain('the witnesses certify it');
  });

  it('watches what the witnesses refute', async () => {
    expect(await decide({ ...exited, claimOutcome: 'refuted' }, compute)).toMatchObject({
      kind: 'watch',
      routed: { tier: 'reactive' },
    });
  });

  it('trusts a remedy less that keeps failing, until the safest option is left', async () => {
    const decision = await decide({ ...exited, claimOutcome: 'undecided', record: { worked: 0, failed: 9 } }, blind);
    expect(decision).toMatchObject({ kind: 'watch', routed: { tier: undefined } });
  });

  it('without a remedy asks the incident model, which only watches', async () => {
    const decision = await decide({ ...exited, remedy: undefined, claimOutcome: 'undecided' }, compute);
    expect(decision).toMatchObject({ kind: 'watch', routed: { tier: 'operational' } });
    expect(decision.reason).toContain('memory-growth (93 %)');
  });

  it('records that each tier abstained where none can tell', async () => {
    const { routed } = await decide({ ...exited, remedy: undefined, claimOutcome: 'unasked', features: undefined }, blind);
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
  const service: ServiceSample = {
    name: 'web',
    state: 'exited',
    pid: undefined,
    startTicks: undefined,
    exitCode: 1,
    exitSignal: undefined,
    starts: 1,
    sinceMs: 0,
    port: undefined,
  };
  const judge = (guard: Guard, what: ToolCall = call, target: ServiceSample | undefined = service, ms = 0) =>
    guard.judge(what, target, 'policy', ms).kind;

  it('shows in mode observe, asks in advise, goes in act; a person passes the mode', () => {
    expect(MODES.map((mode) => judge(new Guard(mode)))).toEqual(['shown', 'ask', 'go']);
    expect(MODES.map((mode) => new Guard(mode).judge(call, service, 'operator', 0).kind)).toEqual(['go', 'go', 'go']);
  });

  it('refuses everything while acting is halted, to a person too', () => {
    const guard = new Guard('act');
    guard.halted = 'a drill';
    expect(judge(guard)).toBe('refused');
    expect(guard.judge(call, service, 'operator', 0)).toMatchObject({
      kind: 'refused',
      reason: expect.stringContaining('a drill'),
    });
  });

  it('refuses what is not supervised, what was stopped on purpose, and what has no process', () => {
    const guard = new Guard('act');
    expect(guard.judge(call, undefined, 'operator', 0).kind).toBe('refused');
    expect(judge(guard, call, { ...service, state: 'stopped' })).toBe('refused');
    expect(judge(guard, { tool: 'process.signal', service: 'web', signal: 'CONT' })).toBe('refused');
    expect(judge(guard, { tool: 'service.start', service: 'web' }, { ...service, state: 'running' })).toBe('refused');
  });

  it('refuses arguments outside the schema: empty names, other signals, extra fields', () => {
    const guard = new Guard('act');
    for (const wrong of [
      { ...call, service: '' },
      { tool: 'process.signal', service: 'web', signal: 'SEGV' },
      { ...call, shell: 'rm -rf /' },
    ]) {
      expect(guard.judge(wrong as ToolCall, service, 'operator', 0)).toMatchObject({
        kind: 'refused',
        reason: expect.stringContaining('arguments'),
      });
    }
  });

  it('escalates after the tool’s rate on a target, for that target alone, until time has passed', () => {
    const guard = new Guard('act');
    for (const ms of [0, 1, 2]) {
      expect(judge(guard, call, service, ms)).toBe('go');
      guard.use(call, ms);
    }
    expect(judge(guard, call, service, 3)).toBe('escalate');
    expect(judge(guard, { ...call, service: 'db' }, { ...service, name: 'db' }, 3)).toBe('go');
    expect(judge(guard, call, service, 300_003)).toBe('go');
  });
});
