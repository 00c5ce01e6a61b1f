// The kinds of faults: the effect of each on its machines, how it ends, and how its arguments are drawn.
import { z } from 'zod';
import { utf8 } from '../../swarm/dissemination/cbor.ts';
import type { Cluster } from '../cluster.ts';
import type { Sickness } from '../machine/answers.ts';
import type { SimulatedNode } from '../node.ts';
import type { SeededRandom } from '../random.ts';

export const FAULT_KINDS = [
  'crash',
  'crash-wiped',
  'pause',
  'leave',
  'power-cut',
  'partition',
  'one-way',
  'partial',
  'flap',
  'clog',
  'lag',
  'loss',
  'duplicate',
  'reorder',
  'latency',
  'clock-jump',
  'disk-full',
  'disk-slow',
  'service-kill',
  'service-freeze',
  'service-mute',
  'service-error',
  'port-intruder',
  'service-curse',
  'bad-roll-out',
  'burden',
  'file-put',
  'file-delete',
  'log-line',
  'sysctl-set',
  'silence',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

type Arguments = Readonly<Record<string, unknown>>;

/** The machines of a fault. */
export interface Place {
  cluster: Cluster;
  nodes: readonly SimulatedNode[];
  forMs: number;
  random: SeededRandom;
}

export interface FaultModel {
  args: z.ZodRawShape;
  /** It also affects other machines: then no views of the swarm are checked. */
  everywhere?: boolean;
  /** It does not affect whether its machines are reachable. */
  local?: boolean;
  /** Begins the fault; the returned function ends it. */
  begin(place: Place, args: Arguments): (() => void) | undefined;
  /** Random arguments; undefined if it is never drawn. */
  draw?(random: SeededRandom, services: readonly string[]): Arguments | undefined;
  /** The range of random durations, in seconds. */
  lastsS?: readonly [number, number];
}

const others = ({ cluster, nodes }: Place): SimulatedNode[] => cluster.nodes.filter((node) => !nodes.includes(node));
const number = (value: unknown, fallback: number): number => (typeof value === 'number' ? value : fallback);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Blocks directions, and unblocks them at the end. */
function cut({ cluster }: Place, pairs: readonly (readonly [SimulatedNode, SimulatedNode])[]): () => void {
  for (const [from, to] of pairs) cluster.network.block(from.peer, to.peer);
  return () => {
    for (const [from, to] of pairs) cluster.network.unblock(from.peer, to.peer);
  };
}

const pairsOf = (from: readonly SimulatedNode[], to: readonly SimulatedNode[]): [SimulatedNode, SimulatedNode][] =>
  from.flatMap((a) => to.filter((b) => b !== a).map((b): [SimulatedNode, SimulatedNode] => [a, b]));

const bothWays = (pairs: readonly [SimulatedNode, SimulatedNode][]): [SimulatedNode, SimulatedNode][] =>
  pairs.flatMap(([a, b]): [SimulatedNode, SimulatedNode][] => [
    [a, b],
    [b, a],
  ]);

/** A setting of each machine, which is reset at the end. */
const set =
  (begin: (node: SimulatedNode, args: Arguments, place: Place) => void, end: (node: SimulatedNode, args: Arguments) => void) =>
  (place: Place, args: Arguments): (() => void) => {
    for (const node of place.nodes) begin(node, args, place);
    return () => {
      for (const node of place.nodes) end(node, args);
    };
  };

/** Affects all links. */
const disturb =
  (key: 'loss' | 'duplicate' | 'reorder', fallback: number): FaultModel['begin'] =>
  ({ cluster: { network } }, { probability }) => {
    network.disturbance = { ...network.disturbance, [key]: number(probability, fallback) };
    return () => {
      const { [key]: _gone, ...rest } = network.disturbance;
      network.disturbance = rest;
    };
  };

const service = { service: z.string() };
const drawService = (random: SeededRandom, services: readonly string[]): Arguments | undefined =>
  services.length === 0 ? undefined : { service: services[Math.floor(random.unit() * services.length)] };
const probability = { probability: z.number().min(0).max(1).optional() };

/** Marks a service as one that had a fault: actions on it are allowed. */
function touch(node: SimulatedNode, name: unknown): string {
  node.past.touched.add(text(name));
  return text(name);
}

const portOf = (node: SimulatedNode, name: unknown): number =>
  node.linux.services.all().find((one) => one.name === text(name))?.port ?? 0;

const sicken = (sickness: Sickness): FaultModel => ({
  args: service,
  local: true,
  begin: set(
    (node, args) => {
      const name = touch(node, args.service);
      node.linux.answers.sicken(node.linux.services.all().find((one) => one.name === name)?.pid, sickness);
    },
    () => undefined,
  ),
  draw: drawService,
});

const MACHINE_FAULTS = {
  'service-kill': {
    args: service,
    local: true,
    begin: set(
      (node, args) => node.linux.services.kill(touch(node, args.service)),
      () => undefined,
    ),
    draw: drawService,
  },
  'service-freeze': {
    args: service,
    local: true,
    begin: set(
      (node, args) => node.linux.services.freeze(touch(node, args.service)),
      () => undefined,
    ),
    draw: drawService,
  },
  /** It accepts connections and sends nothing, until its process is replaced. */
  'service-mute': sicken('mute'),
  /** It answers with an error, until its process is replaced. */
  'service-error': sicken('failed'),
  /** The service exits, and another process has its port for some time. */
  'port-intruder': {
    args: service,
    local: true,
    begin: set(
      (node, args) => {
        node.linux.services.kill(touch(node, args.service));
        node.linux.answers.occupy(portOf(node, args.service));
      },
      (node, args) => node.linux.answers.vacate(portOf(node, args.service)),
    ),
    draw: drawService,
    lastsS: [10, 60],
  },
  /** It exits soon after each start, until the fault ends and it is started. */
  'service-curse': {
    args: { ...service, lives_ms: z.number().positive().optional() },
    local: true,
    begin: (place, args) => {
      for (const node of place.nodes) {
        node.linux.services.curse(touch(node, args.service), number(args.lives_ms, 200));
        node.linux.services.kill(text(args.service));
      }
      return () => {
        for (const node of place.nodes) {
          node.linux.services.bless(text(args.service));
          void node.linux.services.start(text(args.service));
        }
      };
    },
    draw: (random, services) => {
      const drawn = drawService(random, services);
      return drawn && { ...drawn, lives_ms: Math.round(random.between(100, 3_000)) };
    },
    lastsS: [60, 90],
  },
  /** As service-curse, on one machine after another. */
  'bad-roll-out': {
    args: { ...service, lives_ms: z.number().positive().optional(), step_ms: z.number().positive().optional() },
    local: true,
    begin: (place, args) => {
      const { cluster, nodes } = place;
      const ends: (() => void)[] = [];
      nodes.forEach((node, index) => {
        cluster.scheduler.after(index * number(args.step_ms, 2_000), () => {
          const end = MACHINE_FAULTS['service-curse'].begin({ ...place, nodes: [node] }, args);
          if (end !== undefined) ends.push(end);
        });
      });
      return () => {
        for (const end of ends) end();
      };
    },
  },
  burden: {
    args: {
      ...service,
      cpu: z.number().min(0).optional(),
      memory_mib: z.number().min(0).optional(),
      memory_growth_mib_per_s: z.number().min(0).optional(),
      files_per_s: z.number().min(0).optional(),
      write_mib_per_s: z.number().min(0).optional(),
    },
    local: true,
    begin: ({ nodes }, args) => {
      const mib = (value: unknown): number | undefined => (typeof value === 'number' ? value * 1024 * 1024 : undefined);
      const wanted = {
        cpu: args.cpu,
        rssBytes: mib(args.memory_mib),
        rssGrowthBytesPerS: mib(args.memory_growth_mib_per_s),
        filesPerS: args.files_per_s,
        writeBytesPerS: mib(args.write_mib_per_s),
      };
      const given = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined));
      for (const node of nodes) node.linux.services.burden(touch(node, args.service), given);
      return undefined;
    },
  },
  'file-put': {
    args: {
      path: z.string(),
      content: z.string().optional(),
      bytes: z.number().int().min(0).optional(),
      mode: z.string().optional(),
    },
    local: true,
    begin: ({ nodes }, { path, content, bytes, mode }) => {
      const put = typeof bytes === 'number' ? utf8('x'.repeat(bytes)) : utf8(text(content));
      for (const { linux } of nodes) linux.files.put(text(path), put, Number.parseInt(text(mode) || '644', 8));
      return undefined;
    },
  },
  'file-delete': {
    args: { path: z.string() },
    local: true,
    begin: ({ nodes }, { path }) => {
      for (const { linux } of nodes) linux.files.delete(text(path));
      return undefined;
    },
  },
  /** A process writes a line to a log. */
  'log-line': {
    args: { path: z.string(), line: z.string() },
    local: true,
    begin: ({ nodes }, { path, line }) => {
      for (const { linux } of nodes) linux.files.log(text(path), text(line));
      return undefined;
    },
  },
  'sysctl-set': {
    args: { key: z.string(), value: z.string() },
    local: true,
    begin: ({ nodes }, { key, value }) => {
      for (const { linux } of nodes) linux.kernel.setSysctl(text(key), text(value));
      return undefined;
    },
  },
  /** A person silences a policy. */
  silence: {
    args: { policy: z.string() },
    local: true,
    begin: ({ nodes }, { policy }) => {
      const silence = { policy: text(policy), forMs: 3_600_000, reason: 'requested by the scenario' };
      for (const { agent } of nodes) void agent?.parts.executor.brakes.silences.add(silence);
      return undefined;
    },
  },
  'clock-jump': {
    args: { ms: z.number().optional() },
    local: true,
    begin: ({ nodes }, { ms }) => {
      for (const node of nodes) node.clock.skewMs += number(ms, 60_000);
      return () => {
        for (const node of nodes) node.clock.skewMs = node.clock.usualSkewMs;
      };
    },
    draw: (random) => ({ ms: Math.round(random.between(-600_000, 600_000)) }),
    lastsS: [10, 120],
  },
  'disk-full': {
    args: {},
    begin: set(
      (node) => {
        node.disk.full = true;
      },
      (node) => {
        node.disk.full = false;
      },
    ),
    draw: () => ({}),
    lastsS: [5, 40],
  },
  'disk-slow': {
    args: { ms: z.number().min(0).optional() },
    local: true,
    begin: set(
      (node, { ms }) => {
        node.disk.writeMs = number(ms, 500);
      },
      (node) => {
        node.disk.writeMs = 2;
      },
    ),
    draw: (random) => ({ ms: Math.round(random.between(20, 2_000)) }),
    lastsS: [5, 60],
  },
} satisfies Partial<Record<FaultKind, FaultModel>>;

