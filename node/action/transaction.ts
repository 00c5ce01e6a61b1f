// One transaction runs every change: journal the intent → arm the undo → apply → check the conditions → confirm, or undo.
// Pure: it returns the next effect, and the journal is durable before anything that depends on it happens. At most once:
// after a crash or a lost answer the actuator is asked for the change's state; nothing is repeated.
import { z } from 'zod';
import { decodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { BaseInput, Core, Effect, Instant } from '../../swarm/runtime/effects.ts';
import type { Plan } from '../decision/plan.ts';
import type { ActuatorOutcome, ChangeStatus, Step } from '../ports/actuator.ts';
import type { ToolCall } from '../tool-call.ts';
import { stepsFor } from './authorization.ts';
import { type Snapshot, snapshotSchema } from './tool.ts';
import { CHANGE_TOOLS, changeToolOf } from './tools.ts';

export const JOURNAL_PREFIX = 'journal/';
/** How often the conditions are checked. */
export const CHECK_EVERY_MS = 250;
/** Transactions at a time. */
export const MAX_OPEN = 64;
/** How much later than the agent's deadlines the armed undo fires: the agent decides first. */
const UNDO_MARGIN_MS = 15_000;
const MAX_FIRE_MS = 600_000;

export type Phase = 'intent' | 'applied' | 'confirming' | 'undoing' | 'confirmed' | 'undone' | 'failed';
const OPEN_PHASES: ReadonlySet<Phase> = new Set(['intent', 'applied', 'confirming', 'undoing']);

const NOTHING_DONE = 'nothing was done';

/** The actuator refused it: whether it would have helped is unknown. */
export const wasRefused = ({ phase, reason }: JournalEntry): boolean => phase === 'failed' && reason.includes(NOTHING_DONE);

export interface JournalEntry {
  plan: Plan;
  /** The state of each call's target. */
  before: readonly Snapshot[];
  phase: Phase;
  /** Wall clock of the intent. */
  atMs: number;
  /** Since the boot: gives its age even if the wall clock was set since. Older versions wrote none. */
  monotonicMs?: number | undefined;
  reason: string;
}

const argument = z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]);
const call = z.looseObject({ tool: z.string() }).and(z.record(z.string(), argument));
const plan = {
  id: z.string(),
  incident: z.string(),
  tier: z.enum(['reactive', 'operational', 'tactical', 'strategic', 'operator']),
  reason: z.string(),
};
const entry = {
  phase: z.enum(['intent', 'applied', 'confirming', 'undoing', 'confirmed', 'undone', 'failed']),
  atMs: z.number(),
  monotonicMs: z.number().optional(),
  reason: z.string(),
};
const entrySchema = z.union([
  z.strictObject({ ...entry, plan: z.strictObject({ ...plan, calls: z.array(call).min(1) }), before: z.array(snapshotSchema) }),
  // As written before a plan could have several calls.
  z
    .strictObject({ ...entry, plan: z.strictObject({ ...plan, call }), before: snapshotSchema })
    .transform(({ plan: { call: only, ...rest }, before, ...others }) => ({
      ...others,
      plan: { ...rest, calls: [only] },
      before: [before],
    })),
]);

/** Undefined if it cannot be read, or is of a tool that this version does not have: the actuator undoes what that left open. */
export function decodeJournalEntry(bytes: Uint8Array): JournalEntry | undefined {
  const parsed = entrySchema.safeParse(decodeCbor(bytes));
  if (!parsed.success) return undefined;
  const read = parsed.data as JournalEntry;
  return read.plan.calls.every(({ tool }) => CHANGE_TOOLS.some(({ name }) => name === tool)) ? read : undefined;
}

export function isOpen({ phase }: JournalEntry): boolean {
  return OPEN_PHASES.has(phase);
}

/** All steps of a plan, in order. */
export const stepsOf = ({ plan: { calls }, before }: JournalEntry): Step[] => stepsFor(calls, before);

/** The key of the first step of the plan's `index`-th call: its backups are archived under it. */
export function keyOf(entry: JournalEntry, index: number): string {
  const earlier = stepsFor(entry.plan.calls.slice(0, index), entry.before);
  return `${entry.plan.id}-${earlier.length}`;
}

/** The calls that undo what was confirmed, the last first; or the name of a tool that has no inverse. */
export function inverseOf(entry: JournalEntry): { ok: true; calls: ToolCall[] } | { ok: false; tool: string } {
  const inverses: ToolCall[] = [];
  for (const [i, call] of [...entry.plan.calls.entries()].reverse()) {
    const inverse = changeToolOf(call).inverse(call, entry.before[i] ?? {}, keyOf(entry, i));
    if (inverse === undefined) return { ok: false, tool: call.tool };
    inverses.push(inverse);
  }
  return { ok: true, calls: inverses };
}

