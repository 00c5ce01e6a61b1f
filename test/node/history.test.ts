// What series were, second by second and minute by minute: to the value, over gaps, set clocks, and more series than there is room for.
import { describe, expect, it } from 'vitest';
import { History, MAX_SERIES } from '../../node/telemetry/history.ts';

const filled = (seconds: number, value: (s: number) => number = (s) => s, from = 0): History => {
  const history = new History();
  for (let s = from; s < from + seconds; s++) history.record([['a', value(s)]], s, true);
  return history;
};
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, nth) => from + nth);

describe('a series', () => {
  it.each([1, 59, 60, 61, 599, 600, 601, 1_300])('of %i seconds is the last ten minutes of them', (seconds) => {
    const history = filled(seconds);
    const newest = seconds - 1;
    expect(history.fine('a')).toEqual({ stepS: 1, atS: newest, values: range(Math.max(0, newest - 599), newest) });
    expect(history.last('a', 5)).toEqual(range(Math.max(0, newest - 4), newest));
    expect(history.last('a', 10_000).length).toBeLessThanOrEqual(660);
  });

  it('that begins at any second has nothing before it', () => {
    const history = filled(10, (s) => s, 1_234_567);
    expect(history.fine('a')?.values).toEqual(range(1_234_567, 1_234_576));
    expect([history.fine('b'), history.coarse('b'), history.last('b', 3)]).toEqual([undefined, undefined, []]);
  });

  it('has gaps where nothing came, and no value of what is no number, or of a second that was', () => {
    const history = new History();
    const record = (s: number, value: number): void => history.record([['a', value]], s, false);
    for (const s of [0, 1, 5]) record(s, s * 10);
    record(5, 7);
    record(3, 7);
    record(6, Number.NaN);
    record(7, Number.POSITIVE_INFINITY);
    expect(history.fine('a')).toEqual({ stepS: 1, atS: 5, values: [0, 10, null, null, null, 50] });
    expect(history.last('a', 3)).toEqual([50]);
    expect(history.last('a', 6)).toEqual([0, 10, 50]);
    record(200, 1);
    expect(history.fine('a')?.values.length).toBe(201);
    record(2_000, 2);
    expect(history.fine('a')?.values.filter((value) => value !== null)).toEqual([2]);
    expect(history.coarse('a')).toBeUndefined();
  });

  it('is kept by the minute for six hours, mean and highest, once a minute is over', () => {
    const history = filled(60 * 3 + 1, (s) => (s < 60 ? 1 : s % 60));
    expect(history.coarse('a')).toEqual({
      mean: { stepS: 60, atS: 180, values: [1, 29.5, 29.5] },
      most: { stepS: 60, atS: 180, values: [1, 59, 59] },
    });
    expect(filled(60).coarse('a')?.mean.values).toEqual([]);
    const long = new History();
    for (let minute = 0; minute <= 400; minute++) long.record([['a', minute]], minute * 60, true);
    expect(long.coarse('a')?.mean.values).toEqual(range(40, 399));
    const gap = new History();
    for (const minute of [0, 1, 4, 5]) gap.record([['a', minute]], minute * 60, true);
    expect(gap.coarse('a')?.most.values).toEqual([0, 1, null, null, 4]);
  });

  it('is told by the wall clock as it is set now', () => {
    const history = new History();
    history.record([['a', 1]], 100, true, 1_000);
    history.record([['a', 2]], 101, true, 5_000);
    expect([history.fine('a')?.atS, history.coarse('a')?.mean.atS]).toEqual([5_000, 60 + 4_899]);
  });
});

describe('many series', () => {
  it('lie beside each other, whatever their order, and come and go', () => {
    const history = new History();
    const names = Array.from({ length: 100 }, (_, nth) => `s${nth}`);
    for (let s = 0; s < 130; s++) {
      const now = s < 60 ? names.slice(0, 10) : s < 100 ? names : names.toReversed().filter((_, nth) => nth % 2 === 0);
      history.record(
        now.map((name) => [name, Number(name.slice(1)) * 1_000 + s] as const),
        s,
        s % 2 === 0,
      );
    }
    expect(history.names().length).toBe(100);
    for (const [nth, first, last] of [
      [0, 0, 99],
      [9, 0, 129],
      [10, 60, 99],
      [99, 60, 129],
    ] as const)
      expect(history.fine(`s${nth}`)?.values, `s${nth}`).toEqual(range(nth * 1_000 + first, nth * 1_000 + last));
  });

  it('are so many at most: those that nobody feeds for ten minutes make room, and leave nothing behind', () => {
    const history = new History();
    const all = Array.from({ length: MAX_SERIES }, (_, nth) => [`s${nth}`, nth] as const);
    history.record(all, 0, true);
    history.record([['late', 1]], 600, true);
    expect([history.series, history.fine('late')]).toEqual([MAX_SERIES, undefined]);
    history.record([['s0', 5]], 600, true);
    history.record([['late', 2]], 601, true);
    expect([history.names(), history.fine('late')?.values, history.fine('s1')]).toEqual([['late', 's0'], [2], undefined]);
    expect(history.fine('s0')?.values.at(-1)).toBe(5);
    expect(history.bytes).toBeGreaterThan(0);
  });
});
