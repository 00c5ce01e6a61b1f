// The transaction: intent before deed, at most once, confirmed only while the condition holds, undone where it does not.
import { describe, expect, it } from 'vitest';
import { changeToolOf } from '../../node/action/tools.ts';
import {
  CHECK_EVERY_MS,
  decodeJournalEntry,
  fireAfterMs,
  isOpen,
  type JournalEntry,
  keyOf,
  MAX_OPEN,
  type Phase,
  stepsOf,
  Transactions,
  wasRefused,
} from '../../node/action/transaction.ts';
import type { Plan } from '../../node/decision/plan.ts';
import type { ChangeStatus } from '../../node/ports/actuator.ts';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { at } from '../support/clock.ts';

const plan: Plan = {
  id: 'inc-1-1',
  incident: 'inc-1',
  calls: [{ tool: 'sysctl.set', key: 'vm.swappiness', value: '10' }],
  tier: 'reactive',
  reason: 'because',
};
const before = [{ value: '60' }];
const { stableMs, windowMs } = changeToolOf({ tool: 'sysctl.set' }).verification;

type Effects = ReturnType<Transactions['step']>;
/** What happens, in order, in a word each. */
const told = (effects: Effects): string[] =>
  effects.flatMap((effect) => {
    if (effect.kind === 'persist') return [`journal ${(effect.value as JournalEntry).phase}`];
    if (effect.kind === 'notice')
      return [effect.notice.kind === 'finished' ? `finished ${effect.notice.entry.phase}` : effect.notice.kind];
    return [];
  });

function begun(): Transactions {
  const transactions = new Transactions();
  expect(told(transactions.step({ kind: 'begin', plan, before }, at(0)))).toEqual(['journal intent', 'apply']);
  return transactions;
}

function applied(): Transactions {
  const transactions = begun();
  expect(told(transactions.step({ kind: 'applied', id: plan.id, outcome: { ok: true } }, at(10)))).toEqual([
    'journal applied',
    'check',
  ]);
  return transactions;
}

const checked = (transactions: Transactions, holds: boolean, ms: number) =>
  told(transactions.step({ kind: 'checked', id: plan.id, holds, detail: 'seen' }, at(ms)));

