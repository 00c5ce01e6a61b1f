// The loop from a finding to its outcome, over parts that answer as they are made to: what is done, when it is done again, when a person
// is told, and what ends it.
import { describe, expect, it } from 'vitest';
import { ESCALATE_AFTER_MS } from '../../node/agent/incident-loop.ts';
import { FINDING, healing } from '../support/healer.ts';

const seconds = (log: { plans: { atS: number }[] }): number[] => log.plans.map(({ atS }) => atS);

describe('a finding with a remedy', () => {
  it('is repaired once, and what helped is remembered', async () => {
    const { fire, log, story, end, memory, healer, pump } = healing();
    fire();
    fire(); // it is open already
    await pump(10_000);
    expect(log.plans.length).toBe(1);
    expect(story().map((step) => step.split(':')[0])).toEqual(['detect', 'vote', 'decide', 'verify', 'remember']);
    expect(story()[1]).toBe('vote: no witnesses: this machine is alone');
    expect(end()).toBe('resolved: service.start helped');
    expect([memory.remedyRecord('service-exited', 'web', 'service.start'), healer.incidents.size]).toEqual([
      { worked: 1, failed: 0 },
      0,
    ]);
  });

  it('that cleared while witnesses were asked is not acted on', async () => {
    const { fire, its, log, end, pump } = healing();
    its.onVote = () => {
      its.firing = [];
    };
    fire();
    await pump(10_000);
    expect([log.plans, end()]).toEqual([[], 'resolved: cleared before it was acted on']);
  });

  it('that cleared meanwhile tells whoever is about to act, at the last moment', async () => {
    const { fire, its, end, pump } = healing();
    const seen: (string | undefined)[] = [];
    its.onPerform = async ({ unchanged, stillWrong }) => {
      seen.push(unchanged?.([]), stillWrong?.());
      its.firing = [];
      seen.push(unchanged?.([]), stillWrong?.());
    };
    its.answers = [{ kind: 'refused', reason: 'cleared before it was acted on' }];
    fire();
    await pump(10_000);
    expect(seen).toEqual([undefined, 'the service has exited', 'cleared before it was acted on', undefined]);
    expect(end()).toBe('resolved: cleared before it was acted on');
  });

  it('is tried again ever later where that does not help, and told to a person after a while', async () => {
    const { fire, its, log, memory, story, pump } = healing();
    its.answers = [{ phase: 'undone' }];
    fire();
    await pump(700_000);
    const tried = seconds(log);
    const gaps = tried.slice(1).map((at, nth) => at - (tried[nth] ?? 0));
    // Half open after one minute, then two, then four.
    expect(gaps.length).toBe(3);
    for (const [nth, leastS] of [60, 120, 240].entries()) expect(gaps[nth]).toBeGreaterThanOrEqual(leastS);
    expect(gaps[0]).toBeLessThan(120);
    expect(new Set(log.plans.map(({ id }) => id)).size).toBe(tried.length);
    expect(memory.incidents()[0]?.state).toBe('escalated');
    expect(story().filter((step) => step.includes('escalated to a person')).length).toBe(tried.length); // after each of them
  });

  it('that clears after an attempt that did not help is over', async () => {
    const { fire, its, clear, end, pump } = healing();
    its.answers = [{ phase: 'undone' }];
    fire();
    await pump(1_000);
    clear();
    await pump(60_000);
    expect(end()).toMatch(/^resolved: cleared/);
  });

  it('refuted by its witnesses is watched, and they are asked again', async () => {
    const { fire, log, memory, story, pump } = healing({ outcome: 'refuted' });
    fire();
    await pump(40_000);
    expect([log.plans, memory.incidents()[0]?.state, log.votes]).toEqual([[], 'watching', 3]);
    expect(story()[2]).toContain('witnesses can reach the target');
  });

  it('that no tier trusts any more is for a person', async () => {
    const { fire, memory, log, story, pump } = healing();
    for (let nth = 0; nth < 4; nth++) await memory.learn('service-exited', 'web', 'service.start', false);
    fire();
    await pump(1_000);
    expect([log.plans, memory.incidents()[0]?.state]).toEqual([[], 'escalated']);
    expect(story().at(-1)).toBe('decide: escalated to a person: no tier trusts the policy’s remedy');
  });
});

