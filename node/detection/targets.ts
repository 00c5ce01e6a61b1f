// The targets of policies: the machine, and each service, mount and declared item by its name, with the fields that an
// expression can use. An unknown value has no field, so an expression that needs it is not evaluated.
import type { ServiceCheck, ServiceSample } from '../ports/actuator.ts';
import type { MountSample, Sample } from '../ports/sensors.ts';
import { usedShare } from '../telemetry/counters.ts';
import type { DeclaredView } from '../telemetry/declared.ts';
import type { Facts } from '../telemetry/service-facts.ts';
import type { Usage } from '../telemetry/usage.ts';
import type { PolicyScope } from './policy.ts';

/** A supervised service at the time of a sample. */
export interface ServiceView extends ServiceSample {
  /** The last result of its declared check. */
  check: ServiceCheck;
  /** State letter of its process as in proc(5); empty without a process. */
  processState: string;
  /** Usage of its process and all descendants, at the last sample. */
  usage: Usage;
  facts: Facts;
  ageMs: number;
}

export type Field = string | number | boolean;

export interface Target {
  /** A service's name, a mount's path, a key; `machine` for the whole machine. */
  name: string;
  fields: Readonly<Record<string, Field>>;
}

export type Targets = ReadonlyMap<PolicyScope, readonly Target[]>;

/** The fields of a target that an expression may use, by scope. */
export const FIELDS: Readonly<Record<Exclude<PolicyScope, 'machine'>, readonly string[]>> = {
  service: [
    ...[
      'name',
      'state',
      'check',
      'process_state',
      'age_s',
      'exit_code',
      'exit_signal',
      'starts',
      'restart',
      'critical',
      'task',
      'pid',
      'on_purpose',
      'by_policy',
      'unit',
      'unit_state',
    ],
    ...['memory_bytes', 'cpus', 'processes', 'zombies', 'files', 'write_bytes_s', 'throttled_share', 'limit_cpus', 'exits'],
    ...['max_memory_bytes', 'max_cpus', 'max_processes', 'max_files', 'max_write_bytes_s'],
    ...['config_changed', 'config_path', 'config_good', 'port_exclusive', 'port_holder', 'log_matches', 'last_match'],
  ],
  mount: ['path', 'type', 'utilization', 'inodes_utilization'],
  sysctl: ['key', 'wanted', 'value'],
  file: ['path', 'exists', 'content', 'wanted', 'mode', 'wanted_mode', 'text', 'reload'],
  log: [
    ...['path', 'exists', 'size_bytes', 'max_bytes', 'keep', 'reload', 'lines', 'matches', 'last_match'],
    ...['growth_bytes_s', 'flooding', 'floods', 'writer', 'writer_pid', 'writer_program'],
  ],
  cleanup: ['directory', 'suffix', 'older_than_s', 'bytes', 'files', 'utilization', 'inodes_utilization'],
  certificate: ['path', 'exists', 'readable', 'renew_days', 'days_left', 'served_days_left', 'renew', 'reload', 'server'],
  resolver: ['path', 'servers', 'declared', 'answers', 'declared_answers', 'text'],
};

/** Fields with the content of a file, for a remedy to write: they are not shown. */
export const CONTENTS: readonly string[] = ['text', 'config_good'];

const MACHINE: readonly Target[] = [{ name: 'machine', fields: {} }];

/** @param sample undefined before the first one. */
export function targetsOf(
  sample: Sample | undefined,
  services: readonly ServiceView[],
  declared: readonly DeclaredView[],
): Map<PolicyScope, Target[]> {
  const mounts = sample?.mounts ?? [];
  const targets = new Map<PolicyScope, Target[]>([
    ['machine', [...MACHINE]],
    ['service', services.map((service) => ({ name: service.name, fields: serviceFields(service) }))],
    ['mount', mounts.map((mount) => ({ name: mount.path, fields: { path: mount.path, type: mount.type, ...useOf(mount) } }))],
  ]);
  for (const { kind, name, fields } of declared) {
    const target = { name, fields: kind === 'cleanup' ? { ...fields, ...useOf(mountOf(mounts, name)) } : fields };
    const others = targets.get(kind);
    if (others === undefined) targets.set(kind, [target]);
    else others.push(target);
  }
  return targets;
}

function useOf(mount: MountSample | undefined): { utilization?: number; inodes_utilization?: number } {
  if (mount === undefined) return { utilization: 0, inodes_utilization: 0 };
  const share = (all: number, free: number): number | undefined => (all > 0 ? usedShare(all, free) : 0);
  const [utilization, inodes] = [share(mount.sizeBytes, mount.availableBytes), share(mount.inodes, mount.inodesFree)];
  return {
    ...(utilization === undefined ? {} : { utilization }),
    ...(inodes === undefined ? {} : { inodes_utilization: inodes }),
  };
}

/** The file system of a path. */
function mountOf(mounts: readonly MountSample[], path: string): MountSample | undefined {
  const above = mounts.filter((mount) => mount.path === '/' || path === mount.path || path.startsWith(`${mount.path}/`));
  return above.toSorted((a, b) => b.path.length - a.path.length)[0];
}

/** An undeclared limit is infinite. */
const bound = (declared: number | undefined): number => declared ?? Number.POSITIVE_INFINITY;

function serviceFields(service: ServiceView): Record<string, Field> {
  const { usage, bounds, facts } = service;
  return {
    name: service.name,
    state: service.state,
    check: service.check,
    process_state: service.processState,
    age_s: service.ageMs / 1000,
    exit_code: service.exitCode ?? -1,
    exit_signal: service.exitSignal ?? '',
    starts: service.starts,
    restart: service.restart,
    critical: service.critical,
    task: service.task,
    on_purpose: service.onPurpose,
    by_policy: service.byPolicy,
    unit: service.unit ?? '',
    unit_state: service.unitState,
    pid: service.pid ?? 0,
    memory_bytes: usage.memoryBytes,
    cpus: usage.cpus,
    processes: usage.processes,
    zombies: usage.zombies,
    max_memory_bytes: bound(bounds.memoryBytes),
    max_cpus: bound(bounds.cpus),
    max_processes: bound(bounds.processes),
    max_files: bound(bounds.files),
    max_write_bytes_s: bound(bounds.writeBytesPerS),
    exits: facts.exits,
    ...(facts.files === undefined ? {} : { files: facts.files }),
    ...(facts.writeBytesPerS === undefined ? {} : { write_bytes_s: facts.writeBytesPerS }),
    ...(facts.throttledShare === undefined ? {} : { throttled_share: facts.throttledShare }),
    ...(facts.limitCpus === undefined ? {} : { limit_cpus: facts.limitCpus }),
    config_changed: facts.changedConfig !== undefined,
    config_path: facts.changedConfig?.path ?? '',
    config_good: facts.changedConfig?.good ?? '',
    log_matches: facts.logMatches,
    last_match: facts.lastMatch,
    port_exclusive: service.portExclusive,
    port_holder: facts.portHolder ?? '',
  };
}
