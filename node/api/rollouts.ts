// The roll-out of a bundle or release, as the API answers it: the good one, the candidate, its waves, and the last result.
import { type HowTried, type Pushed, type RolloutState, type Trial, turnOf } from '../../consensus/decisions/rollout.ts';
import type { Agent } from '../agent/agent.ts';

export interface PushedAnswer {
  id: string;
  by: string;
  atMs: number;
}

export interface TrialAnswer {
  phase: Trial['phase'];
  canary: string[];
  /** Members of the current wave, and of earlier waves. */
  turn: string[];
  done: string[];
  soakMs: number;
  sinceMs: number;
  reports: { node: string; ok: boolean; reason: string }[];
}

export interface RolloutAnswer<Shown extends PushedAnswer = PushedAnswer> {
  good: Shown | null;
  before: Shown | null;
  candidate: (Shown & TrialAnswer) | null;
  ended: RolloutState<Pushed>['ended'];
}

/** @param content the fields of one kind of roll-out, shown beside the common ones. */
export function rolloutOf<Content extends Pushed, Shown extends object>(
  { swarm: { members } }: Agent,
  { good, before, candidate, ended }: RolloutState<Content>,
  content: (one: Content) => Shown,
): RolloutAnswer<PushedAnswer & Shown> {
  const shown = (one: Content): PushedAnswer & Shown => {
    return { id: one.id, by: members.nameOf(one.by), atMs: one.atMs, ...content(one) };
  };
  return {
    good: good && shown(good),
    before: before && shown(before),
    candidate: candidate && { ...shown(candidate), ...trialOf(candidate, (peer) => members.nameOf(peer)) },
    ended,
  };
}

function trialOf(trial: Trial & HowTried, nameOf: (peer: string) => string): TrialAnswer {
  const { phase, canary, before = [], soakMs, sinceMs, reports } = trial;
  return {
    phase,
    canary: canary.map(nameOf),
    turn: turnOf(trial).map(nameOf),
    done: (phase === 'canary' ? [] : [...canary, ...before]).map(nameOf),
    soakMs,
    sinceMs,
    reports: reports.map(({ peer, ok, reason }) => ({ node: nameOf(peer), ok, reason })),
  };
}
