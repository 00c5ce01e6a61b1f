// The brakes before a transaction: mode, schema, risk class, the tool's own precondition, and its rate on the target.
import type { ServiceSample } from '../../swarm/ports/actuator.ts';
import type { ToolCall } from '../decision/plan.ts';
import { toolCallSchema, toolOf } from './tool.ts';

export type GuardVerdict =
  | { kind: 'go' }
  /** Shown, not done: the mode allows no acting. */
  | { kind: 'shown'; reason: string }
  | { kind: 'refused'; reason: string }
  /** Tried often enough: a person must look. */
  | { kind: 'escalate'; reason: string };

const MAX_TARGETS = 1_024;

export class Guard {
  readonly #mode: 'observe' | 'act';
  readonly #uses = new Map<string, number[]>();

  constructor(mode: 'observe' | 'act') {
    this.#mode = mode;
  }

  /** Judges a call, and counts it as a use where it may go. */
  admit(call: ToolCall, service: ServiceSample | undefined, nowMs: number): GuardVerdict {
    const parsed = toolCallSchema.safeParse(call);
    if (!parsed.success) return { kind: 'refused', reason: `arguments: ${parsed.error.issues[0]?.message ?? 'invalid'}` };
    const tool = toolOf(call);
    const risk = tool.risk(call);
    if (risk !== 'R0' && risk !== 'R1')
      return { kind: 'refused', reason: `${risk} needs authority that this version cannot check` };
    const refusal = tool.refusal(call, service);
    if (refusal !== undefined) return { kind: 'refused', reason: refusal };
    const key = `${call.tool} ${call.service}`;
    const recent = (this.#uses.get(key) ?? []).filter((ms) => nowMs - ms < tool.rate.withinMs);
    if (recent.length >= tool.rate.uses) {
      return {
        kind: 'escalate',
        reason: `${tool.name} was used ${recent.length} times on ${call.service} in ${tool.rate.withinMs / 60_000} minutes`,
      };
    }
    if (this.#mode === 'observe') return { kind: 'shown', reason: 'mode is observe: start with --mode act to let KALOS repair' };
    this.#uses.set(key, [...recent, nowMs]);
    if (this.#uses.size > MAX_TARGETS) this.#uses.delete(this.#uses.keys().next().value ?? '');
    return { kind: 'go' };
  }
}
