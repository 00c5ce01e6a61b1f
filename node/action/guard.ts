// The brakes before a transaction: kill switch, schema, risk class, the tool's own precondition, its rate on the target,
// and the mode. A person at the command line passes the mode, and nothing else.
import type { ServiceSample } from '../../swarm/ports/actuator.ts';
import type { ToolCall } from '../decision/plan.ts';
import { toolCallSchema, toolOf } from './tool.ts';

/** `observe` decides and shows, `advise` asks, `act` does what is reversible by itself. */
export const MODES = ['observe', 'advise', 'act'] as const;
export type Mode = (typeof MODES)[number];

export type Authority = 'policy' | 'operator';

export type GuardVerdict =
  | { kind: 'go' }
  /** A person must approve it first. */
  | { kind: 'ask' }
  /** Shown, not done: the mode allows no acting. */
  | { kind: 'shown'; reason: string }
  | { kind: 'refused'; reason: string }
  /** Tried often enough: a person must look. */
  | { kind: 'escalate'; reason: string };

const MAX_TARGETS = 1_024;

export class Guard {
  readonly #mode: Mode;
  readonly #uses = new Map<string, number[]>();
  /** Why nothing may be done at all; undefined while acting is not halted. */
  halted: string | undefined;

  constructor(mode: Mode) {
    this.#mode = mode;
  }

  /** Judges a call; counts nothing. */
  judge(call: ToolCall, service: ServiceSample | undefined, authority: Authority, nowMs: number): GuardVerdict {
    if (this.halted !== undefined)
      return { kind: 'refused', reason: `acting is halted (${this.halted}): kalos resume allows it again` };
    const parsed = toolCallSchema.safeParse(call);
    if (!parsed.success) return { kind: 'refused', reason: `arguments: ${parsed.error.issues[0]?.message ?? 'invalid'}` };
    const tool = toolOf(call);
    const risk = tool.risk(call);
    if (risk !== 'R0' && risk !== 'R1')
      return { kind: 'refused', reason: `${risk} needs authority that this version cannot check` };
    const refusal = tool.refusal(call, service);
    if (refusal !== undefined) return { kind: 'refused', reason: refusal };
    const { uses, withinMs } = tool.rate;
    if (this.#recent(call, nowMs).length >= uses) {
      return {
        kind: 'escalate',
        reason: `${tool.name} was used ${uses} times on ${call.service} in ${withinMs / 60_000} minutes`,
      };
    }
    if (authority === 'operator' || this.#mode === 'act') return { kind: 'go' };
    return this.#mode === 'advise'
      ? { kind: 'ask' }
      : { kind: 'shown', reason: 'mode is observe: start with --mode act to let KALOS repair' };
  }

  /** Counts a use: what was admitted is about to be done. */
  use(call: ToolCall, nowMs: number): void {
    const key = keyOf(call);
    this.#uses.set(key, [...this.#recent(call, nowMs), nowMs]);
    if (this.#uses.size > MAX_TARGETS) this.#uses.delete(this.#uses.keys().next().value ?? '');
  }

  #recent(call: ToolCall, nowMs: number): number[] {
    const { withinMs } = toolOf(call).rate;
    return (this.#uses.get(keyOf(call)) ?? []).filter((ms) => nowMs - ms < withinMs);
  }
}

function keyOf(call: ToolCall): string {
  return `${call.tool} ${call.service}`;
}
