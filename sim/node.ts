// One simulated machine, and the agents that run on it one after another: complete ones, or their protocols alone.

import { plan } from '../consensus/committee/planner.ts';
import { type Agent, createAgent } from '../node/agent/agent.ts';
import type { AgentSettings } from '../node/config/agent-config.ts';
import type { SwarmLink } from '../node/link/swarm-link.ts';
import type { Compute } from '../node/ports/compute.ts';
import type { Ports } from '../node/ports/ports.ts';
import { encodeCbor } from '../swarm/dissemination/cbor.ts';
import { swarmNames } from '../swarm/names.ts';
import type { Crypto } from '../swarm/ports/crypto.ts';
import type { StoreOperation } from '../swarm/ports/store.ts';
import type { PeerId } from '../swarm/ports/transport.ts';
import { messageOf } from '../swarm/words.ts';
import { LyingTransport } from './liar.ts';
import { SimulatedActuator } from './machine/actuator.ts';
import { Authorizations } from './machine/authorizations.ts';
import { ProcessClock } from './machine/clock.ts';
import { Disk, SimulatedStore } from './machine/disk.ts';
import { FakeLinux } from './machine/linux.ts';
import { Process } from './machine/process.ts';
import { type Archive, SimulatedReleases } from './machine/releases.ts';
import type { Network } from './network/network.ts';
import { SimulatedTransport } from './network/transport.ts';
import { AgentProfile } from './profile.ts';
import { NO_TOKEN, ProtocolsAgent } from './protocols-agent.ts';
import type { SeededRandom } from './random.ts';
import type { Scheduler } from './scheduler.ts';

/** Virtual wall clocks start here: 2026-01-01. */
export const EPOCH_MS = 1_767_225_600_000;
const MACHINE = { cpus: 4, memoryBytes: 8 * 1024 ** 3 };
/** As a service manager: an agent that exited is started again after this time. */
const RESTART_MS = 5_000;
/** The time of a restart. */
const ANEW_MS = 1_500;
/** When a bad release fails. */
const ENDS_AFTER_MS = 8_000;
const HARMS_EVERY_MS = 3_000;
const HANGS_MS = 3_600_000;
const LATER_EVERY_MS = 2_000;

/** A simulation has no models and no SQL: the tiers that need them abstain. The coordinator's planner runs. */
const NO_COMPUTE: Compute = {
  plan: async (view) => plan(view),
  classify: async () => undefined,
  sqlNeeds: async () => ({ ok: false, message: 'SQL does not run in a simulation' }),
  sqlRun: async () => ({ ok: false, message: 'SQL does not run in a simulation' }),
  inspect: async () => ({ ok: false, message: 'a simulated machine has no such table' }),
  close: async () => undefined,
};

/** Shared by all machines. */
export interface World {
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly swarmId: string;
  readonly settings: AgentSettings;
  /** The disk content of a machine that was admitted. */
  diskOf(node: SimulatedNode): StoreOperation[];
  /** Machines run the protocols alone: membership, dissemination, votes and the committee, without sensors or repairs. */
  readonly protocolsOnly: boolean;
  random(purpose: string): SeededRandom;
  log(node: string, text: string): void;
  violation(text: string): void;
}

/** The agent that runs on a machine. */
export interface Running {
  swarm: SwarmLink;
  /** Undefined if only the protocols run. */
  whole: Agent | undefined;
  stop(): Promise<void>;
}

export class SimulatedNode {
  readonly index: number;
  readonly crypto: Crypto;
  readonly linux: FakeLinux;
  /** Of its actuator. */
  readonly authorizations: Authorizations;
  readonly disk: Disk;
  /** Its releases of KALOS. */
  readonly releases: SimulatedReleases;
  readonly profile = new AgentProfile();
  /** How far its wall clock is ahead, now and without faults; and how much too fast it runs. */
  readonly clock = { skewMs: 0, usualSkewMs: 0, driftPpm: 0 };
  /** How often its agent was started and its disk replaced; services that had a fault: an action on any other is a violation. */
  readonly past = { starts: 0, wipes: 0, touched: new Set<string>() };
  /** The process of the current or last agent. */
  process: Process;
  readonly #world: World;
  #run: { running: Running; end(): void } | undefined;

