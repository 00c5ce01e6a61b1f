// From incident to plan: the cheapest tier that is confident enough. The reactive tier follows the policy's declared
// remedy; the operational tier asks the incident model; the language-model tiers abstain until they are configured.
import { abstainingTier, type Routed, route, type TierAnswer, type TierDecider, type TierQuestion } from '../../models/tiers.ts';
import type { Compute } from '../ports/compute.ts';
import type { ToolCall } from '../tool-call.ts';

/** Below this confidence the next tier decides. */
export const MIN_CONFIDENCE = 0.6;

/** The results of a remedy on this policy and target. */
export interface RemedyRecord {
  worked: number;
  failed: number;
}

const NEVER: RemedyRecord = { worked: 0, failed: 0 };

export interface Remedy {
  calls: readonly ToolCall[];
  record: RemedyRecord;
  /** Its results on other targets, while the machine was in a similar state. */
  similar: RemedyRecord;
  /** Number of failed attempts in this incident. */
  triedNow: number;
}

export interface DecisionInput {
  policy: string;
  target: string;
  /** The remedies of the policy for this target, in its order. */
  remedies: readonly Remedy[];
  claimOutcome: TierQuestion['claimOutcome'];
  features: readonly number[] | undefined;
  /** The failure was so long ago that the remedy is retried once, regardless of its results: the cause may be gone. */
  isTrial?: boolean | undefined;
}

export type Decision =
  | { kind: 'act'; calls: readonly ToolCall[]; routed: Routed; reason: string }
  | { kind: 'watch'; routed: Routed; reason: string };

export async function decide(input: DecisionInput, compute: Compute): Promise<Decision> {
  const [chosen] = preferred(input.remedies);
  const question: TierQuestion = {
    policy: input.policy,
    claimOutcome: input.claimOutcome,
    remedy: chosen?.calls[0]?.tool,
    features: input.features,
  };
  const deciders = [
    reactiveTier(chosen?.record ?? NEVER, chosen?.similar ?? NEVER, input.isTrial === true),
    operationalTier(compute),
    abstainingTier('tactical'),
    abstainingTier('strategic'),
  ];
  const routed = await route(deciders, question, MIN_CONFIDENCE);
  const { answer } = routed;
  const reason = answer.reason;
  if (answer.kind === 'act' && chosen !== undefined) return { kind: 'act', calls: chosen.calls, routed, reason };
  return { kind: 'watch', routed, reason };
}

/** In the policy's order, but a remedy that failed here, in this or an earlier incident, is not tried first. */
function preferred(remedies: readonly Remedy[]): Remedy[] {
  const bad = ({ worked, failed }: RemedyRecord): boolean => failed > worked;
  const isNew = ({ worked, failed }: RemedyRecord): boolean => worked + failed === 0;
  const disfavour = ({ record, similar }: Remedy): number => (bad(record) || (isNew(record) && bad(similar)) ? 1 : 0);
  return remedies.toSorted((a, b) => a.triedNow - b.triedNow || disfavour(a) - disfavour(b));
}

/** Confidence from the votes of the witnesses, adjusted by the results of the remedy. */
function reactiveTier(record: RemedyRecord, similar: RemedyRecord, isTrial: boolean): TierDecider {
  return {
    tier: 'reactive',
    decide: async (question) => answerReactively(question, record, similar, isTrial),
  };
}

function answerReactively(question: TierQuestion, record: RemedyRecord, similar: RemedyRecord, isTrial: boolean): TierAnswer {
  if (question.remedy === undefined) return { kind: 'abstain', reason: 'the policy declares no remedy' };
  if (question.claimOutcome === 'refuted') {
    return { kind: 'watch', confidence: 0.9, reason: 'witnesses can reach the target: a repair would do harm' };
  }
  const base = question.claimOutcome === 'certified' ? 0.95 : 0.8;
  // Results on other targets count half.
  const [worked, failed] = [record.worked + similar.worked / 2, record.failed + similar.failed / 2];
  const learned = worked + failed === 0 ? base : (base + (worked + 1) / (worked + failed + 2)) / 2;
  const isOnTrial = isTrial && learned < MIN_CONFIDENCE;
  const tried = record.worked + record.failed;
  const elsewhere = similar.worked + similar.failed;
  const history = [
    tried === 0 ? 'not tried here before' : `worked ${record.worked} of ${tried} times here`,
    ...(elsewhere === 0 ? [] : [`${similar.worked} of ${elsewhere} times in similar cases`]),
  ].join(', ');
  const seen = question.claimOutcome === 'certified' ? 'certified by the witnesses' : 'observed by this machine only';
  return {
    kind: 'act',
    remedy: question.remedy,
    confidence: isOnTrial ? MIN_CONFIDENCE : learned,
    reason: `policy ${question.policy} declares ${question.remedy}; ${seen}; ${history}${isOnTrial ? '; retried after a pause, as the cause may be gone' : ''}`,
  };
}

function operationalTier(compute: Compute): TierDecider {
  return {
    tier: 'operational',
    decide: async ({ features }) => {
      if (features === undefined)
        return { kind: 'abstain', reason: 'under half a minute of history: too little for the incident model' };
      const seen = await compute.classify(features);
      if (seen === undefined) return { kind: 'abstain', reason: 'the incident model is not available' };
      const percent = Math.round(seen.confidence * 100);
      const reason = `the incident model sees ${seen.label} (${percent} %); no remedy is declared, so it only watches`;
      return { kind: 'watch', confidence: seen.confidence, reason };
    },
  };
}
