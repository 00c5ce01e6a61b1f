// The one way to a change: each control on the live path, seen from what reaches the machine and what the audit says.
import { beforeEach, describe, expect, it } from 'vitest';
import { type Mode, STORM_CHANGES } from '../../node/action/guard.ts';
import type { MaintenanceWindow } from '../../node/action/maintenance.ts';
import type { Performed } from '../../node/agent/executor.ts';
import type { Authorization, Permits } from '../../node/agent/permits.ts';
import type { Plan } from '../../node/decision/plan.ts';
import type { ToolCall } from '../../node/tool-call.ts';
import { Disk } from '../../sim/machine/disk.ts';
import { FakeLinux } from '../../sim/machine/linux.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { eventually } from '../support/clock.ts';
import { isTaken, NO_LIMITS, startExecutor } from '../support/executor.ts';
import { pass, settleIn } from '../support/virtual.ts';

const restart: ToolCall = { tool: 'service.restart', service: 'web' };
const planOf = (call: ToolCall, id = 'inc-1-1'): Plan => ({
  id,
  incident: 'inc-1',
  calls: [call],
  tier: 'reactive',
  reason: 'because',
});

let scheduler: Scheduler;
let disk: Disk;
let linux: FakeLinux;
let acts: string[];

const pump = (ms = 20_000): Promise<void> => pass(scheduler, ms);
const settled = <T>(work: Promise<T>): Promise<T> => settleIn(scheduler, work);

/** An executor as a process has it after a start, on the disk that is there. */
async function start(
  mode: Mode,
  maintenance: MaintenanceWindow[] = [],
  maxConcurrent?: number,
  given: Parameters<typeof startExecutor>[2] = {},
) {
  const { executor, audited } = await startExecutor({ scheduler, disk, linux }, mode, { maintenance, maxConcurrent, ...given });
  const perform = (plan: Plan, authority: 'policy' | 'operator' = 'policy'): Promise<Performed> =>
    executor.perform(plan, authority);
  return { executor, perform, audited };
}

beforeEach(async () => {
  scheduler = new Scheduler();
  disk = new Disk();
  acts = [];
  linux = new FakeLinux(
    scheduler,
    new SeededRandom(1, 'linux'),
    [{ name: 'web', command: ['web'], port: 80 }],
    { cpus: 2, memoryBytes: 2 ** 32 },
    0,
  );
  await settled(linux.services.start('web'));
  linux.services.kill('web');
  linux.onAct = (text) => acts.push(text);
});

/** Of a critical service, whose witnesses and whose swarm say what they are made to say. */
async function critical(refusal: string | undefined) {
  linux = new FakeLinux(
    scheduler,
    new SeededRandom(1, 'linux'),
    [{ name: 'web', command: ['web'], port: 80, critical: true }],
    { cpus: 2, memoryBytes: 2 ** 32 },
    0,
  );
  await settled(linux.services.start('web'));
  linux.services.kill('web');
  linux.onAct = (text) => acts.push(text);
  const permits = {
    obtain: async () => ({ ok: true, permit: {}, votes: {} }) as unknown as Authorization,
    refusal: async () => refusal,
    use: async () => void acts.push('permit used'),
    authorization: () => undefined,
    giveBack: () => void acts.push('lease given back'),
  } as unknown as Permits;
  const { executor } = await start('act', [], undefined, { permits });
  return executor.perform(planOf(restart), 'policy', { claim: () => ({}) as never });
}

describe('a disruptive change that the swarm authorized', () => {
  it('is made once its permit was written down as used, and what was leased is given back', async () => {
    expect(await settled(critical(undefined))).toMatchObject({ kind: 'done', entry: { phase: 'confirmed' } });
    expect(acts).toEqual(['permit used', 'started web', 'lease given back']);
  });

  it('is not made where the permit does not hold at the moment of use', async () => {
    const verdict = { kind: 'refused', reason: 'the certificate has expired', later: true };
    expect(await settled(critical('the certificate has expired'))).toMatchObject({ kind: 'held', verdict });
    expect(acts).toEqual(['lease given back']);
  });

  it('is not made by an agent that the swarm paused meanwhile', async () => {
    let looks = 0;
    const { perform } = await start('act', [], undefined, {
      limits: { ...NO_LIMITS, paused: () => (looks++ === 0 ? undefined : 'paused') },
    });
    expect(await settled(perform(planOf(restart)))).toMatchObject({ kind: 'held', verdict: { reason: 'paused' } });
    expect(acts).toEqual([]);
  });
});