  constructor(index: number, world: World, crypto: Crypto) {
    this.index = index;
    this.crypto = crypto;
    this.authorizations = new Authorizations(crypto);
    this.#world = world;
    this.process = new Process(world.scheduler);
    this.disk = new Disk(world.random(`disk ${index}`));
    this.releases = new SimulatedReleases(world.scheduler, (reason) => this.#endsBy(reason));
    const { services } = world.settings;
    const aheadMs = (): number => EPOCH_MS + this.clock.skewMs;
    this.linux = new FakeLinux(world.scheduler, world.random(`machine ${index}`), services, MACHINE, aheadMs);
  }

  get name(): string {
    return `node-${this.index}`;
  }

  get peer(): PeerId {
    return this.crypto.self;
  }

  /** Undefined while its agent is down. */
  get running(): Running | undefined {
    return this.#run?.running;
  }

  get agent(): Agent | undefined {
    return this.running?.whole;
  }

  /** Its wall clock now. */
  wallMs(): number {
    return EPOCH_MS + this.#world.scheduler.nowMs + this.clock.skewMs;
  }

  /** Starts the agent, for the first time or after a crash, on the same disk. */
  boot(): void {
    if (this.#run !== undefined) return;
    const { scheduler, network, swarmId } = this.#world;
    this.past.starts++;
    const process = new Process(scheduler);
    this.process = process;
    const clock = new ProcessClock(scheduler, () => EPOCH_MS + this.clock.skewMs, process, this.clock.driftPpm);
    const store = new SimulatedStore(this.disk, scheduler, process);
    const release = this.releases.starts();
    const own = new SimulatedTransport(this.peer, network, this.linux.answers, process);
    const { lies } = this.profile;
    const transport = lies.size === 0 ? own : new LyingTransport(own, this.crypto, clock, swarmId, lies);
    const actuator = new SimulatedActuator(this.linux, clock, this.authorizations);
    const ports: Ports = {
      clock,
      random: this.#world.random(`agent ${this.index} start ${this.past.starts}`),
      transport,
      store,
      sensors: this.linux,
      actuator,
      compute: NO_COMPUTE,
      crypto: this.crypto,
      releases: this.releases.port(),
    };
    this.linux.waitedMs = () => process.waitedMs;
    this.linux.onAct = (text) => this.#world.log(this.name, text);
    const end = (): void => {
      process.dead = true;
      store.crash();
      own.crash();
      actuator.crash();
      this.linux.onAct = () => undefined;
      this.#run = undefined;
    };
    this.#start(ports, process, release, end);
  }

  #start(ports: Ports, process: Process, release: Archive | undefined, end: () => void): void {
    const failed = (error: unknown): void => {
      if (!process.dead) this.#gaveUp(error);
    };
    const events = {
      log: (_level: string, text: string) => this.#world.log(this.name, text),
      failed,
      restart: () => this.#restart(),
    };
    const version = release?.version ?? this.profile.version;
    const { running, start } = this.#world.protocolsOnly ? this.#protocols(ports, events) : this.#whole(ports, events, version);
    this.#run = { running, end };
    start().then(() => {
      if (this.profile.speaksLater) this.#speakLater(ports);
      if (release !== undefined) this.#behave(release, ports, process);
    }, failed);
  }

  /** An agent of a bad release. */
  #behave({ behaviour }: Archive, { clock }: Ports, process: Process): void {
    if (behaviour === 'well') return;
    this.#world.log(this.name, `runs a release that ${behaviour}`);
    if (behaviour === 'ends') clock.after(ENDS_AFTER_MS, () => this.#endsBy('it exited'));
    else if (behaviour === 'hangs') process.pause(HANGS_MS);
    else this.#harm(clock);
  }

  #harm(clock: Ports['clock']): void {
    const [service] = this.#world.settings.services;
    if (service !== undefined) {
      this.past.touched.add(service.name);
      this.linux.services.kill(service.name);
    }
    clock.after(HARMS_EVERY_MS, () => this.#harm(clock));
  }

  /** Its agent ends; the service manager starts it again, as the previous release if this one was on trial. */
  #endsBy(reason: string): void {
    this.releases.ended(reason);
    this.#world.log(this.name, `its agent ended: ${reason}`);
    this.#run?.end();
    this.#world.scheduler.after(RESTART_MS, () => this.boot());
  }

