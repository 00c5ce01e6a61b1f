// Every change on this machine, of policies and people, goes through here: brakes, approval if the mode requires it, audit of the intent,
// transaction, audit of the outcome.
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
import type { Authorization, Permit, Permits } from './permits.ts';
import { describePlan } from './plan-words.ts';
import { type Preview, previewCalls } from './preview.ts';
import { TransactionRunner } from './transaction-runner.ts';

/** While an approval is pending, the swarm is asked again after this, or as soon as the leader changes. */
const AUTHORIZE_AGAIN_MS = 20_000;
const LEADER_LOOK_MS = 1_000;
const PLAN_ID_BYTES = 5;

export interface ExecutorParts {
  ports: Ports;
  audit: AuditLog;
  /** Number of reachable members. */
  peers(): number;
  settings: BrakeSettings;
  /** Undefined without a swarm. */
  limits?: SwarmLimits | undefined;
  /** Undefined without a swarm. */
  permits?: Permits | undefined;
  /** Actions at a time; no more than the transaction core runs. */
  maxConcurrent?: number | undefined;
  reporter: Reporter;
}

/** Progress of a plan. */
export type PlanEvent =
  /** Witnesses and the committee authorize it. */
  | { kind: 'permitted'; permit: Permit; votes: VoteResult | undefined }
  /** They do not, and why: it needs a person's approval. */
  | { kind: 'unpermitted'; reason: string }
  /** An approval is requested; `diff` is what would change. */
  | { kind: 'asked'; diff: string[] }
  /** It is recorded, and starts. */
  | { kind: 'intended'; diff: string[]; record: AuditRecord };

/** Purpose of a plan. */
export interface Purpose {
  /** Called with each event; the plan continues once the promise resolves. */
  on?(event: PlanEvent): Promise<void> | void;
  /** What is wrong now, for witnesses to check: a disruptive change needs their authorization. */
  claim?(): Claim;
  /** Why it is not executed: its target has changed since it was signed, or the finding has cleared. */
  unchanged?(before: readonly Snapshot[]): string | undefined;
  /** What is still wrong, as text. A plan helps only once nothing is. */
  stillWrong?(): string | undefined;
  /** The authorization of operators, as sent to the actuator. */
  authorization?: Uint8Array;
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

  /** Reads the kill switch, the silences, and recent uses of each tool, before the first action. */
  async open(): Promise<void> {
    await this.brakes.open();
    const entries = await this.journal.all();
    this.brakes.recall(entries);
    await this.journal.prune(entries.length);
  }

  /** Resumes transactions that a crash left open; their targets are busy until they have ended. */
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

  /** Halts all actions, also after a restart; pending approvals are dropped. */
  async halt(reason: string): Promise<void> {
    const halting = this.brakes.halt(reason);
    this.approvals.answerAll('halted');
    await halting;
  }

  /** What a plan's calls would change, and whether they are allowed; changes and counts nothing. @throws z.ZodError as `previewCalls`. */
  preview(inputs: readonly unknown[], authority: Authority): Promise<Preview> {
    return previewCalls(inputs, authority, this);
  }

  /** A person's plan, for the given reason. */
  operatorPlan(calls: readonly ToolCall[], reason: string): Plan {
    return {
      id: `act-${toHex(this.#parts.ports.random.bytes(PLAN_ID_BYTES))}`,
      incident: 'operator',
      calls,
      tier: 'operator',
      reason,
    };
  }

  /** @throws z.ZodError for a person's invalid arguments; a policy's are refused. */
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
      const reason = `the state disk refuses writes (${refusal}), so the action cannot be recorded`;
      return { kind: 'held', verdict: { kind: 'refused', reason, later: true }, diff: [] };
    }
    if ((await this.journal.entry(plan.id)) !== undefined) return this.#hold(plan, [], `${plan.id} was executed already`);
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
          return await this.#held(plan, diff, { kind: 'escalate', reason: 'the approval request expired' });
        if (answer !== 'approved' && answer !== 'permitted') return await this.#hold(plan, diff, `the approval was ${answer}`);
        // The state may have changed since the request: the guard checks again.
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

  /** Executes what the guard allows, if no other action uses its targets. */
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

  /** While an approval is pending, the swarm is asked again: it may have a leader by then. */
  #authorizeLater(plan: Plan, purpose: Purpose, permitted: (permit: Permit) => void): void {
    const again = async (): Promise<void> => {
      if (!this.approvals.has(plan.id)) return;
      const { calls, before } = await this.preview(plan.calls, 'policy');
      const on: Purpose['on'] = (event) => (event.kind === 'unpermitted' ? undefined : purpose.on?.(event)); // already reported
      const answer = await this.#authorize(plan, calls, before, { ...purpose, on });
      if (answer?.ok !== true) return this.#authorizeLater(plan, purpose, permitted);
      if (!this.approvals.has(plan.id)) return this.#parts.permits?.giveBack(answer.permit);
      permitted(answer.permit);
      this.approvals.answer(plan.id, 'permitted');
    };
    const { clock } = this.#parts.ports;
    const [sinceMs, leadership] = [clock.monotonicMs(), this.#parts.permits?.leadership()];
    const look = (): void => {
      if (!this.approvals.has(plan.id)) return;
      const isDue = clock.monotonicMs() - sinceMs >= AUTHORIZE_AGAIN_MS || this.#parts.permits?.leadership() !== leadership;
      if (isDue) again().catch(this.#parts.reporter.failed);
      else clock.after(LEADER_LOOK_MS, look);
    };
    clock.after(LEADER_LOOK_MS, look);
  }

  /** Asks witnesses and the committee, if this machine's mode allows actions. */
  async #authorize(
    plan: Plan,
    calls: readonly ToolCall[],
    before: readonly Snapshot[],
    purpose: Purpose,
  ): Promise<Authorization | undefined> {
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
    // Actions may have been halted, or the target changed, while the intent was written: nothing has been done yet.
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
    if (this.brakes.halted !== undefined) return this.#hold(plan, diff, 'actions were halted');
    const paused = plan.tier === 'operator' ? undefined : this.brakes.withheld(plan.calls);
    if (paused !== undefined) return this.#hold(plan, diff, paused);
    if (permit !== undefined) {
      const refused = await this.#parts.permits?.refusal(permit, plan, plan.calls, before);
      if (refused !== undefined) return this.#held(plan, diff, { kind: 'refused', reason: refused, later: true });
      await this.#parts.permits?.use(permit);
    }
    const authorization =
      permit === undefined ? purpose.authorization : this.#parts.permits?.authorization(permit, plan.calls, before);
    const entry = await this.#transactions.begin(plan, before, { authorization, stillWrong: purpose.stillWrong });
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
