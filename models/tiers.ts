// The tiers of intelligence, cheapest first. A tier may abstain, which is an answer and not an error.
// The tactical (local LLM) and strategic (Claude) tiers have only their interface here, and abstain.

export const TIERS = ['reactive', 'operational', 'tactical', 'strategic'] as const;
export type Tier = (typeof TIERS)[number];

/** An incident as tiers get it: features and ids only, never text from machines. */
export interface TierQuestion {
  policy: string;
  claimOutcome: 'certified' | 'refuted' | 'undecided' | 'unasked';
  /** A remedy of the policy, by name; undefined if it has none. */
  remedy: string | undefined;
  /** FEATURE_COUNT values (models/features.ts); undefined if the history is too short. */
  features: readonly number[] | undefined;
}

export type TierAnswer =
  | { kind: 'act'; remedy: string; confidence: number; reason: string }
  | { kind: 'watch'; confidence: number; reason: string }
  | { kind: 'abstain'; reason: string };

export interface TierDecider {
  readonly tier: Tier;
  decide(question: TierQuestion): Promise<TierAnswer>;
}

/** A language-model tier that is not configured: it abstains, with the missing setting as reason. */
export function abstainingTier(tier: 'tactical' | 'strategic'): TierDecider {
  const reason = tier === 'tactical' ? 'no local language model is configured' : 'no Claude API key is configured';
  return { tier, decide: async () => ({ kind: 'abstain', reason }) };
}

export interface Routed {
  tier: Tier | undefined;
  answer: TierAnswer;
  /** The answers of the tiers, up to the deciding one. */
  considered: { tier: Tier; answer: TierAnswer }[];
}

/** Asks the tiers in order until one is confident enough. If none is, the answer is to watch. */
export async function route(deciders: readonly TierDecider[], question: TierQuestion, minConfidence: number): Promise<Routed> {
  const considered: Routed['considered'] = [];
  for (const decider of deciders) {
    const answer = await decider.decide(question);
    considered.push({ tier: decider.tier, answer });
    if (answer.kind !== 'abstain' && answer.confidence >= minConfidence) return { tier: decider.tier, answer, considered };
  }
  const reason = 'every tier abstained: the safest option is to watch';
  return { tier: undefined, answer: { kind: 'watch', confidence: 0, reason }, considered };
}