  /** Stops cleanly while its services keep running, and restarts. */
  #restart(): void {
    const { running } = this;
    const ended = (): void => {
      this.#run?.end();
      this.#world.scheduler.after(ANEW_MS, () => this.boot());
    };
    if (running?.whole === undefined) return ended();
    running.whole.stop('restart').then(ended, ended);
  }

  /** Messages of an agent of a later version, besides those that all versions read. */
  #speakLater(ports: Ports): void {
    const topic = swarmNames(this.#world.swarmId).statusTopic;
    let turn = 0;
    const speak = (): void => {
      const [version, kind] = turn++ % 2 === 0 ? [2, 1] : [1, 99];
      ports.transport.publish(topic, encodeCbor([version, kind, 'of a later version', turn, { new: true }]));
      ports.clock.after(LATER_EVERY_MS, speak);
    };
    speak();
  }

  #whole(
    ports: Ports,
    events: Parameters<typeof createAgent>[2],
    version: string,
  ): { running: Running; start: () => Promise<void> } {
    const { settings, swarmId } = this.#world;
    const { name } = this;
    const { join, domain } = this.profile;
    const agent = createAgent({ ...settings, domain, ...NO_TOKEN, name, version, swarmId, join }, ports, events);
    const running = { swarm: agent.swarm, whole: agent, stop: () => agent.stop() };
    return { running, start: () => agent.start() };
  }

  #protocols(ports: Ports, events: Parameters<typeof createAgent>[2]): { running: Running; start: () => Promise<void> } {
    const agent = new ProtocolsAgent(ports, this.name, this.#world.swarmId, this.profile, events);
    const running = { swarm: agent.swarm, whole: undefined, stop: () => agent.stop() };
    return { running, start: () => agent.start() };
  }

  /** A part that must not fail did. */
  #gaveUp(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#world.violation(`${this.name} failed: ${text}`);
    this.#world.log(this.name, `failed: ${messageOf(error)}`);
    this.#run?.end();
    this.#world.scheduler.after(RESTART_MS, () => this.boot());
  }

  /** kill -9: pending work is lost, and its peers see their connections close. */
  crash(): void {
    if (this.#run === undefined) return;
    this.#run?.end();
    this.#world.log(this.name, 'crashed');
  }

  /** SIGSTOP, and SIGCONT after some time. */
  pause(forMs: number): void {
    this.process.pause(forMs);
    this.#world.log(this.name, `paused for ${forMs} ms`);
  }

  /** Leaves cleanly. Its services stop with it, as with `kalos down`. */
  leave(): void {
    const { running } = this;
    if (running === undefined) return;
    this.#world.log(this.name, 'leaves');
    const ended = (): void => this.#run?.end();
    running.stop().then(ended, ended);
  }

  /** Replaces its disk by an empty one. Its key stays, since it is the machine's. When it starts again it joins the existing swarm. */
  wipe(member: PeerId): void {
    this.past.wipes++;
    this.profile.join = [`/sim/${member}`];
    this.disk.content.clear();
    this.disk.apply(this.#world.diskOf(this));
    this.linux.changes.forget();
  }
}
