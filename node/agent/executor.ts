// The one way to a change on this machine, for policies and people alike: brakes, approval where the mode asks for it,
// audit of the intent, transaction, audit of the outcome.
import { z } from 'zod';
import type { Claim } from '../../consensus/vote/claim.ts';
import type { VoteResult } from '../../consensus/vote/voting.ts';
import { toHex } from '../../swarm/dissemination/cbor.ts';
import { type Authority, type GuardVerdict, isPerson } from '../action/guard.ts';
import type { Machine, Snapshot } from '../action/tool.ts';
import { changeToolOf } from '../action/tools.ts';
import { isOpen, type JournalEntry } from '../action/transaction.ts';
import type { AuditLog, AuditRecord } from '../audit/audit-log.ts';
import type { Plan } from '../decision/plan.ts';
import type { Ports } from '../ports/ports.ts';
import type { Reporter } from '../reporter.ts';
import type { ToolCall } from '../tool-call.ts';
import { ActionSlots } from './action-slots.ts';
import { Approvals } from './approvals.ts';
import { type BrakeSettings, Brakes, type SwarmLimits } from './brakes.ts';
import { Journal } from './journal.ts';
import type { Leave, Permit, Permits } from './permits.ts';
import { describePlan } from './plan-words.ts';
import { type Preview, previewCalls } from './preview.ts';
import { TransactionRunner } from './transaction-runner.ts';

/** While a person is asked, the swarm is asked again after this, and at once where somebody else coordinates it. */
const AUTHORIZE_AGAIN_MS = 20_000;
const ORDER_LOOK_MS = 1_000;
const PLAN_ID_BYTES = 5;

export interface ExecutorParts {
  ports: Ports;
  audit: AuditLog;
  /** Members of the swarm within reach. */
  peers(): number;
  settings: BrakeSettings;
  /** Undefined where there is no swarm. */
  limits?: SwarmLimits | undefined;
  /** Undefined where nobody can be asked. */
  permits?: Permits | undefined;
  /** Actions at a time; no more than the transaction core runs. */
  maxConcurrent?: number | undefined;
  reporter: Reporter;
}

/** What becomes of a plan while it is carried out. */
export type PlanEvent =
  /** Witnesses and the swarm's order authorize it. */
  | { kind: 'permitted'; permit: Permit; votes: VoteResult | undefined }
  /** They do not, and why: a person is asked. */
  | { kind: 'unpermitted'; reason: string }
  /** A person is asked to approve; `diff` is what would change. */
  | { kind: 'asked'; diff: string[] }
  /** It is recorded, and begins. */
  | { kind: 'intended'; diff: string[]; record: AuditRecord };

/** What a plan is for. */
export interface Purpose {
  /** Is given each event in turn: the plan goes on once the promise resolves. */
  on?(event: PlanEvent): Promise<void> | void;
  /** What is wrong now, as witnesses are to judge it: where a disruptive change needs their authorization. */
  claim?(): Claim;
  /** Why it is not done: its target has changed since it was signed, or the finding has cleared. */
  unchanged?(before: readonly Snapshot[]): string | undefined;
  /** What is wrong in spite of it, in words: what was to be mended. A plan helps only once nothing is. */
  stillWrong?(): string | undefined;
  /** The authorization of operators, as the actuator is shown it. */
  leave?: Uint8Array;
}

export type Performed =
  | { kind: 'done'; entry: JournalEntry; record: AuditRecord }
  | { kind: 'held'; verdict: Exclude<GuardVerdict, { kind: 'go' | 'ask' }>; diff: string[] };

export class Executor {
  readonly #parts: ExecutorParts;
  readonly machine: Machine;
  readonly brakes: Brakes;
  readonly approvals: Approvals;
  readonly journal: Journal;
  readonly slots: ActionSlots;
  readonly #transactions: TransactionRunner;

  constructor(parts: ExecutorParts) {
    const { ports, reporter } = parts;
    this.#parts = parts;
    const { actuator, sensors, crypto } = ports;
    this.machine = { actuator, sensors, crypto, peers: parts.peers };
    this.brakes = new Brakes(ports, parts.settings, parts.limits, reporter);
    this.approvals = new Approvals(ports.clock, reporter);
    this.journal = new Journal(ports.store);
    this.slots = new ActionSlots(parts.maxConcurrent);
    this.#transactions = new TransactionRunner(ports, this.machine, reporter.failed);
  }

  /** Reads the kill switch, silences, and how often each tool was used before. Before anything can act. */
  async open(): Promise<void> {
    await this.brakes.open();
    const entries = await this.journal.all();
    this.brakes.recall(entries);
    await this.journal.prune(entries.length);
  }