describe('a finding on which nothing is done', () => {
  it('while it is silenced, and is repaired once it is not', async () => {
    const { fire, its, log, memory, story, end, pump } = healing();
    its.silence = 'being moved';
    fire();
    await pump(ESCALATE_AFTER_MS + 20_000);
    expect([log.plans, log.votes, memory.incidents()[0]?.state]).toEqual([[], 0, 'watching']); // nobody is told either
    expect(story()[1]).toBe('decide: no action: silenced: being moved (s1)');
    its.silence = undefined;
    await pump(3_000);
    expect(end()).toBe('resolved: service.start helped');
  });

  it('while the swarm has paused this agent; a person is told', async () => {
    const { fire, its, log, memory, story, pump } = healing();
    its.paused = 'paused by anna';
    fire();
    await pump(ESCALATE_AFTER_MS - 2_000);
    expect(memory.incidents()[0]?.state).toBe('watching');
    await pump(5_000);
    expect([log.plans, memory.incidents()[0]?.state, story().at(-1)]).toEqual([
      [],
      'escalated',
      'decide: escalated to a person: paused by anna',
    ]);
  });

  it('where no remedy is known, and witnesses are asked once', async () => {
    const { fire, log, memory, pump } = healing({ finding: { remedies: [] } });
    fire();
    await pump(ESCALATE_AFTER_MS + 20_000);
    expect([log.plans, log.votes, memory.incidents()[0]?.state]).toEqual([[], 1, 'escalated']);
    const calm = healing({ finding: { remedies: [], severity: 'info' } });
    calm.fire();
    await calm.pump(ESCALATE_AFTER_MS + 20_000);
    expect(calm.memory.incidents()[0]?.state).toBe('watching'); // no person is told of what is only to be known
  });

  it('and that clears by itself ends there, what waits for approval with it', async () => {
    const { fire, clear, log, memory, end, healer, pump } = healing({ finding: { remedies: [] } });
    fire();
    await pump(1_000);
    clear();
    await pump(1_000);
    expect([end(), healer.incidents.size]).toEqual(['resolved: cleared without a repair', 0]);
    expect(log.withdrawn).toEqual([memory.incidents()[0]?.id]);
    fire();
    await pump(1_000);
    expect(memory.incidents().length).toBe(2);
  });
});

describe('a plan that is held', () => {
  it('is made again as soon as the brake is gone', async () => {
    const { fire, its, log, end, memory, pump } = healing();
    its.answers = [{ kind: 'escalate', reason: 'used 3 times' }, { phase: 'confirmed' }];
    its.brake = 'used 3 times';
    fire();
    await pump(200_000);
    expect([log.plans.length, memory.incidents()[0]?.state]).toEqual([1, 'escalated']);
    its.brake = undefined;
    await pump(3_000);
    expect([log.plans.length, end()]).toEqual([2, 'resolved: service.start helped']);
  });

  it('is over where a person has said no', async () => {
    const { fire, its, log, story, memory, pump } = healing();
    its.answers = [{ kind: 'refused', reason: 'rejected by anna', final: true }];
    fire();
    await pump(200_000);
    expect([log.plans.length, memory.incidents()[0]?.state]).toEqual([1, 'escalated']);
    expect(story().at(-1)).toBe('decide: escalated to a person: rejected by anna');
  });

  it('lets others go first, and comes again when they are done', async () => {
    const { fire, its, log, end, pump } = healing();
    its.answers = [{ kind: 'refused', reason: 'a lease is out', later: true }, { phase: 'confirmed' }];
    its.taken = true;
    fire();
    await pump(10_000);
    expect(log.plans.length).toBe(1);
    its.taken = false;
    await pump(2_000);
    expect([log.plans.length, end()]).toEqual([2, 'resolved: service.start helped']);
  });

  it('shown only, is judged again later', async () => {
    const { fire, its, log, story, pump } = healing();
    its.answers = [{ kind: 'shown', reason: 'mode is observe' }];
    fire();
    await pump(14_000);
    expect(log.plans.length).toBe(1);
    expect(story().at(-1)).toBe('act: would do: start web; not done: mode is observe');
    await pump(3_000);
    expect(log.plans.length).toBe(2);
  });
});

describe('a service that others declare too', () => {
  it.each([
    [{ kind: 'moved', to: 'beta' }, 'resolved: web runs on beta now', 1],
    [{ kind: 'nowhere' }, 'escalated: web runs on no member and needs a person', 1],
  ] as const)('and that cannot be mended here is handed over: %o', async (handedOver, outcome, plans) => {
    const { fire, its, log, end, pump } = healing({ handedOver });
    its.answers = [{ phase: 'undone' }];
    fire();
    await pump(20_000);
    expect([end(), log.plans.length]).toEqual([outcome, plans]);
  });

  it('and that stays here is tried again', async () => {
    const { fire, its, log, pump } = healing({ handedOver: { kind: 'kept' } });
    its.answers = [{ phase: 'undone' }, { phase: 'confirmed' }];
    fire();
    await pump(100_000);
    expect(log.plans.length).toBe(2);
  });
});

describe('incidents that belong together', () => {
  it('name the first as their cause, the third too', async () => {
    const { healer, memory, its, pump } = healing({ finding: { remedies: [] } });
    const fire = async (policy: string, afterMs: number): Promise<void> => {
      await pump(afterMs);
      const finding = { ...FINDING, policy, remedies: [] };
      its.firing.push(finding);
      healer.onChanges([{ kind: 'fired', finding }]);
      await pump(200);
    };
    await fire('first', 0);
    await fire('second', 1_000);
    await fire('third', 1_000);
    await fire('later', 61_000);
    const [first, ...others] = memory.incidents();
    expect(others.map(({ cause }) => cause)).toEqual([first?.id, first?.id, '']);
    expect([first?.cause, others[0]?.steps[1]?.text]).toEqual([
      '',
      expect.stringMatching(new RegExp(`^grouped with ${first?.id}: `)),
    ]);
  });
});

describe('incidents that a crash left open', () => {
  it('are closed as interrupted', async () => {
    const { fire, its, memory, healer, end, pump } = healing();
    its.silence = 'being moved';
    fire();
    await pump(1_000);
    healer.incidents.stop();
    const again = healing();
    for (const incident of memory.incidents()) await again.memory.save(incident);
    await again.healer.incidents.recover();
    expect([end(), again.end()]).toEqual([again.end(), 'resolved: interrupted by a restart of the agent']);
  });
});