describe('what the swarm keeps from an agent, and what operators signed', () => {
  it('is looked at once more at the moment of use', async () => {
    let looks = 0;
    const limits = { ...NO_LIMITS, denial: () => (looks++ === 0 ? undefined : 'kept from it') };
    const { perform } = await start('act', [], undefined, { limits });
    expect(await settled(perform(planOf(restart)))).toMatchObject({ kind: 'held', verdict: { reason: 'kept from it' } });
    expect(acts).toEqual([]);
  });

  it('is no more than it lets policies make; a person may', async () => {
    let changes = 1;
    const budget = () => ({ changes, withinMs: 600_000, reason: 'a freeze' });
    const limits = { ...NO_LIMITS, budget };
    const { perform, executor } = await start('act', [], undefined, { limits });
    expect(await settled(perform(planOf(restart)))).toMatchObject({ kind: 'done' });
    const reason = 'the budget allows policies 1 change here in 10 minutes: a freeze (kalos budget list)';
    expect(await settled(perform({ ...planOf(restart), id: 'inc-2-1' }))).toMatchObject({
      kind: 'held',
      verdict: { kind: 'escalate', reason },
    });
    const byHand = executor.perform(executor.operatorPlan([restart], 'now'), 'operator');
    expect(await settled(byHand)).toMatchObject({ kind: 'done' });
    changes = 2;
    expect(await settled(perform({ ...planOf(restart), id: 'inc-3-1' }))).toMatchObject({ kind: 'done' });
    await pump(600_000);
    changes = 1;
    expect(await settled(perform({ ...planOf(restart), id: 'inc-4-1' }))).toMatchObject({ kind: 'done' });
  });

  it('is not done on what has changed since', async () => {
    const { executor } = await start('act');
    const progress = { unchanged: () => 'it has changed' };
    const verdict = { kind: 'refused', reason: 'it has changed' };
    expect(await settled(executor.perform(planOf(restart), 'operators', progress))).toMatchObject({ kind: 'held', verdict });
    expect(acts).toEqual([]);
  });
});

