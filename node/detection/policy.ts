// What a policy is: a CEL expression over a machine, service or mount, how long it must hold, and what it means.
import { z } from 'zod';
import { CLAIM_KINDS } from '../../consensus/vote/claim.ts';
import { STATUS_CONDITIONS } from '../../swarm/state/status.ts';
import { DECLARED_KINDS } from '../telemetry/declared.ts';

export const POLICY_SCOPES = ['machine', 'service', 'mount', ...DECLARED_KINDS] as const;
export const SEVERITIES = ['info', 'warning', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

/**
 * A tool and its arguments, by name; one that begins with `$` stands for a field of what was found (`$name`, `$path`).
 * Whether the tool takes them is the tool's to say, when it is used.
 */
export const remedySchema = z
  .looseObject({ tool: z.string().regex(/^[a-z]+\.[a-z]+$/, 'a tool: see kalos tools') })
  .and(z.record(z.string(), z.union([z.string(), z.number()])));

const MAX_FOR_S = 86_400;

const policyTestSchema = z.strictObject({
  name: z.string().min(1).max(100),
  /** Facts: metrics by name, and the fields of the target. What is not given of a service is well. */
  metrics: z.record(z.string(), z.number()).default({}),
  target: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
  /** Seconds for which they hold. */
  for_s: z.number().min(0).max(MAX_FOR_S).default(0),
  fires: z.boolean(),
});

export const policySchema = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'lower-case letters, digits and dashes, at most 40'),
  scope: z.enum(POLICY_SCOPES).default('machine'),
  /** CEL. Variables: `metrics` (map by name) and, by scope, `service`, `mount`, `sysctl`, `file`, `log` or `cleanup`. */
  when: z.string().min(1).max(1_000),
  /** Seconds for which the expression must hold before the policy fires. */
  for_s: z.number().min(0).max(MAX_FOR_S).default(0),
  /** Seconds for which it must not hold before the policy clears. */
  clear_s: z.number().min(0).max(MAX_FOR_S).default(2),
  severity: z.enum(SEVERITIES).default('warning'),
  summary: z.string().min(1).max(200),
  condition: z.enum(STATUS_CONDITIONS).optional(),
  claim: z.enum(CLAIM_KINDS).default('anomaly'),
  remedy: remedySchema.optional(),
  /** What `kalos policy test` tries. */
  test: z.array(policyTestSchema).max(100).default([]),
});
export type Policy = z.infer<typeof policySchema>;
export type PolicyInput = z.input<typeof policySchema>;