/** The combined limits of a plan's tools. */
function limitsOf({ plan: { calls } }: JournalEntry) {
  const tools = calls.map(changeToolOf);
  const windows = tools.map(({ verification }) => verification.windowMs);
  const windowMs = windows.at(-1) ?? 0;
  return {
    // Each call waits for the effect of the one before it.
    timeoutMs: tools.reduce((sum, tool) => sum + tool.timeoutMs, 0) + windows.reduce((sum, one) => sum + one, -windowMs),
    windowMs,
    stableMs: Math.max(...tools.map(({ verification }) => verification.stableMs)),
  };
}

export function fireAfterMs(entry: JournalEntry): number {
  const { timeoutMs, windowMs } = limitsOf(entry);
  return Math.min(MAX_FIRE_MS, timeoutMs + windowMs + UNDO_MARGIN_MS);
}

export type TransactionInput =
  | { kind: 'begin'; plan: Plan; before: readonly Snapshot[] }
  /** An entry that a crash left open. */
  | { kind: 'recover'; entry: JournalEntry }
  /** Undefined if the actuator did not answer. */
  | { kind: 'found'; id: string; status: ChangeStatus | undefined }
  | { kind: 'applied'; id: string; outcome: ActuatorOutcome }
  /** `isFinal`: it is not true, and waiting will not change that. */
  | { kind: 'checked'; id: string; holds: boolean; detail: string; isFinal?: boolean | undefined }
  | { kind: 'confirmed'; id: string; outcome: ActuatorOutcome }
  | { kind: 'undone'; id: string; outcome: ActuatorOutcome };

export type TransactionNotice =
  /** `apply`: arm, then every step. `find`: ask the actuator for the change's state. */
  | { kind: 'apply' | 'find' | 'check' | 'confirm' | 'undo'; entry: JournalEntry }
  | { kind: 'finished'; entry: JournalEntry; tookMs: number };

interface Running {
  entry: JournalEntry;
  startedMs: number;
  /** Since when the conditions have been true without a break, monotonic. */
  heldSinceMs: number | undefined;
  deadlineMs: number;
}

type TimerId = `check ${string}` | `timeout ${string}` | `find ${string}`;
type Effects = Effect<never, TransactionNotice, TimerId>[];

export class Transactions implements Core<TransactionInput, never, TransactionNotice, TimerId> {
  readonly #running = new Map<string, Running>();

