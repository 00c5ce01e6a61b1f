// The services of this machine that several members declare, and one at a time runs: taken where nobody has them, held while the
// coordinator hears of it, given up where they cannot run here. The actuator stops what is held no longer, whatever becomes of this agent.

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
/** So long before its time is over a service is asked to stop: after it, it is killed. */
const STOP_EARLY_MS = 6_000;
/** So that not all take it at once; and whoever is not well lets others go first. */
const TAKE_SPREAD_MS = 400;
const SICK_WAITS_MS = 2_000;
/** Who could not run it, or was asked to let it go, leaves it to others for so long. */
const UNFIT_MS = 300_000;
/** How long another may take to have it, and to have it running. */
const TAKEN_WITHIN_MS = 45_000;
const PROBE_MS = 1_000;
const MAX_REASON = 200;

export interface PlacedServicesEvents {
  /** Why this agent may take nothing now. */
  mayNotTake(): string | undefined;
  /** Why it is to give up what it has; undefined where it is not. */
  mustGiveUp(): string | undefined;
  /** Why it may give nothing up by itself now. */
  mayNotMove(): string | undefined;
  isSick(): boolean;
  /** Kept in the audit. */
  noted(service: string, text: string): Promise<unknown>;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

/** What became of a service that was to be given up: another runs it, nobody does, or it is still here. */
export type HandedOver = { kind: 'moved'; to: PeerId } | { kind: 'nowhere' } | { kind: 'kept' };

/** Of one that is placed here. */
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
  /** When those that nobody has may be taken, at the soonest. */
  readonly #takeAtMs = new Map<string, number>();
  /** Being taken, given up or released: one thing at a time. */
  readonly #busy = new Set<string>();
  #keptMs = Number.NEGATIVE_INFINITY;
  #keeping = false;
  #timer: Timer | undefined;
  #stopped = false;

  /** @param names of the services that are declared for fail-over here */
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

  /** Looks no more, and keeps what it has: this agent is back at once. */
  leave(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Gives up all, so that others have them at once. */
  async stop(): Promise<void> {
    this.leave();
    const own = this.#names.filter((service) => this.isHere(service));
    await Promise.all(own.map((service) => this.#giveUp(service, 'its agent ends', null).catch(() => undefined)));
  }

  /** Whether a service is one of those, and this member has it. */
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
      else if (this.#isRunning(service)) this.#one(service, () => this.#release(service, 'it is not placed here any more'));
      else {
        this.#tenures.delete(service); // by a release alone, too, it is not held here any more
        if (placement === undefined || placement.peer === null) this.#lookAtFree(service, nowMs);
      }
      if (placement !== undefined && placement.peer !== null) this.#takeAtMs.delete(service);
    }
  }

  #lookAtOwn(service: string, wished: string | undefined): void {
    const tenure = this.#tenures.get(service);
    const move = wished ?? this.#events.mustGiveUp();
    if (move !== undefined) return this.#one(service, () => this.#giveUp(service, move, UNFIT_MS));
    if (tenure === undefined || tenure.released || this.#leftMs(tenure.until) > STOP_EARLY_MS) return;
    this.#one(service, () => this.#release(service, 'no coordinator has heard of this agent for too long'));
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
    const waitMs = integerBelow(this.#ports.random, TAKE_SPREAD_MS) + (this.#events.isSick() ? SICK_WAITS_MS : 0);
    if (atMs === undefined) this.#takeAtMs.set(service, nowMs + waitMs + this.#tenures.size * TAKE_SPREAD_MS);
    if (atMs === undefined || nowMs < atMs) return;
    this.#takeAtMs.set(service, nowMs + SICK_WAITS_MS); // where it is refused: again then
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
    // As of before it was asked: whoever hears of it later counts from later.
    const until = { monotonicMs: this.#keptMs + PLACEMENT_MS, wallMs: clock.wallMs() + PLACEMENT_MS };
    const held = services.map((service) => [service, this.#placement(service)?.fence ?? 0] as const);
    try {
      const kept = await this.#decisions.placements.keep(held, KEEP_WITHIN_MS);
      for (const [nth, [service, fence]] of held.entries()) if (kept?.[nth] === true) await this.#hold(service, fence, until);
    } catch {
      // There is no leader, or none within reach: again soon, and in time it is stopped.
    }
    this.#keeping = false;
  }

  async #hold(service: string, fence: number, until: Deadline): Promise<void> {
    const tenure = this.#tenures.get(service);
    const isLeaving = this.#busy.has(service) && tenure?.fence === fence && tenure.released;
    if (this.#stopped || isLeaving) return;
    this.#tenures.set(service, { fence, until, released: false });
    const outcome = await this.#ports.actuator.hold(service, until, fence);
    if (!outcome.ok) this.#events.log('warn', `${service} is placed here and is not held: ${outcome.message}`);
    else if (tenure?.fence !== fence) this.#events.log('info', `${service} runs here under fence ${fence}`);
  }

  async #release(service: string, reason: string): Promise<void> {
    const tenure = this.#tenures.get(service);
    if (tenure !== undefined) tenure.released = true;
    const outcome = await this.#ports.actuator.release(service);
    if (!outcome.ok) throw new Error(`it cannot be stopped: ${outcome.message}`);
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
   * @param told what happens, a line each
   */
  async handOver(service: string, reason: string, told: (text: string) => void): Promise<HandedOver> {
    if (!this.isHere(service) || this.#busy.has(service) || this.#events.mayNotMove() !== undefined) return { kind: 'kept' };
    this.#busy.add(service);
    try {
      const outcome = await this.#giveUp(service, reason, UNFIT_MS);
      told(outcome.ok ? `${service} was given up at decision ${outcome.index}: ${reason}` : outcome.reason);
      if (outcome.ok) await this.#decisions.reads.caughtUp(outcome.index, DECIDE_WITHIN_MS);
    } catch (error) {
      told(`${service} was stopped here, and the swarm cannot decide: ${messageOf(error)}`);
    } finally {
      this.#busy.delete(service);
    }
    return this.#seenElsewhere(service, told);
  }

  async #seenElsewhere(service: string, told: (text: string) => void): Promise<HandedOver> {
    const { clock, transport, actuator, crypto } = this.#ports;
    const untilMs = clock.monotonicMs() + TAKEN_WITHIN_MS;
    const port = actuator.services().find(({ name }) => name === service)?.port;
    let toldOf = 0;
    while (clock.monotonicMs() < untilMs && !this.#stopped) {
      const { peer, fence } = this.#placement(service) ?? { peer: null, fence: 0 };
      if (peer === crypto.self && fence > toldOf && toldOf > 0) break;
      if (peer !== null && peer !== crypto.self) {
        if (fence !== toldOf) told(`${this.#members.nameOf(peer)} has it, under fence ${fence}`);
        toldOf = fence;
        const isOpen = port === undefined || (await transport.probePort(peer, port, PROBE_MS)) === 'open';
        if (isOpen && port !== undefined) told(`its port ${port} answers on ${this.#members.nameOf(peer)}`);
        if (isOpen) return { kind: 'moved', to: peer };
      }
      await new Promise<void>((resolve) => clock.after(LOOK_EVERY_MS, resolve));
    }
    told('no other member is seen to run it');
    return { kind: 'nowhere' };
  }
}
