// A simulated swarm: complete agents, created by the same createAgent as in reality, on a virtual clock, network, disk and Linux.
import type { Agent } from '../node/agent/agent.ts';
import { type AgentSettings, agentSettings } from '../node/config/agent-config.ts';
import { resolveConfig } from '../node/config/config.ts';
import { utf8 } from '../swarm/dissemination/cbor.ts';
import type { Crypto } from '../swarm/ports/crypto.ts';
import type { StoreOperation } from '../swarm/ports/store.ts';
import type { PeerId } from '../swarm/ports/transport.ts';
import { ModelledCrypto, realCrypto, simulatedPeer } from './adapters/crypto.ts';
import { stepAll } from './adapters/drain.ts';
import { Trace } from './adapters/trace.ts';
import { Credentials } from './credentials.ts';
import { FaultHistory } from './fault-history.ts';
import { GOSSIP_DEFAULTS, type GossipParams } from './network/gossip.ts';
import { Network } from './network/network.ts';
import { EPOCH_MS, type Running, SimulatedNode, type World } from './node.ts';
import { SeededRandom } from './random.ts';
import { Scheduler } from './scheduler.ts';

const START_SPREAD_MS = 200;
/** All agents are started within this time, however many they are. */
const ALL_STARTED_MS = 20_000;
/** They have found each other after this time. */
const SETTLED_MS = 15_000;

export interface ClusterConfig {
  nodes: number;
  seed: number;
  /** The configuration of each agent. */
  settings?: AgentSettings | undefined;
  protocolsOnly?: boolean | undefined;
  gossip?: GossipParams | undefined;
}

export class Cluster implements World {
  readonly scheduler = new Scheduler();
  readonly trace = new Trace();
  readonly network: Network;
  readonly nodes: SimulatedNode[];
  readonly violations: string[] = [];
  readonly swarmId: string;
  readonly settings: AgentSettings;
  readonly protocolsOnly: boolean;
  readonly history = new FaultHistory(this.scheduler);
  readonly credentials: Credentials;
  readonly #seed: number;
  readonly #byPeer: ReadonlyMap<PeerId, SimulatedNode>;

  /** @param cryptos one a machine. @param root the root key of the swarm. */
  private constructor(config: ClusterConfig, cryptos: readonly Crypto[], root: Crypto) {
    const { seed, settings, protocolsOnly = false, gossip = GOSSIP_DEFAULTS } = config;
    this.#seed = seed;
    this.settings = settings ?? agentSettings(resolveConfig([{ origin: 'simulation', document: { mode: 'act' } }]));
    this.protocolsOnly = protocolsOnly;
    this.network = new Network(this.scheduler, this.random('network'), this.trace, gossip);
    const first = cryptos[0];
    if (first === undefined) throw new RangeError('a swarm needs at least one machine');
    this.credentials = new Credentials(first, root, EPOCH_MS);
    this.swarmId = this.credentials.genesis.swarmId;
    this.nodes = cryptos.map((crypto, index) => new SimulatedNode(index, this, crypto));
    this.#byPeer = new Map(this.nodes.map((node) => [node.peer, node]));
    for (const node of this.nodes) node.disk.apply(this.diskOf(node));
    this.node(0).disk.apply(this.credentials.founding);
    for (const node of this.nodes.slice(1)) node.profile.join = [`/sim/${first.self}`];
  }

  /** With modelled cryptography. */
  static of(config: ClusterConfig): Cluster {
    const secret = utf8(`world ${config.seed}`);
    const made = (_: unknown, index: number): Crypto => new ModelledCrypto(simulatedPeer(index, config.seed), secret);
    return new Cluster(config, Array.from({ length: config.nodes }, made), made(undefined, config.nodes));
  }

  /** With real keys, signatures and their cost. */
  static async withRealCrypto(config: ClusterConfig): Promise<Cluster> {
    const indices = Array.from({ length: config.nodes }, (_, index) => index);
    const cryptos = await Promise.all(indices.map((index) => realCrypto(index, config.seed)));
    return new Cluster(config, cryptos, await realCrypto(config.nodes, config.seed));
  }

  diskOf(node: SimulatedNode): StoreOperation[] {
    return this.credentials.of(node.crypto, node.name, EPOCH_MS + this.scheduler.nowMs);
  }

  random(purpose: string): SeededRandom {
    return new SeededRandom(this.#seed, purpose);
  }

  node(index: number): SimulatedNode {
    const node = this.nodes.at(index);
    if (node === undefined) throw new RangeError(`no node ${index} of ${this.nodes.length}`);
    return node;
  }

  byPeer(peer: PeerId): SimulatedNode | undefined {
    return this.#byPeer.get(peer);
  }

  log(node: string, text: string): void {
    this.trace.add(this.scheduler.nowMs, node, text);
  }

  violation(text: string): void {
    this.violations.push(`at ${(this.scheduler.nowMs / 1000).toFixed(3)} s: ${text}`);
  }

  /** Starts all agents: the first alone; the others join through it, shortly after each other. */
  start(): void {
    const everyMs = Math.min(START_SPREAD_MS, ALL_STARTED_MS / this.nodes.length);
    this.history.excuse(this.nodes, this.nodes.length * everyMs + SETTLED_MS);
    for (const node of this.nodes) this.scheduler.at(node.index * everyMs, () => node.boot());
  }

  running(): { node: SimulatedNode; running: Running }[] {
    return this.nodes.flatMap((node) => (node.running === undefined ? [] : [{ node, running: node.running }]));
  }

  /** Complete agents that run. */
  agents(): { node: SimulatedNode; agent: Agent }[] {
    return this.nodes.flatMap((node) => (node.agent === undefined ? [] : [{ node, agent: node.agent }]));
  }

  /** Ends all faults: the recovery phase begins. */
  calm(): void {
    this.log('fault', 'faults end; recovery begins');
    this.network.heal();
    this.network.disturbance = {};
    for (const node of this.nodes) {
      Object.assign(this.network.hostOf(node.peer), { up: true, clog: 1, lagMs: 0 });
      Object.assign(node.disk, { full: false, writeMs: 2 });
      node.clock.skewMs = node.clock.usualSkewMs;
      node.boot();
    }
  }

  runUntil(untilMs: number): Promise<void> {
    return stepAll(() => this.scheduler.step(untilMs));
  }
}
