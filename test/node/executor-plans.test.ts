// What the executor says of a plan before, while and after it is carried out: previews, brakes, authorization, texts in the audit.
import { beforeEach, describe, expect, it } from 'vitest';
import type { Authority, Mode } from '../../node/action/guard.ts';
import type { ReadTool } from '../../node/action/tool.ts';
import { parseCall } from '../../node/action/tools.ts';
import type { JournalEntry } from '../../node/action/transaction.ts';
import { inverseOf } from '../../node/action/transaction.ts';
import type { Performed, Purpose } from '../../node/agent/executor.ts';
import type { Authorization, Permit, Permits } from '../../node/agent/permits.ts';
import type { Plan } from '../../node/decision/plan.ts';
import type { ToolCall } from '../../node/tool-call.ts';
import { Disk } from '../../sim/machine/disk.ts';
import { FakeLinux } from '../../sim/machine/linux.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { isTaken, NO_LIMITS, startExecutor } from '../support/executor.ts';
import { pass, settleIn } from '../support/virtual.ts';

const restart: ToolCall = { tool: 'service.restart', service: 'web' };
const restartDb: ToolCall = { tool: 'service.restart', service: 'db' };
const swap = (value: string): ToolCall => ({ tool: 'sysctl.set', key: 'vm.swappiness', value });
const planOf = (calls: readonly ToolCall[], id = 'inc-1-1', tier: Plan['tier'] = 'reactive'): Plan => ({
  id,
  incident: 'inc-1',
  calls,
  tier,
  reason: 'because',
});

let scheduler: Scheduler;
let disk: Disk;
let linux: FakeLinux;
let acts: string[];
const pump = (ms: number): Promise<void> => pass(scheduler, ms);
const settled = <T>(work: Promise<T>): Promise<T> => settleIn(scheduler, work);

/** `web` has exited, and `db`, which is critical, has too. */
beforeEach(async () => {
  scheduler = new Scheduler();
  disk = new Disk();
  acts = [];
  const services = [
    { name: 'web', command: ['web'], port: 80 },
    { name: 'db', command: ['db'], critical: true },
  ];
  linux = new FakeLinux(scheduler, new SeededRandom(1, 'linux'), services, { cpus: 2, memoryBytes: 2 ** 32 }, 0);
  for (const { name } of services) {
    await settled(linux.services.start(name));
    linux.services.kill(name);
  }
  linux.onAct = (text) => acts.push(text);
});

type Given = Parameters<typeof startExecutor>[2];

async function start(mode: Mode, given: Given = {}) {
  const started = await startExecutor({ scheduler, disk, linux }, mode, given);
  const told: string[] = [];
  const on: Purpose['on'] = (event) => {
    if (event.kind === 'asked') told.push(`asked: ${event.diff.length}`);
    else if (event.kind === 'intended') told.push(`intended: ${event.diff.length} ${event.record.kind} ${event.record.subject}`);
    else told.push(event.kind === 'permitted' ? `permitted: ${event.permit.lease}` : `unpermitted: ${event.reason}`);
  };
  const perform = (plan: Plan, authority: Authority = 'policy', more: Purpose = {}): Promise<Performed> =>
    started.executor.perform(plan, authority, { on, ...more });
  return { ...started, told, perform };
}
const reasonOf = (performed: Performed): string =>
  performed.kind === 'held' ? `${performed.verdict.kind}: ${performed.verdict.reason}` : performed.entry.phase;