  /** Takes up transactions that a crash left open; what they are on is taken until they have ended, as it was before the crash. */
  async recover(): Promise<void> {
    for (const entry of await this.journal.all()) {
      if (!isOpen(entry)) continue;
      const release = this.slots.take(entry.plan.calls);
      this.#transactions
        .recover(entry)
        .then(({ plan, phase, reason }) => {
          release();
          return this.#parts.audit.append('outcome', plan.id, `after a restart: ${phase}: ${reason}`);
        })
        .catch(this.#parts.reporter.failed);
    }
  }

  stop(): void {
    this.#transactions.stop();
    this.approvals.stop();
  }

  /** From now on nothing is done, also after a restart; what waits for approval is dropped. */
  async halt(reason: string): Promise<void> {
    const halting = this.brakes.halt(reason);
    this.approvals.answerAll('halted');
    await halting;
  }

  /** What a plan's calls would do and whether they may, without doing or counting anything. @throws z.ZodError as `previewCalls`. */
  preview(inputs: readonly unknown[], authority: Authority): Promise<Preview> {
    return previewCalls(inputs, authority, this);
  }

  /** A plan of a person's: `operator` decides, for the reason given. */
  operatorPlan(calls: readonly ToolCall[], reason: string): Plan {
    return {
      id: `act-${toHex(this.#parts.ports.random.bytes(PLAN_ID_BYTES))}`,
      incident: 'operator',
      calls,
      tier: 'operator',
      reason,
    };
  }

  /** @throws z.ZodError for a person's arguments outside the schema; a policy's are refused. */
  async perform(plan: Plan, authority: Authority, purpose: Purpose = {}): Promise<Performed> {
    try {
      return await this.#perform(plan, authority, purpose);
    } catch (error) {
      if (isPerson(authority) || !(error instanceof z.ZodError)) throw error;
      return this.#hold(plan, [], `arguments: ${error.issues[0]?.message ?? 'invalid'}`);
    }
  }

  async #perform(plan: Plan, authority: Authority, purpose: Purpose): Promise<Performed> {
    const { refusal } = this.#parts.ports.store;
    if (refusal !== undefined) {
      const reason = `it cannot be recorded: the disk of the state directory refuses writes (${refusal})`;
      return { kind: 'held', verdict: { kind: 'refused', reason, later: true }, diff: [] };
    }
    if ((await this.journal.entry(plan.id)) !== undefined) return this.#hold(plan, [], `${plan.id} was carried out already`);
    let { verdict, diff, calls, before, risk } = await this.preview(plan.calls, authority);
    const canBePermitted = risk === 'R2' && authority === 'policy';
    let permit: Permit | undefined;
    try {
      if (verdict.kind === 'ask' && canBePermitted) {
        const answer = await this.#authorize(plan, calls, before, purpose);
        if (answer?.ok === false && answer.later)
          return await this.#held(plan, diff, { kind: 'refused', reason: answer.reason, later: true });
        if (answer?.ok === true) permit = answer.permit;
        if (permit !== undefined) ({ verdict, diff, calls } = await this.preview(plan.calls, 'certified'));
      }
      if (verdict.kind === 'ask') {
        const moved = purpose.unchanged?.(before);
        if (moved !== undefined) return await this.#hold(plan, diff, moved);
        await purpose.on?.({ kind: 'asked', diff });
        if (canBePermitted) this.#authorizeLater(plan, purpose, (given) => (permit = given));
        const answer = await this.approvals.ask(plan, diff);
        if (answer === 'rejected')
          return await this.#held(plan, diff, { kind: 'refused', reason: 'the approval was rejected', final: true });
        if (answer === 'expired')
          return await this.#held(plan, diff, { kind: 'escalate', reason: 'nobody has answered whether it may be done' });
        if (answer !== 'approved' && answer !== 'permitted') return await this.#hold(plan, diff, `the approval was ${answer}`);
        // Much may have changed while a person thought: the guard judges again.
        const by = answer === 'permitted' ? 'certified' : 'operator';
        ({ verdict, diff, calls } = await this.preview(plan.calls, by));
      }
      if (verdict.kind !== 'go')
        return await this.#held(plan, diff, verdict.kind === 'ask' ? { kind: 'refused', reason: 'not approved' } : verdict);
      return await this.#admit({ ...plan, calls }, diff, authority, purpose, permit);
    } finally {
      if (permit !== undefined) this.#parts.permits?.giveBack(permit);
    }
  }

