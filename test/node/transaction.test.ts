// The transaction: intent before deed, at most once, confirmed only while the condition holds, undone where it does not.
import { describe, expect, it } from 'vitest';
import { changeToolOf } from '../../node/action/tools.ts';
import { decodeJournalEntry, isOpen, type JournalEntry, Transactions } from '../../node/action/transaction.ts';
import type { Plan } from '../../node/decision/plan.ts';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { ChangeStatus } from '../../swarm/ports/actuator.ts';
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
    expect(JSON.stringify(effects)).toContain('it has no inverse');
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