describe('a preview', () => {
  it('has the highest risk, what each call would change, how each target is, and nothing is done', async () => {
    const { executor } = await start('act');
    expect(await settled(executor.preview([swap('10'), restart], 'policy'))).toEqual({
      calls: [swap('10'), restart],
      risk: 'R1',
      verdict: { kind: 'go' },
      diff: ['vm.swappiness: 60 → 10', 'service web: exited → running', 'starts: 1 → 2'],
      before: [{ value: '60' }, expect.objectContaining({ name: 'web', state: 'exited' })],
    });
    const both = await settled(executor.preview([restartDb, swap('10')], 'policy'));
    expect([both.risk, both.verdict]).toEqual(['R2', { kind: 'ask' }]);
    expect(acts).toEqual([]);
  });

  it('has the first verdict that stands in the way: a refusal counts for more than a question', async () => {
    const { executor } = await start('act');
    const verdict = async (...calls: ToolCall[]) => (await settled(executor.preview(calls, 'policy'))).verdict;
    const [stop, idle] = [
      { tool: 'service.start', service: 'nobody' },
      { tool: 'service.signal', service: 'web', signal: 'HUP' },
    ];
    expect(await verdict(swap('10'), idle)).toEqual({ kind: 'refused', reason: 'the service has no process' });
    expect(await verdict(restartDb, idle)).toEqual({ kind: 'refused', reason: 'the service has no process' });
    expect(await verdict(idle, restartDb)).toEqual({ kind: 'refused', reason: 'the service has no process' });
    expect(await verdict(idle, stop)).toEqual({ kind: 'refused', reason: 'the service has no process' });
  });

  it('of what cannot be seen, or may not be, shows no change', async () => {
    const { executor } = await start('act');
    const unseen = await settled(executor.preview([{ tool: 'service.start', service: 'nobody' }], 'operator'));
    expect(unseen).toMatchObject({ risk: 'R1', verdict: { kind: 'refused' }, diff: [], before: [{}] });
    const refused = await settled(executor.preview([{ tool: 'service.reload', service: 'web' }], 'operator'));
    expect(refused).toMatchObject({ verdict: { kind: 'refused', reason: 'the service has no process' }, diff: [] });
  });

  it('takes one to eight calls', async () => {
    const { executor } = await start('act');
    const many = (count: number) => Array.from({ length: count }, (_, i) => ({ ...swap('1'), key: `vm.x${i}` }));
    expect((await settled(executor.preview(many(8), 'operator'))).calls.length).toBe(8);
    const words = 'a plan has 1 to 8 calls on different targets';
    for (const calls of [[], many(9), [swap('1'), swap('2')]])
      await expect(executor.preview(calls, 'operator')).rejects.toThrow(words);
  });

  it('of a granted call goes in mode advise', async () => {
    const limits = { ...NO_LIMITS, mayAct: ({ tool }: ToolCall) => tool === 'sysctl.set' };
    const { executor } = await start('advise', { limits });
    const kind = async (call: ToolCall) => (await settled(executor.preview([call], 'policy'))).verdict.kind;
    expect([await kind(swap('10')), await kind(restart)]).toEqual(['go', 'ask']);
  });
});

describe('a tool that only reads', () => {
  it('gives what it reads, and is no part of a plan', async () => {
    const { executor } = await start('observe');
    const { tool, call } = parseCall({ tool: 'sysctl.get', key: 'vm.swappiness' });
    expect(await settled((tool as ReadTool).read(call, executor.machine))).toEqual({ ok: true, value: { value: '60' } });
    await expect(executor.preview([call], 'operator')).rejects.toThrow('sysctl.get is read-only: not allowed in a plan');
  });
});

describe('after a restart', () => {
  it('what was over stays over: its target is free, and nothing more is said of it', async () => {
    const entry = { plan: planOf([swap('10')], 'old'), before: [{ value: '60' }], phase: 'confirmed', atMs: 1, reason: 'seen' };
    disk.content.set('journal/old', encodeCbor(entry));
    const { executor, audited } = await start('act');
    await settled(executor.recover());
    await pump(10_000);
    expect([isTaken(executor, [swap('5')]), await audited(), (await settled(executor.journal.all())).length]).toEqual([
      false,
      [],
      1,
    ]);
  });
});