describe('the executor', () => {
  it('audits the intent before the deed and the outcome after it', async () => {
    const { perform, audited } = await start('act');
    expect(await settled(perform(planOf(restart)))).toMatchObject({ kind: 'done', entry: { phase: 'confirmed' } });
    expect(acts).toEqual(['started web']);
    expect(await audited()).toEqual([
      'intent inc-1-1: service.restart web: because',
      'outcome inc-1-1: confirmed: running as pid 113 and answering on port 80',
    ]);
  });

  it('carries out no more at a time than it is set to', async () => {
    const set = (value: string): ToolCall => ({ tool: 'sysctl.set', key: `vm.${value}`, value: '10' });
    const { perform } = await start('act', [], 1);
    const both = [perform(planOf(set('swappiness'), 'one'), 'operator'), perform(planOf(set('dirty_ratio'), 'two'), 'operator')];
    const kinds = (await settled(Promise.all(both))).map((one) => (one.kind === 'held' ? one.verdict.kind : one.entry.phase));
    expect(kinds.sort()).toEqual(['confirmed', 'refused']);
    expect(await settled(perform(planOf(set('dirty_ratio'), 'three'), 'operator'))).toMatchObject({ kind: 'done' });
  });

  it('in mode observe touches nothing, and audits that it did not', async () => {
    const { perform, audited } = await start('observe');
    expect(await settled(perform(planOf(restart)))).toMatchObject({
      kind: 'held',
      verdict: { kind: 'shown' },
      diff: [expect.stringContaining('exited → running'), expect.anything()],
    });
    expect(acts).toEqual([]);
    expect(await audited()).toEqual([expect.stringContaining('refused inc-1-1: service.restart web: mode is observe')]);
  });

  it('previews without doing or counting anything', async () => {
    const { executor, perform } = await start('act');
    for (let i = 0; i < 10; i++) expect((await settled(executor.preview([restart], 'policy'))).verdict.kind).toBe('go');
    expect(acts).toEqual([]);
    await settled(linux.services.start('web'));
    acts.length = 0;
    for (const service of ['', '*', '-x', 'a b'])
      await expect(executor.preview([{ tool: 'service.restart', service }], 'policy')).rejects.toThrow();
    linux.services.kill('web');
    expect(await settled(perform(planOf(restart)))).toMatchObject({ kind: 'done' });
  });

  it('keeps policies still in a maintenance window, and lets a person act', async () => {
    const always = { start: '00:00', minutes: 1_440, reason: 'a new disk' };
    const { perform } = await start('act', [always]);
    expect(await settled(perform(planOf(restart)))).toMatchObject({
      kind: 'held',
      verdict: { reason: expect.stringContaining('a new disk') },
    });
    expect(acts).toEqual([]);
    expect(await settled(perform(planOf(restart, 'by-hand'), 'operator'))).toMatchObject({ kind: 'done' });
  });

  it('pauses policies in a storm of changes, also after a restart', async () => {
    const { perform } = await start('act');
    const set = (i: number): ToolCall => ({
      tool: 'sysctl.set',
      key: i % 2 === 0 ? 'vm.swappiness' : 'vm.dirty_ratio',
      value: `${i}`,
    });
    for (let i = 0; i < STORM_CHANGES; i++) {
      const key = `journal/storm-${i}`;
      const plan = { ...planOf(set(i), `storm-${i}`), calls: [{ ...set(i), key: `vm.x${i}` }] };
      disk.content.set(
        key,
        encodeCbor({ plan, before: [{ value: '1' }], phase: 'confirmed', atMs: scheduler.nowMs, reason: '' }),
      );
    }
    expect(await settled(perform(planOf(restart, 'calm')))).toMatchObject({ kind: 'done' });
    const later = await start('act');
    linux.services.kill('web');
    expect(await settled(later.perform(planOf(restart, 'stormy')))).toMatchObject({
      kind: 'held',
      verdict: { kind: 'escalate' },
    });
  });

  it('uses a tool at most as often as it declares, then escalates', async () => {
    const { perform } = await start('act');
    const kinds: string[] = [];
    for (let i = 1; i <= 4; i++) {
      const performed = await settled(perform(planOf(restart, `inc-1-${i}`)));
      kinds.push(performed.kind === 'done' ? performed.entry.phase : performed.verdict.kind);
      linux.services.kill('web');
    }
    expect(kinds).toEqual(['confirmed', 'confirmed', 'confirmed', 'escalate']);
  });

  it('does not forget by a restart how often a tool was used', async () => {
    const { perform } = await start('act');
    for (let i = 1; i <= 3; i++) {
      await settled(perform(planOf(restart, `inc-1-${i}`)));
      linux.services.kill('web');
    }
    const { perform: performAgain } = await start('act');
    expect(await settled(performAgain(planOf(restart, 'inc-2-1')))).toMatchObject({
      kind: 'held',
      verdict: { kind: 'escalate' },
    });
    await pump(300_000);
    const later = await start('act');
    expect(await settled(later.perform(planOf(restart, 'inc-2-2')))).toMatchObject({ kind: 'done' });
  });

  /** Three uses, as the journal tells of them; the limit of a restart. */
  const journalled = (age: (nowMs: number) => { atMs: number; monotonicMs?: number }): void => {
    for (let i = 1; i <= 3; i++) {
      const before = [{ state: 'running', pid: 1, startTicks: 1, starts: 1 }];
      const entry = { plan: planOf(restart, `old-${i}`), before, phase: 'confirmed', reason: '', ...age(scheduler.nowMs) };
      disk.content.set(`journal/old-${i}`, encodeCbor(entry));
    }
  };

  it.each([
    ['by the clock since the boot, though the wall clock was set forward', -1_000, -900_000, 'held'],
    ['by the clock since the boot, though the wall clock was set back', -400_000, 0, 'done'],
    ['by the wall clock, where the machine booted since: just now', 5_000_000, -1_000, 'held'],
    ['by the wall clock, where the machine booted since: long ago', 5_000_000, -400_000, 'done'],
    ['by the wall clock, where an older version wrote nothing else: just now', undefined, -1_000, 'held'],
    ['by the wall clock, where an older version wrote nothing else: long ago', undefined, -400_000, 'done'],
    ['as just now, where it was set back to before', undefined, 900_000, 'held'],
  ] as const)('counts what its journal tells %s', async (_how, monotonic, wall, kind) => {
    await pump(500_000);
    journalled((nowMs) => ({ atMs: nowMs + wall, ...(monotonic !== undefined && { monotonicMs: nowMs + monotonic }) }));
    const { perform } = await start('act');
    expect(await settled(perform(planOf(restart)))).toMatchObject({ kind });
    // No longer than the limit is for, in any case.
    await pump(300_000);
    linux.services.kill('web');
    expect(await settled(perform(planOf(restart, 'inc-2-1')))).toMatchObject({ kind: 'done' });
  });

  it('keeps what a crash left open to itself until it has ended, and says in the audit how', async () => {
    const before = [{ state: 'running', pid: 1, startTicks: 1, starts: 1 }];
    const entry = { plan: planOf(restart, 'left-open'), before, phase: 'applied', atMs: scheduler.nowMs, reason: '' };
    disk.content.set('journal/left-open', encodeCbor(entry));
    const { executor, perform, audited } = await start('act', [], 1);
    const recovering = executor.recover();
    await eventually('it to be taken', () => isTaken(executor, [restart]) || undefined);
    await settled(recovering);
    await pump(60_000);
    expect(isTaken(executor, [restart])).toBe(false);
    expect(await settled(audited())).toContainEqual(expect.stringMatching(/^outcome left-open: after a restart: failed/));
    expect(await settled(perform(planOf(restart)))).toMatchObject({ kind: 'done' });
  });

  it('keeps a bounded journal: the newest closed entries, and every open one', async () => {
    const entry = (i: number, phase: string) => ({
      plan: planOf({ tool: 'service.restart', service: `s${i}` }, `old-${i}`),
      before: [{ state: 'running', pid: 1, startTicks: 1, starts: 1 }],
      phase,
      atMs: i,
      reason: '',
    });
    for (let i = 0; i < 1_200; i++) disk.content.set(`journal/old-${i}`, encodeCbor(entry(i, i === 3 ? 'applied' : 'confirmed')));
    await start('act');
    const kept = [...disk.content.keys()].filter((key) => key.startsWith('journal/'));
    expect(kept.length).toBe(501);
    expect(kept).toEqual(expect.arrayContaining(['journal/old-3', 'journal/old-1199', 'journal/old-700']));
  });

  it('carries out one plan at most once, also after a restart', async () => {
    const { perform } = await start('act');
    await settled(perform(planOf(restart)));
    linux.services.kill('web');
    acts.length = 0;
    for (const { perform: again } of [{ perform }, await start('act')]) {
      expect(await settled(again(planOf(restart)))).toMatchObject({
        kind: 'held',
        verdict: { reason: 'inc-1-1 was executed already' },
      });
    }
    expect(acts).toEqual([]);
  });

  it('lets one action at a time on a service', async () => {
    const { perform } = await start('act');
    const first = perform(planOf(restart, 'a'));
    await new Promise((resolve) => setImmediate(resolve));
    const second = perform(planOf({ tool: 'service.start', service: 'web' }, 'b'), 'operator');
    expect(await settled(second)).toMatchObject({ kind: 'held', verdict: { reason: 'another action on web is running' } });
    expect(await settled(first)).toMatchObject({ kind: 'done', entry: { phase: 'confirmed' } });
    expect(acts).toEqual(['started web']);
  });

  it('looks at the service again once the intent is on disk', async () => {
    const { perform } = await start('act');
    const starting = perform(planOf({ tool: 'service.start', service: 'web' }));
    await new Promise((resolve) => setImmediate(resolve));
    linux.services.revive('web'); // somebody else starts it while the intent is being written
    expect(await settled(starting)).toMatchObject({ kind: 'held', verdict: { reason: 'the service is already running' } });
    expect(acts).toEqual([]);
  });

  it('undoes what did not help, by the tool’s inverse', async () => {
    const { perform } = await start('act');
    await settled(linux.services.stop('web', true));
    acts.length = 0;
    linux.services.curse('web', 100);
    expect(await settled(perform(planOf({ tool: 'service.start', service: 'web' })))).toMatchObject({
      kind: 'done',
      entry: { phase: 'undone' },
    });
    expect(acts).toEqual(['started web', 'stopped web']);
  });
});