const PROCESS_FAULTS = {
  crash: {
    args: {},
    begin: set(
      (node) => node.crash(),
      (node) => node.boot(),
    ),
    draw: () => ({}),
    lastsS: [1, 40],
  },
  /** It restarts with an empty disk and its old key. */
  'crash-wiped': {
    args: {},
    begin: ({ cluster, nodes }) => {
      for (const node of nodes) node.crash();
      return () => {
        for (const node of nodes) {
          node.crash(); // the end of another fault may have started it
          const member =
            cluster.running().find((other) => other.node !== node && other.node.past.wipes === 0) ?? cluster.running()[0];
          node.wipe(member?.node.peer ?? node.peer);
          node.boot();
        }
      };
    },
    draw: () => ({}),
    lastsS: [1, 40],
  },
  pause: {
    args: {},
    begin: ({ nodes, forMs }) => {
      for (const node of nodes) node.pause(forMs);
      return undefined;
    },
    draw: () => ({}),
    lastsS: [0.2, 30],
  },
  leave: {
    args: {},
    begin: set(
      (node) => {
        for (const { name } of node.linux.services.all()) touch(node, name); // they end with it
        node.leave();
      },
      (node) => node.boot(),
    ),
    lastsS: [5, 40],
  },
} satisfies Partial<Record<FaultKind, FaultModel>>;

