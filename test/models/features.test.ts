// The features that the incident model is asked with: of each series its mean, its change and its largest step, in one order.
import { describe, expect, it } from 'vitest';
import { FEATURE_COUNT, FEATURE_SERIES, FEATURE_WINDOW_S, featuresOf, INCIDENT_CLASSES } from '../../models/features.ts';

const flat = (value: number, length = 60): number[] => new Array<number>(length).fill(value);

describe('features', () => {
  it('are three of each of thirteen series, in their order', () => {
    expect([FEATURE_COUNT, FEATURE_WINDOW_S, INCIDENT_CLASSES.length]).toEqual([39, 60, 6]);
    const asked: string[] = [];
    const features = featuresOf((name) => {
      asked.push(name);
      return flat(asked.length);
    });
    expect(asked).toEqual([...FEATURE_SERIES]);
    expect(features).toEqual(FEATURE_SERIES.flatMap((_, i) => [i + 1, 0, 0]));
  });

  it('are the mean of the last ten, how that differs from the first ten, and the largest step, up or down', () => {
    const series = [...flat(2, 10), ...flat(50, 5), 10, ...flat(4, 4), ...flat(6, 10)];
    expect(featuresOf(() => series)?.slice(0, 3)).toEqual([6, 4, 48]);
    expect(featuresOf(() => [...flat(50, 29), 0])?.slice(0, 3)).toEqual([45, -5, 50]);
  });

  it('of a series that is unknown are zero; of less than half a minute, and of nothing at all, there are none', () => {
    const [first] = FEATURE_SERIES;
    expect(featuresOf((name) => (name === first ? flat(1) : []))).toEqual([1, ...flat(0, FEATURE_COUNT - 1)]);
    expect(featuresOf(() => [])).toBeUndefined();
    expect(featuresOf(() => flat(1, 29))).toBeUndefined();
    expect(featuresOf((name) => (name === 'system.process.top_memory' ? flat(1, 1) : []))).toBeUndefined();
    expect(featuresOf(() => flat(1, 30))).toHaveLength(FEATURE_COUNT);
  });
});
