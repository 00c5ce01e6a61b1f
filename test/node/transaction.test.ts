// The transaction: intent before deed, at most once, confirmed only while the condition holds, undone where it does not.
import { describe, expect, it } from 'vitest';
import { snapshotOf, TOOLS, toolOf } from '../../node/action/tool.ts';
import { decodeJournalEntry, isOpen, type JournalEntry, Transactions } from '../../node/action/transaction.ts';
import type { Plan } from '../../node/decision/plan.ts';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { at } from '../support/clock.ts';

const plan: Plan = {
  id: 'inc-1-1',
  incident: 'inc-1',
  call: { tool: 'service.restart', service: 'web' },
  tier: 'reactive',
  reason: 'because',
};
const before = { state: 'exited' as const, pid: null, startTicks: null, starts: 1 };
const { stableMs, windowMs } = toolOf(plan.call).verification;

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
    expect(checked(transactions, true, 700 + stableMs)).toEqual(['journal confirmed', 'finished confirmed']);
  });

  it('is undone when the condition never holds within its window', () => {
    const transactions = applied();
    expect(checked(transactions, false, 10 + windowMs)).toEqual(['journal undoing', 'undo']);
    expect(told(transactions.step({ kind: 'undone', id: plan.id, outcome: { ok: true } }, at(20_000)))).toEqual([
      'journal undone',
      'finished undone',
    ]);
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
    const transactions = applied();
    checked(transactions, false, 10 + windowMs);
    expect(told(transactions.step({ kind: 'undone', id: plan.id, outcome: undefined }, at(20_000)))).toEqual([
      'journal failed',
      'finished failed',
    ]);
  });

  it('is begun at most once for one plan', () => {
    expect(begun().step({ kind: 'begin', plan, before }, at(1))).toEqual([]);
  });

  it('whose primitive never comes back is watched, not repeated', () => {
    const transactions = begun();
    expect(told(transactions.step({ kind: 'timer', id: `timeout ${plan.id}` }, at(20_000)))).toEqual([
      'journal applied',
      'check',
    ]);
    expect(told(transactions.step({ kind: 'applied', id: plan.id, outcome: { ok: true } }, at(20_001)))).toEqual([]);
  });

  it('that a crash left open is watched, or undone where it was being undone; never applied again', () => {
    const entry: JournalEntry = { plan, before, phase: 'intent', atMs: 1, reason: '' };
    expect(told(new Transactions().step({ kind: 'recover', entry }, at(0)))).toEqual(['check']);
    expect(told(new Transactions().step({ kind: 'recover', entry: { ...entry, phase: 'undoing' } }, at(0)))).toEqual(['undo']);
    expect(decodeJournalEntry(encodeCbor(entry))).toEqual(entry);
    expect([isOpen(entry), isOpen({ ...entry, phase: 'confirmed' })]).toEqual([true, false]);
  });
});

describe('every tool', () => {
  it.each(TOOLS.map((tool) => [tool.name, tool] as const))('%s declares what it must', (name, tool) => {
    expect(tool.description.length).toBeGreaterThan(10);
    expect(tool.verification.windowMs).toBeGreaterThan(tool.verification.stableMs);
    expect(tool.rate.uses).toBeGreaterThan(0);
    const call =
      name === 'process.signal' ? { tool: name, service: 'web', signal: 'CONT' as const } : { tool: name, service: 'web' };
    expect(['R0', 'R1']).toContain(tool.risk(call));
    expect(tool.refusal(call, undefined)).toBeDefined();
    const service = {
      name: 'web',
      state: 'running' as const,
      pid: 7,
      startTicks: 9,
      exitCode: undefined,
      exitSignal: undefined,
      starts: 1,
      sinceMs: 0,
      port: 1,
    };
    expect(tool.dryRun(call, service).join()).toContain('web');
    expect(snapshotOf(service)).toEqual({ state: 'running', pid: 7, startTicks: 9, starts: 1 });
  });
});