const NETWORK_FAULTS = {
  /** The machine loses power without any message to others; then it boots. */
  'power-cut': {
    args: {},
    begin: ({ cluster, nodes }) => {
      for (const node of nodes) {
        cluster.network.power(node.peer, false);
        node.crash();
      }
      return () => {
        for (const node of nodes) {
          cluster.network.power(node.peer, true);
          node.boot();
        }
      };
    },
    draw: () => ({}),
    lastsS: [3, 40],
  },
  partition: {
    args: {},
    everywhere: true,
    begin: (place) => cut(place, bothWays(pairsOf(place.nodes, others(place)))),
    draw: () => ({}),
    lastsS: [2, 60],
  },
  'one-way': {
    args: { direction: z.enum(['out', 'in']).optional() },
    everywhere: true,
    begin: (place, { direction }) =>
      cut(place, direction === 'in' ? pairsOf(others(place), place.nodes) : pairsOf(place.nodes, others(place))),
    draw: (random) => ({ direction: random.chance(0.5) ? 'in' : 'out' }),
    lastsS: [2, 60],
  },
  /** They cannot reach each other; all others reach every machine. */
  partial: {
    args: {},
    everywhere: true,
    begin: (place) => cut(place, pairsOf(place.nodes, place.nodes)),
    draw: () => ({}),
    lastsS: [2, 60],
  },
  flap: {
    args: { period_ms: z.number().positive().optional() },
    everywhere: true,
    begin: (place, { period_ms }) => {
      let heal: (() => void) | undefined;
      let over = false;
      const turn = (): void => {
        heal?.();
        if (over) return;
        heal = heal === undefined ? NETWORK_FAULTS.partition.begin(place) : undefined;
        place.cluster.scheduler.after(number(period_ms, 1_500), turn);
      };
      turn();
      return () => {
        over = true;
        heal?.();
        heal = undefined;
      };
    },
    draw: (random) => ({ period_ms: Math.round(random.between(200, 6_000)) }),
    lastsS: [5, 40],
  },
  clog: {
    args: { share: z.number().positive().max(1).optional() },
    begin: (place, { share }) => {
      const hosts = place.nodes.map(({ peer }) => place.cluster.network.hostOf(peer));
      for (const host of hosts) host.clog = number(share, 1e-5);
      return () => {
        for (const host of hosts) {
          host.clog = 1;
          host.busyMs = 0;
        }
      };
    },
    draw: (random) => ({ share: random.between(1e-5, 1e-3) }),
    lastsS: [5, 40],
  },
  lag: {
    args: { ms: z.number().positive().optional() },
    begin: (place, { ms }) => {
      const hosts = place.nodes.map(({ peer }) => place.cluster.network.hostOf(peer));
      for (const host of hosts) host.lagMs = number(ms, 300);
      return () => {
        for (const host of hosts) host.lagMs = 0;
      };
    },
    draw: (random) => ({ ms: Math.round(random.between(20, 900)) }),
    lastsS: [5, 60],
  },
  loss: {
    args: probability,
    everywhere: true,
    begin: disturb('loss', 0.1),
    draw: (random) => ({ probability: random.between(0.01, 0.3) }),
    lastsS: [10, 60],
  },
  duplicate: {
    args: probability,
    begin: disturb('duplicate', 0.2),
    draw: (random) => ({ probability: random.between(0.05, 0.5) }),
    lastsS: [10, 60],
  },
  reorder: {
    args: probability,
    begin: disturb('reorder', 0.3),
    draw: (random) => ({ probability: random.between(0.1, 0.9) }),
    lastsS: [10, 60],
  },
  /** Affects all links. */
  latency: {
    args: { ms: z.number().min(0).optional() },
    everywhere: true,
    begin: ({ cluster: { network } }, { ms }) => {
      const latencyMs = number(ms, 200);
      network.disturbance = { ...network.disturbance, latencyMs, jitterMs: latencyMs / 4 };
      return () => {
        const { latencyMs: _latency, jitterMs: _jitter, ...rest } = network.disturbance;
        network.disturbance = rest;
      };
    },
    draw: (random) => ({ ms: Math.round(random.between(5, 800)) }),
    lastsS: [10, 60],
  },
} satisfies Partial<Record<FaultKind, FaultModel>>;

export const FAULTS: Readonly<Record<FaultKind, FaultModel>> = { ...PROCESS_FAULTS, ...NETWORK_FAULTS, ...MACHINE_FAULTS };
