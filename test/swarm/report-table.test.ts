// What observers say of members: each one's newest word, counted once, with those that cannot speak any more and without one that is
// more likely cut off itself.
import { describe, expect, it } from 'vitest';
import type { AlertKind } from '../../swarm/membership/report.ts';
import { ReportTable, type Voice } from '../../swarm/membership/report-table.ts';

const K = 7;
const alerts = (of: Record<string, AlertKind>): ReadonlyMap<string, AlertKind> => new Map(Object.entries(of));

function tableOf(reports: Record<string, Record<string, AlertKind>>): ReportTable {
  const table = new ReportTable();
  for (const [observer, said] of Object.entries(reports)) table.set(observer, alerts(said));
  return table;
}

const count = (table: ReportTable, observers: readonly string[], voices: Record<string, Voice> = {}) =>
  table.count(
    'x',
    () => observers,
    (observer) => voices[observer] ?? 'heard',
    K,
  );

describe('reports', () => {
  it('are looked up both ways, the newest of each observer', () => {
    const table = tableOf({ a: { x: 'silent', y: 'silent' }, b: { x: 'refused' } });
    table.set('a', alerts({ x: 'flapping' }));
    expect([[...table.accused()], [...(table.accusersOf('x') ?? [])].sort(), table.accusersOf('y')]).toEqual([
      ['x'],
      ['a', 'b'],
      undefined,
    ]);
    expect([table.kindOf('a', 'x'), table.kindOf('a', 'y'), table.kindOf('c', 'x')]).toEqual(['flapping', undefined, undefined]);
    table.set('a', alerts({}));
    expect([[...(table.accusersOf('x') ?? [])], table.by('a').size]).toEqual([['b'], 0]);
  });

  it('of one that is forgotten, and on it, count no more', () => {
    const table = tableOf({ a: { x: 'silent', y: 'silent' }, x: { y: 'silent' } });
    table.forget('x');
    expect([table.accusersOf('x'), [...(table.accusersOf('y') ?? [])], table.by('x').size, [...table.by('a').keys()]]).toEqual([
      undefined,
      ['a'],
      0,
      ['y'],
    ]);
  });

  it('are counted by kind, each observer of the subject once', () => {
    const table = tableOf({ a: { x: 'silent' }, b: { x: 'refused' }, c: { x: 'flapping' }, stranger: { x: 'silent' } });
    expect(count(table, ['a', 'b', 'c', 'd'])).toEqual({ explicit: 3, alerts: 3, silent: 2, refused: 1 });
    expect(count(tableOf({}), ['a', 'b'])).toEqual({ explicit: 0, alerts: 0, silent: 0, refused: 0 });
  });

  it('count with those who cannot speak from two on, or from the only one that is left', () => {
    const voices = { d: 'gone', e: 'gone' } as const;
    const observers = ['a', 'b', 'c', 'd', 'e'];
    expect(count(tableOf({ a: { x: 'silent' } }), observers, voices)).toEqual({ explicit: 1, alerts: 1, silent: 1, refused: 0 });
    expect(count(tableOf({ a: { x: 'silent' }, b: { x: 'silent' } }), observers, voices)).toEqual({
      explicit: 2,
      alerts: 4,
      silent: 4,
      refused: 0,
    });
    const allBut = { ...voices, b: 'gone', c: 'gone' } as const;
    expect(count(tableOf({ a: { x: 'refused' } }), observers, allBut)).toEqual({ explicit: 1, alerts: 5, silent: 5, refused: 5 });
    // Those that are gone accuse nobody by themselves.
    expect(count(tableOf({ stranger: { x: 'silent' } }), observers, allBut)).toMatchObject({ explicit: 0, alerts: 0 });
  });

  it('do not count of one that is doubted; one’s own do', () => {
    const table = tableOf({ a: { x: 'silent', y: 'silent' } });
    expect(count(table, ['a', 'b', 'c'])).toMatchObject({ explicit: 0 });
    expect(count(table, ['a', 'b', 'c'], { a: 'own' })).toMatchObject({ explicit: 1 });
    table.set('b', alerts({ x: 'silent' }));
    table.set('c', alerts({ y: 'silent' }));
    expect(count(table, ['a', 'b', 'c'])).toMatchObject({ explicit: 2 });
  });
});

describe('one that accuses many', () => {
  const accusing = (alone: number, agreed: number): ReportTable => {
    const said = Object.fromEntries([
      ...Array.from({ length: alone }, (_, nth) => [`alone-${nth}`, 'silent'] as const),
      ...Array.from({ length: agreed }, (_, nth) => [`agreed-${nth}`, 'silent'] as const),
    ]);
    const others = Object.fromEntries(Array.from({ length: agreed }, (_, nth) => [`agreed-${nth}`, 'silent'] as const));
    return tableOf({ a: said, b: others });
  };
  it.each([
    [1, 0, false],
    [2, 0, true],
    [1, 1, false],
    [1, 4, false],
    [2, 1, true],
    [2, 2, false],
    [3, 3, true], // of the four that nobody else accuses, it accuses most
    [2, 4, true],
    [2, 3, false],
  ])('%i of them alone, and %i as others do, is doubted: %s', (alone, agreed, isDoubted) => {
    expect(accusing(alone, agreed).isDoubted('a', K)).toBe(isDoubted);
  });
});
