// The brakes before a transaction: kill switch, schema, risk class, maintenance window, the tool's own precondition, its
// rate on the target, storms, and the mode. A person at the command line passes the mode and R2, and nothing else; a certificate of
// witnesses with a lease passes R2, and nothing else.
import { counted } from '../../swarm/words.ts';
import type { ToolCall } from '../tool-call.ts';
import type { ChangeTool, RiskClass, Snapshot } from './tool.ts';
import { changeToolOf } from './tools.ts';

/** `observe` decides and shows, `advise` asks, `act` does what is reversible by itself. */
export const MODES = ['observe', 'advise', 'act'] as const;
export type Mode = (typeof MODES)[number];

/** `certified`: a policy's, and witnesses and the swarm's order allow just this. */
export type Authority = 'policy' | 'certified' | 'operator' | 'operators';

/** `operators`: two of them have signed just this. */
export const isPerson = (authority: Authority): boolean => authority === 'operator' || authority === 'operators';

export type GuardVerdict =
  | { kind: 'go' }
  /** A person must approve it first. */
  | { kind: 'ask' }
  /** Shown, not done: the mode allows no acting. */
  | { kind: 'shown'; reason: string }
  /** `later`: nothing is wrong with it but the moment. `final`: a person has said no. */
  | { kind: 'refused'; reason: string; later?: boolean; final?: boolean }
  /** Tried often enough: a person must look. */
  | { kind: 'escalate'; reason: string };

const MAX_TARGETS = 1_024;
/** As many as a budget allows. */
const MAX_SPENT = 500;
/** So many changes by policies in so short a time are a storm: something is wrong that repairs do not mend. */
export const STORM_CHANGES = 12;
export const STORM_WITHIN_MS = 120_000;
/** A storm is over once policies have kept still for this long. */
export const STORM_PAUSE_MS = 300_000;

const OBSERVES = 'mode is observe: start with --mode act to let KALOS repair';
const haltedReason = (why: string): string => `acting is halted (${why}): kalos resume allows it again`;

/** The class that decides: of a critical service every change is disruptive. */
export function riskOf(tool: ChangeTool, call: ToolCall, before: Snapshot): RiskClass {
  const risk = tool.risk(call);
  return risk === 'R1' && before.critical === 1 ? 'R2' : risk;
}

export interface GuardQuestion {
  call: ToolCall;
  before: Snapshot;
  authority: Authority;
  nowMs: number;
  /** Why policies must keep still now (a maintenance window); undefined while they may act. */
  maintenance: string | undefined;
  /** The swarm lets policies do this, where it is reversible, though the mode is to ask. */
  granted?: boolean;
}

/** How many changes policies may make in a while, as somebody has said. */
export interface Ceiling {
  changes: number;
  withinMs: number;
  reason: string;
}

export class Guard {
  /** May be changed while it runs. */
  mode: Mode;
  readonly #uses = new Map<string, { withinMs: number; atMs: number[] }>();
  #changes: number[] = [];
  /** When policies changed something, the newest last. */
  #spent: number[] = [];
  readonly #budget: () => Ceiling | undefined;
  #stormUntilMs = Number.NEGATIVE_INFINITY;
  /** Why nothing may be done at all; undefined while acting is not halted. */
  halted: string | undefined;

  constructor(mode: Mode, budget: () => Ceiling | undefined = () => undefined) {
    this.mode = mode;
    this.#budget = budget;
  }

  /** Judges a call whose arguments fit its tool's schema; counts nothing. */
  judge(question: GuardQuestion): GuardVerdict {
    const { call, before, authority, nowMs } = question;
    if (this.halted !== undefined) return { kind: 'refused', reason: haltedReason(this.halted) };
    const tool = changeToolOf(call);
    const risk = riskOf(tool, call, before);
    if (risk === 'R3' && authority !== 'operators')
      return { kind: 'refused', reason: 'R3 cannot be taken back: it takes two operators (kalos change draft)' };
    const refusal = tool.refusal?.(call, before);
    if (refusal !== undefined) return { kind: 'refused', reason: refusal };
    const worn = this.#worn(call, nowMs);
    if (worn !== undefined) return worn;
    return isPerson(authority) ? { kind: 'go' } : this.#judgePolicy(question, risk);
  }

