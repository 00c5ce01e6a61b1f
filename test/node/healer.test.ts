// The loop from a finding to its outcome, over parts that answer as they are made to: what is done, when it is done again, when a person
// is told, and what ends it.
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Performed, Progress } from '../../node/agent/executor.ts';
import { Healer, type HealerParts, TELL_AFTER_MS } from '../../node/agent/healer.ts';
import type { PlacedServices } from '../../node/agent/placed-services.ts';
import type { Plan } from '../../node/decision/plan.ts';
import type { Finding } from '../../node/detection/detector.ts';
import type { Incident } from '../../node/detection/incident.ts';
import { Memory } from '../../node/memory/memory.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { PlainStore } from '../support/store.ts';
import { pass } from '../support/virtual.ts';

const FINDING: Finding = {
  policy: 'service-exited',
  target: 'web',
  severity: 'critical',
  summary: 'the service has exited',
  condition: 'ServicesReady',
  claim: 'service-down',
  remedies: [[{ tool: 'service.start', service: 'web' }]],
  evidence: {},
};
type Held = Extract<Performed, { kind: 'held' }>['verdict'];
type Answer = { phase: 'confirmed' | 'undone' | 'failed'; reason?: string } | Held;

function world(
  given: { finding?: Partial<Finding>; handedOver?: Awaited<ReturnType<PlacedServices['handOver']>>; outcome?: string } = {},
) {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler, () => 1_700_000_000_000);
  const finding = { ...FINDING, ...given.finding };
  const its = {
    firing: [finding] as Finding[],
    silence: undefined as string | undefined,
    paused: undefined as string | undefined,
    brake: undefined as string | undefined,
    taken: false,
    /** What comes of each plan; the last of them again and again. */
    answers: [{ phase: 'confirmed' }] as Answer[],
    onVote: (): void => undefined,
    onPerform: async (_progress: Progress, _plan: Plan): Promise<void> => undefined,
  };
  const log = {
    plans: [] as { id: string; atS: number; tool: string }[],
    votes: 0,
    withdrawn: [] as string[],
    told: [] as Incident[],
  };
  const memory = new Memory(new PlainStore());
  const parts = {
    ports: {
      clock,
      crypto: { hash: (bytes: Uint8Array) => createHash('sha256').update(bytes).digest() },
      actuator: { services: () => [] },
      compute: { classify: async () => undefined },
    },
    link: {
      self: 'self',
      name: 'here',
      nameOf: (peer: string) => peer,
      time: { wallMs: () => clock.wallMs(), claimMs: () => clock.wallMs() },
      order: { decisions: { state: { silenceOn: () => undefined } } },
      vote: async () => {
        log.votes++;
        await new Promise<void>((resolve) => clock.after(100, resolve));
        its.onVote();
        const witnesses = given.outcome === undefined ? [] : ['w'];
        return {
          claimId: 'claim',
          claim: {},
          outcome: given.outcome ?? 'undecided',
          witnesses,
          votes: [],
          certificate: undefined,
        };
      },
    },
    watcher: {
      firing: () => its.firing,
      holds: () => its.firing.length > 0,
      lookAgain: () => undefined,
      features: () => undefined,
      suspects: () => '',
      recording: () => new Uint8Array(),
      rearm: () => undefined,
    },
    memory,
    stories: { tell: (incident: Incident) => void log.told.push(structuredClone(incident)) },
    executor: {
      silences: { covering: () => (its.silence === undefined ? undefined : { id: 's1', reason: its.silence }) },
      get paused() {
        return its.paused;
      },
      brake: () => its.brake,
      isTaken: () => its.taken,
      withdraw: (id: string) => void log.withdrawn.push(id),
      perform: async (plan: Plan, _authority: string, progress: Progress): Promise<Performed> => {
        log.plans.push({ id: plan.id, atS: Math.round(clock.monotonicMs() / 1_000), tool: plan.calls[0]?.tool ?? '' });
        await its.onPerform(progress, plan);
        const answer = (its.answers.length > 1 ? its.answers.shift() : its.answers[0]) ?? { phase: 'confirmed' };
        if ('kind' in answer) return { kind: 'held', verdict: answer, diff: ['start web'] } as Performed;
        const entry = { plan, before: [], phase: answer.phase, atMs: 0, reason: answer.reason ?? 'seen' };
        return { kind: 'done', entry, record: { index: 1 } } as unknown as Performed;
      },
    },
    permits: { mayLease: () => true, encoded: () => '' },
    placed: { isHere: () => given.handedOver !== undefined, handOver: async () => given.handedOver },
    checkOf: () => undefined,
    log: () => undefined,
    failed: (error: unknown) => {
      throw error;
    },
  };
  const healer = new Healer(parts as unknown as HealerParts);
  const fire = (): void => healer.onChanges([{ kind: 'fired', finding }]);
  const clear = (): void => {
    its.firing = [];
    healer.onChanges([{ kind: 'cleared', finding }]);
  };
  const story = (): string[] => (memory.incidents()[0]?.steps ?? []).map(({ stage, text }) => `${stage}: ${text}`);
  const end = (): string =>
    memory
      .incidents()
      .map(({ state, outcome }) => `${state}: ${outcome}`)
      .join('; ');
  return { healer, its, log, memory, finding, fire, clear, story, end, pump: (ms: number) => pass(scheduler, ms) };
}
const seconds = (log: { plans: { atS: number }[] }): number[] => log.plans.map(({ atS }) => atS);

