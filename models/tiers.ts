// The tiers of intelligence, cheapest first. Each may abstain; abstaining is an answer, never an error.
// The tactical (local LLM) and strategic (Claude) tiers are present as what they will be asked through, and abstain.

export const TIERS = ['reactive', 'operational', 'tactical', 'strategic'] as const;
export type Tier = (typeof TIERS)[number];

/** An incident as tiers see it: features and ids only, never text from machines. */
export interface TierQuestion {
  policy: string;
  claimOutcome: 'certified' | 'refuted' | 'undecided' | 'unasked';
  /** A remedy that the policy declares, by name; undefined where it has none. */
  remedy: string | undefined;
  /** Length models/features.ts FEATURE_COUNT, or undefined where the history is too short. */
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

/** A language-model tier that is not configured: it abstains, and says what would change that. */
export function abstainingTier(tier: 'tactical' | 'strategic'): TierDecider {
  const reason = tier === 'tactical' ? 'no local language model is configured' : 'no Claude API key is configured';
  return { tier, decide: async () => ({ kind: 'abstain', reason }) };
}

export interface Routed {
  tier: Tier | undefined;
  answer: TierAnswer;
  /** What each tier asked before the deciding one said. */
  considered: { tier: Tier; answer: TierAnswer }[];
}

/** Asks tier after tier until one is confident enough; when all abstain the answer is to watch. */
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