  /**
   * The brakes that count what was done, once more and at once: many may have been judged before the first of them was counted.
   * Undefined where it may go on, and be counted.
   */
  brake(call: ToolCall, authority: Authority, nowMs: number): GuardVerdict | undefined {
    return this.#worn(call, nowMs) ?? (isPerson(authority) ? undefined : (this.#storm(nowMs) ?? this.#overspent(nowMs)));
  }

  /** The brake that keeps policies from a call now; undefined if there is none. Counts nothing. */
  standing(call: ToolCall, nowMs: number): string | undefined {
    if (this.halted !== undefined) return haltedReason(this.halted);
    if (this.mode === 'observe') return OBSERVES;
    const braked = this.#worn(call, nowMs) ?? this.#storm(nowMs) ?? this.#overspent(nowMs);
    return braked?.kind === 'escalate' ? braked.reason : undefined;
  }

  #worn(call: ToolCall, nowMs: number): GuardVerdict | undefined {
    const tool = changeToolOf(call);
    const { uses, withinMs } = tool.rate;
    if (this.#isFull(keyOf(call), nowMs))
      return { kind: 'escalate', reason: `${MAX_TARGETS} targets were changed of late: more cannot be counted` };
    if (this.#recent(call, nowMs).length < uses) return undefined;
    const reason = `${tool.name} was used ${counted(uses, 'time')} on ${tool.target(call)} in ${counted(withinMs / 60_000, 'minute')}`;
    return { kind: 'escalate', reason };
  }

  #storm(nowMs: number): GuardVerdict | undefined {
    if (nowMs >= this.#stormUntilMs) return undefined;
    return { kind: 'escalate', reason: `${STORM_CHANGES} changes in ${STORM_WITHIN_MS / 60_000} minutes: policies pause` };
  }

  #overspent(nowMs: number): GuardVerdict | undefined {
    const budget = this.#budget();
    if (budget === undefined) return undefined;
    const { changes, withinMs, reason } = budget;
    if (this.#spent.filter((ms) => nowMs - ms < withinMs).length < changes) return undefined;
    const text = `the swarm lets policies make ${counted(changes, 'change')} here in ${counted(withinMs / 60_000, 'minute')}: ${reason} (kalos budget list)`;
    return { kind: 'escalate', reason: text };
  }

  #judgePolicy({ maintenance, nowMs, authority, granted }: GuardQuestion, risk: RiskClass): GuardVerdict {
    if (maintenance !== undefined) return { kind: 'refused', reason: maintenance };
    const braked = this.#storm(nowMs) ?? this.#overspent(nowMs);
    if (braked !== undefined) return braked;
    if (this.mode === 'observe') return { kind: 'shown', reason: OBSERVES };
    const isAllowed = risk === 'R1' || (risk === 'R2' && authority === 'certified');
    const isGranted = granted === true && risk === 'R1';
    return (this.mode === 'act' && isAllowed) || isGranted ? { kind: 'go' } : { kind: 'ask' };
  }

  /** Counts a use: what was admitted is about to be done. */
  use(call: ToolCall, authority: Authority, nowMs: number): void {
    const { withinMs } = changeToolOf(call).rate;
    this.#uses.set(keyOf(call), { withinMs, atMs: [...this.#recent(call, nowMs), nowMs] });
    if (isPerson(authority)) return;
    this.#spent = [...this.#spent.slice(1 - MAX_SPENT), nowMs];
    this.#changes = [...this.#changes.filter((ms) => nowMs - ms < STORM_WITHIN_MS), nowMs];
    if (this.#changes.length >= STORM_CHANGES) this.#stormUntilMs = nowMs + STORM_PAUSE_MS;
  }

  #recent(call: ToolCall, nowMs: number): number[] {
    const { withinMs } = changeToolOf(call).rate;
    return this.#uses.get(keyOf(call))?.atMs.filter((ms) => nowMs - ms < withinMs) ?? [];
  }

  /** What counts still is never forgotten for what comes after: else enough other targets would make one's rate good again. */
  #isFull(key: string, nowMs: number): boolean {
    if (this.#uses.size < MAX_TARGETS || this.#uses.has(key)) return false;
    for (const [old, { withinMs, atMs }] of [...this.#uses])
      if (nowMs - (atMs.at(-1) ?? Number.NEGATIVE_INFINITY) >= withinMs) this.#uses.delete(old);
    return this.#uses.size >= MAX_TARGETS;
  }
}

function keyOf(call: ToolCall): string {
  return `${call.tool} ${changeToolOf(call).target(call)}`;
}
