// The detector of what is far above its own normal: from which value on, after how many samples, and until when.
import { describe, expect, it } from 'vitest';
import { BaselineDetector } from '../../node/detection/baseline-detector.ts';

const METRIC = 'system.process.count'; // a spread of 5 at the least
/** Of 100 processes, at a second each. */
function trained(fireZ?: number) {
  const detector = new BaselineDetector(fireZ);
  let s = 0;
  const observe = (value: number | undefined, wallMs = s * 1_000) => {
    s++;
    const metrics = new Map(value === undefined ? [] : [[METRIC, value]]);
    return detector.observe({ nowMs: s * 1_000, wallMs, metrics, targets: new Map() });
  };
  const times = (count: number, value: number | undefined) => Array.from({ length: count }, () => observe(value)).flat();
  expect(times(60, 100)).toEqual([]);
  return { detector, observe, times };
}
const finding = (value: number, z: number) => ({
  policy: 'baseline',
  target: METRIC,
  severity: 'info',
  summary: 'a metric stays far above its normal value',
  condition: 'Anomalous',
  claim: 'anomaly',
  remedies: [],
  evidence: { value, median: 100, z },
});

describe('a metric', () => {
  it('is an anomaly once it was eight spreads above its median for fifteen samples, until it was below four for ten', () => {
    const { detector, times, observe } = trained();
    expect([times(14, 140), detector.firing()]).toEqual([[], []]);
    expect(observe(141.3)).toEqual([{ kind: 'fired', finding: finding(141.3, 8.3) }]);
    expect([detector.firing(), times(5, 140)]).toEqual([[finding(141.3, 8.3)], []]);
    expect([times(9, 119), times(1, 120), times(9, 119)]).toEqual([[], [], []]);
    expect(observe(119)).toEqual([{ kind: 'cleared', finding: finding(141.3, 8.3) }]);
    expect(detector.firing()).toEqual([]);
  });

  it('is none just below, in shorter bursts, or where it is not known', () => {
    const { times } = trained();
    expect(times(30, 139.9)).toEqual([]);
    const other = trained();
    expect([other.times(14, 140), other.times(1, 139), other.times(14, 140)].flat()).toEqual([]);
    expect([other.times(20, undefined), other.times(1, 140)].flat().map(({ kind }) => kind)).toEqual(['fired']);
  });

  it('is judged by the spreads that are asked for', () => {
    const { times } = trained(20);
    expect(times(30, 199.9)).toEqual([]);
    expect(times(15, 200).map(({ kind }) => kind)).toEqual(['fired']);
  });

  it('fires again after it was armed again', () => {
    const { detector, times } = trained();
    times(15, 140);
    detector.rearm({ policy: 'other', target: METRIC });
    detector.rearm({ policy: 'baseline', target: 'other' });
    expect(detector.firing()).toHaveLength(1);
    detector.rearm({ policy: 'baseline', target: METRIC });
    expect(detector.firing()).toEqual([]);
    expect(times(1, 140).map(({ kind }) => kind)).toEqual(['fired']);
  });

  it('is learned by the hour while it is normal, and kept', () => {
    const { detector, observe } = trained();
    const learned = (from: BaselineDetector) => JSON.stringify(from.seasons()[METRIC]);
    const minutes = (from: number, value: number) => {
      for (let minute = from; minute < from + 130; minute++) observe(value, minute * 60_000);
    };
    const again = new BaselineDetector();
    expect(learned(again)).toBe(learned(detector));
    minutes(2, 100);
    const before = learned(detector);
    expect(learned(again)).not.toBe(before);
    minutes(132, 140);
    expect(learned(detector)).toBe(before); // a fault is no season
    again.recall(detector.seasons());
    expect(again.seasons()).toEqual(detector.seasons());
    expect(Object.keys(again.seasons()).toSorted()).toEqual([
      'system.cpu.utilization',
      'system.memory.utilization',
      'system.process.count',
    ]);
  });
});
