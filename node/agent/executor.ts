// The one way to a change on this machine, for policies and people alike: guard, approval where the mode asks for it,
// audit of the intent, transaction, audit of the outcome. It also holds the kill switch, which survives a restart.
import { z } from 'zod';
import type { Claim } from '../../consensus/vote/claim.ts';
import type { VoteResult } from '../../consensus/vote/voting.ts';
import { toHex } from '../../swarm/dissemination/cbor.ts';
import { CoreRuntime } from '../../swarm/runtime/core-runtime.ts';
import { messageOf } from '../../swarm/words.ts';
import { type Authority, type Ceiling, Guard, type GuardVerdict, isPerson, type Mode, riskOf } from '../action/guard.ts';
import { type MaintenanceWindow, maintenanceReason } from '../action/maintenance.ts';
import { type Silence, type SilenceRequest, Silences } from '../action/silences.ts';
import type { ChangeTool, Machine, ReadTool, Snapshot } from '../action/tool.ts';
import { changeToolOf, parseCall } from '../action/tools.ts';
import {
  isOpen,
  type JournalEntry,
  keyOf,
  MAX_OPEN,
  type TransactionInput,
  type TransactionNotice,
  Transactions,
} from '../action/transaction.ts';
import type { AuditLog, AuditRecord } from '../audit/audit-log.ts';
import type { Plan } from '../decision/plan.ts';
import type { Step } from '../ports/actuator.ts';
import type { Ports } from '../ports/ports.ts';
import type { ToolCall } from '../tool-call.ts';
import { type Verified, verify } from '../verification/verify.ts';
import { applyPlan } from './apply.ts';
import { type Answer, type Approval, Approvals } from './approvals.ts';
import type { Grants } from './grants.ts';
import { Journal } from './journal.ts';
import { endHalt, keepHalt, recallHalt } from './kill-switch.ts';
import type { Leave, Permit, Permits } from './permits.ts';
import { describePlan, invalid, settled } from './plan-words.ts';

/** While a person is asked, the swarm is asked again after this, and at once where somebody else coordinates it. */
const AUTHORIZE_AGAIN_MS = 20_000;
const ORDER_LOOK_MS = 1_000;
const PLAN_ID_BYTES = 5;

export interface ExecutorParts {
  ports: Ports;
  audit: AuditLog;
  /** Members of the swarm within reach. */
  peers(): number;
  maintenance: readonly MaintenanceWindow[];
  /** Why the swarm has this agent change nothing by itself; undefined while it may. */
  paused(): string | undefined;
  /** What the swarm allows this agent, or keeps from it. */
  grants?: (Pick<Grants, 'denial' | 'mayAct'> & { budget(): Ceiling | undefined }) | undefined;
  /** Undefined where nobody can be asked. */
  permits?: Permits | undefined;
  /** Actions at a time; no more than the transaction core runs. */
  maxConcurrent?: number | undefined;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

/** Told while a plan is carried out. */
export interface Progress {
  /** A person is asked to approve; `diff` is what would change. */
  asked(diff: string[]): Promise<void>;
  intended(diff: string[], record: AuditRecord): Promise<void>;
  /** What is wrong, as witnesses are to judge it: where a disruptive change needs their leave. */
  claim?(): Claim;
  /** Witnesses and the swarm's order allow it. */
  permitted?(permit: Permit, votes: VoteResult | undefined): Promise<void>;
  /** They do not, and why: a person is asked. */
  unpermitted?(reason: string): void;
  /** Why it is not done: its target has changed since it was signed, or the finding has cleared. */
  unchanged?(before: readonly Snapshot[]): string | undefined;
  /** Of operators, as the actuator is shown it. */
  leave?(): Uint8Array;
  /** What is wrong in spite of it, in words: what was to be mended. A plan helps only once nothing is. */
  stillWrong?(): string | undefined;
}

interface Running {
  progress: Progress;
  leave: Uint8Array | undefined;
  finished(entry: JournalEntry): void;
}

export type Performed =
  | { kind: 'done'; entry: JournalEntry; record: AuditRecord }
  | { kind: 'held'; verdict: Exclude<GuardVerdict, { kind: 'go' | 'ask' }>; diff: string[] };

export interface Preview {
  calls: readonly ToolCall[];
  /** The highest of the calls'. */
  risk: string;
  /** The first that is not `go`. */
  verdict: GuardVerdict;
  diff: string[];
  before: readonly Snapshot[];
}

/** What a read gave, or why it gave nothing. */
export type ReadAnswer = { ok: true; value: unknown } | { ok: false; reason: string };

type TimerId = `check ${string}` | `timeout ${string}` | `find ${string}`;

/** Of one plan; a longer one is a plan that nobody oversees. */
export const MAX_CALLS = 8;

export class Executor {
  readonly #parts: ExecutorParts;
  readonly #guard: Guard;
  #maintenance: readonly MaintenanceWindow[];
  /** Plans under way, by id. */
  readonly #running = new Map<string, Running>();
  readonly silences: Silences;
  readonly #machine: Machine;
  /** Targets that an action is under way on: one at a time, or one's undo would undo the other. */
  readonly #busy = new Set<string>();
  /** What changes are on that a crash left open, by the ids of their plans. */
  readonly #recovered = new Map<string, readonly string[]>();
  /** Plans between their approval and their outcome. */
  #underWay = 0;
  readonly #journal: Journal;
  readonly #approvals: Approvals;
  readonly #transactions: CoreRuntime<TransactionInput, never, TransactionNotice, TimerId>;

