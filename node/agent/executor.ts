// The one way to a change on this machine, for policies and people alike: guard, approval where the mode asks for it,
// audit of the intent, transaction, audit of the outcome. It also holds the kill switch, which survives a restart.
import { z } from 'zod';
import { decodeCbor, encodeCbor, toHex } from '../../swarm/dissemination/cbor.ts';
import type { Timer } from '../../swarm/ports/clock.ts';
import type { Ports } from '../../swarm/ports/ports.ts';
import { CoreRuntime } from '../../swarm/runtime/core-runtime.ts';
import { type Authority, Guard, type GuardVerdict, type Mode } from '../action/guard.ts';
import { type Silence, type SilenceRequest, Silences } from '../action/silences.ts';
import { snapshotOf, toolCallSchema, toolOf } from '../action/tool.ts';
import {
  decodeJournalEntry,
  isOpen,
  JOURNAL_PREFIX,
  type JournalEntry,
  MAX_OPEN,
  type TransactionInput,
  type TransactionNotice,
  Transactions,
} from '../action/transaction.ts';
import type { AuditLog, AuditRecord } from '../audit/audit-log.ts';
import type { Plan, ToolCall } from '../decision/plan.ts';
import { verify } from '../verification/verify.ts';

/** How long a person has to approve what mode `advise` asks. */
const APPROVAL_MS = 600_000;
const MAX_APPROVALS = 64;
/** No more than the transaction core runs at a time. */
const MAX_AT_ONCE = MAX_OPEN;
/** Closed entries kept, for rollback; more may pile up before they are pruned. */
const KEPT_JOURNAL = 500;
const PRUNE_BEYOND = 1_000;
const MAX_JOURNAL = 10_000;
const HALT_KEY = 'control/halted';
const PLAN_ID_BYTES = 5;

const haltSchema = z.strictObject({ atMs: z.number(), reason: z.string() });

export interface ExecutorParts {
  ports: Ports;
  audit: AuditLog;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

/** Told while a plan is carried out. */
export interface Progress {
  /** A person is asked to approve; `diff` is what would change. */
  asked(diff: string[]): Promise<void>;
  intended(diff: string[], record: AuditRecord): Promise<void>;
}

export type Performed =
  | { kind: 'done'; entry: JournalEntry; record: AuditRecord }
  | { kind: 'held'; verdict: Exclude<GuardVerdict, { kind: 'go' | 'ask' }>; diff: string[] };

export interface Preview {
  call: ToolCall;
  risk: string;
  verdict: GuardVerdict;
  diff: string[];
  /** The call that would undo it; undefined where nothing does. */
  inverse: ToolCall | undefined;
}

export interface Approval {
  plan: Plan;
  diff: string[];
  expiresMs: number;
}

type Answer = 'approved' | 'rejected' | 'expired' | 'halted' | 'withdrawn';
type TimerId = `check ${string}` | `timeout ${string}`;

export class Executor {
  readonly #parts: ExecutorParts;
  readonly #guard: Guard;
  readonly #finished = new Map<string, (entry: JournalEntry) => void>();
  readonly silences: Silences;
  /** Services that an action is under way on: one at a time, or one's undo would undo the other. */
  readonly #busy = new Set<string>();
  #journalled = 0;
  readonly #approvals = new Map<string, Approval & { answer(answer: Answer): void; timer: Timer }>();
  readonly #transactions: CoreRuntime<TransactionInput, never, TransactionNotice, TimerId>;

