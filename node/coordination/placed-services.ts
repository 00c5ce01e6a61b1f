// Services for fail-over, which several members declare and one at a time runs. This agent takes those without a placement, keeps them while
// it reaches the leader, and releases those that cannot run here. The actuator stops a service whose time is over, even if this agent is
// dead.

import { PLACEMENT_MS, type Placement } from '../../consensus/decisions/placements.ts';
import type { Outcome } from '../../consensus/decisions/state.ts';
import type { Timer } from '../../swarm/ports/clock.ts';
import { integerBelow } from '../../swarm/ports/random.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { messageOf } from '../../swarm/words.ts';
import type { Decisions } from '../decisions/decisions.ts';
import type { Members } from '../decisions/members.ts';
import type { Deadline } from '../ports/actuator.ts';
import type { Ports } from '../ports/ports.ts';

const LOOK_EVERY_MS = 500;
const KEEP_EVERY_MS = 3_000;
const KEEP_WITHIN_MS = 2_000;
const DECIDE_WITHIN_MS = 5_000;
/** A service is asked to stop this long before its time is over: then it is killed. */
const STOP_EARLY_MS = 6_000;
/** Members take a service at random times within this; unhealthy ones wait longer. */
const TAKE_SPREAD_MS = 400;
const UNHEALTHY_WAITS_MS = 2_000;
/** A member that could not run it, or was asked to release it, does not take it for this long. */
const UNFIT_MS = 300_000;
/** The time for another member to take it and to start it. */
const TAKEN_WITHIN_MS = 45_000;
const PROBE_MS = 1_000;
const MAX_REASON = 200;

export interface PlacedServicesEvents {
  /** Why this agent must not take services now. */
  mayNotTake(): string | undefined;
  /** Why it has to release its services; undefined if it has not. */
  mustGiveUp(): string | undefined;
  /** Why it must not release services by itself now. */
  mayNotMove(): string | undefined;
  isSick(): boolean;
  /** Records it in the audit. */
  noted(service: string, text: string): Promise<unknown>;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

/** The outcome of a hand-over: another member runs the service, none does, or it is still here. */
export type HandedOver = { kind: 'moved'; to: PeerId } | { kind: 'nowhere' } | { kind: 'kept' };

/** A placement on this machine. */
interface Tenure {
  fence: number;
  /** Until when it may run here. */
  until: Deadline;
  released: boolean;
}

export class PlacedServices {
  readonly #ports: Ports;
  readonly #decisions: Decisions;
  readonly #members: Members;
  readonly #names: readonly string[];
  readonly #events: PlacedServicesEvents;
  readonly #tenures = new Map<string, Tenure>();
  /** When free services may be taken, at the earliest. */
  readonly #takeAtMs = new Map<string, number>();
  /** Services that are being taken, handed over or stopped: one operation at a time. */
  readonly #busy = new Set<string>();
  #keptMs = Number.NEGATIVE_INFINITY;
  #keeping = false;
  #timer: Timer | undefined;
  #stopped = false;

  /** @param names the services that are declared for fail-over here */
  constructor(ports: Ports, decisions: Decisions, members: Members, names: readonly string[], events: PlacedServicesEvents) {
    this.#ports = ports;
    this.#decisions = decisions;
    this.#members = members;
    this.#names = names;
    this.#events = events;
  }

  start(): void {
    if (this.#names.length > 0) this.#later();
  }

  #later(): void {
    if (this.#stopped) return;
    this.#timer = this.#ports.clock.after(LOOK_EVERY_MS, () => {
      this.#look();
      this.#later();
    });
  }

