// What process trees cost: CPU over a span, memory at its end.
import { readdirSync, readFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100;
const MIB = 1024 * 1024;

export interface Cost {
  cpuShare: number;
  rssMb: number;
}

interface Stat {
  pid: number;
  parent: number;
  ticks: number;
  rssBytes: number;
}

function processes(): Stat[] {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const text = readFileSync(`/proc/${entry}/stat`, 'latin1');
      const fields = text
        .slice(text.lastIndexOf(')') + 2)
        .split(' ')
        .map(Number);
      const ticks = (fields[11] ?? 0) + (fields[12] ?? 0) + (fields[13] ?? 0) + (fields[14] ?? 0);
      return [{ pid: Number(entry), parent: fields[1] ?? 0, ticks, rssBytes: (fields[21] ?? 0) * 4096 }];
    } catch {
      return []; // ended in between
    }
  });
}

export function tree(root: number): Stat[] {
  const all = processes();
  const members = new Set([root]);
  for (let grew = true; grew; ) {
    const before = members.size;
    for (const { pid, parent } of all) if (members.has(parent)) members.add(pid);
    grew = members.size > before;
  }
  return all.filter(({ pid }) => members.has(pid));
}

const sum = (stats: Stat[], key: 'ticks' | 'rssBytes'): number => stats.reduce((total, stat) => total + stat[key], 0);

/** Measures several process trees over the same span. */
export async function measure(pids: readonly number[], seconds: number): Promise<Cost[]> {
  const before = pids.map((pid) => sum(tree(pid), 'ticks'));
  const startMs = performance.now();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const elapsedS = (performance.now() - startMs) / 1000;
  return pids.map((pid, i) => {
    const now = tree(pid);
    return { cpuShare: (sum(now, 'ticks') - (before[i] ?? 0)) / TICKS_PER_SECOND / elapsedS, rssMb: sum(now, 'rssBytes') / MIB };
  });
}

export function mean(costs: readonly Cost[]): Cost {
  const average = (key: keyof Cost): number => costs.reduce((total, cost) => total + cost[key], 0) / costs.length;
  return { cpuShare: average('cpuShare'), rssMb: average('rssMb') };
}
