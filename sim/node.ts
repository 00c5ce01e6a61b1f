// One simulated machine, and the agents that run on it one after another: whole ones, or their protocols alone.

import { plan } from '../consensus/committee/planner.ts';
import { type Agent, createAgent } from '../node/agent/agent.ts';
import type { AgentSettings } from '../node/config/agent-config.ts';
import { SwarmLink } from '../node/link/swarm-link.ts';
import type { Compute } from '../node/ports/compute.ts';
import type { Ports } from '../node/ports/ports.ts';
import { encodeCbor } from '../swarm/dissemination/cbor.ts';
import { swarmNames } from '../swarm/names.ts';
import type { Crypto } from '../swarm/ports/crypto.ts';
import type { StoreOperation } from '../swarm/ports/store.ts';
import type { PeerId } from '../swarm/ports/transport.ts';
import { type Status, unknownConditions } from '../swarm/state/status.ts';
import { messageOf } from '../swarm/words.ts';
import { type Lie, LyingTransport } from './liar.ts';
import { SimulatedActuator } from './machine/actuator.ts';
import { Authorizations } from './machine/authorizations.ts';
import { ProcessClock } from './machine/clock.ts';
import { Disk, SimulatedStore } from './machine/disk.ts';
import { FakeLinux } from './machine/linux.ts';
import { Process } from './machine/process.ts';
import { type Archive, SimulatedReleases } from './machine/releases.ts';
import type { Network } from './network/network.ts';
import { SimulatedTransport } from './network/transport.ts';
import type { SeededRandom } from './random.ts';
import type { Scheduler } from './scheduler.ts';

/** Virtual wall clocks start here: 2026-01-01. */
export const EPOCH_MS = 1_767_225_600_000;
const MACHINE = { cpus: 4, memoryBytes: 8 * 1024 ** 3 };
/** As a service manager would: an agent that ended by itself is started again. */
const RESTART_MS = 5_000;
/** An agent that restarts. */
const ANEW_MS = 1_500;
/** Of a release that is no good. */
const ENDS_AFTER_MS = 8_000;
const HARMS_EVERY_MS = 3_000;
const HANGS_MS = 3_600_000;
const STATUS_EVERY_MS = 1_000;
const LATER_EVERY_MS = 2_000;

/** No model and no SQL runs in a simulation: the tiers that need them abstain. The coordinator's planner does. */
const NO_COMPUTE: Compute = {
  plan: async (view) => plan(view),
  classify: async () => undefined,
  sqlNeeds: async () => ({ ok: false, message: 'SQL does not run in a simulation' }),
  sqlRun: async () => ({ ok: false, message: 'SQL does not run in a simulation' }),
  inspect: async () => ({ ok: false, message: 'a simulated machine has no such table' }),
  close: async () => undefined,
};

const NO_EVIDENCE = { verdict: 'abstain', reason: 'no-evidence', confidence: 0 } as const;

/** Machines were admitted before the simulation begins. */
const NO_TOKEN = { token: undefined, rootSigners: [] };

/** What all machines share. */
export interface World {
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly swarmId: string;
  readonly settings: AgentSettings;
  /** What is on the disk of a machine that was admitted. */
  credentials(node: SimulatedNode): StoreOperation[];
  /** Machines run the protocols alone: membership, dissemination, votes and the coordinator, without sensing or healing. */
  readonly protocolsOnly: boolean;
  random(purpose: string): SeededRandom;
  log(node: string, text: string): void;
  violation(text: string): void;
}

/** What runs on a machine. */
export interface Running {
  swarm: SwarmLink;
  /** Undefined where only the protocols run. */
  whole: Agent | undefined;
  stop(): Promise<void>;
}