  /** What the guard lets pass, where nothing else is under way that it would get in the way of. */
  async #admit(
    plan: Plan,
    diff: string[],
    authority: Authority,
    purpose: Purpose,
    permit: Permit | undefined,
  ): Promise<Performed> {
    const { calls } = plan;
    const taken = this.slots.refusal(calls);
    if (taken !== undefined) return this.#held(plan, diff, { kind: 'refused', reason: taken, later: true });
    const braked = this.brakes.use(calls, authority);
    if (braked !== undefined) return this.#held(plan, diff, braked);
    const release = this.slots.take(calls);
    try {
      return await this.#carryOut(plan, diff, purpose, permit);
    } finally {
      release();
    }
  }

  /** While a person is asked, the swarm is asked again: it may have found its order meanwhile. */
  #authorizeLater(plan: Plan, purpose: Purpose, permitted: (permit: Permit) => void): void {
    const again = async (): Promise<void> => {
      if (!this.approvals.has(plan.id)) return;
      const { calls, before } = await this.preview(plan.calls, 'policy');
      const on: Purpose['on'] = (event) => (event.kind === 'unpermitted' ? undefined : purpose.on?.(event)); // that was reported
      const answer = await this.#authorize(plan, calls, before, { ...purpose, on });
      if (answer?.ok !== true) return this.#authorizeLater(plan, purpose, permitted);
      if (!this.approvals.has(plan.id)) return this.#parts.permits?.giveBack(answer.permit);
      permitted(answer.permit);
      this.approvals.answer(plan.id, 'permitted');
    };
    const { clock } = this.#parts.ports;
    const [sinceMs, order] = [clock.monotonicMs(), this.#parts.permits?.order()];
    const look = (): void => {
      if (!this.approvals.has(plan.id)) return;
      const isDue = clock.monotonicMs() - sinceMs >= AUTHORIZE_AGAIN_MS || this.#parts.permits?.order() !== order;
      if (isDue) again().catch(this.#parts.reporter.failed);
      else clock.after(ORDER_LOOK_MS, look);
    };
    clock.after(ORDER_LOOK_MS, look);
  }

  /** Of witnesses and the swarm's order, where this machine's own mode lets it act at all. */
  async #authorize(
    plan: Plan,
    calls: readonly ToolCall[],
    before: readonly Snapshot[],
    purpose: Purpose,
  ): Promise<Leave | undefined> {
    const { permits } = this.#parts;
    if (permits === undefined || purpose.claim === undefined || this.brakes.mode !== 'act') return undefined;
    const answer = await permits.obtain(plan, calls, before, purpose.claim());
    if (answer.ok) await purpose.on?.({ kind: 'permitted', permit: answer.permit, votes: answer.votes });
    else if (!answer.later) await purpose.on?.({ kind: 'unpermitted', reason: answer.reason });
    return answer;
  }

  async #carryOut(plan: Plan, diff: string[], purpose: Purpose, permit: Permit | undefined): Promise<Performed> {
    const { audit } = this.#parts;
    const intent = await audit.append('intent', plan.id, `${describePlan(plan)}: ${plan.reason}`);
    await purpose.on?.({ kind: 'intended', diff, record: intent });
    // The switch may have been thrown, or the target changed, while the intent was written: nothing has been done yet.
    const before: Snapshot[] = [];
    for (const call of plan.calls) {
      const tool = changeToolOf(call);
      const look = await tool.look(call, this.machine);
      const changed = look.ok ? tool.refusal?.(call, look.before) : look.reason;
      if (changed !== undefined) return this.#hold(plan, diff, changed);
      if (look.ok) before.push(look.before);
    }
    const moved = purpose.unchanged?.(before);
    if (moved !== undefined) return this.#hold(plan, diff, moved);
    if (this.brakes.halted !== undefined) return this.#hold(plan, diff, 'acting was halted');
    const paused = plan.tier === 'operator' ? undefined : this.brakes.withheld(plan.calls);
    if (paused !== undefined) return this.#hold(plan, diff, paused);
    if (permit !== undefined) {
      const refused = await this.#parts.permits?.refusal(permit, plan, plan.calls, before);
      if (refused !== undefined) return this.#held(plan, diff, { kind: 'refused', reason: refused, later: true });
      await this.#parts.permits?.use(permit);
    }
    const leave = permit === undefined ? purpose.leave : this.#parts.permits?.leave(permit, plan.calls, before);
    const entry = await this.#transactions.begin(plan, before, { leave, stillWrong: purpose.stillWrong });
    const record = await audit.append('outcome', plan.id, `${entry.phase}: ${entry.reason}`);
    await this.journal.prune(1);
    return { kind: 'done', entry, record };
  }

  #hold(plan: Plan, diff: string[], reason: string): Promise<Performed> {
    return this.#held(plan, diff, { kind: 'refused', reason });
  }

  async #held(plan: Plan, diff: string[], verdict: Extract<Performed, { kind: 'held' }>['verdict']): Promise<Performed> {
    await this.#parts.audit.append('refused', plan.id, `${describePlan(plan)}: ${verdict.reason}`);
    return { kind: 'held', verdict, diff };
  }
}