describe('a finding with a remedy', () => {
  it('is repaired once, and what helped is remembered', async () => {
    const { fire, log, story, end, memory, healer, pump } = world();
    fire();
    fire(); // it is open already
    await pump(10_000);
    expect(log.plans.length).toBe(1);
    expect(story().map((step) => step.split(':')[0])).toEqual(['detect', 'vote', 'decide', 'verify', 'remember']);
    expect(story()[1]).toBe('vote: no witness to ask: this machine is alone');
    expect(end()).toBe('resolved: service.start helped');
    expect([memory.remedyRecord('service-exited', 'web', 'service.start'), healer.openIncidents]).toEqual([
      { worked: 1, failed: 0 },
      0,
    ]);
  });

  it('that cleared while witnesses were asked is not acted on', async () => {
    const { fire, its, log, end, pump } = world();
    its.onVote = () => {
      its.firing = [];
    };
    fire();
    await pump(10_000);
    expect([log.plans, end()]).toEqual([[], 'resolved: cleared before it was acted on']);
  });

  it('that cleared meanwhile tells whoever is about to act, at the last moment', async () => {
    const { fire, its, end, pump } = world();
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
    const { fire, its, log, memory, story, pump } = world();
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
    expect(story().filter((step) => step.includes('a person must look')).length).toBe(tried.length); // after each of them
  });

  it('that clears after an attempt that did not help is over', async () => {
    const { fire, its, clear, end, pump } = world();
    its.answers = [{ phase: 'undone' }];
    fire();
    await pump(1_000);
    clear();
    await pump(60_000);
    expect(end()).toMatch(/^resolved: cleared/);
  });

  it('refuted by its witnesses is watched, and they are asked again', async () => {
    const { fire, log, memory, story, pump } = world({ outcome: 'refuted' });
    fire();
    await pump(40_000);
    expect([log.plans, memory.incidents()[0]?.state, log.votes]).toEqual([[], 'watching', 3]);
    expect(story()[2]).toContain('the witnesses see the target answering');
  });

  it('that no tier trusts any more is for a person', async () => {
    const { fire, memory, log, story, pump } = world();
    for (let nth = 0; nth < 4; nth++) await memory.learn('service-exited', 'web', 'service.start', false);
    fire();
    await pump(1_000);
    expect([log.plans, memory.incidents()[0]?.state]).toEqual([[], 'escalated']);
    expect(story().at(-1)).toBe('decide: a person must look: no tier is confident enough in what the policy declares');
  });
});

