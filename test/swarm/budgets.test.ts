// What a peer may ask of an agent: so much at once, so much a second, and what becomes of one that goes over.
import { describe, expect, it } from 'vitest';
import { Budget, type BudgetKind, Budgets } from '../../swarm/libp2p/budgets.ts';

describe('a budget', () => {
  it.each<[BudgetKind, number, number]>([
    ['gossip', 2_000, 10_000],
    ['messages', 500, 2_000],
    ['requests', 10, 100],
    ['streams', 50, 300],
    ['bytes', 1_000_000, 8_000_000],
  ])('of %s is %i a second and %i at once', (kind, aSecond, atOnce) => {
    const budget = new Budget(kind, 1_000);
    expect([budget.spend(atOnce, 1_000), budget.spend(1, 1_000)]).toEqual([true, false]);
    const half = new Budget(kind, 1_000);
    half.spend(atOnce, 1_000);
    expect([half.spend(aSecond / 2, 1_500), half.spend(1, 1_500)]).toEqual([true, false]);
    const rested = new Budget(kind, 1_000);
    expect([rested.spend(atOnce, 900_000), rested.spend(1, 900_000)]).toEqual([true, false]);
  });
});

describe('who goes over its budget', () => {
  function world() {
    const its = { nowMs: 0 };
    const over: string[] = [];
    const budgets = new Budgets(
      () => its.nowMs,
      (peer, kind) => void over.push(`${peer} ${kind}`),
    );
    return { its, over, budgets };
  }

  it('is barred for a minute, which is said once, and others are not', () => {
    const { its, over, budgets } = world();
    expect([budgets.spend('a', 'requests', 100), budgets.isBarred('a'), budgets.spend('a', 'messages')]).toEqual([
      true,
      false,
      true,
    ]);
    expect([budgets.spend('a', 'requests'), budgets.spend('a', 'requests'), budgets.spend('b', 'requests', 100)]).toEqual([
      false,
      false,
      true,
    ]);
    expect([over, budgets.isBarred('a'), budgets.isBarred('b')]).toEqual([['a requests'], true, false]);
    its.nowMs = 59_999;
    expect(budgets.isBarred('a')).toBe(true);
    its.nowMs = 60_000;
    expect(budgets.isBarred('a')).toBe(false);
    budgets.bar('a', 'bytes');
    budgets.bar('a', 'bytes');
    expect([over, budgets.isBarred('a')]).toEqual([['a requests', 'a bytes'], true]);
  });

  it('begins again once nobody of that name is connected, but for what it is barred for', () => {
    const { budgets } = world();
    budgets.spend('a', 'requests', 100);
    budgets.forget('a');
    expect(budgets.spend('a', 'requests', 100)).toBe(true);
    budgets.spend('a', 'requests');
    budgets.forget('a');
    expect(budgets.isBarred('a')).toBe(true);
  });

  it('makes room where a thousand are barred', () => {
    const { over, budgets } = world();
    for (let nth = 0; nth < 1_000; nth++) budgets.bar(`peer-${nth}`, 'bytes');
    expect(budgets.isBarred('peer-0')).toBe(true);
    budgets.bar('peer-1000', 'bytes');
    expect([budgets.isBarred('peer-0'), budgets.isBarred('peer-1000'), over.length]).toEqual([false, true, 1_001]);
  });
});
