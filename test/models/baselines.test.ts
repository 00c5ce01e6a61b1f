// Baselines against what they are by definition, computed the slow way: median and MAD of a window, means of the hours of a week.
import { describe, expect, it } from 'vitest';
import { RobustBaseline, WINDOW } from '../../models/robust-baseline.ts';
import { BINS, SeasonalProfile } from '../../models/seasonal-profile.ts';
import { SeededRandom } from '../../sim/random.ts';

const MIN_SAMPLES = 60;
const OUTLIER_Z = 6;
const ACCEPT_SHIFT_AFTER = 300;

const medianOf = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
};
const spreadOf = (values: readonly number[], floor: number): number => {
  const median = medianOf(values);
  return 1.4826 * medianOf(values.map((value) => Math.abs(value - median))) + floor;
};

describe('a robust baseline', () => {
  it.each([
    ['noise', (random: SeededRandom) => random.between(0, 100)],
    ['few values, many times each', (random: SeededRandom) => Math.floor(random.between(0, 4))],
    ['a constant', () => 7],
    ['below and above nothing', (random: SeededRandom) => random.between(-1, 1) ** 3],
    ['a ramp', (_: SeededRandom, nth: number) => nth / 10],
  ])('is the median and the MAD of the last two minutes: %s', (_what, draw) => {
    const random = new SeededRandom(3, 'baseline');
    const baseline = new RobustBaseline(0.5);
    const window: number[] = [];
    for (let nth = 0; nth < 400; nth++) {
      const value = draw(random, nth);
      const scored = baseline.score(value);
      if (nth < MIN_SAMPLES) expect(scored).toEqual({ z: 0, median: value, spread: 0, learned: false });
      else {
        expect(scored.median).toBeCloseTo(medianOf(window), 9);
        expect(scored.spread).toBeCloseTo(spreadOf(window, 0.5), 9);
        expect(scored.z).toBeCloseTo((value - medianOf(window)) / spreadOf(window, 0.5), 9);
        expect(scored.learned).toBe(true);
      }
      if (Math.abs(scored.z) < OUTLIER_Z) window.push(value);
      if (window.length > WINDOW) window.shift();
    }
  });

  it('learns no outlier of either side, and takes what lasts for 300 samples for normal', () => {
    for (const sign of [1, -1]) {
      const baseline = new RobustBaseline(1);
      for (let nth = 0; nth < WINDOW; nth++) baseline.score(10);
      // At the limit it is an outlier, below it is not.
      expect(baseline.score(10 + sign * OUTLIER_Z).z).toBe(sign * OUTLIER_Z);
      for (let nth = 1; nth < ACCEPT_SHIFT_AFTER; nth++) baseline.score(10 + sign * 50);
      expect(baseline.score(10).median).toBe(10); // and that ends the row
      for (let nth = 0; nth < ACCEPT_SHIFT_AFTER; nth++) expect(baseline.score(10 + sign * 50).median).toBe(10);
      let samples = 0;
      while (Math.abs(baseline.score(10 + sign * 50).z) >= OUTLIER_Z) samples++;
      expect(samples).toBeGreaterThanOrEqual(WINDOW / 2 - 1);
      expect(samples).toBeLessThanOrEqual(WINDOW / 2 + 1);
    }
  });
});

describe('a seasonal profile', () => {
  const HOUR = 3_600_000;
  const DAY = 24 * HOUR;
  /** A Monday. */
  const MONDAY = Date.UTC(2024, 0, 1);

  /** Each hour of so many days has its own value. */
  const learned = (days: number, value: (day: number, hour: number) => number, floor = 1): SeasonalProfile => {
    const profile = new SeasonalProfile(floor);
    for (let hour = 0; hour <= days * 24; hour++)
      for (const minute of [0, 20, 40])
        profile.learn(value(Math.floor(hour / 24), hour % 24), MONDAY + hour * HOUR + minute * 60_000);
    return profile;
  };

  it('knows an hour of working days after three of them, weekends apart', () => {
    expect([2, 3].map((days) => learned(days, () => 5).z(7, MONDAY + 7 * DAY + 10 * HOUR))).toEqual([undefined, 2]);
    const week = learned(7, (day, hour) => (day >= 5 ? 100 : hour));
    expect(week.z(10, MONDAY + 7 * DAY + 10 * HOUR)).toBe(0);
    expect(week.z(12, MONDAY + 11 * DAY + 10 * HOUR + 59 * 60_000)).toBe(2); // a Friday
    for (const day of [5, 6, 12, 13]) expect(week.z(100, MONDAY + day * DAY + 10 * HOUR)).toBeUndefined(); // seen on two days
    expect(learned(14, (day) => (day % 7 >= 5 ? 100 : 0)).z(100, MONDAY + 12 * DAY)).toBe(0);
    expect(learned(14, () => 1).state().length).toBe(BINS);
  });

  it('is a plain mean at first, then gives a new day a tenth of the weight, and its distance as spread', () => {
    const [mean, spread, days] = learned(3, (day) => [10, 20, 60][day] ?? 0).state()[8] ?? [0, 0, 0];
    expect([mean, days]).toEqual([30, 3]);
    expect(spread).toBeCloseTo((0 * (1 / 2) + 10 / 2) * (2 / 3) + 45 / 3, 9);
    const long = learned(30, (day) => (day < 29 ? 10 : 110));
    expect(long.state()[8]?.[0]).toBeCloseTo(20, 9);
    expect(long.z(20, MONDAY + 8 * HOUR)).toBeCloseTo(0, 9);
  });

  it('counts how much a value varies within its hour', () => {
    const profile = new SeasonalProfile(0);
    for (let day = 0; day < 4; day++)
      for (const [minute, value] of [
        [0, 8],
        [30, 12],
        [60, 0],
      ] as const)
        profile.learn(value, MONDAY + day * DAY + 8 * HOUR + minute * 60_000);
    expect(profile.state()[8]).toEqual([10, 2, 4]);
    expect(profile.z(16, MONDAY + 8 * HOUR)).toBe(3);
  });

  it('does not learn from an hour that was cut short, as where the clock was set', () => {
    const profile = new SeasonalProfile(1);
    profile.learn(5, MONDAY);
    profile.learn(5, MONDAY + 5 * HOUR);
    profile.learn(5, MONDAY + 4 * HOUR);
    profile.learn(5, MONDAY + 4 * HOUR + 1);
    expect(profile.state().every(([, , days]) => days === 0)).toBe(true);
    profile.learn(5, MONDAY + 5 * HOUR);
    expect(profile.state()[4]).toEqual([5, 0, 1]);
  });

  it('goes on from what was kept, and before 1970 too', () => {
    const kept = learned(5, () => 5).state();
    expect(new SeasonalProfile(1, kept).z(7, MONDAY + 7 * DAY)).toBe(2);
    const old = new SeasonalProfile(1, kept);
    expect(old.z(7, Date.UTC(1969, 11, 31, 3))).toBe(2); // a Wednesday
    expect(old.z(7, Date.UTC(1969, 11, 28, 3))).toBeUndefined(); // a Sunday
  });
});
