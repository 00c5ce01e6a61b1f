// One transaction runs every tool: journal the intent → apply → watch the condition → confirm, or undo. Pure: it says
// what to do next, and the journal is durable before anything that depends on it happens. At most once: after a crash
// an unknown outcome is watched, never repeated.
import { z } from 'zod';
import { decodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { ActuatorOutcome } from '../../swarm/ports/actuator.ts';
import type { BaseInput, Core, Effect, Instant } from '../../swarm/runtime/effects.ts';
import type { Plan } from '../decision/plan.ts';
import { type Snapshot, snapshotSchema, toolCallSchema, toolOf } from './tool.ts';

export const JOURNAL_PREFIX = 'journal/';
/** How often the condition is looked at. */
const CHECK_EVERY_MS = 250;
/** Transactions at a time. */
export const MAX_OPEN = 64;

export type Phase = 'intent' | 'applied' | 'undoing' | 'confirmed' | 'undone' | 'failed';
const OPEN_PHASES: ReadonlySet<Phase> = new Set(['intent', 'applied', 'undoing']);

export interface JournalEntry {
  plan: Plan;
  before: Snapshot;
  phase: Phase;
  /** Wall clock of the intent. */
  atMs: number;
  reason: string;
}

const entrySchema = z.strictObject({
  plan: z.strictObject({
    id: z.string(),
    incident: z.string(),
    call: toolCallSchema,
    tier: z.enum(['reactive', 'operational', 'tactical', 'strategic', 'operator']),
    reason: z.string(),
  }),
  before: snapshotSchema,
  phase: z.enum(['intent', 'applied', 'undoing', 'confirmed', 'undone', 'failed']),
  atMs: z.number().int(),
  reason: z.string(),
});

export function decodeJournalEntry(bytes: Uint8Array): JournalEntry | undefined {
  const parsed = entrySchema.safeParse(decodeCbor(bytes));
  return parsed.success ? parsed.data : undefined;
}

export function isOpen(entry: JournalEntry): boolean {
  return OPEN_PHASES.has(entry.phase);
}

export type TransactionInput =
  | { kind: 'begin'; plan: Plan; before: Snapshot }
  /** An entry that a crash left open. */
  | { kind: 'recover'; entry: JournalEntry }
  | { kind: 'applied'; id: string; outcome: ActuatorOutcome }
  | { kind: 'checked'; id: string; holds: boolean; detail: string }
  | { kind: 'undone'; id: string; outcome: ActuatorOutcome | undefined };

export type TransactionNotice =
  | { kind: 'apply' | 'check' | 'undo'; entry: JournalEntry }
  | { kind: 'finished'; entry: JournalEntry; tookMs: number };

interface Running {
  entry: JournalEntry;
  startedMs: number;
  /** Monotonic ms since when the condition has held without a break. */
  heldSinceMs: number | undefined;
  deadlineMs: number;
  detail: string;
}

type TimerId = `check ${string}` | `timeout ${string}`;
type Effects = Effect<never, TransactionNotice, TimerId>[];

export class Transactions implements Core<TransactionInput, never, TransactionNotice, TimerId> {
  readonly #running = new Map<string, Running>();

  step(input: TransactionInput | BaseInput<never, TimerId>, now: Instant): Effects {
    switch (input.kind) {
      case 'begin':
        return this.#begin({ plan: input.plan, before: input.before, phase: 'intent', atMs: now.wallMs, reason: '' }, now);
      case 'recover':
        return this.#recover(input.entry, now);
      case 'applied':
        return this.#applied(input.id, input.outcome, now);
      case 'checked':
        return this.#checked(input.id, input.holds, input.detail, now);
      case 'undone':
        return this.#undone(input.id, input.outcome, now);
      case 'timer':
        return this.#timer(input.id, now);
      case 'message':
        return [];
    }
  }

  #begin(entry: JournalEntry, now: Instant): Effects {
    const { id, call } = entry.plan;
    if (this.#running.has(id) || this.#running.size >= MAX_OPEN) return [];
    const { timeoutMs } = toolOf(call);
    this.#running.set(id, {
      entry,
      startedMs: now.monotonicMs,
      heldSinceMs: undefined,
      deadlineMs: now.monotonicMs + timeoutMs,
      detail: '',
    });
    return [persist(entry), { kind: 'timer', id: `timeout ${id}`, afterMs: timeoutMs }, notice('apply', entry)];
  }

  /** Whether it was applied is not known: watch for its effect, and undo where that does not show. */
  #recover(entry: JournalEntry, now: Instant): Effects {
    const { id, call } = entry.plan;
    if (this.#running.has(id)) return [];
    const { windowMs } = toolOf(call).verification;
    this.#running.set(id, {
      entry,
      startedMs: now.monotonicMs,
      heldSinceMs: undefined,
      deadlineMs: now.monotonicMs + windowMs,
      detail: 'after a crash',
    });
    if (entry.phase === 'undoing') return [notice('undo', entry)];
    return [notice('check', entry)];
  }

  #applied(id: string, outcome: ActuatorOutcome, now: Instant): Effects {
    const running = this.#running.get(id);
    if (running?.entry.phase !== 'intent') return [];
    if (!outcome.ok) return this.#startUndo(running, `not applied: ${outcome.message}`);
    running.entry = { ...running.entry, phase: 'applied' };
    running.deadlineMs = now.monotonicMs + toolOf(running.entry.plan.call).verification.windowMs;
    return [{ kind: 'cancel', id: `timeout ${id}` }, persist(running.entry), notice('check', running.entry)];
  }

  #checked(id: string, holds: boolean, detail: string, now: Instant): Effects {
    const running = this.#running.get(id);
    if (running === undefined || running.entry.phase === 'undoing') return [];
    running.detail = detail;
    running.heldSinceMs = holds ? (running.heldSinceMs ?? now.monotonicMs) : undefined;
    const { stableMs } = toolOf(running.entry.plan.call).verification;
    if (running.heldSinceMs !== undefined && now.monotonicMs - running.heldSinceMs >= stableMs)
      return this.#finish(running, 'confirmed', detail, now);
    if (now.monotonicMs >= running.deadlineMs) return this.#startUndo(running, `did not help: ${detail}`);
    return [{ kind: 'timer', id: `check ${id}`, afterMs: CHECK_EVERY_MS }];
  }

  #timer(timer: TimerId, now: Instant): Effects {
    const [kind, id = ''] = timer.split(' ');
    const running = this.#running.get(id);
    if (running === undefined || running.entry.phase === 'undoing') return [];
    if (kind === 'check') return [notice('check', running.entry)];
    // The primitive did not come back: its outcome is unknown, so it is watched, not repeated.
    running.entry = { ...running.entry, phase: 'applied' };
    running.deadlineMs = now.monotonicMs + toolOf(running.entry.plan.call).verification.windowMs;
    return [persist(running.entry), notice('check', running.entry)];
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

  /** @param outcome undefined where the call has no inverse. */
  #undone(id: string, outcome: ActuatorOutcome | undefined, now: Instant): Effects {
    const running = this.#running.get(id);
    if (running?.entry.phase !== 'undoing') return [];
    const { reason } = running.entry;
    if (outcome === undefined) return this.#finish(running, 'failed', `${reason}; it has no inverse`, now);
    return outcome.ok
      ? this.#finish(running, 'undone', reason, now)
      : this.#finish(running, 'failed', `${reason}; the undo failed too: ${outcome.message}`, now);
  }

  #finish(running: Running, phase: Phase, reason: string, now: Instant): Effects {
    const { id } = running.entry.plan;
    const entry: JournalEntry = { ...running.entry, phase, reason };
    this.#running.delete(id);
    return [
      { kind: 'cancel', id: `timeout ${id}` },
      { kind: 'cancel', id: `check ${id}` },
      persist(entry),
      { kind: 'notice', notice: { kind: 'finished', entry, tookMs: Math.round(now.monotonicMs - running.startedMs) } },
    ];
  }
}

function persist(entry: JournalEntry): Effects[number] {
  return { kind: 'persist', key: `${JOURNAL_PREFIX}${entry.plan.id}`, value: entry };
}

function notice(kind: 'apply' | 'check' | 'undo', entry: JournalEntry): Effects[number] {
  return { kind: 'notice', notice: { kind, entry } };
}