export class SimulatedNode {
  readonly index: number;
  readonly name: string;
  readonly peer: PeerId;
  readonly linux: FakeLinux;
  /** Its actuator's. */
  readonly authorizations: Authorizations;
  readonly disk: Disk;
  readonly crypto: Crypto;
  readonly #world: World;
  /** What its wall clock is ahead. */
  skewMs = 0;
  /** What it is ahead while nothing is wrong with it. */
  usualSkewMs = 0;
  driftPpm = 0;
  version = '0.4.0';
  /** What fails together with it. */
  domain: string | undefined;
  /** It also speaks a version of the protocol that is yet to come. */
  speaksLater = false;
  /** Where an agent finds the swarm; empty for the first one. */
  join: readonly string[] = [];
  /** What its status says, where there is no machine that it is of. */
  says: Partial<Status> = {};
  readonly lies = new Set<Lie>();
  /** Services that something happened to: what is done to any other harms it. */
  readonly touched = new Set<string>();
  /** Releases of KALOS that it has. */
  readonly releases: SimulatedReleases;
  starts = 0;
  /** How often its disk was replaced. */
  wipes = 0;
  process: Process;
  #running: Running | undefined;
  #end: (() => void) | undefined;

  constructor(index: number, world: World, crypto: Crypto) {
    this.index = index;
    this.name = `node-${index}`;
    this.peer = crypto.self;
    this.crypto = crypto;
    this.authorizations = new Authorizations(crypto);
    this.#world = world;
    this.process = new Process(world.scheduler);
    this.disk = new Disk(world.random(`disk ${index}`));
    this.releases = new SimulatedReleases(world.scheduler, (reason) => this.#endsBy(reason));
    const { services } = world.settings;
    this.linux = new FakeLinux(
      world.scheduler,
      world.random(`machine ${index}`),
      services,
      MACHINE,
      () => EPOCH_MS + this.skewMs,
    );
  }

  /** Undefined while its agent is down. */
  get running(): Running | undefined {
    return this.#running;
  }

  get agent(): Agent | undefined {
    return this.#running?.whole;
  }

  /** What its wall clock shows now. */
  wallMs(): number {
    return EPOCH_MS + this.#world.scheduler.nowMs + this.skewMs;
  }

  /** Starts the agent: first, or again after a crash, on the same disk. */
  boot(): void {
    if (this.#running !== undefined) return;
    const { scheduler, network, swarmId } = this.#world;
    this.starts++;
    const process = new Process(scheduler);
    this.process = process;
    const clock = new ProcessClock(scheduler, () => EPOCH_MS + this.skewMs, process, this.driftPpm);
    const store = new SimulatedStore(this.disk, scheduler, process);
    const release = this.releases.starts();
    const own = new SimulatedTransport(this.peer, network, this.linux.answers, process);
    const transport = this.lies.size === 0 ? own : new LyingTransport(own, this.crypto, clock, swarmId, this.lies);
    const actuator = new SimulatedActuator(this.linux, clock, this.authorizations);
    const ports: Ports = {
      clock,
      random: this.#world.random(`agent ${this.index} start ${this.starts}`),
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
      this.#running = undefined;
      this.#end = undefined;
    };
    this.#end = end;
    this.#start(ports, process, release);
  }

  #start(ports: Ports, process: Process, release: Archive | undefined): void {
    const failed = (error: unknown): void => {
      if (!process.dead) this.#gaveUp(error);
    };
    const events = {
      log: (_level: string, text: string) => this.#world.log(this.name, text),
      failed,
      restart: () => this.#restart(),
    };
    const { protocolsOnly } = this.#world;
    const version = release?.version ?? this.version;
    const { running, start } = protocolsOnly ? this.#protocols(ports, events) : this.#whole(ports, events, version);
    this.#running = running;
    start().then(() => {
      if (this.speaksLater) this.#speakLater(ports);
      if (release !== undefined) this.#behave(release, ports, process);
    }, failed);
  }

  /** An agent of a release that is no good. */
  #behave({ behaviour }: Archive, { clock }: Ports, process: Process): void {
    if (behaviour === 'well') return;
    this.#world.log(this.name, `runs a release that ${behaviour}`);
    if (behaviour === 'ends') clock.after(ENDS_AFTER_MS, () => this.#endsBy('it ended by itself'));
    else if (behaviour === 'hangs') process.pause(HANGS_MS);
    else this.#harm(clock);
  }

  #harm(clock: Ports['clock']): void {
    const [service] = this.#world.settings.services;
    if (service !== undefined) {
      this.touched.add(service.name);
      this.linux.services.kill(service.name);
    }
    clock.after(HARMS_EVERY_MS, () => this.#harm(clock));
  }

  /** Its agent ends; whatever starts agents starts it again, as what it was before where that was on trial. */
  #endsBy(reason: string): void {
    this.releases.ended(reason);
    this.#world.log(this.name, `its agent ended: ${reason}`);
    this.#end?.();
    this.#world.scheduler.after(RESTART_MS, () => this.boot());
  }