describe('the brake on policies', () => {
  it.each<[string, Mode, Given, string | undefined]>([
    ['nothing', 'act', {}, undefined],
    ['a pause', 'act', { limits: { ...NO_LIMITS, paused: () => 'paused by anna' } }, 'paused by anna'],
    [
      'a deny of its second call',
      'act',
      {
        limits: { ...NO_LIMITS, denial: ({ tool }) => (tool === 'sysctl.set' ? 'kept' : undefined) },
      },
      'kept',
    ],
    [
      'a window',
      'act',
      { maintenance: [{ start: '00:00', minutes: 1_440, reason: 'a new disk' }] },
      'maintenance for 1440 minutes from 00:00 UTC: a new disk',
    ],
    ['the mode', 'observe', {}, 'mode is observe: start with --mode act to let KALOS repair'],
  ])('is %s', async (_what, mode, given, reason) => {
    const { executor } = await start(mode, given);
    expect(executor.brakes.standing([restart, swap('10')])).toBe(reason);
    expect(executor.brakes.paused).toBe(given?.limits?.paused());
  });

  it('is that of any call', async () => {
    const { executor, perform } = await start('act');
    for (let i = 0; i < 3; i++) {
      expect((await settled(perform(planOf([restart], `p-${i}`)))).kind).toBe('done');
      linux.services.kill('web');
    }
    expect([executor.brakes.standing([swap('10')]), executor.brakes.standing([swap('10'), restart])]).toEqual([
      undefined,
      'rate limit: service.restart ran 3 times on web in 5 minutes',
    ]);
  });

  it('changes with the configuration', async () => {
    const { executor } = await start('observe');
    executor.brakes.reconfigure({ mode: 'act', maintenance: [] });
    expect(executor.brakes.standing([restart])).toBeUndefined();
    executor.brakes.reconfigure({ mode: 'act', maintenance: [{ start: '00:00', minutes: 1_440, reason: 'moved' }] });
    expect(executor.brakes.standing([restart])).toContain('moved');
  });
});

describe('words of the executor', () => {
  it('in the audit name a silence, and its end', async () => {
    const { executor, audited } = await start('act');
    const first = await settled(
      executor.brakes.silences.add({ policy: 'load-high', target: 'web', forMs: 60_400, reason: 'work' }),
    );
    await settled(executor.brakes.silences.add({ target: 'web', forMs: 89_600, reason: 'work' }));
    await settled(executor.brakes.silences.add({ policy: 'load-high', forMs: 1_000, reason: 'work' }));
    expect(first.id).toMatch(/^sil-[0-9a-f]{10}$/);
    expect([
      await settled(executor.brakes.silences.remove('none')),
      await settled(executor.brakes.silences.remove(first.id)),
    ]).toEqual([false, true]);
    expect((await audited()).map((line) => line.replace(/sil-\w+/, 'sil'))).toEqual([
      'control sil: silenced load-high on web for 60 s: work',
      'control sil: silenced every policy on web for 90 s: work',
      'control sil: silenced load-high for 1 s: work',
      'control sil: the silence was removed',
    ]);
    expect(executor.brakes.silences.covering('other', 'web')?.target).toBe('web');
  });

  it('in the log name what waits for approval, and the kill switch', async () => {
    const { executor, perform, said } = await start('advise');
    const waiting = perform(planOf([restart]));
    await pump(1_000);
    await settled(executor.halt('a drill'));
    expect(executor.brakes.halted).toBe('a drill');
    expect(reasonOf(await settled(waiting))).toBe('refused: the approval was halted');
    await settled(executor.brakes.resume());
    expect(executor.brakes.halted).toBeUndefined();
    expect(said).toEqual([
      'warn: inc-1-1 needs approval: service web: exited → running; starts: 1 → 2; run: kalos approve inc-1-1',
      'warn: actions are halted: a drill',
      'info: actions are allowed again',
    ]);
  });

  it('in the audit name each call of a plan', async () => {
    const { perform, audited, told } = await start('act');
    await settled(perform(planOf([swap('10'), restart])));
    expect((await audited())[0]).toBe('intent inc-1-1: sysctl.set sysctl:vm.swappiness, service.restart web: because');
    expect(told).toEqual(['intended: 3 intent inc-1-1']);
  });
});

