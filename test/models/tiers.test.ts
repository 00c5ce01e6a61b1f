// Which tier decides: the first that is confident enough, and else the safest answer; and what each said that was asked before.
import { expect, it } from 'vitest';
import { abstainingTier, route, TIERS, type TierAnswer, type TierQuestion } from '../../models/tiers.ts';

const question: TierQuestion = { policy: 'p', claimOutcome: 'certified', remedy: 'r', features: undefined };
const act = (confidence: number): TierAnswer => ({ kind: 'act', remedy: 'r', confidence, reason: `${confidence}` });
const tier = (name: (typeof TIERS)[number], answer: TierAnswer) => ({ tier: name, decide: async () => answer });

it('decides where it is just confident enough, and no other is asked after it', async () => {
  const last = { tier: 'strategic' as const, decide: () => expect.fail('it is asked') };
  const deciders = [tier('reactive', act(0.59)), abstainingTier('tactical'), tier('operational', act(0.6)), last];
  expect(await route(deciders, question, 0.6)).toEqual({
    tier: 'operational',
    answer: act(0.6),
    considered: [
      { tier: 'reactive', answer: act(0.59) },
      { tier: 'tactical', answer: { kind: 'abstain', reason: 'no local language model is configured' } },
      { tier: 'operational', answer: act(0.6) },
    ],
  });
});

it('is none where all abstain: then it is watched', async () => {
  expect(await route([abstainingTier('strategic')], question, 0)).toEqual({
    tier: undefined,
    answer: { kind: 'watch', confidence: 0, reason: 'every tier abstained: the safest option is to watch' },
    considered: [{ tier: 'strategic', answer: { kind: 'abstain', reason: 'no Claude API key is configured' } }],
  });
  expect(TIERS).toEqual(['reactive', 'operational', 'tactical', 'strategic']);
});
