// The tables that SQL sees. Swarm tables come from the state that every peer holds; machine tables from each machine.
// Every row of a machine table says which node it is of.
import type { ColumnType, SqlValue, TableShape } from '../../swarm/ports/compute.ts';
import { STATUS_CONDITIONS } from '../../swarm/state/status.ts';
import type { Healer } from '../agent/healer.ts';
import type { SwarmLink } from '../agent/swarm-link.ts';
import type { Watcher } from '../agent/watcher.ts';
import type { Memory } from '../memory/memory.ts';
import { METRICS, originOf, processCpu, unknownBecause } from '../telemetry/metrics.ts';

export type TableScope = 'swarm' | 'machine';

export interface TableSources {
  link: SwarmLink;
  watcher: Watcher;
  memory: Memory;
  healer: Healer;
  version: string;
  nowMonotonicMs(): number;
}

export interface Table extends TableShape {
  scope: TableScope;
  description: string;
  rows(sources: TableSources): Record<string, SqlValue | undefined>[];
}

const column = (name: string, type: ColumnType) => ({ name, type });
const camelToSnake = (name: string): string =>
  name.replace(/[A-Z]/g, (letter, at) => (at === 0 ? '' : '_') + letter.toLowerCase());

const nodes: Table = {
  name: 'nodes',
  scope: 'swarm',
  description: 'Every member of the swarm, from the newest status that this peer holds of it',
  columns: [
    ...['node', 'peer', 'state', 'role', 'version', 'mode', 'address'].map((name) => column(name, 'TEXT')),
    ...['age_ms', 'term', 'open_incidents'].map((name) => column(name, 'INTEGER')),
    ...['load_1m', 'cpu', 'memory', 'psi_cpu', 'psi_memory', 'psi_io'].map((name) => column(name, 'REAL')),
    ...STATUS_CONDITIONS.map((name) => column(camelToSnake(name), 'TEXT')),
  ],
  rows: ({ link, nowMonotonicMs }) =>
    link.members.map((member) => {
      const entry = link.statuses.get(member.peer);
      const status = entry?.status;
      const scaled = (value: number | undefined, by: number) => (value === undefined ? null : value / by);
      return {
        node: link.nameOf(member.peer),
        peer: member.peer,
        state: member.state,
        role: link.coordinator === member.peer ? 'coordinator' : 'member',
        version: status?.version,
        mode: status?.mode,
        address: status?.address,
        age_ms: entry === undefined ? null : Math.round(nowMonotonicMs() - entry.heardMs),
        term: status?.term,
        open_incidents: status?.openIncidents,
        load_1m: scaled(status?.loadCenti, 100),
        cpu: scaled(status?.cpuPermille, 1000),
        memory: scaled(status?.memoryPermille, 1000),
        psi_cpu: scaled(status?.pressureCenti[0], 100),
        psi_memory: scaled(status?.pressureCenti[1], 100),
        psi_io: scaled(status?.pressureCenti[2], 100),
        ...Object.fromEntries(STATUS_CONDITIONS.map((name) => [camelToSnake(name), status?.conditions[name] ?? 'Unknown'])),
      };
    }),
};

const metrics: Table = {
  name: 'metrics',
  scope: 'machine',
  description: 'The newest value of every metric; NULL, and why, where the machine lacks it',
  columns: [
    column('node', 'TEXT'),
    column('name', 'TEXT'),
    column('value', 'REAL'),
    column('unit', 'TEXT'),
    column('description', 'TEXT'),
    column('unknown', 'TEXT'),
    column('kind', 'TEXT'),
    column('source', 'TEXT'),
  ],
  rows: ({ watcher, link: { name: node } }) => {
    const values = watcher.metrics();
    const { sample } = watcher.lastSample();
    return METRICS.map((metric) => {
      const { name, unit, description } = metric;
      const value = values.get(name);
      const unknown = value === undefined && sample !== undefined ? unknownBecause(metric, sample) : undefined;
      return { node, name, value, unit, description, unknown, ...originOf(metric) };
    });
  },
};