describe('a plan of a person’s', () => {
  it('has an id of its own, and leads back from what it did', async () => {
    const { executor, perform } = await start('act');
    const plan = executor.operatorPlan([swap('10'), { tool: 'sysctl.set', key: 'vm.dirty_ratio', value: '5' }], 'slow');
    expect(plan).toMatchObject({
      id: expect.stringMatching(/^act-[0-9a-f]{10}$/),
      incident: 'operator',
      tier: 'operator',
      reason: 'slow',
    });
    expect(executor.operatorPlan([], '').id).not.toBe(plan.id);
    const performed = await settled(perform(plan, 'operator'));
    const entry = (performed as { entry: JournalEntry }).entry;
    expect(await settled(executor.journal.entry(plan.id))).toEqual(entry);
    expect(inverseOf(entry)).toEqual({
      ok: true,
      calls: [{ tool: 'sysctl.set', key: 'vm.dirty_ratio', value: '20' }, swap('60')],
    });
    const mixed = { ...entry, plan: planOf([swap('10'), restart]), before: [...entry.before] };
    expect(inverseOf(mixed)).toEqual({ ok: false, tool: 'service.restart' });
    expect(await settled(executor.journal.entry('none'))).toBeUndefined();
  });

  it('with wrong arguments is a mistake of that person’s; a policy’s is refused, and why', async () => {
    const { perform, audited } = await start('act');
    const wrong = planOf([{ tool: 'service.restart', service: '' }]);
    await expect(perform(wrong, 'operator')).rejects.toThrow();
    await expect(perform(wrong, 'operators')).rejects.toThrow();
    const held = await settled(perform(wrong));
    expect(reasonOf(held)).toMatch(/^refused: arguments: service.restart: /);
    expect(await audited()).toEqual([expect.stringContaining('refused inc-1-1: service.restart : arguments: ')]);
  });

  it('goes in mode advise, in a pause and a window: those are for policies', async () => {
    const { perform } = await start('advise', {
      limits: { ...NO_LIMITS, paused: () => 'paused' },
      maintenance: [{ start: '00:00', minutes: 1_440, reason: 'a new disk' }],
    });
    expect(reasonOf(await settled(perform(planOf([restart], 'x', 'operator'), 'operator')))).toBe('confirmed');
  });
});

describe('a plan that is not carried out', () => {
  it('where the disk refuses writes says so, for now, and writes nothing', async () => {
    const { perform, audited, store } = await start('act');
    Object.defineProperty(store, 'refusal', { get: () => 'ENOSPC' });
    expect(await settled(perform(planOf([restart])))).toEqual({
      kind: 'held',
      verdict: {
        kind: 'refused',
        reason: 'the state disk refuses writes (ENOSPC), so the action cannot be recorded',
        later: true,
      },
      diff: [],
    });
    expect([await audited(), acts]).toEqual([[], []]);
  });

  it('where its finding cleared is not asked for, nor done after its intent', async () => {
    const advise = await start('advise');
    expect(reasonOf(await settled(advise.perform(planOf([restart]), 'policy', { unchanged: () => 'it cleared' })))).toBe(
      'refused: it cleared',
    );
    expect(advise.told).toEqual([]);
    const act = await start('act');
    const seen: unknown[] = [];
    const unchanged: Purpose['unchanged'] = (before) => {
      seen.push(before);
      return 'it cleared';
    };
    expect(reasonOf(await settled(act.perform(planOf([swap('10')], 'b'), 'policy', { unchanged })))).toBe('refused: it cleared');
    expect([seen, act.told]).toEqual([[[{ value: '60' }]], ['intended: 1 intent b']]);
  });

  it('waits for its target, and for its turn, where others are under way', async () => {
    const { executor, perform } = await start('act', { maxConcurrent: 2 });
    const slow = perform(planOf([swap('10')], 'a'), 'operator');
    await pump(20);
    expect([isTaken(executor, [swap('5')]), isTaken(executor, [restart]), isTaken(executor, [restart, swap('5')])]).toEqual([
      true,
      false,
      true,
    ]);
    expect(reasonOf(await settled(perform(planOf([swap('5')], 'b'), 'operator')))).toBe(
      'refused: another action on sysctl:vm.swappiness is running',
    );
    await settled(slow);
    expect(isTaken(executor, [swap('5')])).toBe(false);
    const both = [perform(planOf([swap('10')], 'c'), 'operator'), perform(planOf([restart], 'd'), 'operator')];
    await pump(20);
    expect(isTaken(executor, [restartDb])).toBe(true);
    const third = await settled(perform(planOf([restartDb], 'e'), 'operator'));
    expect(third).toMatchObject({ verdict: { kind: 'refused', reason: '2 actions are running already', later: true } });
    expect((await settled(Promise.all(both))).map(reasonOf)).toEqual(['confirmed', 'confirmed']);
  });

  it('where nobody answers, or a person says no, is held for good', async () => {
    const { executor, perform } = await start('advise');
    const rejected = perform(planOf([restart], 'a'));
    await pump(1_000);
    await settled(executor.approvals.answerAsOperator('a', 'rejected'));
    expect(await settled(rejected)).toMatchObject({
      verdict: { kind: 'refused', reason: 'the approval was rejected', final: true },
      diff: ['service web: exited → running', 'starts: 1 → 2'],
    });
    const stopped = perform(planOf([restart], 'b'));
    await pump(1_000);
    executor.stop();
    await pump(700_000);
    expect(executor.approvals.all().length).toBe(1); // nobody is told any more
    stopped.catch(() => undefined);
  });
});