describe('a transaction', () => {
  it('is confirmed once its condition has held without a break', () => {
    const transactions = applied();
    expect(checked(transactions, true, 100)).toEqual([]);
    expect(checked(transactions, false, 600)).toEqual([]);
    expect(checked(transactions, true, 700)).toEqual([]);
    expect(checked(transactions, true, 700 + stableMs - 1)).toEqual([]);
    expect(checked(transactions, true, 700 + stableMs)).toEqual(['journal confirming', 'confirm']);
    expect(told(transactions.step({ kind: 'confirmed', id: plan.id, outcome: { ok: true } }, at(2_000)))).toEqual([
      'journal confirmed',
      'finished confirmed',
    ]);
  });

  it('is undone when the condition never holds within its window', () => {
    const transactions = applied();
    expect(checked(transactions, false, 10 + windowMs)).toEqual(['journal undoing', 'undo']);
    expect(told(transactions.step({ kind: 'undone', id: plan.id, outcome: { ok: true } }, at(20_000)))).toEqual([
      'journal undone',
      'finished undone',
    ]);
  });

  it('is judged as soon as waiting changes nothing, not at the end of its window', () => {
    const transactions = applied();
    const over = (holds: boolean, isFinal: boolean) =>
      told(transactions.step({ kind: 'checked', id: plan.id, holds, detail: 'status 3', isFinal }, at(300)));
    expect(over(false, false)).toEqual([]);
    expect(over(false, true)).toEqual(['journal undoing', 'undo']);
  });

  it('that could not be applied is undone, and says so where that fails too', () => {
    const transactions = begun();
    const refused = { ok: false as const, code: 'failed' as const, message: 'no such program' };
    expect(told(transactions.step({ kind: 'applied', id: plan.id, outcome: refused }, at(5)))).toEqual([
      'journal undoing',
      'undo',
    ]);
    const effects = transactions.step({ kind: 'undone', id: plan.id, outcome: { ...refused, message: 'gone' } }, at(6));
    expect(told(effects)).toEqual(['journal failed', 'finished failed']);
    expect(JSON.stringify(effects)).toContain('no such program; the undo failed too: gone');
  });

  it('without an inverse ends as failed', () => {
    const transactions = new Transactions();
    const kill: Plan = { ...plan, calls: [{ tool: 'service.reload', service: 'web' }] };
    transactions.step({ kind: 'begin', plan: kill, before: [{ pid: 7, startTicks: 9 }] }, at(0));
    transactions.step({ kind: 'applied', id: plan.id, outcome: { ok: false, code: 'failed', message: 'no' } }, at(1));
    const effects = transactions.step({ kind: 'undone', id: plan.id, outcome: { ok: true } }, at(2));
    expect(told(effects)).toEqual(['journal failed', 'finished failed']);
    expect(JSON.stringify(effects)).toContain('the tool has no undo');
  });

  it('is begun at most once for one plan', () => {
    expect(begun().step({ kind: 'begin', plan, before }, at(1))).toEqual([]);
  });

  const status = (state: ChangeStatus['state'], begun = 1): ChangeStatus => ({ state, begun, reason: 'seen there' });
  const found = (transactions: Transactions, answer: ChangeStatus | undefined) =>
    told(transactions.step({ kind: 'found', id: plan.id, status: answer }, at(30_000)));

  it('whose primitive never comes back is asked about, not repeated', () => {
    const transactions = begun();
    expect(told(transactions.step({ kind: 'timer', id: `timeout ${plan.id}` }, at(20_000)))).toEqual(['find']);
    expect(found(transactions, status('armed'))).toEqual(['journal applied', 'check']);
    expect(told(transactions.step({ kind: 'applied', id: plan.id, outcome: { ok: true } }, at(20_001)))).toEqual([]);
  });

  it('whose answer was lost is asked about until the actuator can be reached', () => {
    const transactions = begun();
    const lost = { ok: false as const, code: 'unknown' as const, message: 'no answer' };
    expect(told(transactions.step({ kind: 'applied', id: plan.id, outcome: lost }, at(5)))).toEqual(['find']);
    expect(found(transactions, undefined)).toEqual([]);
    expect(told(transactions.step({ kind: 'timer', id: `find ${plan.id}` }, at(6)))).toEqual(['find']);
    expect(found(transactions, status('unknown', 0))).toEqual(['journal failed', 'finished failed']);
  });

  it('whose undo fired before it was confirmed is undone, whatever its condition says', () => {
    const transactions = applied();
    checked(transactions, true, 100);
    expect(checked(transactions, true, 100 + stableMs)).toEqual(['journal confirming', 'confirm']);
    const late = { ok: false as const, code: 'refused' as const, message: 'its deadline has passed' };
    expect(told(transactions.step({ kind: 'confirmed', id: plan.id, outcome: late }, at(9_000)))).toEqual(['find']);
    expect(found(transactions, status('undone'))).toEqual(['journal undone', 'finished undone']);
  });

  it.each([
    ['intent', status('unknown', 0), ['journal failed', 'finished failed']],
    ['intent', status('armed', 0), ['journal undoing', 'undo']],
    ['intent', status('armed', 1), ['journal applied', 'check']],
    ['applied', status('armed', 1), ['journal applied', 'check']],
    ['undoing', status('armed', 1), ['journal undoing', 'undo']],
    ['confirming', status('confirmed'), ['journal confirmed', 'finished confirmed']],
    ['applied', status('undone'), ['journal undone', 'finished undone']],
    ['undoing', status('failed'), ['journal failed', 'finished failed']],
  ] as const)('that a crash left as %s goes by what the actuator has: %o', (phase, answer, expected) => {
    const entry: JournalEntry = { plan, before, phase, atMs: 1, reason: '' };
    const transactions = new Transactions();
    expect(told(transactions.step({ kind: 'recover', entry }, at(0)))).toEqual(['find']);
    expect(found(transactions, answer)).toEqual(expected);
  });

  it('is read as it was written, and as a version before this one wrote it', () => {
    const entry: JournalEntry = { plan, before, phase: 'intent', atMs: 1, reason: '' };
    expect(decodeJournalEntry(encodeCbor(entry))).toEqual(entry);
    const { calls, ...rest } = plan;
    expect(decodeJournalEntry(encodeCbor({ ...entry, plan: { ...rest, call: calls[0] }, before: before[0] }))).toEqual(entry);
    expect(decodeJournalEntry(new Uint8Array([1, 2, 3]))).toBeUndefined();
    const foreign = { ...entry, plan: { ...plan, calls: [{ tool: 'disk.format' }] } };
    expect(decodeJournalEntry(encodeCbor(foreign))).toBeUndefined();
    expect([isOpen(entry), isOpen({ ...entry, phase: 'confirmed' })]).toEqual([true, false]);
  });
});