  /** Stops, and keeps its placements: this agent restarts now. */
  leave(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Releases all services, so that other members can take them immediately. */
  async stop(): Promise<void> {
    this.leave();
    const own = this.#names.filter((service) => this.isHere(service));
    await Promise.all(own.map((service) => this.#giveUp(service, 'its agent is stopping', null).catch(() => undefined)));
  }

  /** Whether a service for fail-over is placed on this member. */
  isHere(service: string): boolean {
    return this.#placement(service)?.peer === this.#ports.crypto.self;
  }

  #placement(service: string): Placement | undefined {
    return this.#names.includes(service) ? this.#decisions.state.placementOf(service) : undefined;
  }

  #isRunning(service: string): boolean {
    return this.#ports.actuator.services().some(({ name, state }) => name === service && state === 'running');
  }

  #look(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    const own = this.#names.filter((service) => this.isHere(service));
    if (own.length > 0 && nowMs - this.#keptMs >= KEEP_EVERY_MS) this.#keep(own).catch(this.#events.failed);
    for (const service of this.#names) {
      if (this.#busy.has(service)) continue;
      const placement = this.#placement(service);
      if (own.includes(service)) this.#lookAtOwn(service, placement?.move ?? undefined);
      else if (this.#isRunning(service)) this.#one(service, () => this.#release(service, 'it is no longer placed here'));
      else {
        this.#tenures.delete(service); // also after a stop alone it is no longer held here
        if (placement === undefined || placement.peer === null) this.#lookAtFree(service, nowMs);
      }
      if (placement !== undefined && placement.peer !== null) this.#takeAtMs.delete(service);
    }
  }

  #lookAtOwn(service: string, requested: string | undefined): void {
    const tenure = this.#tenures.get(service);
    const move = requested ?? this.#events.mustGiveUp();
    if (move !== undefined) return this.#one(service, () => this.#giveUp(service, move, UNFIT_MS));
    if (tenure === undefined || tenure.released || this.#leftMs(tenure.until) > STOP_EARLY_MS) return;
    this.#one(service, () => this.#release(service, 'lost contact with the leader'));
  }

  #one(service: string, work: () => Promise<unknown>): void {
    this.#busy.add(service);
    work()
      .catch((error: unknown) => this.#events.log('warn', `${service}: ${messageOf(error)}`))
      .finally(() => this.#busy.delete(service));
  }

  // Taking

  #lookAtFree(service: string, nowMs: number): void {
    if (this.#stopped || this.#events.mayNotTake() !== undefined) return;
    const atMs = this.#takeAtMs.get(service);
    const waitMs = integerBelow(this.#ports.random, TAKE_SPREAD_MS) + (this.#events.isSick() ? UNHEALTHY_WAITS_MS : 0);
    if (atMs === undefined) this.#takeAtMs.set(service, nowMs + waitMs + this.#tenures.size * TAKE_SPREAD_MS);
    if (atMs === undefined || nowMs < atMs) return;
    this.#takeAtMs.set(service, nowMs + UNHEALTHY_WAITS_MS); // if it is refused: again then
    this.#one(service, () => this.#take(service));
  }

  async #take(service: string): Promise<void> {
    const outcome = await this.#decisions.decide({ kind: 'place', service }, DECIDE_WITHIN_MS);
    if (!outcome.ok) return;
    await this.#decisions.reads.caughtUp(outcome.index, DECIDE_WITHIN_MS);
    const placement = this.#placement(service);
    if (placement?.peer !== this.#ports.crypto.self) return;
    const why = placement.reason === '' ? '' : `: ${placement.reason}`;
    await this.#events.noted(service, `placed here, fence ${placement.fence}${why}`);
    this.#events.log('info', `${service} is placed here, fence ${placement.fence}${why}`);
    await this.#keep([service]);
  }

  // Holding

  #leftMs({ monotonicMs }: Deadline): number {
    return monotonicMs - this.#ports.clock.monotonicMs();
  }

  async #keep(services: readonly string[]): Promise<void> {
    if (this.#keeping) return;
    this.#keeping = true;
    const { clock } = this.#ports;
    this.#keptMs = clock.monotonicMs();
    // From before the request: the leader counts from its later arrival.
    const until = { monotonicMs: this.#keptMs + PLACEMENT_MS, wallMs: clock.wallMs() + PLACEMENT_MS };
    const held = services.map((service) => [service, this.#placement(service)?.fence ?? 0] as const);
    try {
      const kept = await this.#decisions.placements.keep(held, KEEP_WITHIN_MS);
      for (const [nth, [service, fence]] of held.entries()) if (kept?.[nth] === true) await this.#hold(service, fence, until);
    } catch {
      // No reachable leader: tried again soon; the service is stopped in time.
    }
    this.#keeping = false;
  }

  async #hold(service: string, fence: number, until: Deadline): Promise<void> {
    const tenure = this.#tenures.get(service);
    const isLeaving = this.#busy.has(service) && tenure?.fence === fence && tenure.released;
    if (this.#stopped || isLeaving) return;
    this.#tenures.set(service, { fence, until, released: false });
    const outcome = await this.#ports.actuator.hold(service, until, fence);
    if (!outcome.ok) this.#events.log('warn', `the actuator rejected the placement of ${service}: ${outcome.message}`);
    else if (tenure?.fence !== fence) this.#events.log('info', `${service} runs here under fence ${fence}`);
  }

  async #release(service: string, reason: string): Promise<void> {
    const tenure = this.#tenures.get(service);
    if (tenure !== undefined) tenure.released = true;
    const outcome = await this.#ports.actuator.release(service);
    if (!outcome.ok) throw new Error(`the service cannot be stopped: ${outcome.message}`);
    await this.#events.noted(service, `stopped here: ${reason}`);
    this.#events.log('warn', `${service} is stopped here: ${reason}`);
  }

  // Giving up

  async #giveUp(service: string, reason: string, unfitMs: number | null): Promise<Outcome> {
    const fence = this.#placement(service)?.fence ?? 0;
    await this.#release(service, reason);
    const unfitUntilMs = unfitMs === null ? null : Math.round(this.#decisions.wallMs() + unfitMs);
    const wish = { kind: 'unplace', service, fence, unfitUntilMs, reason: reason.slice(0, MAX_REASON) } as const;
    const outcome = await this.#decisions.decide(wish, DECIDE_WITHIN_MS);
    this.#tenures.delete(service);
    return outcome;
  }

  /**
   * Has another member run a service that cannot run here.
   * @param report gets what happens, a line each
   */
  async handOver(service: string, reason: string, report: (text: string) => void): Promise<HandedOver> {
    if (!this.isHere(service) || this.#busy.has(service) || this.#events.mayNotMove() !== undefined) return { kind: 'kept' };
    this.#busy.add(service);
    try {
      const outcome = await this.#giveUp(service, reason, UNFIT_MS);
      report(outcome.ok ? `${service} was released at decision ${outcome.index}: ${reason}` : outcome.reason);
      if (outcome.ok) await this.#decisions.reads.caughtUp(outcome.index, DECIDE_WITHIN_MS);
    } catch (error) {
      report(`${service} was stopped here, and the swarm cannot decide now: ${messageOf(error)}`);
    } finally {
      this.#busy.delete(service);
    }
    return this.#seenElsewhere(service, report);
  }

  async #seenElsewhere(service: string, report: (text: string) => void): Promise<HandedOver> {
    const { clock, transport, actuator, crypto } = this.#ports;
    const untilMs = clock.monotonicMs() + TAKEN_WITHIN_MS;
    const port = actuator.services().find(({ name }) => name === service)?.port;
    let reportedFence = 0;
    while (clock.monotonicMs() < untilMs && !this.#stopped) {
      const { peer, fence } = this.#placement(service) ?? { peer: null, fence: 0 };
      if (peer === crypto.self && fence > reportedFence && reportedFence > 0) break;
      if (peer !== null && peer !== crypto.self) {
        if (fence !== reportedFence) report(`placed on ${this.#members.nameOf(peer)}, fence ${fence}`);
        reportedFence = fence;
        const isOpen = port === undefined || (await transport.probePort(peer, port, PROBE_MS)) === 'open';
        if (isOpen && port !== undefined) report(`its port ${port} answers on ${this.#members.nameOf(peer)}`);
        if (isOpen) return { kind: 'moved', to: peer };
      }
      await new Promise<void>((resolve) => clock.after(LOOK_EVERY_MS, resolve));
    }
    report('no other member took over the service');
    return { kind: 'nowhere' };
  }
}
