// What an expression sees of each target: every field from what it is about, and no field for what is not known.
import { describe, expect, it } from 'vitest';
import type { ServiceView } from '../../node/detection/targets.ts';
import { targetsOf } from '../../node/detection/targets.ts';
import { stoppedService } from '../../node/ports/actuator.ts';
import type { MountSample, Sample } from '../../node/ports/sensors.ts';
import { NO_FACTS } from '../../node/telemetry/service-facts.ts';
import { NO_USAGE } from '../../node/telemetry/usage.ts';

const bare: ServiceView = {
  ...stoppedService({ name: 'web', command: [] }, 0),
  ...{ usage: NO_USAGE, facts: NO_FACTS, check: 'undeclared', processState: '', ageMs: 0 },
};
const mount = (path: string, given: Partial<MountSample> = {}): MountSample => ({
  ...{ path, device: '/dev/a', type: 'ext4', sizeBytes: 100, availableBytes: 25, inodes: 10, inodesFree: 9 },
  ...given,
});
const sampleOf = (...mounts: MountSample[]) => ({ mounts }) as unknown as Sample;
const cleanup = (name: string) => ({ kind: 'cleanup' as const, name, fields: { directory: name } });

describe('a service', () => {
  const fieldsOf = (service: ServiceView) => targetsOf(undefined, [service], []).get('service')?.[0]?.fields;

  it('has nothing that is not known, and no bound that is not declared', () => {
    expect(fieldsOf(bare)).toEqual({
      ...{ name: 'web', state: 'stopped', check: 'undeclared', process_state: '', age_s: 0, exit_code: -1, exit_signal: '' },
      ...{
        starts: 0,
        restart: 'always',
        critical: false,
        task: false,
        on_purpose: false,
        by_policy: false,
        unit: '',
        unit_state: '',
      },
      ...{ pid: 0, memory_bytes: 0, cpus: 0, processes: 0, zombies: 0, exits: 0, log_matches: 0, last_match: '' },
      max_memory_bytes: Number.POSITIVE_INFINITY,
      max_cpus: Number.POSITIVE_INFINITY,
      max_processes: Number.POSITIVE_INFINITY,
      max_files: Number.POSITIVE_INFINITY,
      max_write_bytes_s: Number.POSITIVE_INFINITY,
      ...{ config_changed: false, config_path: '', config_good: '', port_exclusive: false, port_holder: '' },
    });
  });

  it('has all that is', () => {
    const full: ServiceView = {
      ...bare,
      ...{ state: 'exited', pid: 9, exitCode: 3, exitSignal: 'SIGKILL', starts: 4, restart: 'never', critical: true, task: true },
      ...{ onPurpose: true, byPolicy: true, unit: 'web.service', unitState: 'failed', portExclusive: true, ageMs: 1_500 },
      ...{ check: 'refused', processState: 'T' },
      bounds: { memoryBytes: 1, cpus: 2, processes: 3, files: 4, writeBytesPerS: 5 },
      usage: { ...NO_USAGE, memoryBytes: 11, cpus: 12, processes: 13, zombies: 14 },
      facts: {
        ...{ exits: 21, files: 22, writeBytesPerS: 23, throttledShare: 0.24, limitCpus: 25, logMatches: 26, lastMatch: 'm' },
        ...{ changedConfig: { path: '/p', good: 'g' }, portHolder: 'nginx (pid 1)' },
      },
    };
    expect(fieldsOf(full)).toEqual({
      ...{ name: 'web', state: 'exited', check: 'refused', process_state: 'T', age_s: 1.5, exit_code: 3, exit_signal: 'SIGKILL' },
      ...{ starts: 4, restart: 'never', critical: true, task: true, on_purpose: true, by_policy: true },
      ...{ unit: 'web.service', unit_state: 'failed', pid: 9, memory_bytes: 11, cpus: 12, processes: 13, zombies: 14 },
      ...{ max_memory_bytes: 1, max_cpus: 2, max_processes: 3, max_files: 4, max_write_bytes_s: 5 },
      ...{ exits: 21, files: 22, write_bytes_s: 23, throttled_share: 0.24, limit_cpus: 25, log_matches: 26, last_match: 'm' },
      ...{ config_changed: true, config_path: '/p', config_good: 'g', port_exclusive: true, port_holder: 'nginx (pid 1)' },
    });
  });
});

describe('a mount', () => {
  it('has its use, nothing of what it does not have, and no share that contradicts itself', () => {
    const targets = targetsOf(
      sampleOf(mount('/'), mount('/btrfs', { inodes: 0, inodesFree: 0 }), mount('/odd', { availableBytes: 101 })),
      [],
      [],
    );
    expect(targets.get('mount')).toEqual([
      { name: '/', fields: { path: '/', type: 'ext4', utilization: 0.75, inodes_utilization: expect.closeTo(0.1) } },
      { name: '/btrfs', fields: { path: '/btrfs', type: 'ext4', utilization: 0.75, inodes_utilization: 0 } },
      { name: '/odd', fields: { path: '/odd', type: 'ext4', inodes_utilization: expect.closeTo(0.1) } },
    ]);
  });
});

describe('a directory that may be cleaned', () => {
  const useOf = (name: string, ...mounts: MountSample[]) =>
    targetsOf(sampleOf(...mounts), [], [cleanup(name)]).get('cleanup')?.[0]?.fields.utilization;
  const full = (path: string, share: number) => mount(path, { availableBytes: 100 - share });

  it.each([
    ['/var/tmp', 30],
    ['/var', 20],
    ['/var/tmp/deep', 30],
    ['/variable', 10],
    ['/', 10],
  ])('has the use of the file system that it lies on: %s', (path, share) => {
    expect(useOf(path, full('/', 10), full('/var/tmp', 30), full('/var', 20))).toBeCloseTo(share / 100);
  });

  it('has none where that is not known', () => {
    expect(useOf('/tmp', full('/var', 20))).toBe(0);
    expect(targetsOf(undefined, [], [cleanup('/tmp')]).get('cleanup')).toEqual([
      { name: '/tmp', fields: { directory: '/tmp', utilization: 0, inodes_utilization: 0 } },
    ]);
  });
});

it('the machine is always there, and what is declared is by its kind', () => {
  const one = (name: string) => ({ kind: 'sysctl' as const, name, fields: { key: name } });
  expect([...targetsOf(undefined, [], [one('a'), one('b')])]).toEqual([
    ['machine', [{ name: 'machine', fields: {} }]],
    ['service', []],
    ['mount', []],
    ['sysctl', [one('a'), one('b')].map(({ name, fields }) => ({ name, fields }))],
  ]);
});
