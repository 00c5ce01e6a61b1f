// Decision and its brakes: the cheapest confident tier, abstention as an answer, and a guard that nothing passes by.
import { describe, expect, it } from 'vitest';
import { Guard } from '../../node/action/guard.ts';
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

  it('shows and does not act in mode observe', () => {
    expect(new Guard('observe').admit(call, service, 0).kind).toBe('shown');
  });

  it('refuses what is not supervised, what was stopped on purpose, and what has no process', () => {
    const guard = new Guard('act');
    expect(guard.admit(call, undefined, 0).kind).toBe('refused');
    expect(guard.admit(call, { ...service, state: 'stopped' }, 0).kind).toBe('refused');
    expect(guard.admit({ tool: 'process.signal', service: 'web', signal: 'CONT' }, service, 0).kind).toBe('refused');
  });

  it('refuses arguments outside the schema: empty names, other signals, extra fields', () => {
    const guard = new Guard('act');
    for (const wrong of [
      { ...call, service: '' },
      { tool: 'process.signal', service: 'web', signal: 'SEGV' },
      { ...call, shell: 'rm -rf /' },
    ]) {
      expect(guard.admit(wrong as ToolCall, service, 0)).toMatchObject({
        kind: 'refused',
        reason: expect.stringContaining('arguments'),
      });
    }
  });

  it('escalates after the tool’s rate on a target, for that target alone, until time has passed', () => {
    const guard = new Guard('act');
    expect([0, 1, 2].map((ms) => guard.admit(call, service, ms).kind)).toEqual(['go', 'go', 'go']);
    expect(guard.admit(call, service, 3).kind).toBe('escalate');
    expect(guard.admit({ ...call, service: 'db' }, { ...service, name: 'db' }, 3).kind).toBe('go');
    expect(guard.admit(call, service, 300_003).kind).toBe('go');
  });
});