  constructor(parts: ExecutorParts, mode: Mode) {
    this.#parts = parts;
    this.#guard = new Guard(mode);
    this.silences = new Silences(parts.ports.store);
    const { clock, store } = parts.ports;
    this.#transactions = new CoreRuntime<TransactionInput, never, TransactionNotice, TimerId>(new Transactions(), {
      clock,
      store,
      send: () => undefined,
      broadcast: () => undefined,
      notice: (notice) => this.#notice(notice),
      failed: parts.failed,
    });
  }

  /** Reads the kill switch, and how often each tool was used before: neither is forgotten by a restart. Before anything can act. */
  async open(): Promise<void> {
    const { store, clock } = this.#parts.ports;
    const bytes = await store.get(HALT_KEY);
    if (bytes !== undefined) {
      const halt = haltSchema.safeParse(decodeCbor(bytes));
      this.#guard.halted = halt.success ? halt.data.reason : 'the record of it cannot be read';
    }
    await this.silences.open();
    const entries = await this.#journal();
    for (const { plan, atMs } of entries) this.#guard.use(plan.call, clock.monotonicMs() - Math.max(0, clock.wallMs() - atMs));
    this.#journalled = entries.length;
    await this.#prune();
  }

  /** Takes up transactions that a crash left open: they are watched, or undone, never repeated. */
  async recover(): Promise<void> {
    for (const entry of await this.#journal()) if (isOpen(entry)) this.#transactions.post({ kind: 'recover', entry });
  }

  /** All entries, oldest first. */
  async #journal(): Promise<JournalEntry[]> {
    const stored = await this.#parts.ports.store.range(JOURNAL_PREFIX, { limit: MAX_JOURNAL });
    return stored.flatMap(([, bytes]) => decodeJournalEntry(bytes) ?? []).sort((a, b) => a.atMs - b.atMs);
  }

  /** Drops the oldest closed entries once there are too many; the audit keeps what they did. */
  async #prune(): Promise<void> {
    if (this.#journalled <= PRUNE_BEYOND) return;
    const closed = (await this.#journal()).filter((entry) => !isOpen(entry));
    const old = closed.slice(0, Math.max(0, closed.length - KEPT_JOURNAL));
    await this.#parts.ports.store.write(old.map(({ plan }) => ({ kind: 'delete', key: `${JOURNAL_PREFIX}${plan.id}` })));
    this.#journalled -= old.length;
  }

  stop(): void {
    this.#transactions.stop();
    for (const { timer } of this.#approvals.values()) timer.cancel();
  }

  // The kill switch

  get halted(): string | undefined {
    return this.#guard.halted;
  }

  /** From now on nothing is done, also after a restart; what waits for approval is dropped. */
  async halt(reason: string): Promise<void> {
    const { ports, audit } = this.#parts;
    this.#guard.halted = reason; // first: nothing may slip in while the disk is busy
    for (const { answer } of [...this.#approvals.values()]) answer('halted');
    await ports.store.write([{ kind: 'put', key: HALT_KEY, value: encodeCbor({ atMs: ports.clock.wallMs(), reason }) }]);
    await audit.append('control', ports.transport.self, `acting halted: ${reason}`);
    this.#parts.log('warn', `acting is halted: ${reason}`);
  }

  async resume(): Promise<void> {
    const { ports, audit } = this.#parts;
    await audit.append('control', ports.transport.self, 'acting resumed');
    await ports.store.write([{ kind: 'delete', key: HALT_KEY }]);
    this.#guard.halted = undefined;
    this.#parts.log('info', 'acting is allowed again');
  }

  // Silences

  async silence(request: SilenceRequest): Promise<Silence> {
    const { ports, audit } = this.#parts;
    const silence = await this.silences.add(`sil-${toHex(ports.random.bytes(PLAN_ID_BYTES))}`, request, ports.clock.wallMs());
    const what = [silence.policy ?? 'every policy', silence.target === undefined ? '' : `on ${silence.target}`].join(' ').trim();
    await audit.append('control', silence.id, `silenced ${what} for ${Math.round(request.forMs / 1000)} s: ${silence.reason}`);
    return silence;
  }

  /** False where there is none of that id. */
  async unsilence(id: string): Promise<boolean> {
    const removed = await this.silences.remove(id);
    if (removed) await this.#parts.audit.append('control', id, 'the silence was lifted');
    return removed;
  }

  // Approvals

  approvals(): Approval[] {
    return [...this.#approvals.values()].map(({ plan, diff, expiresMs }) => ({ plan, diff, expiresMs }));
  }

  /** Answers a request for approval; false where none of that id waits. */
  async answer(id: string, answer: 'approved' | 'rejected'): Promise<boolean> {
    const approval = this.#approvals.get(id);
    if (approval === undefined) return false;
    await this.#parts.audit.append('control', id, `${answer} by an operator`);
    approval.answer(answer);
    return true;
  }

  /** What an incident waits for is not wanted any more: it cleared by itself. */
  withdraw(incident: string): void {
    for (const { plan, answer } of [...this.#approvals.values()]) if (plan.incident === incident) answer('withdrawn');
  }

  #ask(plan: Plan, diff: string[]): Promise<Answer> {
    const { clock } = this.#parts.ports;
    if (this.#approvals.size >= MAX_APPROVALS) return Promise.resolve('expired');
    this.#parts.log('warn', `${plan.id} waits for approval: ${diff.join('; ')}: kalos approve ${plan.id}`);
    return new Promise((resolve) => {
      const answer = (given: Answer): void => {
        this.#approvals.get(plan.id)?.timer.cancel();
        this.#approvals.delete(plan.id);
        resolve(given);
      };
      const timer = clock.after(APPROVAL_MS, () => answer('expired'));
      this.#approvals.set(plan.id, { plan, diff, expiresMs: clock.wallMs() + APPROVAL_MS, answer, timer });
    });
  }

  // Carrying out

  /** What a call would do and whether it may, without doing or counting it. @throws z.ZodError for arguments outside the schema. */
  preview(input: unknown, authority: Authority): Preview {
    const call = toolCallSchema.parse(input);
    const { ports } = this.#parts;
    const service = this.#service(call);
    const verdict = this.#guard.judge(call, service, authority, ports.clock.monotonicMs());
    const tool = toolOf(call);
    return {
      call,
      risk: tool.risk(call),
      verdict,
      diff: service === undefined ? [] : tool.dryRun(call, service),
      inverse: service && tool.inverse(call, snapshotOf(service)),
    };
  }

  /** A plan of a person's: `operator` decides, for the reason given. */
  operatorPlan(call: ToolCall, reason: string): Plan {
    return {
      id: `act-${toHex(this.#parts.ports.random.bytes(PLAN_ID_BYTES))}`,
      incident: 'operator',
      call,
      tier: 'operator',
      reason,
    };
  }

  /** What was done under a plan's id; undefined where there is none. */
  async entry(planId: string): Promise<JournalEntry | undefined> {
    const bytes = await this.#parts.ports.store.get(`${JOURNAL_PREFIX}${planId}`);
    return bytes && decodeJournalEntry(bytes);
  }

  async perform(plan: Plan, authority: Authority, progress: Progress): Promise<Performed> {
    const { call } = plan;
    if ((await this.entry(plan.id)) !== undefined) return this.#hold(plan, [], `${plan.id} was carried out already`);
    let { verdict, diff } = this.preview(call, authority);
    if (verdict.kind === 'ask') {
      await progress.asked(diff);
      const answer = await this.#ask(plan, diff);
      if (answer !== 'approved') return this.#hold(plan, diff, `the approval was ${answer}`);
      // Much may have changed while a person thought: the guard judges again.
      ({ verdict, diff } = this.preview(call, 'operator'));
    }
    if (verdict.kind !== 'go')
      return this.#held(plan, diff, verdict.kind === 'ask' ? { kind: 'refused', reason: 'not approved' } : verdict);
    if (this.#busy.has(call.service)) return this.#hold(plan, diff, `another action on ${call.service} is under way`);
    if (this.#busy.size >= MAX_AT_ONCE) return this.#hold(plan, diff, `${MAX_AT_ONCE} actions are under way already`);
    this.#busy.add(call.service);
    try {
      return await this.#carryOut(plan, diff, progress);
    } finally {
      this.#busy.delete(call.service);
    }
  }

  async #carryOut(plan: Plan, diff: string[], progress: Progress): Promise<Performed> {
    const { ports, audit } = this.#parts;
    const { call } = plan;
    this.#guard.use(call, ports.clock.monotonicMs());
    const intent = await audit.append('intent', plan.id, `${call.tool} ${call.service}: ${plan.reason}`);
    await progress.intended(diff, intent);
    // The switch may have been thrown, or the service changed, while the intent was written: nothing has been done yet.
    const service = this.#service(call);
    const changed = this.#guard.halted === undefined ? toolOf(call).refusal(call, service) : 'acting was halted';
    if (changed !== undefined || service === undefined) return this.#hold(plan, diff, changed ?? 'the service is gone');
    const entry = await this.#transact(plan, service);
    const record = await audit.append('outcome', plan.id, `${entry.phase}: ${entry.reason}`);
    this.#journalled++;
    await this.#prune();
    return { kind: 'done', entry, record };
  }

  #hold(plan: Plan, diff: string[], reason: string): Promise<Performed> {
    return this.#held(plan, diff, { kind: 'refused', reason });
  }

  async #held(plan: Plan, diff: string[], verdict: Extract<Performed, { kind: 'held' }>['verdict']): Promise<Performed> {
    await this.#parts.audit.append('refused', plan.id, `${plan.call.tool} ${plan.call.service}: ${verdict.reason}`);
    return { kind: 'held', verdict, diff };
  }

  #service(call: ToolCall) {
    return this.#parts.ports.actuator.services().find(({ name }) => name === call.service);
  }

  #transact(plan: Plan, service: Parameters<typeof snapshotOf>[0]): Promise<JournalEntry> {
    return new Promise((resolve) => {
      this.#finished.set(plan.id, resolve);
      this.#transactions.post({ kind: 'begin', plan, before: snapshotOf(service) });
    });
  }

  // The transaction's commands

  #notice(notice: TransactionNotice): void {
    const { plan, before } = notice.entry;
    const { actuator, sensors } = this.#parts.ports;
    switch (notice.kind) {
      case 'apply':
        void this.#primitive(plan.call, before).then((outcome) =>
          this.#transactions.post({ kind: 'applied', id: plan.id, outcome }),
        );
        return;
      case 'check':
        verify(notice.entry, actuator, sensors).then(
          ({ holds, detail }) => this.#transactions.post({ kind: 'checked', id: plan.id, holds, detail }),
          (error: unknown) => this.#transactions.post({ kind: 'checked', id: plan.id, holds: false, detail: messageOf(error) }),
        );
        return;
      case 'undo': {
        const inverse = toolOf(plan.call).inverse(plan.call, before);
        const undone = inverse === undefined ? Promise.resolve(undefined) : this.#primitive(inverse, before);
        void undone.then((outcome) => this.#transactions.post({ kind: 'undone', id: plan.id, outcome }));
        return;
      }
      case 'finished':
        this.#finish(notice.entry);
    }
  }

  #primitive(call: ToolCall, before: JournalEntry['before']) {
    return toolOf(call)
      .apply(call, before, this.#parts.ports.actuator)
      .catch((error: unknown) => ({ ok: false as const, code: 'failed' as const, message: messageOf(error) }));
  }

  /** To whoever waits for it; one that was recovered after a crash has nobody waiting but the audit. */
  #finish(entry: JournalEntry): void {
    const waiting = this.#finished.get(entry.plan.id);
    this.#finished.delete(entry.plan.id);
    if (waiting !== undefined) return waiting(entry);
    this.#parts.audit
      .append('outcome', entry.plan.id, `after a restart: ${entry.phase}: ${entry.reason}`)
      .catch(this.#parts.failed);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