describe('mode advise', () => {
  it('waits for a person, and does it once it is approved', async () => {
    const { executor, perform, audited } = await start('advise');
    const performed = perform(planOf(restart));
    await pump(1_000);
    expect(executor.approvals.all()).toMatchObject([
      { plan: { id: 'inc-1-1' }, diff: [expect.stringContaining('exited → running'), expect.anything()] },
    ]);
    expect(acts).toEqual([]);
    expect(await settled(executor.approvals.answerAsOperator('another', 'approved'))).toBe(false);
    expect(await settled(executor.approvals.answerAsOperator('inc-1-1', 'approved'))).toBe(true);
    expect(await settled(performed)).toMatchObject({ kind: 'done', entry: { phase: 'confirmed' } });
    expect((await audited())[0]).toBe('control inc-1-1: approved by an operator');
    expect(executor.approvals.all()).toEqual([]);
  });

  it('does nothing that is rejected, that nobody answers, or whose reason has gone meanwhile', async () => {
    const { executor, perform } = await start('advise');
    const rejected = perform(planOf(restart, 'a'));
    await pump(1_000);
    await settled(executor.approvals.answerAsOperator('a', 'rejected'));
    expect(await settled(rejected)).toMatchObject({ kind: 'held', verdict: { reason: 'the approval was rejected' } });

    const unanswered = perform(planOf(restart, 'b'));
    await pump(601_000);
    expect(await settled(unanswered)).toMatchObject({
      kind: 'held',
      verdict: { kind: 'escalate', reason: 'the approval request expired' },
    });

    const moot = perform(planOf({ tool: 'service.start', service: 'web' }, 'c'));
    await pump(1_000);
    await settled(linux.services.start('web'));
    await settled(executor.approvals.answerAsOperator('c', 'approved'));
    expect(await settled(moot)).toMatchObject({ kind: 'held', verdict: { reason: 'the service is already running' } });
    expect(acts).toEqual(['started web']); // by this test
  });
});