describe('a plan that did not help', () => {
  const wrong = async (calls: readonly ToolCall[]): Promise<Performed> => {
    const { perform } = await start('act');
    return settled(perform(planOf(calls), 'operator', { stillWrong: () => 'web is slow' }));
  };

  it('says what is wrong still, though its tool did what it should', async () => {
    expect(await wrong([swap('10')])).toMatchObject({
      entry: { phase: 'undone', reason: expect.stringMatching(/^did not help: .*, but still: web is slow$/) },
    });
    expect(acts.at(-1)).toContain('60');
  });
});

describe('the authorization of a disruptive change', () => {
  const permit = { lease: 'lease-1' } as Permit;
  const ok: Authorization = { ok: true, permit, votes: undefined };
  const no = (reason: string, later = false): Authorization => ({ ok: false, reason, later });

  /** @param answers of the swarm, the last again and again */
  async function asking(answers: Authorization[], mode: Mode = 'act', more: Purpose = {}) {
    const its = { order: 'one', refusal: undefined as string | undefined };
    const did: string[] = [];
    let beganMs = 0;
    const permits = {
      obtain: async (plan: Plan) => {
        did.push(`asks at ${Math.round((scheduler.nowMs - beganMs) / 1_000)} for ${plan.id}`);
        return answers.length > 1 ? answers.shift() : answers[0];
      },
      leadership: () => its.order,
      refusal: async () => its.refusal,
      use: async () => void did.push('used'),
      authorization: () => new Uint8Array([1]),
      giveBack: ({ lease }: Permit) => void did.push(`gives ${lease} back`),
    } as unknown as Permits;
    const started = await start(mode, { permits });
    const armed: (Uint8Array | undefined)[] = [];
    const { arm } = started.actuator;
    started.actuator.arm = (id, afterMs, steps, authorization) => {
      armed.push(authorization);
      return arm.call(started.actuator, id, afterMs, steps, authorization);
    };
    beganMs = scheduler.nowMs;
    const performing = started.perform(planOf([restartDb]), 'policy', { claim: () => ({}) as never, ...more });
    return { ...started, its, did, armed, performing };
  }

  it('is shown to the actuator, used once, and given back', async () => {
    const { performing, did, armed, told } = await asking([ok]);
    expect(reasonOf(await settled(performing))).toBe('confirmed');
    expect([did, armed, told]).toEqual([
      ['asks at 0 for inc-1-1', 'used', 'gives lease-1 back'],
      [new Uint8Array([1])],
      ['permitted: lease-1', 'intended: 2 intent inc-1-1'],
    ]);
  });

  it('that comes later is waited for, and no person is asked', async () => {
    const { performing, told, executor } = await asking([no('others come first', true)]);
    expect(await settled(performing)).toMatchObject({ verdict: { kind: 'refused', reason: 'others come first', later: true } });
    expect([told, executor.approvals.all()]).toEqual([[], []]);
  });

  it('that is refused has a person asked, and the swarm again after twenty seconds', async () => {
    const { performing, told, did, executor } = await asking([no('too few'), no('too few'), ok]);
    await pump(19_000);
    expect([told, executor.approvals.all().length, did.length]).toEqual([['unpermitted: too few', 'asked: 2'], 1, 1]);
    expect(reasonOf(await settled(performing))).toBe('confirmed');
    expect(did.map((one) => one.replace(/ for .*/, ''))).toEqual([
      'asks at 0',
      'asks at 20',
      'asks at 40',
      'used',
      'gives lease-1 back',
    ]);
    expect(told.slice(2)).toEqual(['permitted: lease-1', 'intended: 2 intent inc-1-1']); // said once that it was refused
  });

  it('is asked for again at once where somebody else coordinates', async () => {
    const { performing, its, did } = await asking([no('the swarm has no leader'), ok]);
    await pump(5_500);
    its.order = 'two';
    await pump(1_000);
    expect(reasonOf(await settled(performing))).toBe('confirmed');
    expect(did.slice(0, 2)).toEqual(['asks at 0 for inc-1-1', 'asks at 6 for inc-1-1']);
  });

  it('is not asked for once a person has answered', async () => {
    const { performing, executor, did } = await asking([no('too few'), ok]);
    await pump(10_000);
    await settled(executor.approvals.answerAsOperator('inc-1-1', 'approved'));
    expect(reasonOf(await settled(performing))).toBe('confirmed');
    await pump(60_000);
    expect(did).toEqual(['asks at 0 for inc-1-1']);
  });

  it('that does not hold when it is used keeps the change from being made, for now', async () => {
    const { performing, its, did } = await asking([ok]);
    its.refusal = 'the lease has expired';
    expect(await settled(performing)).toMatchObject({
      verdict: { kind: 'refused', reason: 'the lease has expired', later: true },
    });
    expect([did.slice(1), acts]).toEqual([['gives lease-1 back'], []]);
  });

  it('that comes once a person has answered is given back', async () => {
    let granted: (authorization: Authorization) => void = () => undefined;
    const { performing, executor, did } = await asking([no('too few'), new Promise((resolve) => (granted = resolve)) as never]);
    await pump(21_000);
    await settled(executor.approvals.answerAsOperator('inc-1-1', 'rejected'));
    expect(reasonOf(await settled(performing))).toBe('refused: the approval was rejected');
    granted(ok);
    await pump(0);
    expect(did.at(-1)).toBe('gives lease-1 back');
  });

  it('is not asked for in mode advise, nor without a claim: a person is', async () => {
    for (const one of [await asking([ok], 'advise'), await asking([ok], 'act', { claim: undefined as never })]) {
      await pump(1_000);
      expect([one.did, one.told, one.executor.approvals.all().length]).toEqual([[], ['asked: 2'], 1]);
      one.executor.approvals.answerAll('withdrawn', 'inc-1');
      expect(reasonOf(await settled(one.performing))).toBe('refused: the approval was withdrawn');
    }
  });

  it('of operators is shown to the actuator as it is', async () => {
    const { perform, armed } = await asking([no('no')]);
    const authorization = new Uint8Array([7]);
    expect(reasonOf(await settled(perform(planOf([restart], 'x', 'operator'), 'operators', { authorization })))).toBe(
      'confirmed',
    );
    expect(armed).toEqual([new Uint8Array([7])]);
  });
});