const processes: Table = {
  name: 'processes',
  scope: 'machine',
  description: 'Every process at the last sample',
  columns: [
    column('node', 'TEXT'),
    column('pid', 'INTEGER'),
    column('name', 'TEXT'),
    column('parent', 'INTEGER'),
    column('state', 'TEXT'),
    column('threads', 'INTEGER'),
    column('resident_size', 'INTEGER'),
    column('cpu', 'REAL'),
  ],
  rows: ({ watcher, link: { name: node } }) => {
    const { sample, previous } = watcher.lastSample();
    return (sample?.processes ?? []).map((process) => ({
      node,
      pid: process.pid,
      name: process.name,
      parent: process.parent,
      state: process.state,
      threads: process.threads,
      resident_size: process.rssBytes,
      cpu: sample && processCpu(process, sample, previous),
    }));
  },
};

const services: Table = {
  name: 'services',
  scope: 'machine',
  description: 'The services that each agent supervises',
  columns: [
    ...['node', 'name', 'state', 'health'].map((name) => column(name, 'TEXT')),
    ...['pid', 'port', 'starts', 'age_ms', 'memory', 'processes'].map((name) => column(name, 'INTEGER')),
    column('cpu', 'REAL'),
  ],
  rows: ({ watcher, link: { name: node } }) =>
    watcher.services().map(({ name, state, check, pid, port, starts, ageMs, usage }) => ({
      node,
      name,
      state,
      health: check,
      pid,
      port,
      starts,
      age_ms: Math.round(ageMs),
      memory: Math.round(usage.memoryBytes),
      processes: usage.processes,
      cpu: usage.cpus,
    })),
};

const mounts: Table = {
  name: 'mounts',
  scope: 'machine',
  description: 'Writable file systems',
  columns: [
    ...['node', 'path', 'device', 'type'].map((name) => column(name, 'TEXT')),
    ...['size', 'available', 'inodes', 'inodes_free'].map((name) => column(name, 'INTEGER')),
  ],
  rows: ({ watcher, link: { name: node } }) =>
    (watcher.lastSample().sample?.mounts ?? []).map(({ path, device, type, sizeBytes, availableBytes, inodes, inodesFree }) => ({
      node,
      path,
      device,
      type,
      size: sizeBytes,
      available: availableBytes,
      inodes,
      inodes_free: inodesFree,
    })),
};

const incidents: Table = {
  name: 'incidents',
  scope: 'machine',
  description: 'Incidents that each agent remembers, newest last; `kalos explain ID` tells one whole',
  columns: [
    ...['id', 'node', 'policy', 'target', 'severity', 'state', 'outcome', 'tool', 'cause', 'summary'].map((name) =>
      column(name, 'TEXT'),
    ),
    ...['opened_ms', 'closed_ms', 'certified'].map((name) => column(name, 'INTEGER')),
  ],
  rows: ({ memory }) =>
    memory.incidents().map((incident) => ({
      id: incident.id,
      node: incident.nodeName,
      policy: incident.policy,
      target: incident.target,
      severity: incident.severity,
      state: incident.state,
      outcome: incident.outcome,
      tool: incident.tool,
      cause: incident.cause,
      summary: incident.summary,
      opened_ms: Math.round(incident.openedMs),
      closed_ms: incident.closedMs === 0 ? null : Math.round(incident.closedMs),
      certified: incident.certificate === '' ? 0 : 1,
    })),
};

export const TABLES: readonly Table[] = [nodes, metrics, processes, services, mounts, incidents];

/** The rows of a table, with just the columns asked for, in that order. */
export function localRows(table: Table, columns: readonly string[], sources: TableSources): SqlValue[][] {
  return table.rows(sources).map((row) => columns.map((name) => row[name] ?? null));
}
