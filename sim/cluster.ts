// A simulated swarm: whole agents, made by the same createAgent as in reality, on a virtual clock, network, disk and Linux.
import { type Agent, createAgent } from '../node/agent.ts';
import { SHIPPED_POLICIES } from '../node/detection/policy.ts';
import { type Declared, NOTHING_DECLARED } from '../node/telemetry/declared.ts';
import { utf8 } from '../swarm/dissemination/cbor.ts';
import { swarmIdOf } from '../swarm/names.ts';
import type { ServiceSpec } from '../swarm/ports/actuator.ts';
import type { Compute } from '../swarm/ports/compute.ts';
import type { PeerId } from '../swarm/ports/transport.ts';
import { SimulatedActuator } from './actuator.ts';
import { ModelledCrypto, simulatedPeer } from './adapters/crypto.ts';
import { drainPromises } from './adapters/drain.ts';
import { Trace } from './adapters/trace.ts';
import { ProcessClock } from './clock.ts';
import { FakeLinux } from './linux.ts';
import { Network, SimulatedTransport } from './network.ts';
import { SeededRandom } from './random.ts';
import { Scheduler } from './scheduler.ts';
import { Disk, SimulatedStore } from './store.ts';

/** Virtual wall clocks start here: 2026-01-01. */
const EPOCH_MS = 1_767_225_600_000;
const MACHINE = { cpus: 4, memoryBytes: 8 * 1024 ** 3 };
const START_SPREAD_MS = 200;

export interface ClusterConfig {
  nodes: number;
  seed: number;
  services: readonly ServiceSpec[];
  declared?: Declared | undefined;
}

/** No model and no SQL runs in a simulation: the tiers that need them abstain. */
const NO_COMPUTE: Compute = {
  classify: async () => undefined,
  sqlNeeds: async () => ({ ok: false, message: 'SQL does not run in a simulation' }),
  sqlRun: async () => ({ ok: false, message: 'SQL does not run in a simulation' }),
  close: async () => undefined,
};

export interface SimulatedNode {
  index: number;
  name: string;
  peer: PeerId;
  linux: FakeLinux;
  disk: Disk;
  /** Undefined while its agent is down. */
  agent: Agent | undefined;
  crash(): void;
}

export class Cluster {
  readonly scheduler = new Scheduler();
  readonly trace = new Trace();
  readonly network: Network;
  /** What a machine's wall clock is ahead, by its index. */
  readonly skews = new Map<number, number>();
  readonly nodes: SimulatedNode[];
  readonly violations: string[] = [];
  readonly #config: ClusterConfig;
  readonly #secret: Uint8Array;
  readonly #starts = new Map<number, number>();

  constructor(config: ClusterConfig) {
    this.#config = config;
    this.#secret = utf8(`world ${config.seed}`);
    this.network = new Network(this.scheduler, this.#random('network'), this.trace);
    this.nodes = Array.from({ length: config.nodes }, (_, index) => this.#machine(index));
  }

  #random(purpose: string): SeededRandom {
    return new SeededRandom(this.#config.seed, purpose);
  }

  #machine(index: number): SimulatedNode {
    const random = this.#random(`machine ${index}`);
    const linux = new FakeLinux(this.scheduler, random, this.#config.services, MACHINE, EPOCH_MS);
    return {
      index,
      name: `node-${index}`,
      peer: simulatedPeer(index, this.#config.seed),
      linux,
      disk: new Disk(),
      agent: undefined,
      crash: () => undefined,
    };
  }

  node(index: number): SimulatedNode {
    const node = this.nodes[index];
    if (node === undefined) throw new RangeError(`no node ${index} of ${this.nodes.length}`);
    return node;
  }

  log(node: string, text: string): void {
    this.trace.add(this.scheduler.nowMs, node, text);
  }

  /** Starts all agents, the first alone, the others joining through it shortly after each other. */
  start(): void {
    for (const node of this.nodes) this.scheduler.at(node.index * START_SPREAD_MS, () => this.boot(node.index));
  }

  /** Starts the agent of a machine: first, or again after a crash, on the same disk. */
  boot(index: number): void {
    const node = this.node(index);
    const starts = (this.#starts.get(index) ?? 0) + 1;
    this.#starts.set(index, starts);
    const clock = new ProcessClock(this.scheduler, () => EPOCH_MS + (this.skews.get(index) ?? 0));
    const store = new SimulatedStore(node.disk, this.scheduler);
    const transport = new SimulatedTransport(node.peer, this.network, (port) => node.linux.portState(port));
    const crypto = new ModelledCrypto(node.peer, this.#secret);
    const random = this.#random(`agent ${index} start ${starts}`);
    const config = {
      name: node.name,
      version: '0.1.0',
      swarmId: swarmIdOf('simulated', crypto.hash),
      mode: 'act' as const,
      policies: SHIPPED_POLICIES.map((policy) => ({ policy, origin: 'shipped' as const })),
      engine: {},
      maintenance: [],
      declared: this.#config.declared ?? NOTHING_DECLARED,
      services: this.#config.services,
      join: index === 0 ? [] : [`/sim/${this.node(0).peer}`],
    };
    const actuator = new SimulatedActuator(node.linux);
    const ports = { clock, random, transport, store, sensors: node.linux, actuator, compute: NO_COMPUTE, crypto };
    node.linux.onAct = (text) => this.log(node.name, text);
    const agent = createAgent(config, ports, {
      log: (_level, text) => this.log(node.name, text),
      failed: (error) => {
        this.violations.push(
          `${node.name} failed at ${this.scheduler.nowMs} ms: ${error instanceof Error ? error.stack : String(error)}`,
        );
      },
    });
    node.agent = agent;
    node.crash = () => {
      clock.dead = true;
      store.crash();
      transport.crash();
      actuator.crash();
      node.linux.onAct = () => undefined;
      node.agent = undefined;
      this.log(node.name, 'crashed');
    };
    agent.start().catch((error: unknown) => this.violations.push(`${node.name} did not start: ${String(error)}`));
  }

  running(): { node: SimulatedNode; agent: Agent }[] {
    return this.nodes.flatMap((node) => (node.agent === undefined ? [] : [{ node, agent: node.agent }]));
  }

  async runUntil(untilMs: number): Promise<void> {
    while (this.scheduler.step(untilMs)) await drainPromises();
    await drainPromises();
  }
}