  constructor(parts: ExecutorParts, mode: Mode) {
    this.#parts = parts;
    this.#maintenance = parts.maintenance;
    this.#approvals = new Approvals(parts.ports.clock);
    this.#guard = new Guard(mode, () => parts.grants?.budget());
    const { actuator, sensors, crypto } = parts.ports;
    this.#machine = { actuator, sensors, crypto, peers: parts.peers };
    this.#journal = new Journal(parts.ports.store);
    this.silences = new Silences(parts.ports.store, parts.ports.clock);
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
    this.#guard.halted = await recallHalt(store);
    await this.silences.open();
    const entries = await this.journal();
    for (const { plan, atMs, monotonicMs } of entries) {
      // By the clock that nobody sets, unless the machine booted since: then it is no older than that, or the wall clock tells.
      const nowMs = clock.monotonicMs();
      const isThisBoot = monotonicMs !== undefined && monotonicMs <= nowMs;
      const usedMs = isThisBoot ? monotonicMs : nowMs - Math.max(0, clock.wallMs() - atMs);
      for (const call of plan.calls) this.#guard.use(call, plan.tier === 'operator' ? 'operator' : 'policy', usedMs);
    }
    await this.#journal.prune(entries.length);
  }

  /** Takes up transactions that a crash left open: they are watched, or undone, never repeated. */
  async recover(): Promise<void> {
    for (const entry of await this.journal()) {
      if (!isOpen(entry)) continue;
      // What it is on is taken until it has ended, as it was before the crash.
      const targets = entry.plan.calls.map((call) => changeToolOf(call).target(call));
      this.#recovered.set(entry.plan.id, targets);
      this.#take(targets);
      this.#transactions.post({ kind: 'recover', entry });
    }
  }

  #take(targets: readonly string[]): void {
    for (const target of targets) this.#busy.add(target);
    this.#underWay++;
  }

  /** Whether other actions run on these targets, or as many run as are allowed at a time. */
  isTaken(calls: readonly ToolCall[]): boolean {
    const most = this.#parts.maxConcurrent ?? MAX_OPEN;
    return this.#underWay >= most || calls.some((call) => this.#busy.has(changeToolOf(call).target(call)));
  }