describe('an approval', () => {
  it('is withdrawn with the incident that it was for', async () => {
    const { executor, perform } = await start('advise');
    const waiting = perform(planOf(restart));
    await pump(1_000);
    executor.approvals.answerAll('withdrawn', 'inc-other');
    expect(executor.approvals.all().length).toBe(1);
    executor.approvals.answerAll('withdrawn', 'inc-1');
    expect(await settled(waiting)).toMatchObject({ kind: 'held', verdict: { reason: 'the approval was withdrawn' } });
    expect(await settled(executor.approvals.answerAsOperator('inc-1-1', 'approved'))).toBe(false);
    expect(acts).toEqual([]);
  });
});

describe('the kill switch', () => {
  it('halts policies and people alike, survives a restart, and can be taken back', async () => {
    const first = await start('act');
    await settled(first.executor.halt('a drill'));
    const again = await start('act');
    expect(again.executor.brakes.halted).toBe('a drill');
    expect(await settled(again.perform(planOf(restart)))).toMatchObject({ kind: 'held', verdict: { kind: 'refused' } });
    expect(await settled(again.perform(planOf(restart, 'x'), 'operator'))).toMatchObject({
      kind: 'held',
      verdict: { kind: 'refused' },
    });
    expect(acts).toEqual([]);
    await settled(again.executor.brakes.resume());
    const third = await start('act');
    expect(third.executor.brakes.halted).toBeUndefined();
    expect(await settled(third.perform(planOf(restart, 'y')))).toMatchObject({ kind: 'done' });
    expect((await third.audited()).filter((line) => line.startsWith('control')).length).toBe(2);
  });

  it('stays thrown where its record cannot be read', async () => {
    disk.content.set('control/halted', new Uint8Array([0xff]));
    const { executor } = await start('act');
    expect(executor.brakes.halted).toContain('cannot be read');
  });

  it('stops a plan whose intent was being written, and drops what waits for approval', async () => {
    const { executor, perform, audited } = await start('act');
    const racing = perform(planOf(restart));
    await new Promise((resolve) => setImmediate(resolve)); // its intent is on its way to the disk
    const halting = executor.halt('now');
    expect(await settled(racing)).toMatchObject({ kind: 'held', verdict: { reason: 'actions were halted' } });
    await settled(halting);
    expect(acts).toEqual([]);
    expect(await audited()).toContain('refused inc-1-1: service.restart web: actions were halted');

    const advise = await start('advise');
    await settled(advise.executor.brakes.resume());
    const waiting = advise.perform(planOf(restart, 'w'));
    await pump(1_000);
    await settled(advise.executor.halt('again'));
    expect(await settled(waiting)).toMatchObject({ kind: 'held' });
    expect(acts).toEqual([]);
  });
});

