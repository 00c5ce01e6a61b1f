// The features of the incident model by their definition, the model itself, and the way from tier to tier.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FEATURE_COUNT, FEATURE_SERIES, FEATURE_WINDOW_S, featuresOf, INCIDENT_CLASSES } from '../../models/features.ts';
import { loadIncidentModel } from '../../models/onnx/incident-model.ts';
import { abstainingTier, route, type TierAnswer, type TierDecider } from '../../models/tiers.ts';
import { findPackage } from '../../node/adapters/package.ts';

const only = (nth: number, series: readonly number[]) => featuresOf((name) => (name === FEATURE_SERIES[nth] ? series : []));

describe('features', () => {
  it('are of each series its last ten, its change since the first ten, and its largest step', () => {
    const series = [...Array(10).fill(2), ...Array(30).fill(4), 9, ...Array(9).fill(5), 1];
    const features = only(1, series) ?? expect.fail('too short');
    expect(features.length).toBe(FEATURE_COUNT);
    expect(features.slice(3, 6)).toEqual([4.6, 2.5999999999999996, 5]);
    expect(features.filter((value) => value !== 0).length).toBe(3);
    expect(only(0, [...Array(50).fill(3), 1])?.slice(0, 3)).toEqual([2.8, -0.20000000000000018, 2]); // steps down too
  });

  it('are none where the history is too short, and flat zero of what the machine lacks', () => {
    const enough = FEATURE_WINDOW_S / 2;
    expect([only(2, Array(enough - 1).fill(1)), only(2, Array(enough).fill(1))?.length]).toEqual([undefined, FEATURE_COUNT]);
    expect(featuresOf(() => [])).toBeUndefined();
  });
});

describe('the incident model', () => {
  it('gives a probability for each class, and takes features of its own length only', async () => {
    const path = findPackage().modelPath;
    const model = await loadIncidentModel(path);
    const probabilities = await model.classify(Array(FEATURE_COUNT).fill(0));
    expect(probabilities.length).toBe(INCIDENT_CLASSES.length);
    expect(probabilities.reduce((sum, one) => sum + one, 0)).toBeCloseTo(1, 3);
    await expect(model.classify([1, 2])).rejects.toThrow('2 features, but the model takes 39');
    await expect(loadIncidentModel(join(path, 'none'))).rejects.toThrow();
  });
});

describe('tiers', () => {
  const tier = (name: TierDecider['tier'], answer: TierAnswer): TierDecider => ({ tier: name, decide: async () => answer });
  const question = { policy: 'p', claimOutcome: 'unasked', remedy: undefined, features: undefined } as const;
  const act = (confidence: number): TierAnswer => ({ kind: 'act', remedy: 'r', confidence, reason: 'x' });

  it('are asked until one is confident enough', async () => {
    const unsure = tier('reactive', act(0.59));
    const sure = tier('operational', act(0.6));
    const routed = await route([unsure, sure, tier('strategic', act(1))], question, 0.6);
    expect([routed.tier, routed.answer, routed.considered.map((one) => one.tier)]).toEqual([
      'operational',
      act(0.6),
      ['reactive', 'operational'],
    ]);
  });

  it('that all abstain, or are unsure, leave it at watching', async () => {
    const routed = await route(
      [tier('reactive', act(0.1)), abstainingTier('tactical'), abstainingTier('strategic')],
      question,
      0.6,
    );
    expect(routed).toMatchObject({ tier: undefined, answer: { kind: 'watch', confidence: 0 } });
    expect(routed.considered.slice(1).map(({ answer }) => answer)).toEqual([
      { kind: 'abstain', reason: 'no local language model is configured' },
      { kind: 'abstain', reason: 'no Claude API key is configured' },
    ]);
  });
});
