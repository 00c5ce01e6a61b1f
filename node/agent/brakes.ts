// What keeps this agent from changing its machine: the kill switch, which survives a restart; the mode, the rates and the storms of the
// guard; maintenance windows; silences; and what the swarm keeps from this agent. Every change is judged here, and counted once it is begun.
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

/** What the swarm allows this agent, or keeps from it. */
export interface SwarmLimits {
  /** Why this agent changes nothing by itself; undefined while it may. */
  paused(): string | undefined;
  /** Why policies do not use a tool here; undefined where nothing keeps it from them. */
  denial(call: ToolCall): string | undefined;
  /** Without asking, though the mode is to ask. */
  mayAct(call: ToolCall): boolean;
  /** How many changes policies may make here in a while; undefined where no budget is set. */
  budget(): Ceiling | undefined;
  /** The silence of the whole swarm that covers a finding; undefined where none does. */
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

  /** Reads the kill switch and the silences: before anything can act. */
  async open(): Promise<void> {
    this.#guard.halted = await recallHalt(this.#ports.store);
    await this.silences.open();
  }

  /** Counts what was done before a restart: rates are not forgotten by it. */
  recall(entries: readonly JournalEntry[]): void {
    const { clock } = this.#ports;
    for (const { plan, atMs, monotonicMs } of entries) {
      // By the clock that nobody sets, unless the machine booted since: then it is no older than that, or the wall clock tells.
      const nowMs = clock.monotonicMs();
      const isThisBoot = monotonicMs !== undefined && monotonicMs <= nowMs;
      const usedMs = isThisBoot ? monotonicMs : nowMs - Math.max(0, clock.wallMs() - atMs);
      for (const call of plan.calls) this.#guard.use(call, plan.tier === 'operator' ? 'operator' : 'policy', usedMs);
    }
  }

  /** From the next judgement on. */
  reconfigure({ mode, maintenance }: BrakeSettings): void {
    this.#guard.mode = mode;
    this.#maintenance = maintenance;
  }

  /** Why acting is halted; undefined while it is not. */
  get halted(): string | undefined {
    return this.#guard.halted;
  }

  /** From now on nothing is done, also after a restart. Durable once it resolves, unless the disk refuses writes. */
  async halt(reason: string): Promise<void> {
    this.#guard.halted = reason; // first: nothing may slip in while the disk is busy
    this.#reporter.log('warn', `acting is halted: ${reason}`);
    await keepHalt(this.#ports, this.#reporter, reason);
  }

  async resume(): Promise<void> {
    await endHalt(this.#ports, this.#reporter);
    this.#guard.halted = undefined;
    this.#reporter.log('info', 'acting is allowed again');
  }

  /** Why the swarm has this agent change nothing by itself; undefined while it may. */
  get paused(): string | undefined {
    return this.#limits?.paused();
  }

  get mode(): Mode {
    return this.#guard.mode;
  }

  /** In words, the silence of this agent or of the swarm that covers a finding; undefined where none does. */
  silence({ policy, target }: Pick<Finding, 'policy' | 'target'>): string | undefined {
    const silence = this.silences.covering(policy, target) ?? this.#limits?.silenceOn(policy, target);
    return silence && `silenced: ${silence.reason} (${silence.id})`;
  }

  /** Why the swarm keeps policies from these calls; undefined where it does not. */
  withheld(calls: readonly ToolCall[]): string | undefined {
    return this.paused ?? calls.map((call) => this.#limits?.denial(call)).find((why) => why !== undefined);
  }

  /** The brake that keeps policies from these calls now; undefined if there is none. Asks nobody, counts nothing. */
  standing(calls: readonly ToolCall[]): string | undefined {
    const { clock } = this.#ports;
    const nowMs = clock.monotonicMs();
    return (
      this.withheld(calls) ??
      maintenanceReason(this.#maintenance, clock.wallMs()) ??
      calls.map((call) => this.#guard.standing(call, nowMs)).find((why) => why !== undefined)
    );
  }

  /** Judges a call on a target as it is; counts nothing. */
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

  /** Counts calls that are about to be done, unless a rate, a storm or a budget keeps one of them back: then none is counted. */
  use(calls: readonly ToolCall[], authority: Authority): Extract<GuardVerdict, { kind: 'escalate' }> | undefined {
    const nowMs = this.#ports.clock.monotonicMs();
    const braked = calls.map((call) => this.#guard.brake(call, authority, nowMs)).find((one) => one?.kind === 'escalate');
    if (braked?.kind === 'escalate') return braked;
    for (const call of calls) this.#guard.use(call, authority, nowMs);
    return undefined;
  }
}