describe('a finding on which nothing is done', () => {
  it('while it is silenced, and is repaired once it is not', async () => {
    const { fire, its, log, memory, story, end, pump } = world();
    its.silence = 'being moved';
    fire();
    await pump(TELL_AFTER_MS + 20_000);
    expect([log.plans, log.votes, memory.incidents()[0]?.state]).toEqual([[], 0, 'watching']); // nobody is told either
    expect(story()[1]).toBe('decide: nothing is done: silenced: being moved (s1)');
    its.silence = undefined;
    await pump(3_000);
    expect(end()).toBe('resolved: service.start helped');
  });

  it('while the swarm has paused this agent; a person is told', async () => {
    const { fire, its, log, memory, story, pump } = world();
    its.paused = 'paused by anna';
    fire();
    await pump(TELL_AFTER_MS - 2_000);
    expect(memory.incidents()[0]?.state).toBe('watching');
    await pump(5_000);
    expect([log.plans, memory.incidents()[0]?.state, story().at(-1)]).toEqual([
      [],
      'escalated',
      'decide: a person must look: paused by anna',
    ]);
  });

  it('where no remedy is known, and witnesses are asked once', async () => {
    const { fire, log, memory, pump } = world({ finding: { remedies: [] } });
    fire();
    await pump(TELL_AFTER_MS + 20_000);
    expect([log.plans, log.votes, memory.incidents()[0]?.state]).toEqual([[], 1, 'escalated']);
    const calm = world({ finding: { remedies: [], severity: 'info' } });
    calm.fire();
    await calm.pump(TELL_AFTER_MS + 20_000);
    expect(calm.memory.incidents()[0]?.state).toBe('watching'); // no person is told of what is only to be known
  });

  it('and that clears by itself ends there, what waits for approval with it', async () => {
    const { fire, clear, log, memory, end, healer, pump } = world({ finding: { remedies: [] } });
    fire();
    await pump(1_000);
    clear();
    await pump(1_000);
    expect([end(), healer.openIncidents]).toEqual(['resolved: cleared without a repair', 0]);
    expect(log.withdrawn).toEqual([memory.incidents()[0]?.id]);
    fire();
    await pump(1_000);
    expect(memory.incidents().length).toBe(2);
  });
});

describe('a plan that is held', () => {
  it('is made again as soon as the brake is gone', async () => {
    const { fire, its, log, end, memory, pump } = world();
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
    const { fire, its, log, story, memory, pump } = world();
    its.answers = [{ kind: 'refused', reason: 'rejected by anna', final: true }];
    fire();
    await pump(200_000);
    expect([log.plans.length, memory.incidents()[0]?.state]).toEqual([1, 'escalated']);
    expect(story().at(-1)).toBe('decide: a person must look: rejected by anna');
  });

  it('lets others go first, and comes again when they are done', async () => {
    const { fire, its, log, end, pump } = world();
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
    const { fire, its, log, story, pump } = world();
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
    [{ kind: 'nowhere' }, 'escalated: web runs nowhere: a person must look', 1],
  ] as const)('and that cannot be mended here is handed over: %o', async (handedOver, outcome, plans) => {
    const { fire, its, log, end, pump } = world({ handedOver });
    its.answers = [{ phase: 'undone' }];
    fire();
    await pump(20_000);
    expect([end(), log.plans.length]).toEqual([outcome, plans]);
  });

  it('and that stays here is tried again', async () => {
    const { fire, its, log, pump } = world({ handedOver: { kind: 'kept' } });
    its.answers = [{ phase: 'undone' }, { phase: 'confirmed' }];
    fire();
    await pump(100_000);
    expect(log.plans.length).toBe(2);
  });
});

describe('incidents that belong together', () => {
  it('name the first as their cause, the third too', async () => {
    const { healer, memory, its, pump } = world({ finding: { remedies: [] } });
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
      expect.stringMatching(new RegExp(`^belongs to ${first?.id}: `)),
    ]);
  });
});

describe('incidents that a crash left open', () => {
  it('are closed as interrupted', async () => {
    const { fire, its, memory, healer, end, pump } = world();
    its.silence = 'being moved';
    fire();
    await pump(1_000);
    healer.stop();
    const again = world();
    for (const incident of memory.incidents()) await again.memory.save(incident);
    await again.healer.recover();
    expect([end(), again.end()]).toEqual([again.end(), 'resolved: interrupted by a restart of the agent']);
  });
});