describe('what a transaction says to do, whole', () => {
  const { id } = plan;
  const { timeoutMs } = changeToolOf({ tool: 'sysctl.set' });
  const entryIn = (phase: Phase, reason = '', atMs = 0): JournalEntry => {
    const now = at(atMs);
    return { plan, before, phase, atMs: now.wallMs, monotonicMs: now.monotonicMs, reason };
  };
  const persist = (entry: JournalEntry) => ({ kind: 'persist', key: `journal/${id}`, value: entry });
  const notice = (kind: string, entry: JournalEntry) => ({ kind: 'notice', notice: { kind, entry } });
  const cancels = (...timers: string[]) => timers.map((timer) => ({ kind: 'cancel', id: `${timer} ${id}` }));
  const finished = (entry: JournalEntry, tookMs: number) => [
    ...cancels('timeout', 'check', 'find'),
    persist(entry),
    { kind: 'notice', notice: { kind: 'finished', entry, tookMs } },
  ];
  const ok = { ok: true } as const;

  it('from its intent to its end', () => {
    const transactions = new Transactions();
    expect(transactions.step({ kind: 'begin', plan, before }, at(5))).toEqual([
      persist(entryIn('intent', '', 5)),
      { kind: 'timer', id: `timeout ${id}`, afterMs: timeoutMs },
      notice('apply', entryIn('intent', '', 5)),
    ]);
    const applied = entryIn('applied', '', 5);
    expect(transactions.step({ kind: 'applied', id, outcome: ok }, at(10))).toEqual([
      ...cancels('timeout'),
      persist(applied),
      notice('check', applied),
    ]);
    expect(transactions.step({ kind: 'checked', id, holds: true, detail: 'seen' }, at(20))).toEqual([
      { kind: 'timer', id: `check ${id}`, afterMs: CHECK_EVERY_MS },
    ]);
    expect(transactions.step({ kind: 'timer', id: `check ${id}` }, at(270))).toEqual([notice('check', applied)]);
    const confirming = entryIn('confirming', 'seen still', 5);
    expect(transactions.step({ kind: 'checked', id, holds: true, detail: 'seen still' }, at(20 + stableMs))).toEqual([
      persist(confirming),
      notice('confirm', confirming),
    ]);
    expect(transactions.step({ kind: 'timer', id: `check ${id}` }, at(800))).toEqual([]);
    expect(transactions.step({ kind: 'timer', id: `timeout ${id}` }, at(800))).toEqual([]);
    expect(transactions.step({ kind: 'confirmed', id, outcome: ok }, at(905.6))).toEqual(
      finished({ ...confirming, phase: 'confirmed' }, 901),
    );
    for (const input of [
      { kind: 'applied', id, outcome: ok },
      { kind: 'checked', id, holds: true, detail: '' },
      { kind: 'confirmed', id, outcome: ok },
      { kind: 'undone', id, outcome: ok },
      { kind: 'found', id, status: undefined },
      { kind: 'timer', id: `find ${id}` },
    ] as const)
      expect(transactions.step(input, at(1_000))).toEqual([]); // it is over
  });

  it('when it did not help', () => {
    const transactions = applied();
    expect(transactions.step({ kind: 'checked', id, holds: false, detail: 'not seen' }, at(9 + windowMs))).toEqual([
      { kind: 'timer', id: `check ${id}`, afterMs: CHECK_EVERY_MS },
    ]);
    const undoing = entryIn('undoing', 'did not help: not seen');
    expect(transactions.step({ kind: 'checked', id, holds: false, detail: 'not seen' }, at(10 + windowMs))).toEqual([
      ...cancels('timeout', 'check'),
      persist(undoing),
      notice('undo', undoing),
    ]);
    const lost = { ok: false, code: 'unknown', message: 'no answer' } as const;
    expect(transactions.step({ kind: 'undone', id, outcome: lost }, at(6_000))).toEqual([
      { kind: 'timer', id: `find ${id}`, afterMs: CHECK_EVERY_MS },
    ]);
    const none = { ok: false, code: 'not-found', message: 'never armed' } as const;
    expect(transactions.step({ kind: 'undone', id, outcome: none }, at(7_000))).toEqual(
      finished(entryIn('failed', 'did not help: not seen; nothing was done'), 7_000),
    );
  });

  it.each([
    ['unknown', 'failed', 'nothing was done: the undo was not armed'],
    ['confirmed', 'confirmed', 'confirmed'],
    ['undone', 'undone', 'there'],
    ['failed', 'failed', 'there'],
  ] as const)('where the actuator has it as %s', (state, phase, reason) => {
    const transactions = new Transactions();
    const entry = entryIn('intent');
    expect(transactions.step({ kind: 'recover', entry }, at(100))).toEqual([notice('find', entry)]);
    expect(transactions.step({ kind: 'recover', entry }, at(100))).toEqual([]);
    expect(transactions.step({ kind: 'found', id, status: undefined }, at(150))).toEqual([
      { kind: 'timer', id: `find ${id}`, afterMs: CHECK_EVERY_MS },
    ]);
    expect(transactions.step({ kind: 'found', id, status: { state, begun: 1, reason: 'there' } }, at(200))).toEqual(
      finished({ ...entry, phase, reason }, 100),
    );
  });

  it('keeps the reason that it had, where a crash came between', () => {
    const reasonOf = (entry: JournalEntry, status: ChangeStatus): unknown => {
      const transactions = new Transactions();
      transactions.step({ kind: 'recover', entry }, at(0));
      const effects = transactions.step({ kind: 'found', id, status }, at(1));
      return effects.flatMap((effect) => (effect.kind === 'persist' ? [(effect.value as JournalEntry).reason] : []))[0];
    };
    const armed = { state: 'armed', begun: 0, reason: '' } as const;
    expect(reasonOf(entryIn('undoing', 'did not help: x'), armed)).toBe('did not help: x');
    expect(reasonOf(entryIn('intent'), armed)).toBe('the change was interrupted');
    expect(reasonOf(entryIn('confirming', 'seen'), { ...armed, state: 'confirmed' })).toBe('seen');
  });

  it('is watched again from when it was found to be done', () => {
    const transactions = new Transactions();
    transactions.step({ kind: 'recover', entry: entryIn('applied') }, at(50_000));
    transactions.step({ kind: 'found', id, status: { state: 'armed', begun: 1, reason: '' } }, at(50_000));
    expect(checked(transactions, false, 50_000 + windowMs - 1)).toEqual([]);
    expect(checked(transactions, false, 50_000 + windowMs)).toEqual(['journal undoing', 'undo']);
  });

  it('runs sixty-four at a time', () => {
    const transactions = new Transactions();
    const begins = (nth: number) => transactions.step({ kind: 'begin', plan: { ...plan, id: `p-${nth}` }, before }, at(0)).length;
    for (let nth = 0; nth < MAX_OPEN; nth++) expect(begins(nth)).toBe(3);
    expect([begins(MAX_OPEN), MAX_OPEN]).toEqual([0, 64]);
  });
});