describe('a plan of several calls', () => {
  const run = { tool: 'service.run', service: 'renew' };
  const plan: Plan = { ...planOf(run), calls: [run, { tool: 'service.reload', service: 'web' }] };
  const endsAfterMs = (ms: number, code: number): void => {
    const onAct = linux.onAct;
    linux.onAct = (text) => {
      onAct(text);
      if (text === 'started renew')
        scheduler.after(ms, () => {
          acts.push(`renew ended with ${code}`);
          linux.services.kill('renew', code);
        });
    };
  };

  beforeEach(async () => {
    const services = [
      { name: 'web', command: ['web'] },
      { name: 'renew', command: ['renew'], task: true },
    ];
    linux = new FakeLinux(scheduler, new SeededRandom(1, 'linux'), services, { cpus: 2, memoryBytes: 2 ** 32 }, 0);
    await settled(linux.services.start('web'));
    linux.onAct = (text) => acts.push(text.replace(/\d+/g, '#'));
  });

  it('does each once the one before it has had its effect: a server is not told before the task has succeeded', async () => {
    endsAfterMs(40_000, 0); // far beyond what a step may take
    const { perform } = await start('act');
    expect(await settled(perform(plan))).toMatchObject({ kind: 'done', entry: { phase: 'confirmed' } });
    expect(acts).toEqual(['started renew', 'renew ended with 0', 'process.signal # # HUP']);
  });

  it('stops where one fails, at once: nobody is told of what was never made', async () => {
    endsAfterMs(300, 3);
    const { perform } = await start('act');
    const beganMs = scheduler.nowMs;
    const performed = await settled(perform(plan));
    expect(performed).toMatchObject({ kind: 'done', entry: { phase: 'failed' } });
    expect(performed).toMatchObject({
      entry: { reason: expect.stringContaining('service.run renew did not succeed: the task exited with status 3') },
    });
    expect([acts.includes('process.signal # # HUP'), scheduler.nowMs - beganMs < 2_000]).toEqual([false, true]);
  });

  it('judges a task alone at its end, too', async () => {
    endsAfterMs(300, 3);
    const { perform } = await start('act');
    const beganMs = scheduler.nowMs;
    expect(await settled(perform(planOf({ tool: 'service.run', service: 'renew' })))).toMatchObject({
      entry: { phase: 'undone' },
    });
    expect(scheduler.nowMs - beganMs).toBeLessThan(2_000);
  });
});