/** Quiet on a healthy machine. Ratios are 0–1, PSI is in percent. */
export const SHIPPED_POLICIES: readonly Policy[] = (
  [
    {
      name: 'service-exited',
      scope: 'service',
      when: `service.state == 'exited' && service.restart != 'never' && !(service.restart == 'on-failure' && service.exit_code == 0)`,
      severity: 'critical',
      summary: 'a supervised service ended by itself',
      condition: 'ServicesReady',
      claim: 'service-down',
      remedy: { tool: 'service.restart' },
      test: [
        { name: 'one that ended', target: { state: 'exited', exit_code: 1 }, fires: true },
        { name: 'one that ended well, and may', target: { state: 'exited', exit_code: 0, restart: 'on-failure' }, fires: false },
        { name: 'one that was stopped', target: { state: 'stopped' }, fires: false },
      ],
    },
    {
      name: 'service-unresponsive',
      scope: 'service',
      when: `service.state == 'running' && service.check in ['refused', 'silent', 'failed'] && service.age_s > 10.0`,
      for_s: 5,
      severity: 'critical',
      summary: 'a supervised service runs but does not answer, or not well',
      condition: 'ServicesReady',
      claim: 'service-unresponsive',
      remedy: { tool: 'service.restart' },
      test: [
        { name: 'a port that refuses', target: { check: 'refused' }, for_s: 6, fires: true },
        { name: 'a port that refuses for a moment', target: { check: 'refused' }, for_s: 3, fires: false },
        { name: 'one that has just started', target: { check: 'refused', age_s: 2 }, for_s: 6, fires: false },
      ],
    },
    {
      name: 'service-frozen',
      scope: 'service',
      when: `service.state == 'running' && service.process_state == 'T'`,
      for_s: 2,
      severity: 'critical',
      summary: 'a supervised service is stopped by a signal',
      condition: 'ServicesReady',
      claim: 'service-frozen',
      remedy: { tool: 'service.signal', signal: 'CONT' },
      test: [
        { name: 'one that is stopped by a signal', target: { process_state: 'T' }, for_s: 3, fires: true },
        { name: 'one that sleeps', for_s: 60, fires: false },
      ],
    },
    {
      name: 'service-out-of-bounds',
      scope: 'service',
      when: `service.state == 'running' && (service.memory_bytes > service.max_memory_bytes || service.cpus > service.max_cpus || service.processes > service.max_processes)`,
      for_s: 10,
      severity: 'critical',
      summary: 'a supervised service uses more than it was declared to',
      condition: 'ServicesReady',
      claim: 'anomaly',
      remedy: { tool: 'service.restart' },
      test: [
        { name: 'a leak', target: { memory_bytes: 2e9, max_memory_bytes: 1e9 }, for_s: 11, fires: true },
        { name: 'a runaway', target: { cpus: 1.9, max_cpus: 1 }, for_s: 11, fires: true },
        { name: 'a burst', target: { cpus: 1.9, max_cpus: 1 }, for_s: 5, fires: false },
        { name: 'forks', target: { processes: 300, max_processes: 50 }, for_s: 11, fires: true },
        {
          name: 'much, with nothing declared',
          target: { memory_bytes: 2e12, cpus: 64, processes: 5000 },
          for_s: 600,
          fires: false,
        },
      ],
    },
    {
      name: 'cpu-pressure',
      when: `metrics['system.psi.cpu.some'] > 75.0`,
      for_s: 60,
      clear_s: 15,
      summary: 'tasks wait for the CPU most of the time',
      condition: 'CpuPressure',
      claim: 'pressure',
      test: [
        { name: 'a minute of it', metrics: { 'system.psi.cpu.some': 90 }, for_s: 61, fires: true },
        { name: 'a compile', metrics: { 'system.psi.cpu.some': 90 }, for_s: 40, fires: false },
      ],
    },
    {
      name: 'memory-pressure',
      when: `metrics['system.psi.memory.full'] > 10.0 || metrics['system.memory.utilization'] > 0.97`,
      for_s: 10,
      clear_s: 15,
      severity: 'critical',
      summary: 'memory is nearly exhausted or stalls all tasks',
      condition: 'MemoryPressure',
      claim: 'pressure',
      test: [
        {
          name: 'all tasks stalled',
          metrics: { 'system.psi.memory.full': 20, 'system.memory.utilization': 0.9 },
          for_s: 11,
          fires: true,
        },
        {
          name: 'a full cache',
          metrics: { 'system.psi.memory.full': 0, 'system.memory.utilization': 0.9 },
          for_s: 600,
          fires: false,
        },
      ],
    },
    {
      name: 'io-pressure',
      when: `metrics['system.psi.io.full'] > 60.0`,
      for_s: 60,
      clear_s: 15,
      summary: 'all tasks wait for I/O most of the time',
      condition: 'IoPressure',
      claim: 'pressure',
    },
    {
      name: 'disk-full',
      scope: 'mount',
      when: `mount.utilization > 0.95 || mount.inodes_utilization > 0.95`,
      for_s: 10,
      clear_s: 10,
      severity: 'critical',
      summary: 'a file system is nearly out of space or inodes',
      condition: 'DiskPressure',
      claim: 'pressure',
      test: [
        { name: 'the last percent', target: { utilization: 0.99 }, for_s: 11, fires: true },
        { name: 'the last inodes', target: { inodes_utilization: 0.99 }, for_s: 11, fires: true },
        { name: 'a half', target: { utilization: 0.5 }, for_s: 600, fires: false },
      ],
    },
    {
      name: 'oom-kill',
      when: `metrics['system.memory.oom_kills'] > 0.0`,
      clear_s: 60,
      severity: 'critical',
      summary: 'the kernel killed a process because memory ran out',
      condition: 'MemoryPressure',
      claim: 'pressure',
      test: [
        { name: 'a kill', metrics: { 'system.memory.oom_kills': 1 }, fires: true },
        { name: 'none', metrics: { 'system.memory.oom_kills': 0 }, for_s: 600, fires: false },
      ],
    },
    {
      name: 'files-exhausted',
      when: `metrics['system.filesystem.files.utilization'] > 0.9`,
      for_s: 5,
      clear_s: 10,
      severity: 'critical',
      summary: 'nearly all open files that the kernel allows are in use',
    },
    {
      name: 'conntrack-full',
      when: `metrics['system.network.conntrack.utilization'] > 0.9`,
      for_s: 5,
      clear_s: 10,
      severity: 'critical',
      summary: 'the connection tracking table is nearly full: new connections will be dropped',
    },
    {
      name: 'ports-exhausted',
      when: `metrics['system.network.ports.utilization'] > 0.9`,
      for_s: 5,
      clear_s: 10,
      severity: 'critical',
      summary: 'nearly all ephemeral ports are in use: new connections will fail',
    },
    {
      name: 'zombies',
      when: `metrics['system.process.zombies'] > 200.0`,
      for_s: 30,
      clear_s: 15,
      summary: 'a process does not collect its children',
    },
    {
      name: 'raid-degraded',
      when: `metrics['system.raid.degraded'] > 0.0`,
      for_s: 10,
      clear_s: 10,
      severity: 'critical',
      summary: 'a RAID array lacks a disk',
    },
    {
      name: 'sysctl-drift',
      scope: 'sysctl',
      when: `sysctl.value != sysctl.wanted`,
      for_s: 4,
      summary: 'a declared kernel parameter has another value',
      claim: 'anomaly',
      remedy: { tool: 'sysctl.set', key: '$key', value: '$wanted' },
      test: [
        { name: 'another value', target: { key: 'vm.swappiness', value: '100', wanted: '60' }, for_s: 5, fires: true },
        { name: 'the declared one', target: { key: 'vm.swappiness', value: '60', wanted: '60' }, for_s: 600, fires: false },
      ],
    },
    {
      name: 'file-drift',
      scope: 'file',
      when: `file.content != file.wanted || file.mode != file.wanted_mode`,
      for_s: 4,
      summary: 'a declared file is gone or was changed',
      claim: 'anomaly',
      remedy: { tool: 'fs.write', path: '$path', content: '$text', mode: '$wanted_mode' },
    },
    {
      name: 'log-growth',
      scope: 'log',
      when: `log.size_bytes > log.max_bytes`,
      for_s: 4,
      summary: 'a declared log is larger than it may be',
      claim: 'anomaly',
      remedy: { tool: 'fs.rotate', path: '$path', keep: '$keep' },
    },
    {
      name: 'disk-cleanup',
      scope: 'cleanup',
      when: `cleanup.utilization > 0.9 && cleanup.bytes > 0`,
      for_s: 4,
      summary: 'a file system is nearly full, and holds what may be cleaned',
      condition: 'DiskPressure',
      claim: 'pressure',
      remedy: { tool: 'fs.clean', directory: '$directory', suffix: '$suffix', older_than_s: '$older_than_s' },
    },
  ] satisfies PolicyInput[]
).map((policy) => policySchema.parse(policy));
