// A threshold that follows what is normal on a machine, within its author's bounds, and what is kept of it over a restart.
import { expect, it } from 'vitest';
import { AdaptiveThreshold } from '../../node/detection/threshold.ts';

const spec = { metric: 't', times: 5, low: 20, high: 90 };
function learned(value: (n: number) => number, count = 200): AdaptiveThreshold {
  const threshold = new AdaptiveThreshold(spec);
  for (let n = 0; n < count; n++) threshold.learn(new Map([['t', value(n)]]));
  return threshold;
}

it('is its upper bound until enough was seen, and of no metric but its own', () => {
  const threshold = new AdaptiveThreshold(spec);
  expect(threshold.explain()).toEqual({ ...spec, value: 90, median: undefined, spread: undefined });
  for (let n = 0; n < 200; n++) threshold.learn(new Map([['other', 40]]));
  expect([threshold.value, threshold.state]).toEqual([90, undefined]);
});

it('is the median and so many spreads, of a hundredth of the bounds’ distance at the least', () => {
  const threshold = learned(() => 40);
  expect(threshold.state).toEqual({ median: 40, spread: expect.closeTo(0.7) });
  expect(threshold.explain()).toEqual({ ...spec, value: expect.closeTo(43.5), median: 40, spread: expect.closeTo(0.7) });
});

it('is never beyond its bounds', () => {
  expect(learned(() => 1).value).toBe(20);
  expect(learned(() => 89).value).toBe(90);
});

it('is recalled from an earlier life, where nothing was learned since, and forgotten when it is reset', () => {
  const threshold = new AdaptiveThreshold(spec);
  threshold.recall({ median: 30, spread: 2 });
  expect(threshold.value).toBe(40);
  threshold.recall({ median: 50, spread: 2 });
  expect(threshold.value).toBe(40);
  threshold.reset();
  expect([threshold.value, threshold.state]).toEqual([90, undefined]);
  const fresh = learned(() => 40);
  fresh.reset();
  fresh.learn(new Map([['t', 40]]));
  expect(fresh.state).toBeUndefined();
});
