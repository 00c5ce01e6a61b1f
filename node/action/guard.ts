// The brakes before a transaction: kill switch, schema, risk class, maintenance window, the tool's precondition, its rate on the target,
// storms, and the mode. A person at the command line is exempt from the mode and from R2 only. A certificate of witnesses with a lease is
// exempt from R2 only.
import { counted } from '../../swarm/words.ts';
import type { ToolCall } from '../tool-call.ts';
import type { ChangeTool, RiskClass, Snapshot } from './tool.ts';
import { changeToolOf } from './tools.ts';

/** `observe` only proposes, `advise` asks first, `act` makes reversible changes by itself. */
export const MODES = ['observe', 'advise', 'act'] as const;
export type Mode = (typeof MODES)[number];

/** `certified`: of a policy; witnesses and the committee allow exactly this change. */
export type Authority = 'policy' | 'certified' | 'operator' | 'operators';

/** `operators`: two of them have signed exactly this change. */
export const isPerson = (authority: Authority): boolean => authority === 'operator' || authority === 'operators';

export type GuardVerdict =
  | { kind: 'go' }
  /** A person must approve it first. */
  | { kind: 'ask' }
  /** Shown, not done: the mode allows no actions. */
  | { kind: 'shown'; reason: string }
  /** `later`: only the moment is wrong. `final`: a person rejected it. */
  | { kind: 'refused'; reason: string; later?: boolean; final?: boolean }
  /** A rate limit or budget is used up: escalated to a person. */
  | { kind: 'escalate'; reason: string };

const MAX_TARGETS = 1_024;
/** The largest budget. */
const MAX_SPENT = 500;
/** So many changes by policies in so short a time are a storm: something is wrong that repairs do not fix. */
export const STORM_CHANGES = 12;
export const STORM_WITHIN_MS = 120_000;
/** After a storm policies pause for this long. */
export const STORM_PAUSE_MS = 300_000;

const OBSERVES = 'mode is observe: start with --mode act to let KALOS repair';
const haltedReason = (why: string): string => `actions are halted (${why}): kalos resume allows them again`;

/** The class that counts: for a critical service every change is disruptive. */
export function riskOf(tool: ChangeTool, call: ToolCall, before: Snapshot): RiskClass {
  const risk = tool.risk(call);
  return risk === 'R1' && before.critical === 1 ? 'R2' : risk;
}

export interface GuardQuestion {
  call: ToolCall;
  before: Snapshot;
  authority: Authority;
  nowMs: number;
  /** Why policies must not act now (a maintenance window); undefined while they may. */
  maintenance: string | undefined;
  /** A grant lets policies do this without asking, if it is reversible. */
  granted?: boolean;
}

/** How many changes policies may make within a time, and why. */
export interface Ceiling {
  changes: number;
  withinMs: number;
  reason: string;
}

export class Guard {
  /** Can change at run time. */
  mode: Mode;
  readonly #uses = new Map<string, { withinMs: number; atMs: number[] }>();
  #changes: number[] = [];
  /** When policies changed something, the newest last. */
  #spent: number[] = [];
  readonly #budget: () => Ceiling | undefined;
  #stormUntilMs = Number.NEGATIVE_INFINITY;
  /** Why actions are halted; undefined while they are not. */
  halted: string | undefined;

  constructor(mode: Mode, budget: () => Ceiling | undefined = () => undefined) {
    this.mode = mode;
    this.#budget = budget;
  }

  /** Checks a call whose arguments fit its tool's schema; counts nothing. */
  judge(question: GuardQuestion): GuardVerdict {
    const { call, before, authority, nowMs } = question;
    if (this.halted !== undefined) return { kind: 'refused', reason: haltedReason(this.halted) };
    const tool = changeToolOf(call);
    const risk = riskOf(tool, call, before);
    if (risk === 'R3' && authority !== 'operators')
      return { kind: 'refused', reason: 'R3 is irreversible and needs two operators (kalos change draft)' };
    const refusal = tool.refusal?.(call, before);
    if (refusal !== undefined) return { kind: 'refused', reason: refusal };
    const limited = this.#rateLimited(call, nowMs);
    if (limited !== undefined) return limited;
    return isPerson(authority) ? { kind: 'go' } : this.#judgePolicy(question, risk);
  }

  /**
   * Checks the brakes that count changes again, just before a change is counted: many may have been checked before the first was counted.
   * Undefined if the change may be made.
   */
  brake(call: ToolCall, authority: Authority, nowMs: number): GuardVerdict | undefined {
    return this.#rateLimited(call, nowMs) ?? (isPerson(authority) ? undefined : (this.#storm(nowMs) ?? this.#overspent(nowMs)));
  }

  /** The brake that keeps policies from a call now; undefined if there is none. Counts nothing. */
  standing(call: ToolCall, nowMs: number): string | undefined {
    if (this.halted !== undefined) return haltedReason(this.halted);
    if (this.mode === 'observe') return OBSERVES;
    const braked = this.#rateLimited(call, nowMs) ?? this.#storm(nowMs) ?? this.#overspent(nowMs);
    return braked?.kind === 'escalate' ? braked.reason : undefined;
  }

  #rateLimited(call: ToolCall, nowMs: number): GuardVerdict | undefined {
    const tool = changeToolOf(call);
    const { uses, withinMs } = tool.rate;
    if (this.#isFull(keyOf(call), nowMs))
      return { kind: 'escalate', reason: `${MAX_TARGETS} targets changed recently: the rate limit is full` };
    if (this.#recent(call, nowMs).length < uses) return undefined;
    const reason = `rate limit: ${tool.name} ran ${counted(uses, 'time')} on ${tool.target(call)} in ${counted(withinMs / 60_000, 'minute')}`;
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
    const text = `the budget allows policies ${counted(changes, 'change')} here in ${counted(withinMs / 60_000, 'minute')}: ${reason} (kalos budget list)`;
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

  /** Counts a use: the change is about to be made. */
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

  /** Uses that still count are never dropped for new ones: else changes on many other targets would reset a target's rate. */
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
