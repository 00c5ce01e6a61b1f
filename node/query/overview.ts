// An overview of this machine for a person: the last minute of its main metrics, the busiest
// processes, and the newest incidents with their newest step.
import type { Incident } from '../detection/incident.ts';
import { processCpu } from '../telemetry/metrics.ts';
import type { Reads } from './reads.ts';

const SPAN_S = 60;
const TOP_PROCESSES = 12;
const LAST_INCIDENTS = 8;

const SERIES = {
  cpu: 'system.cpu.utilization',
  memory: 'system.memory.utilization',
  psiCpu: 'system.psi.cpu.some',
  psiMemory: 'system.psi.memory.some',
  psiIo: 'system.psi.io.some',
  diskWrite: 'system.disk.write',
  receive: 'system.network.io.receive',
  transmit: 'system.network.io.transmit',
} as const;

export interface Overview {
  /** At most a minute each, one value per second, oldest first; empty if the machine has no such metric. */
  series: Record<keyof typeof SERIES, number[]>;
  /** cpu in CPUs (1 is one core). */
  processes: { pid: number; name: string; state: string; cpu: number; rssBytes: number; threads: number }[];
  incidents: Pick<Incident, 'id' | 'summary' | 'target' | 'state' | 'outcome' | 'openedMs' | 'closedMs'>[];
  /** The newest step of the newest incident, as text. */
  doing: string;
}

export function overview({ machine, healing }: Pick<Reads, 'machine' | 'healing'>): Overview {
  const { sample, previous } = machine.lastSample();
  const processes = (sample?.processes ?? []).map((process) => {
    const { pid, name, state, rssBytes, threads } = process;
    return { pid, name, state, threads, rssBytes, cpu: (sample && processCpu(process, sample, previous)) ?? 0 };
  });
  const incidents = healing.incidents().toSorted((a, b) => b.openedMs - a.openedMs);
  const step = incidents[0]?.steps.at(-1);
  return {
    series: Object.fromEntries(
      Object.entries(SERIES).map(([key, name]) => [key, machine.history.last(name, SPAN_S)]),
    ) as Overview['series'],
    processes: processes.sort((a, b) => b.cpu - a.cpu || b.rssBytes - a.rssBytes).slice(0, TOP_PROCESSES),
    incidents: incidents.slice(0, LAST_INCIDENTS).map(({ id, summary, target, state, outcome, openedMs, closedMs }) => ({
      id,
      summary,
      target,
      state,
      outcome,
      openedMs,
      closedMs,
    })),
    doing: step === undefined ? '' : `${incidents[0]?.id} ${step.stage}: ${step.text}`,
  };
}