describe('the limits of a plan', () => {
  const entryOf = (...calls: Plan['calls'][number][]): JournalEntry => ({
    plan: { ...plan, calls },
    before: calls.map(() => ({ state: 'running', value: '1', startTicks: 7 })),
    phase: 'intent',
    atMs: 0,
    reason: '',
  });
  const restart = { tool: 'service.restart', service: 'web' };
  const task = { tool: 'service.run', service: 'renew' };
  const sysctl = plan.calls[0] as Plan['calls'][number];

  it('are those of its tools together, and of the undo a margin more, ten minutes at most', () => {
    expect(fireAfterMs(entryOf(sysctl))).toBe(10_000 + 5_000 + 15_000);
    expect(fireAfterMs(entryOf(restart))).toBe(30_000 + 15_000 + 15_000);
    // The task is waited for before the restart is done.
    expect(fireAfterMs(entryOf(task, restart))).toBe(30_000 + 60_000 + 30_000 + 15_000 + 15_000);
    expect(fireAfterMs(entryOf(...Array(8).fill(task)))).toBe(600_000);
  });

  it('have each call’s backups under the key of its first step', () => {
    const entry = entryOf(restart, sysctl, task);
    expect([0, 1, 2].map((index) => keyOf(entry, index))).toEqual(['inc-1-1-0', 'inc-1-1-2', 'inc-1-1-3']);
    expect(stepsOf(entry).length).toBe(4);
  });

  it('hold as long without a break as the one that takes longest', () => {
    const transactions = new Transactions();
    const entry = entryOf(sysctl, restart);
    transactions.step({ kind: 'begin', plan: entry.plan, before: entry.before }, at(0));
    transactions.step({ kind: 'applied', id: plan.id, outcome: { ok: true } }, at(0));
    expect(checked(transactions, true, 0)).toEqual([]);
    expect(checked(transactions, true, 999)).toEqual([]);
    expect(checked(transactions, true, 1_000)).toEqual(['journal confirming', 'confirm']);
  });

  it('tell a refusal from what did not help', () => {
    const of = (phase: Phase, reason: string): boolean => wasRefused({ ...entryOf(sysctl), phase, reason });
    expect([of('failed', 'x; nothing was done'), of('failed', 'x'), of('undone', 'nothing was done')]).toEqual([
      true,
      false,
      false,
    ]);
  });
});
