// What the status of all at every peer costs, by the size of the swarm: at rest, and in a storm. In the simulator, protocols alone;
// `npm run bench -- swarm` measures thirty real agents.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lineChart } from '../../sim/report/svg.ts';
import { unknownConditions } from '../../swarm/state/status.ts';
import type { Bench, Figures } from './bench.ts';
import { settled } from './membership.bench.ts';

const SIZES = [30, 100, 300, 1_000];
const COST_MS = 60_000;
const LOOK_MS = 1_000;
/** A condition turns so often on each machine. */
const STORM_EVERY_MS = 3_000;

interface Cost {
  bytes: number;
  messages: number;
  /** Ms of this process: the simulated network, and whatever else the simulator does, included. */
  cpuMs: number;
}

/** What a node costs a second: at rest, and in a storm, in which a condition of each machine comes and goes all the time. */
async function costsOf(nodes: number, seed: number): Promise<{ rest: Cost; storm: Cost }> {
  const cluster = await settled(nodes, seed);
  const { network, scheduler } = cluster;
  const minute = async (each: (atMs: number) => void): Promise<Cost> => {
    const [bytes, messages, cpu, startMs] = [network.bytes, network.messages, process.cpuUsage(), scheduler.nowMs];
    for (let atMs = 0; atMs < COST_MS; atMs += LOOK_MS) {
      each(atMs);
      await cluster.runUntil(startMs + atMs + LOOK_MS);
    }
    const per = (nodes * COST_MS) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    return {
      bytes: (network.bytes - bytes) / per,
      messages: (network.messages - messages) / per,
      cpuMs: (user + system) / 1000 / per,
    };
  };
  const rest = await minute(() => undefined);
  const storm = await minute((atMs) => {
    for (const node of cluster.nodes) {
      const isBad = (Math.floor(atMs / STORM_EVERY_MS) + node.index) % 2 === 0;
      node.profile.says = { conditions: { ...unknownConditions(), MemoryPressure: isBad ? 'True' : 'False' } };
    }
  });
  return { rest, storm };
}

const words = ({ bytes, messages, cpuMs }: Cost): string =>
  `${Math.round(bytes)} B/s, ${messages.toFixed(1)} messages/s, ${cpuMs.toFixed(2)} ms/s`;

export const status: Bench = {
  name: 'status',
  description: 'in the simulator: bytes, messages and CPU a node and second for the status of all, at rest and in a storm',
  run: async ({ option, text, progress }): Promise<Figures> => {
    const sizes = SIZES.filter((size) => size <= option('nodes', 1_000));
    const costs: { size: number; rest: Cost; storm: Cost }[] = [];
    for (const size of sizes) {
      progress(`${size} nodes`);
      costs.push({ size, ...(await costsOf(size, option('seed', 1))) });
    }
    const directory = text('report', 'bench-status');
    mkdirSync(directory, { recursive: true });
    const series = (['rest', 'storm'] as const).map((name) => ({
      name,
      points: costs.map((cost) => [cost.size, cost[name].bytes] as [number, number]),
    }));
    writeFileSync(join(directory, 'cost.svg'), lineChart('what a node costs', 'bytes/s', series, 240, ' nodes'));
    const last = costs.at(-1);
    return {
      rows: costs.flatMap(({ size, rest, storm }): [string, string, string][] => [
        [`${size} nodes, at rest, a node`, words(rest), '-'],
        [`${size} nodes, in a storm, a node`, words(storm), '-'],
      ]),
      keys: {
        nodes: last?.size,
        rest_bytes_s: last?.rest.bytes,
        storm_bytes_s: last?.storm.bytes,
        rest_cpu_ms_s: last?.rest.cpuMs,
        storm_cpu_ms_s: last?.storm.cpuMs,
      },
      unmeasured: [],
    };
  },
};