  /** Ends in order, its services going on, and restarts. */
  #restart(): void {
    const running = this.#running;
    const ended = (): void => {
      this.#end?.();
      this.#world.scheduler.after(ANEW_MS, () => this.boot());
    };
    if (running?.whole === undefined) return ended();
    running.whole.stop('restart').then(ended, ended);
  }

  /** What an agent of a later version says beside what all understand. */
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
    const { name, join, domain } = this;
    const agent = createAgent({ ...settings, domain, ...NO_TOKEN, name, version, swarmId, join }, ports, events);
    const running = { swarm: agent.swarm, whole: agent, stop: () => agent.stop() };
    return { running, start: () => agent.start() };
  }

  /** An agent's place in the swarm without the rest of it; its status stays as it is, but for what it is made to say. */
  #protocols(ports: Ports, events: Parameters<typeof createAgent>[2]): { running: Running; start: () => Promise<void> } {
    const { swarmId } = this.#world;
    const nothing = async (): Promise<Uint8Array> => new Uint8Array();
    const { name, join } = this;
    const config = { ...NO_TOKEN, swarmId, name, join };
    const swarm = new SwarmLink(ports, config, {
      ...events,
      request: nothing,
      voted: () => undefined,
      measured: () => NO_EVIDENCE,
    });
    const beat = (): void => {
      swarm.publish(this.#status(ports, swarm));
      ports.clock.after(STATUS_EVERY_MS, beat);
    };
    const start = async (): Promise<void> => {
      await swarm.start();
      beat();
    };
    return { running: { swarm, whole: undefined, stop: () => swarm.stop() }, start };
  }

  #status(ports: Ports, swarm: SwarmLink): Status {
    return {
      name: this.name,
      version: this.version,
      atMs: ports.clock.wallMs(),
      zone: swarm.order.zone,
      address: ports.transport.addresses()[0] ?? '',
      loadCenti: undefined,
      memoryPermille: undefined,
      cpuPermille: undefined,
      pressureCenti: [undefined, undefined, undefined],
      conditions: unknownConditions(),
      openIncidents: 0,
      term: swarm.term,
      coordinator: swarm.coordinator === this.peer,
      decided: swarm.order.decisions.state.index,
      mode: 'observe',
      ...this.says,
    };
  }

  /** What must not fail did. */
  #gaveUp(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#world.violation(`${this.name} failed: ${text}`);
    this.#world.log(this.name, `gave up: ${messageOf(error)}`);
    this.#end?.();
    this.#world.scheduler.after(RESTART_MS, () => this.boot());
  }

  /** kill -9: nothing that it had under way is finished, and its peers see their connections close. */
  crash(): void {
    if (this.#running === undefined) return;
    this.#end?.();
    this.#world.log(this.name, 'crashed');
  }

  /** SIGSTOP, and SIGCONT after a while. */
  pause(forMs: number): void {
    this.process.pause(forMs);
    this.#world.log(this.name, `paused for ${forMs} ms`);
  }

  /** Leaves properly. Its services end with it, as `kalos down` has it. */
  leave(): void {
    const running = this.#running;
    if (running === undefined) return;
    this.#world.log(this.name, 'leaves');
    const ended = (): void => this.#end?.();
    running.stop().then(ended, ended);
  }

  /** Its disk is another, and empty. Its key stays: it is the machine's. Whoever sets it up again has it join the swarm that there is. */
  wipe(member: PeerId): void {
    this.wipes++;
    this.join = [`/sim/${member}`];
    this.disk.content.clear();
    this.disk.apply(this.#world.credentials(this));
    this.linux.changes.forget();
  }
}