  #release(targets: readonly string[]): void {
    for (const target of targets) this.#busy.delete(target);
    this.#underWay--;
  }

  /** What was done, or is being done, oldest first. */
  journal(): Promise<JournalEntry[]> {
    return this.#journal.all();
  }

  stop(): void {
    this.#transactions.stop();
    this.#approvals.stop();
  }

  /** From the next look on. */
  reconfigure({ mode, maintenance }: { mode: Mode; maintenance: readonly MaintenanceWindow[] }): void {
    this.#guard.mode = mode;
    this.#maintenance = maintenance;
  }

  // The kill switch

  get halted(): string | undefined {
    return this.#guard.halted;
  }

  /** Why policies keep still, where the swarm has paused this agent. */
  get paused(): string | undefined {
    return this.#parts.paused();
  }

  /** The brake that keeps policies from these calls now; undefined if there is none. Asks nobody. */
  brake(calls: readonly ToolCall[]): string | undefined {
    const { clock } = this.#parts.ports;
    const nowMs = clock.monotonicMs();
    return (
      this.#withheld(calls) ??
      maintenanceReason(this.#maintenance, clock.wallMs()) ??
      calls.map((call) => this.#guard.standing(call, nowMs)).find((why) => why !== undefined)
    );
  }

  /** From now on nothing is done, also after a restart; what waits for approval is dropped. */
  async halt(reason: string): Promise<void> {
    this.#guard.halted = reason; // first: nothing may slip in while the disk is busy
    this.#approvals.answerAll('halted');
    this.#parts.log('warn', `acting is halted: ${reason}`);
    await keepHalt(this.#parts, reason);
  }

  async resume(): Promise<void> {
    await endHalt(this.#parts);
    this.#guard.halted = undefined;
    this.#parts.log('info', 'acting is allowed again');
  }

  // Silences

  async silence(request: SilenceRequest): Promise<Silence> {
    const { ports, audit } = this.#parts;
    const silence = await this.silences.add(`sil-${toHex(ports.random.bytes(PLAN_ID_BYTES))}`, request);
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
    return this.#approvals.all();
  }

  /** Answers a request for approval; false where none of that id waits. */
  async answer(id: string, answer: 'approved' | 'rejected'): Promise<boolean> {
    if (!this.#approvals.has(id)) return false;
    await this.#parts.audit.append('control', id, `${answer} by an operator`);
    return this.#approvals.answer(id, answer);
  }

  /** What an incident waits for is not wanted any more: it cleared by itself. */
  withdraw(incident: string): void {
    this.#approvals.answerAll('withdrawn', incident);
  }

  #ask(plan: Plan, diff: string[]): Promise<Answer> {
    this.#parts.log('warn', `${plan.id} waits for approval: ${diff.join('; ')}: kalos approve ${plan.id}`);
    return this.#approvals.ask(plan, diff);
  }

  // Carrying out

  /**
   * What a plan's calls would do and whether they may, without doing or counting anything.
   * @throws z.ZodError for arguments outside the schema, a tool that only reads, or two calls on one target.
   */
  async preview(inputs: readonly unknown[], authority: Authority): Promise<Preview> {
    const parsed = inputs.map((input) => this.#parseChange(input));
    const targets = parsed.map(({ tool, call }) => tool.target(call));
    if (parsed.length === 0 || parsed.length > MAX_CALLS || new Set(targets).size < targets.length)
      throw invalid(`a plan is 1 to ${MAX_CALLS} calls, each on a target of its own`);
    const calls = parsed.map(({ call }) => call);
    const preview = {
      calls,
      risk: 'R0',
      verdict: { kind: 'go' } as GuardVerdict,
      diff: [] as string[],
      before: [] as Snapshot[],
    };
    for (const { tool, call } of parsed) {
      const one = await this.#previewCall(tool, call, authority);
      if (one.risk > preview.risk) preview.risk = one.risk;
      if (preview.verdict.kind === 'go' || (preview.verdict.kind === 'ask' && one.verdict.kind !== 'go'))
        preview.verdict = one.verdict;
      preview.diff.push(...one.diff);
      preview.before.push(one.before);
    }
    return preview;
  }

  #parseChange(input: unknown): { tool: ChangeTool; call: ToolCall } {
    const { tool, call } = parseCall(input);
    if (tool.kind === 'read') throw invalid(`${tool.name} only reads: it is no part of a plan`);
    return { tool, call };
  }

  async #previewCall(tool: ChangeTool, call: ToolCall, authority: Authority) {
    const { clock } = this.#parts.ports;
    const look = await tool.look(call, this.#machine);
    if (!look.ok)
      return { risk: tool.risk(call), verdict: { kind: 'refused', reason: look.reason } as const, diff: [], before: {} };
    const { before } = look;
    const judged = this.#guard.judge({
      call,
      before,
      authority,
      nowMs: clock.monotonicMs(),
      maintenance: this.#withheld([call]) ?? maintenanceReason(this.#maintenance, clock.wallMs()),
      granted: this.#parts.grants?.mayAct(call) ?? false,
    });
    const verdict = judged.kind === 'refused' ? judged : await this.#tried(judged, tool.steps(call, before));
    const diff = tool.refusal?.(call, before) === undefined ? await tool.dryRun(call, before, this.#machine) : [];
    return { risk: riskOf(tool, call, before), verdict, diff, before };
  }

  #withheld(calls: readonly ToolCall[]): string | undefined {
    return this.#parts.paused() ?? calls.map((call) => this.#parts.grants?.denial(call)).find((why) => why !== undefined);
  }

  /** What the actuator would refuse is refused before anything is written down. */
  async #tried(judged: GuardVerdict, steps: readonly Step[]): Promise<GuardVerdict> {
    const checked = await this.#parts.ports.actuator.check(steps);
    return checked.ok ? judged : { kind: 'refused', reason: checked.message };
  }

  /** Runs a tool that only reads. @throws z.ZodError for arguments outside the schema. */
  async read(tool: ReadTool, call: ToolCall): Promise<ReadAnswer> {
    return tool.read(call, this.#machine);
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

  /** The calls that lead back from what was confirmed, the last first; the name of a tool that has no way back instead. */
  inverseOf(entry: JournalEntry): { ok: true; calls: ToolCall[] } | { ok: false; tool: string } {
    const inverses: ToolCall[] = [];
    for (const [i, call] of [...entry.plan.calls.entries()].reverse()) {
      const inverse = changeToolOf(call).inverse(call, entry.before[i] ?? {}, keyOf(entry, i));
      if (inverse === undefined) return { ok: false, tool: call.tool };
      inverses.push(inverse);
    }
    return { ok: true, calls: inverses };
  }

  /** What was done under a plan's id; undefined where there is none. */
  entry(planId: string): Promise<JournalEntry | undefined> {
    return this.#journal.entry(planId);
  }

  /** @throws z.ZodError for a person's arguments outside the schema; a policy's are refused. */
  async perform(plan: Plan, authority: Authority, progress: Progress): Promise<Performed> {
    try {
      return await this.#perform(plan, authority, progress);
    } catch (error) {
      if (isPerson(authority) || !(error instanceof z.ZodError)) throw error;
      return this.#hold(plan, [], `arguments: ${error.issues[0]?.message ?? 'invalid'}`);
    }
  }

  async #perform(plan: Plan, authority: Authority, progress: Progress): Promise<Performed> {
    const { refusal } = this.#parts.ports.store;
    if (refusal !== undefined) {
      const reason = `it cannot be recorded: the disk of the state directory refuses writes (${refusal})`;
      return { kind: 'held', verdict: { kind: 'refused', reason, later: true }, diff: [] };
    }
    if ((await this.entry(plan.id)) !== undefined) return this.#hold(plan, [], `${plan.id} was carried out already`);
    let { verdict, diff, calls, before, risk } = await this.preview(plan.calls, authority);
    const canBePermitted = risk === 'R2' && authority === 'policy';
    let permit: Permit | undefined;
    try {
      if (verdict.kind === 'ask' && canBePermitted) {
        const leave = await this.#leave(plan, calls, before, progress);
        if (leave?.ok === false && leave.later)
          return await this.#held(plan, diff, { kind: 'refused', reason: leave.reason, later: true });
        if (leave?.ok === true) permit = leave.permit;
        if (permit !== undefined) ({ verdict, diff, calls } = await this.preview(plan.calls, 'certified'));
      }
      if (verdict.kind === 'ask') {
        const moved = progress.unchanged?.(before);
        if (moved !== undefined) return await this.#hold(plan, diff, moved);
        await progress.asked(diff);
        if (canBePermitted) this.#authorizeLater(plan, progress, (given) => (permit = given));
        const answer = await this.#ask(plan, diff);
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
      return await this.#admit({ ...plan, calls }, diff, authority, progress, permit);
    } finally {
      if (permit !== undefined) this.#parts.permits?.giveBack(permit);
    }
  }

  /** What the guard lets pass, where nothing else is under way that it would get in the way of. */
  async #admit(
    plan: Plan,
    diff: string[],
    authority: Authority,
    progress: Progress,
    permit: Permit | undefined,
  ): Promise<Performed> {
    const { calls } = plan;
    const targets = calls.map((call) => changeToolOf(call).target(call));
    const taken = targets.find((target) => this.#busy.has(target));
    if (taken !== undefined)
      return this.#held(plan, diff, { kind: 'refused', reason: `another action on ${taken} is under way`, later: true });
    const most = this.#parts.maxConcurrent ?? MAX_OPEN;
    if (this.#underWay >= most)
      return this.#held(plan, diff, { kind: 'refused', reason: `${most} actions are under way already`, later: true });
    const nowMs = this.#parts.ports.clock.monotonicMs();
    const braked = calls.map((call) => this.#guard.brake(call, authority, nowMs)).find((one) => one?.kind === 'escalate');
    if (braked?.kind === 'escalate') return this.#held(plan, diff, braked);
    for (const call of calls) this.#guard.use(call, authority, nowMs);
    this.#take(targets);
    try {
      return await this.#carryOut(plan, diff, progress, permit);
    } finally {
      this.#release(targets);
    }
  }

  /** While a person is asked, the swarm is asked again: it may have found its order meanwhile. */
  #authorizeLater(plan: Plan, progress: Progress, permitted: (permit: Permit) => void): void {
    const again = async (): Promise<void> => {
      if (!this.#approvals.has(plan.id)) return;
      const { calls, before } = await this.preview(plan.calls, 'policy');
      const leave = await this.#leave(plan, calls, before, { ...progress, unpermitted: () => undefined });
      if (leave?.ok !== true) return this.#authorizeLater(plan, progress, permitted);
      if (!this.#approvals.has(plan.id)) return this.#parts.permits?.giveBack(leave.permit);
      permitted(leave.permit);
      this.#approvals.answer(plan.id, 'permitted');
    };
    const { clock } = this.#parts.ports;
    const [sinceMs, order] = [clock.monotonicMs(), this.#parts.permits?.order()];
    const look = (): void => {
      if (!this.#approvals.has(plan.id)) return;
      const isDue = clock.monotonicMs() - sinceMs >= AUTHORIZE_AGAIN_MS || this.#parts.permits?.order() !== order;
      if (isDue) again().catch(this.#parts.failed);
      else clock.after(ORDER_LOOK_MS, look);
    };
    clock.after(ORDER_LOOK_MS, look);
  }

  /** Of witnesses and the swarm's order, where this machine's own mode lets it act at all. */
  async #leave(
    plan: Plan,
    calls: readonly ToolCall[],
    before: readonly Snapshot[],
    progress: Progress,
  ): Promise<Leave | undefined> {
    const { permits } = this.#parts;
    if (permits === undefined || progress.claim === undefined || !this.#guard.acts) return undefined;
    const leave = await permits.obtain(plan, calls, before, progress.claim());
    if (leave.ok) await progress.permitted?.(leave.permit, leave.votes);
    else if (!leave.later) progress.unpermitted?.(leave.reason);
    return leave;
  }

  async #carryOut(plan: Plan, diff: string[], progress: Progress, permit: Permit | undefined): Promise<Performed> {
    const { audit } = this.#parts;
    const intent = await audit.append('intent', plan.id, `${describePlan(plan)}: ${plan.reason}`);
    await progress.intended(diff, intent);
    // The switch may have been thrown, or the target changed, while the intent was written: nothing has been done yet.
    const before: Snapshot[] = [];
    for (const call of plan.calls) {
      const tool = changeToolOf(call);
      const look = await tool.look(call, this.#machine);
      const changed = look.ok ? tool.refusal?.(call, look.before) : look.reason;
      if (changed !== undefined) return this.#hold(plan, diff, changed);
      if (look.ok) before.push(look.before);
    }
    const moved = progress.unchanged?.(before);
    if (moved !== undefined) return this.#hold(plan, diff, moved);
    if (this.#guard.halted !== undefined) return this.#hold(plan, diff, 'acting was halted');
    const paused = plan.tier === 'operator' ? undefined : this.#withheld(plan.calls);
    if (paused !== undefined) return this.#hold(plan, diff, paused);
    if (permit !== undefined) {
      const refused = await this.#parts.permits?.refusal(permit, plan, plan.calls, before);
      if (refused !== undefined) return this.#held(plan, diff, { kind: 'refused', reason: refused, later: true });
      await this.#parts.permits?.use(permit);
    }
    const leave = permit === undefined ? progress.leave?.() : this.#parts.permits?.leave(permit, plan.calls, before);
    const entry = await this.#transact(plan, before, progress, leave);
    const record = await audit.append('outcome', plan.id, `${entry.phase}: ${entry.reason}`);
    await this.#journal.prune(1);
    return { kind: 'done', entry, record };
  }

  #hold(plan: Plan, diff: string[], reason: string): Promise<Performed> {
    return this.#held(plan, diff, { kind: 'refused', reason });
  }

  async #held(plan: Plan, diff: string[], verdict: Extract<Performed, { kind: 'held' }>['verdict']): Promise<Performed> {
    await this.#parts.audit.append('refused', plan.id, `${describePlan(plan)}: ${verdict.reason}`);
    return { kind: 'held', verdict, diff };
  }

  #transact(plan: Plan, before: readonly Snapshot[], progress: Progress, leave?: Uint8Array): Promise<JournalEntry> {
    return new Promise((resolve) => {
      this.#running.set(plan.id, { progress, leave, finished: resolve });
      this.#transactions.post({ kind: 'begin', plan, before });
    });
  }

  // The transaction's commands

  #notice(notice: TransactionNotice): void {
    const { entry } = notice;
    const { id } = entry.plan;
    const { actuator } = this.#parts.ports;
    const post = (input: TransactionInput): void => this.#transactions.post(input);
    switch (notice.kind) {
      case 'apply':
        void settled(
          applyPlan(entry, { ...this.#parts.ports, machine: this.#machine, leave: this.#running.get(id)?.leave }),
        ).then((outcome) => post({ kind: 'applied', id, outcome }));
        return;
      case 'find':
        actuator.change(id).then(
          (status) => post({ kind: 'found', id, status }),
          () => post({ kind: 'found', id, status: undefined }),
        );
        return;
      case 'check':
        this.#verify(entry).then(
          ({ holds, detail, isFinal }) => post({ kind: 'checked', id, holds, detail, isFinal }),
          (error: unknown) => post({ kind: 'checked', id, holds: false, detail: messageOf(error) }),
        );
        return;
      case 'confirm':
        void settled(actuator.confirm(id, entry.plan.tier === 'operator')).then((outcome) =>
          post({ kind: 'confirmed', id, outcome }),
        );
        return;
      case 'undo':
        void settled(actuator.undo(id, entry.reason)).then((outcome) => post({ kind: 'undone', id, outcome }));
        return;
      case 'finished':
        this.#finish(entry);
    }
  }

  /** The tools' conditions, and that what it is for is well again; for tools that help bit by bit, theirs alone. */
  async #verify(entry: JournalEntry): Promise<Verified> {
    const verified = await verify(entry, this.#machine);
    const gradual = entry.plan.calls.some((call) => changeToolOf(call).gradual === true);
    const wrong = gradual ? undefined : this.#running.get(entry.plan.id)?.progress.stillWrong?.();
    return verified.holds && wrong !== undefined ? { holds: false, detail: `${verified.detail}, but still: ${wrong}` } : verified;
  }

  /** To whoever waits for it; one that was recovered after a crash has nobody waiting but the audit. */
  #finish(entry: JournalEntry): void {
    const running = this.#running.get(entry.plan.id);
    this.#running.delete(entry.plan.id);
    if (running !== undefined) return running.finished(entry);
    const targets = this.#recovered.get(entry.plan.id);
    if (targets !== undefined) this.#release(targets);
    this.#recovered.delete(entry.plan.id);
    this.#parts.audit
      .append('outcome', entry.plan.id, `after a restart: ${entry.phase}: ${entry.reason}`)
      .catch(this.#parts.failed);
  }
}
