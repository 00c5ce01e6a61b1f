// What prevents this agent from changing its machine: the kill switch, which survives a restart; the mode, rates and storms of the guard;
// maintenance windows; silences; and limits that the swarm sets. Every change is checked here, and counted when it starts.
import { type Authority, type Ceiling, Guard, type GuardVerdict, type Mode } from '../action/guard.ts';
import { type MaintenanceWindow, maintenanceReason } from '../action/maintenance.ts';
import { type Silence, Silences } from '../action/silences.ts';
import type { Snapshot } from '../action/tool.ts';
import type { JournalEntry } from '../action/transaction.ts';
import type { Finding } from '../detection/detector.ts';
import type { Ports } from '../ports/ports.ts';
import type { Reporter } from '../reporter.ts';
import type { ToolCall } from '../tool-call.ts';
import { endHalt, keepHalt, recallHalt } from './kill-switch.ts';

/** What the swarm allows or denies this agent. */
export interface SwarmLimits {
  /** Why this agent changes nothing by itself; undefined while it may. */
  paused(): string | undefined;
  /** Why policies may not use a tool here; undefined if no grant denies it. */
  denial(call: ToolCall): string | undefined;
  /** Whether a grant allows the call without approval. */
  mayAct(call: ToolCall): boolean;
  /** How many changes policies may make here within a time; undefined if no budget is set. */
  budget(): Ceiling | undefined;
  /** The silence of the swarm that covers a finding; undefined if none does. */
  silenceOn(policy: string, target: string): Pick<Silence, 'id' | 'reason'> | undefined;
}

export interface BrakeSettings {
  mode: Mode;
  maintenance: readonly MaintenanceWindow[];
}

export class Brakes {
  readonly #ports: Ports;
  readonly #limits: SwarmLimits | undefined;
  readonly #reporter: Reporter;
  readonly #guard: Guard;
  readonly silences: Silences;
  #maintenance: readonly MaintenanceWindow[];

  constructor(ports: Ports, { mode, maintenance }: BrakeSettings, limits: SwarmLimits | undefined, reporter: Reporter) {
    this.#ports = ports;
    this.#limits = limits;
    this.#reporter = reporter;
    this.#guard = new Guard(mode, () => limits?.budget());
    this.silences = new Silences(ports, reporter);
    this.#maintenance = maintenance;
  }

  /** Reads the kill switch and the silences, before the first action. */
  async open(): Promise<void> {
    this.#guard.halted = await recallHalt(this.#ports.store);
    await this.silences.open();
  }

  /** Counts changes from before a restart, so that rates stay in force. */
  recall(entries: readonly JournalEntry[]): void {
    const { clock } = this.#ports;
    for (const { plan, atMs, monotonicMs } of entries) {
      // By the monotonic clock; if the machine has booted since, by the wall clock.
      const nowMs = clock.monotonicMs();
      const isThisBoot = monotonicMs !== undefined && monotonicMs <= nowMs;
      const usedMs = isThisBoot ? monotonicMs : nowMs - Math.max(0, clock.wallMs() - atMs);
      for (const call of plan.calls) this.#guard.use(call, plan.tier === 'operator' ? 'operator' : 'policy', usedMs);
    }
  }

  /** From the next check on. */
  reconfigure({ mode, maintenance }: BrakeSettings): void {
    this.#guard.mode = mode;
    this.#maintenance = maintenance;
  }

  /** Why actions are halted; undefined while they are not. */
  get halted(): string | undefined {
    return this.#guard.halted;
  }

  /** Halts all actions, also after a restart. Durable once it resolves, unless the disk refuses writes. */
  async halt(reason: string): Promise<void> {
    this.#guard.halted = reason; // first: no action may start while the disk is busy
    this.#reporter.log('warn', `actions are halted: ${reason}`);
    await keepHalt(this.#ports, this.#reporter, reason);
  }

  async resume(): Promise<void> {
    await endHalt(this.#ports, this.#reporter);
    this.#guard.halted = undefined;
    this.#reporter.log('info', 'actions are allowed again');
  }

  /** Why this agent may change nothing by itself: the swarm has paused it; undefined while it may. */
  get paused(): string | undefined {
    return this.#limits?.paused();
  }

  get mode(): Mode {
    return this.#guard.mode;
  }

  /** Text of the silence, of this agent or of the swarm, that covers a finding; undefined if none does. */
  silence({ policy, target }: Pick<Finding, 'policy' | 'target'>): string | undefined {
    const silence = this.silences.covering(policy, target) ?? this.#limits?.silenceOn(policy, target);
    return silence && `silenced: ${silence.reason} (${silence.id})`;
  }

  /** Why the swarm denies policies these calls; undefined if it does not. */
  withheld(calls: readonly ToolCall[]): string | undefined {
    return this.paused ?? calls.map((call) => this.#limits?.denial(call)).find((why) => why !== undefined);
  }

  /** The brake that blocks these calls of policies now; undefined if there is none. No network, counts nothing. */
  standing(calls: readonly ToolCall[]): string | undefined {
    const { clock } = this.#ports;
    const nowMs = clock.monotonicMs();
    return (
      this.withheld(calls) ??
      maintenanceReason(this.#maintenance, clock.wallMs()) ??
      calls.map((call) => this.#guard.standing(call, nowMs)).find((why) => why !== undefined)
    );
  }

  /** Checks a call on a target in its present state; counts nothing. */
  judge(call: ToolCall, before: Snapshot, authority: Authority): GuardVerdict {
    const { clock } = this.#ports;
    return this.#guard.judge({
      call,
      before,
      authority,
      nowMs: clock.monotonicMs(),
      maintenance: this.withheld([call]) ?? maintenanceReason(this.#maintenance, clock.wallMs()),
      granted: this.#limits?.mayAct(call) ?? false,
    });
  }

  /** Counts calls that are about to be made. If a rate, a storm or a budget blocks one of them, none is counted. */
  use(calls: readonly ToolCall[], authority: Authority): Extract<GuardVerdict, { kind: 'escalate' }> | undefined {
    const nowMs = this.#ports.clock.monotonicMs();
    const braked = calls.map((call) => this.#guard.brake(call, authority, nowMs)).find((one) => one?.kind === 'escalate');
    if (braked?.kind === 'escalate') return braked;
    for (const call of calls) this.#guard.use(call, authority, nowMs);
    return undefined;
  }
}