  step(input: TransactionInput | BaseInput<never, TimerId>, now: Instant): Effects {
    switch (input.kind) {
      case 'begin':
        return this.#begin(
          {
            plan: input.plan,
            before: input.before,
            phase: 'intent',
            atMs: now.wallMs,
            monotonicMs: now.monotonicMs,
            reason: '',
          },
          now,
        );
      case 'recover':
        return this.#recover(input.entry, now);
      case 'found':
        return this.#found(input.id, input.status, now);
      case 'applied':
        return this.#applied(input.id, input.outcome, now);
      case 'checked':
        return this.#checked(input, now);
      case 'confirmed':
        return this.#confirmed(input.id, input.outcome, now);
      case 'undone':
        return this.#undone(input.id, input.outcome, now);
      case 'timer':
        return this.#timer(input.id, now);
      case 'message':
        return [];
    }
  }

  #begin(entry: JournalEntry, now: Instant): Effects {
    const { id } = entry.plan;
    if (this.#running.has(id) || this.#running.size >= MAX_OPEN) return [];
    const { timeoutMs } = limitsOf(entry);
    const nowMs = now.monotonicMs;
    this.#running.set(id, { entry, startedMs: nowMs, heldSinceMs: undefined, deadlineMs: nowMs + timeoutMs });
    return [persist(entry), { kind: 'timer', id: `timeout ${id}`, afterMs: timeoutMs }, notice('apply', entry)];
  }

  #recover(entry: JournalEntry, now: Instant): Effects {
    const { id } = entry.plan;
    if (this.#running.has(id)) return [];
    const nowMs = now.monotonicMs;
    this.#running.set(id, { entry, startedMs: nowMs, heldSinceMs: undefined, deadlineMs: nowMs });
    return [notice('find', entry)];
  }

  /** The actuator's state decides: it applied the steps. */
  #found(id: string, status: ChangeStatus | undefined, now: Instant): Effects {
    const running = this.#running.get(id);
    if (running === undefined) return [];
    if (status === undefined) return [{ kind: 'timer', id: `find ${id}`, afterMs: CHECK_EVERY_MS }];
    const { entry } = running;
    switch (status.state) {
      case 'unknown':
        return this.#finish(running, 'failed', `${NOTHING_DONE}: the undo was not armed`, now);
      case 'confirmed':
        return this.#finish(running, 'confirmed', entry.reason === '' ? 'confirmed' : entry.reason, now);
      case 'undone':
        return this.#finishUndone(running, status.reason, now);
      case 'failed':
        return this.#finish(running, 'failed', status.reason, now);
      case 'armed':
        if (entry.phase === 'undoing' || status.begun < stepsOf(entry).length)
          return this.#startUndo(running, entry.reason === '' ? 'the change was interrupted' : entry.reason);
        return this.#watch(running, now);
    }
  }

  #watch(running: Running, now: Instant): Effects {
    running.entry = { ...running.entry, phase: 'applied' };
    running.deadlineMs = now.monotonicMs + limitsOf(running.entry).windowMs;
    return [{ kind: 'cancel', id: `timeout ${running.entry.plan.id}` }, persist(running.entry), notice('check', running.entry)];
  }

  #applied(id: string, outcome: ActuatorOutcome, now: Instant): Effects {
    const running = this.#running.get(id);
    if (running?.entry.phase !== 'intent') return [];
    if (outcome.ok) return this.#watch(running, now);
    // Without an answer it may have been done.
    if (outcome.code === 'unknown') return [notice('find', running.entry)];
    return this.#startUndo(running, `not applied: ${outcome.message}`);
  }

  #checked({ id, holds, detail, isFinal }: Extract<TransactionInput, { kind: 'checked' }>, now: Instant): Effects {
    const running = this.#running.get(id);
    if (running?.entry.phase !== 'applied') return [];
    running.heldSinceMs = holds ? (running.heldSinceMs ?? now.monotonicMs) : undefined;
    const { stableMs } = limitsOf(running.entry);
    if (running.heldSinceMs !== undefined && now.monotonicMs - running.heldSinceMs >= stableMs) {
      running.entry = { ...running.entry, phase: 'confirming', reason: detail };
      return [persist(running.entry), notice('confirm', running.entry)];
    }
    if ((!holds && isFinal === true) || now.monotonicMs >= running.deadlineMs)
      return this.#startUndo(running, `did not help: ${detail}`);
    return [{ kind: 'timer', id: `check ${id}`, afterMs: CHECK_EVERY_MS }];
  }

  #confirmed(id: string, outcome: ActuatorOutcome, now: Instant): Effects {
    const running = this.#running.get(id);
    if (running?.entry.phase !== 'confirming') return [];
    return outcome.ok ? this.#finish(running, 'confirmed', running.entry.reason, now) : [notice('find', running.entry)];
  }

  #timer(timer: TimerId, _now: Instant): Effects {
    const [kind, id = ''] = timer.split(' ');
    const running = this.#running.get(id);
    if (running === undefined) return [];
    if (kind === 'check') return running.entry.phase === 'applied' ? [notice('check', running.entry)] : [];
    // `timeout`: a primitive did not return. `find`: the actuator did not answer.
    return kind === 'find' || running.entry.phase === 'intent' ? [notice('find', running.entry)] : [];
  }

  #startUndo(running: Running, reason: string): Effects {
    running.entry = { ...running.entry, phase: 'undoing', reason };
    const { id } = running.entry.plan;
    return [
      { kind: 'cancel', id: `timeout ${id}` },
      { kind: 'cancel', id: `check ${id}` },
      persist(running.entry),
      notice('undo', running.entry),
    ];
  }

  #undone(id: string, outcome: ActuatorOutcome, now: Instant): Effects {
    const running = this.#running.get(id);
    if (running?.entry.phase !== 'undoing') return [];
    const { reason } = running.entry;
    if (outcome.ok) return this.#finishUndone(running, reason, now);
    if (outcome.code === 'unknown') return [{ kind: 'timer', id: `find ${id}`, afterMs: CHECK_EVERY_MS }];
    if (outcome.code === 'not-found') return this.#finish(running, 'failed', `${reason}; ${NOTHING_DONE}`, now);
    return this.#finish(running, 'failed', `${reason}; the undo failed too: ${outcome.message}`, now);
  }

  /** Undone only if every step has an undo. */
  #finishUndone(running: Running, reason: string, now: Instant): Effects {
    const whole = stepsOf(running.entry).every(({ undo }) => undo !== undefined);
    return this.#finish(running, whole ? 'undone' : 'failed', whole ? reason : `${reason}; the tool has no undo`, now);
  }

  #finish(running: Running, phase: Phase, reason: string, now: Instant): Effects {
    const { id } = running.entry.plan;
    const entry: JournalEntry = { ...running.entry, phase, reason };
    this.#running.delete(id);
    return [
      { kind: 'cancel', id: `timeout ${id}` },
      { kind: 'cancel', id: `check ${id}` },
      { kind: 'cancel', id: `find ${id}` },
      persist(entry),
      { kind: 'notice', notice: { kind: 'finished', entry, tookMs: Math.round(now.monotonicMs - running.startedMs) } },
    ];
  }
}

function persist(entry: JournalEntry): Effects[number] {
  return { kind: 'persist', key: `${JOURNAL_PREFIX}${entry.plan.id}`, value: entry };
}

function notice(kind: 'apply' | 'find' | 'check' | 'confirm' | 'undo', entry: JournalEntry): Effects[number] {
  return { kind: 'notice', notice: { kind, entry } };
}
