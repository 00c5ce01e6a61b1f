// What a policy is: a CEL expression over a machine, service or mount, how long it must hold, and what it means.
import { z } from 'zod';
import { CLAIM_KINDS } from '../../consensus/vote/claim.ts';
import { STATUS_CONDITIONS } from '../../swarm/state/status.ts';
import { DECLARED_KINDS } from '../telemetry/declared.ts';
import { UNIT_POLICIES } from './unit-policies.ts';

export const POLICY_SCOPES = ['machine', 'service', 'mount', ...DECLARED_KINDS] as const;
export type PolicyScope = (typeof POLICY_SCOPES)[number];
export const SEVERITIES = ['info', 'warning', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

const MAX_FOR_S = 86_400;
const MAX_EXPRESSION_LENGTH = 1_000;
const MAX_CALLS = 8;
const MAX_ALTERNATIVES = 8;

/**
 * A tool and its arguments, by name. One that begins with `$` stands for a field of what was found (`$name`, `$path`), one
 * that begins with `=` is a CEL expression. Whether the tool takes them is the tool's to say, when it is used.
 */
const callSchema = z
  .looseObject({ tool: z.string().regex(/^[a-z]+\.[a-z]+$/, 'a tool: see kalos tools') })
  .and(z.record(z.string(), z.union([z.string(), z.number()])));

const callsSchema = z.union([callSchema.transform((call) => [call]), z.array(callSchema).min(1).max(MAX_CALLS)]);

const alternativeSchema = z.strictObject({
  /** CEL over the same variables; where it does not hold, this remedy is none. */
  when: z.string().min(1).max(MAX_EXPRESSION_LENGTH).optional(),
  do: callsSchema,
});
export type Alternative = z.infer<typeof alternativeSchema>;

/** One call, or alternatives in the order in which they are tried; each a plan of calls. */
const remedySchema = z.union([
  callSchema.transform((call): Alternative[] => [{ do: [call] }]),
  z.array(alternativeSchema).max(MAX_ALTERNATIVES),
]);

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
  when: z.string().min(1).max(MAX_EXPRESSION_LENGTH),
  /** Seconds for which the expression must hold before the policy fires. */
  for_s: z.number().min(0).max(MAX_FOR_S).default(0),
  /** Seconds for which it must not hold before the policy clears. */
  clear_s: z.number().min(0).max(MAX_FOR_S).default(2),
  /** Seconds after it cleared during which it does not fire again. */
  cooldown_s: z.number().min(0).max(MAX_FOR_S).default(0),
  /** False: it is kept, but not judged. */
  enabled: z.boolean().default(true),
  /** Thresholds that follow the machine's own normal, as `threshold.NAME`. */
  threshold: z
    .record(
      z.string().regex(/^[a-z_][a-z0-9_]*$/, 'a name such as busy'),
      z
        .strictObject({ metric: z.string(), times: z.number().min(0).max(100).default(3), low: z.number(), high: z.number() })
        .refine(({ low, high }) => low < high, 'low must be below high'),
    )
    .default({}),
  severity: z.enum(SEVERITIES).default('warning'),
  summary: z.string().min(1).max(200),
  condition: z.enum(STATUS_CONDITIONS).optional(),
  claim: z.enum(CLAIM_KINDS).default('anomaly'),
  remedy: remedySchema.default([]),
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
      when: `service.state == 'exited' && !service.task && service.restart != 'never' && !(service.restart == 'on-failure' && service.exit_code == 0)`,
      severity: 'critical',
      summary: 'a supervised service ended by itself',
      condition: 'ServicesReady',
      claim: 'service-down',
      remedy: [
        // Somebody else has its port: it cannot come up before that one is gone.
        {
          when: `service.port_holder != '' && service.port_exclusive`,
          do: [{ tool: 'service.claim' }, { tool: 'service.restart' }],
        },
        // It keeps ending with a configuration that it was not well with before.
        {
          when: `service.config_changed && service.exits >= 2`,
          do: [{ tool: 'fs.write', path: '$config_path', content: '$config_good' }, { tool: 'service.restart' }],
        },
        { do: { tool: 'service.restart' } },
      ],
      test: [
        { name: 'a task that ended', target: { state: 'exited', exit_code: 1, task: true }, fires: false },
        { name: 'one that ended', target: { state: 'exited', exit_code: 1 }, fires: true },
        { name: 'one that ended well, and may', target: { state: 'exited', exit_code: 0, restart: 'on-failure' }, fires: false },
        { name: 'one that was stopped', target: { state: 'stopped' }, fires: false },
      ],
    },
    {
      name: 'service-stopped',
      scope: 'service',
      when: `service.state == 'stopped' && service.unit == '' && !service.task && !service.on_purpose`,
      for_s: 10, // while an agent starts, and between the steps of a change
      severity: 'critical',
      summary: 'a declared service is not running, and no person stopped it',
      condition: 'ServicesReady',
      claim: 'service-down',
      // What a policy stopped is reported; a person starts it.
      remedy: [{ when: `!service.by_policy`, do: { tool: 'service.start' } }],
      test: [
        { name: 'one that nobody started', target: { state: 'stopped' }, for_s: 11, fires: true },
        { name: 'one that a policy stopped', target: { state: 'stopped', by_policy: true }, for_s: 11, fires: true },
        { name: 'one that a person stopped', target: { state: 'stopped', on_purpose: true }, for_s: 600, fires: false },
        { name: 'one that is being started', target: { state: 'stopped' }, for_s: 5, fires: false },
        { name: 'a task at rest', target: { state: 'stopped', task: true }, for_s: 600, fires: false },
        { name: 'a unit', target: { state: 'stopped', unit: 'web.service', unit_state: 'inactive' }, for_s: 600, fires: false },
      ],
    },
    {
      name: 'service-ended',
      scope: 'service',
      when: `service.state == 'exited' && !service.task && service.restart == 'never'`,
      summary: 'a declared service ended by itself, and is declared not to be started again; service.start starts it',
      condition: 'ServicesReady',
      claim: 'service-down',
      test: [
        { name: 'one that is not to be started again', target: { state: 'exited', exit_code: 1, restart: 'never' }, fires: true },
        { name: 'one that is', target: { state: 'exited', exit_code: 1 }, fires: false },
        { name: 'a task', target: { state: 'exited', restart: 'never', task: true }, fires: false },
      ],
    },
    ...UNIT_POLICIES,
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
      when: `service.state == 'running' && (service.memory_bytes > service.max_memory_bytes || service.cpus > service.max_cpus || service.processes > service.max_processes || (has(service.files) && service.files > service.max_files))`,
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
        { name: 'open files', target: { files: 900, max_files: 500 }, for_s: 11, fires: true },
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
      name: 'service-zombies',
      scope: 'service',
      when: `service.state == 'running' && service.zombies > 20`,
      for_s: 15,
      severity: 'warning',
      summary: 'a supervised service does not collect its children',
      condition: 'ServicesReady',
      remedy: { tool: 'service.restart' },
      test: [
        { name: 'many of them', target: { zombies: 50 }, for_s: 16, fires: true },
        { name: 'a few', target: { zombies: 5 }, for_s: 600, fires: false },
      ],
    },
    {
      name: 'service-writes',
      scope: 'service',
      when: `service.state == 'running' && has(service.write_bytes_s) && service.write_bytes_s > service.max_write_bytes_s`,
      for_s: 10,
      summary: 'a supervised service writes more to disks than it was declared to',
      condition: 'IoPressure',
      claim: 'pressure',
      remedy: [{ do: { tool: 'process.ioprio', pid: '$pid', class: 'idle' } }, { do: { tool: 'service.restart' } }],
      test: [
        { name: 'a flood', target: { write_bytes_s: 9e7, max_write_bytes_s: 1e7 }, for_s: 11, fires: true },
        { name: 'a burst', target: { write_bytes_s: 9e7, max_write_bytes_s: 1e7 }, for_s: 5, fires: false },
        { name: 'one that cannot be seen', target: { max_write_bytes_s: 1e7 }, for_s: 600, fires: false },
      ],
    },
    {
      name: 'service-throttled',
      scope: 'service',
      when: `service.state == 'running' && has(service.throttled_share) && has(service.limit_cpus) && service.throttled_share > 0.5 && service.limit_cpus > 0.0 && service.limit_cpus < service.max_cpus`,
      for_s: 10,
      summary: 'a supervised service is held back by its CPU limit, below what it may use',
      condition: 'CpuPressure',
      claim: 'pressure',
      // To what it was declared to use at most, or to the double where nothing is.
      remedy: {
        tool: 'cgroup.limit',
        service: '$name',
        cpus: `=service.max_cpus < 1024.0 ? service.max_cpus : service.limit_cpus * 2.0`,
      },
      test: [
        {
          name: 'a limit that is too tight',
          target: { throttled_share: 0.9, limit_cpus: 0.1, max_cpus: 0.5 },
          for_s: 11,
          fires: true,
        },
        { name: 'all that it may', target: { throttled_share: 0.9, limit_cpus: 0.5, max_cpus: 0.5 }, for_s: 600, fires: false },
      ],
    },
    {
      name: 'cpu-pressure',
      // Three quarters, unless the machine is always busier, or hardly ever so.
      when: `metrics['system.psi.cpu.some'] > threshold.busy`,
      threshold: { busy: { metric: 'system.psi.cpu.some', times: 6, low: 60, high: 85 } },
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
      // Twice as many, up to a million entries of some 300 bytes each.
      remedy: [
        {
          when: `metrics['system.network.conntrack.max'] <= 524288.0`,
          do: {
            tool: 'sysctl.set',
            key: 'net.netfilter.nf_conntrack_max',
            value: `=string(int(metrics['system.network.conntrack.max']) * 2)`,
          },
        },
      ],
      test: [
        {
          name: 'the last tenth',
          metrics: { 'system.network.conntrack.utilization': 0.95, 'system.network.conntrack.max': 65_536 },
          for_s: 6,
          fires: true,
        },
        { name: 'half of it', metrics: { 'system.network.conntrack.utilization': 0.5 }, for_s: 600, fires: false },
      ],
    },
    {
      name: 'ports-exhausted',
      when: `metrics['system.network.ports.utilization'] > 0.9`,
      for_s: 5,
      clear_s: 10,
      severity: 'critical',
      summary: 'nearly all ephemeral ports are in use: new connections will fail',
      // Where the range was narrowed: the kernel's own.
      remedy: [
        {
          when: `metrics['system.network.ports'] < 28232.0`,
          do: { tool: 'sysctl.set', key: 'net.ipv4.ip_local_port_range', value: '32768 60999' },
        },
      ],
      test: [
        {
          name: 'a narrow range, in use',
          metrics: { 'system.network.ports.utilization': 0.95, 'system.network.ports': 100 },
          for_s: 6,
          fires: true,
        },
        { name: 'half of it', metrics: { 'system.network.ports.utilization': 0.5 }, for_s: 600, fires: false },
      ],
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
      when: `log.size_bytes > log.max_bytes && !log.flooding`,
      for_s: 4,
      summary: 'a declared log is larger than it may be',
      claim: 'anomaly',
      remedy: { tool: 'fs.rotate', path: '$path', keep: '$keep' },
      test: [
        { name: 'one that has grown', target: { size_bytes: 9, max_bytes: 5, flooding: false }, for_s: 5, fires: true },
        { name: 'one that is flooded', target: { size_bytes: 9, max_bytes: 5, flooding: true }, for_s: 60, fires: false },
      ],
    },
    {
      name: 'log-flood',
      scope: 'log',
      // Rotating it would only fill the disk with what was rotated away: it is its writer that something is done about.
      when: `log.flooding`,
      severity: 'critical',
      summary: 'a declared log grows faster than rotation can keep up with',
      condition: 'DiskPressure',
      claim: 'anomaly',
      remedy: [
        { when: `log.writer != '' && log.floods < 3`, do: { tool: 'service.restart', service: '$writer' } },
        // It floods again and again: better down, and told, than all that needs the disk.
        { when: `log.writer != ''`, do: { tool: 'service.stop', service: '$writer' } },
        { when: `log.writer == '' && log.writer_pid > 1`, do: { tool: 'process.signal', pid: '$writer_pid', signal: 'STOP' } },
      ],
      test: [
        { name: 'a flood', target: { flooding: true, floods: 1, writer: 'web', writer_pid: 9 }, fires: true },
        { name: 'a log that is large', target: { flooding: false, size_bytes: 9, max_bytes: 5 }, for_s: 60, fires: false },
      ],
    },
    {
      name: 'service-log-alert',
      scope: 'service',
      when: `service.log_matches > 0`,
      clear_s: 30,
      summary: 'a service’s log tells of what it was to be watched for',
      test: [
        { name: 'a line', target: { log_matches: 1 }, fires: true },
        { name: 'other lines', target: { log_matches: 0 }, for_s: 60, fires: false },
      ],
    },
    {
      name: 'log-alert',
      scope: 'log',
      when: `log.matches > 0`,
      clear_s: 30,
      summary: 'a declared log tells of what it was to be watched for',
      test: [
        { name: 'a line', target: { matches: 1 }, fires: true },
        { name: 'other lines', target: { matches: 0, lines: 9 }, for_s: 60, fires: false },
      ],
    },
    {
      name: 'actuator-silent',
      // Reported only: systemd's watchdog, or a hardware one, is what starts an actuator again.
      when: `metrics['kalos.actuator.silence'] > 20.0`,
      severity: 'critical',
      summary: 'the actuator of this machine does not answer: nothing can be repaired here, and services are not supervised',
      test: [
        { name: 'no answer for half a minute', metrics: { 'kalos.actuator.silence': 30 }, fires: true },
        { name: 'one that was restarted', metrics: { 'kalos.actuator.silence': 6 }, for_s: 600, fires: false },
      ],
    },
    {
      name: 'clock-skew',
      // Reported only: whoever steps a clock under its services had better mean it.
      when: `metrics['kalos.clock.offset'] > 2.0 || metrics['kalos.clock.offset'] < -2.0`,
      for_s: 20,
      clear_s: 20,
      summary: 'this machine’s clock is not that of its peers',
      test: [
        { name: 'five seconds', metrics: { 'kalos.clock.offset': -5 }, for_s: 21, fires: true },
        { name: 'a blink', metrics: { 'kalos.clock.offset': 0.3 }, for_s: 600, fires: false },
      ],
    },
    {
      name: 'state-refused',
      // Reported only: nothing can be recorded, so nothing is changed; what frees space is for a person, or for a policy on that file system.
      when: `metrics['kalos.state.refused'] > 0.0`,
      clear_s: 5,
      severity: 'critical',
      summary: 'the disk of the state directory refuses writes',
      condition: 'DiskPressure',
      test: [
        { name: 'it refuses writes', metrics: { 'kalos.state.refused': 1 }, fires: true },
        { name: 'it accepts writes', metrics: { 'kalos.state.refused': 0 }, for_s: 60, fires: false },
      ],
    },
    {
      name: 'disk-cleanup',
      scope: 'cleanup',
      when: `(cleanup.utilization > 0.9 || cleanup.inodes_utilization > 0.9) && cleanup.files > 0`,
      for_s: 4,
      summary: 'a file system is nearly out of space or inodes, and holds what may be cleaned',
      condition: 'DiskPressure',
      claim: 'pressure',
      remedy: { tool: 'fs.clean', directory: '$directory', suffix: '$suffix', older_than_s: '$older_than_s' },
    },
    {
      name: 'certificate-expiring',
      scope: 'certificate',
      // Of the file, and of what clients get.
      when: `!certificate.readable || certificate.days_left < certificate.renew_days || (has(certificate.served_days_left) && certificate.served_days_left < certificate.renew_days)`,
      for_s: 4,
      severity: 'critical',
      summary: 'a declared certificate has ended, ends soon, or is none',
      remedy: [
        {
          when: `certificate.renew != '' && (!certificate.readable || certificate.days_left < certificate.renew_days)`,
          do: { tool: 'service.run', service: '$renew' },
        },
        // The file is good, but its server still presents an older one. A renewal by KALOS reloads the server itself.
        {
          when: `certificate.server != '' && certificate.renew == '' && certificate.readable && certificate.days_left >= certificate.renew_days`,
          do: { tool: 'service.reload', service: '$server' },
        },
        {
          when: `certificate.server != '' && certificate.readable && certificate.days_left >= certificate.renew_days`,
          do: { tool: 'service.restart', service: '$server' },
        },
      ],
      test: [
        { name: 'a week left', target: { readable: true, days_left: 7, renew_days: 14, renew: 'acme' }, for_s: 5, fires: true },
        { name: 'none at all', target: { readable: false, renew_days: 14, renew: '' }, for_s: 5, fires: true },
        {
          name: 'a fresh file, and a server that goes on with the old one',
          target: { readable: true, days_left: 80, served_days_left: 2, renew_days: 14, renew: 'acme', server: 'web' },
          for_s: 5,
          fires: true,
        },
        {
          name: 'a fresh one',
          target: { readable: true, days_left: 80, renew_days: 14, renew: 'acme' },
          for_s: 600,
          fires: false,
        },
      ],
    },
    {
      name: 'dns-broken',
      scope: 'resolver',
      when: `!resolver.answers`,
      for_s: 4,
      severity: 'critical',
      summary: 'no name server of this machine answers',
      remedy: [{ when: `resolver.declared_answers`, do: { tool: 'fs.write', path: '$path', content: '$text' } }],
      test: [
        { name: 'servers that are silent', target: { answers: false, declared_answers: true }, for_s: 5, fires: true },
        { name: 'servers that answer', target: { answers: true }, for_s: 600, fires: false },
      ],
    },
  ] satisfies PolicyInput[]
).map((policy) => policySchema.parse(policy));
