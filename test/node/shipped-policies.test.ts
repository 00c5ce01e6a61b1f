// The shipped policies at their limits: what is just bad enough fires once it has lasted, and what is not never does.
import { describe, expect, it } from 'vitest';
import { shippedPolicies } from '../../node/detection/adapters/shipped-policies.ts';
import { testPolicy } from '../../node/detection/policy-test.ts';

type Facts = Record<string, string | number | boolean>;
interface Limit {
  fires: Facts;
  quiet: Facts[];
  /** Seconds until it fires, and until it clears. */
  for: number;
  clear: number;
}
const of = (fires: Facts, quiet: Facts[], forS: number, clear = 2): Limit => ({ fires, quiet, for: forS, clear });
const exited = { state: 'exited', restart: 'always' };
const stopped = { state: 'stopped' };
const unit = { unit: 'web.service', state: 'stopped', unit_state: 'inactive' };

/** By policy; facts are metrics where they have a dot in their names. */
const LIMITS: Record<string, Limit> = {
  'service-exited': of(
    exited,
    [{ ...exited, restart: 'never' }, { ...exited, task: true }, { ...exited, restart: 'on-failure', exit_code: 0 }, stopped],
    0,
  ),
  'service-stopped': of(
    stopped,
    [{ ...stopped, on_purpose: true }, { ...stopped, task: true }, { ...stopped, unit: 'x' }, exited],
    10,
  ),
  'service-ended': of({ ...exited, restart: 'never' }, [exited, { ...exited, restart: 'never', task: true }], 0),
  'unit-stopped': of(
    unit,
    [{ ...unit, on_purpose: true }, { ...unit, task: true }, { ...unit, unit_state: 'unknown' }, stopped],
    10,
  ),
  'unit-unsettled': of({ ...unit, unit_state: 'activating' }, [unit, { ...unit, unit_state: 'activating', task: true }], 60),
  'unit-restarting': of(
    { unit: 'x', exits: 3 },
    [{ unit: 'x', exits: 2 }, { exits: 3 }, { unit: 'x', exits: 3, task: true }, { unit: 'x', exits: 3, state: 'exited' }],
    0,
    30,
  ),
  'service-unresponsive': of(
    { check: 'silent', age_s: 10.1 },
    [{ check: 'silent', age_s: 10 }, { check: 'open' }, { check: 'unknown' }],
    5,
  ),
  'service-frozen': of({ process_state: 'T' }, [{ process_state: 't' }, { process_state: 'T', state: 'stopped' }], 2),
  'service-out-of-bounds': of(
    { cpus: 1.1, max_cpus: 1 },
    [
      { cpus: 1, max_cpus: 1 },
      { files: 5, max_files: 5 },
      { memory_bytes: 9, max_memory_bytes: 9 },
      { processes: 4, max_processes: 4 },
    ],
    10,
  ),
  'service-zombies': of({ zombies: 21 }, [{ zombies: 20 }, { zombies: 21, state: 'exited' }], 15),
  'service-writes': of({ write_bytes_s: 11, max_write_bytes_s: 10 }, [{ write_bytes_s: 10, max_write_bytes_s: 10 }], 10),
  'service-throttled': of(
    { throttled_share: 0.51, limit_cpus: 0.5, max_cpus: 1 },
    [
      { throttled_share: 0.5, limit_cpus: 0.5, max_cpus: 1 },
      { throttled_share: 0.9, limit_cpus: 1, max_cpus: 1 },
      { throttled_share: 0.9, limit_cpus: 0, max_cpus: 1 },
    ],
    10,
  ),
  'memory-pressure': of(
    { 'system.memory.utilization': 0.971, 'system.psi.memory.full': 0 },
    [{ 'system.memory.utilization': 0.97, 'system.psi.memory.full': 10 }],
    10,
    15,
  ),
  'io-pressure': of({ 'system.psi.io.full': 60.1 }, [{ 'system.psi.io.full': 60 }], 60, 15),
  'disk-full': of({ utilization: 0.951 }, [{ utilization: 0.95, inodes_utilization: 0.95 }], 10, 10),
  'oom-kill': of({ 'system.memory.oom_kills': 0.1 }, [{ 'system.memory.oom_kills': 0 }], 0, 60),
  'files-exhausted': of({ 'system.filesystem.files.utilization': 0.91 }, [{ 'system.filesystem.files.utilization': 0.9 }], 5, 10),
  'conntrack-full': of(
    { 'system.network.conntrack.utilization': 0.91 },
    [{ 'system.network.conntrack.utilization': 0.9 }],
    5,
    10,
  ),
  'ports-exhausted': of({ 'system.network.ports.utilization': 0.91 }, [{ 'system.network.ports.utilization': 0.9 }], 5, 10),
  zombies: of({ 'system.process.zombies': 201 }, [{ 'system.process.zombies': 200 }], 30, 15),
  'raid-degraded': of({ 'system.raid.degraded': 1 }, [{ 'system.raid.degraded': 0 }], 10, 10),
  'sysctl-drift': of({ value: '1', wanted: '2' }, [{ value: '2', wanted: '2' }], 4),
  'log-growth': of(
    { size_bytes: 11, max_bytes: 10, flooding: false },
    [
      { size_bytes: 10, max_bytes: 10, flooding: false },
      { size_bytes: 11, max_bytes: 10, flooding: true },
    ],
    4,
  ),
  'log-flood': of({ flooding: true }, [{ flooding: false }], 0),
  'log-alert': of({ matches: 1 }, [{ matches: 0 }], 0, 30),
  'actuator-silent': of({ 'kalos.actuator.silence': 20.1 }, [{ 'kalos.actuator.silence': 20 }], 0),
  'clock-skew': of({ 'kalos.clock.offset': -2.1 }, [{ 'kalos.clock.offset': 2 }, { 'kalos.clock.offset': -2 }], 20, 20),
  'state-refused': of({ 'kalos.state.refused': 1 }, [{ 'kalos.state.refused': 0 }], 0, 5),
  'disk-cleanup': of(
    { utilization: 0.91, files: 1 },
    [
      { utilization: 0.9, inodes_utilization: 0.9, files: 1 },
      { utilization: 0.99, files: 0 },
    ],
    4,
  ),
  'certificate-expiring': of(
    { readable: true, days_left: 20, renew_days: 21, served_days_left: 90 },
    [{ readable: true, days_left: 21, renew_days: 21, served_days_left: 21 }],
    4,
  ),
  'dns-broken': of({ answers: false }, [{ answers: true }], 4),
};

const isMetric = (name: string): boolean => name.includes('.');
const split = (facts: Facts) => ({
  metrics: Object.fromEntries(Object.entries(facts).filter(([name]) => isMetric(name))) as Record<string, number>,
  target: Object.fromEntries(Object.entries(facts).filter(([name]) => !isMetric(name))),
});

describe('a shipped policy', () => {
  it.each(Object.entries(LIMITS))(
    '%s fires at its limit, after its time, and clears after another',
    (name, { fires, quiet, for: forS, clear }) => {
      const policy = shippedPolicies().find((one) => one.name === name) ?? expect.fail(`no policy ${name}`);
      const test = (facts: Facts, seconds: number, expected: boolean) => ({
        name: JSON.stringify(facts),
        ...split(facts),
        for_s: seconds,
        fires: expected,
      });
      const held = [test(fires, forS, true), ...(forS === 0 ? [] : [test(fires, forS - 1, false)])];
      const results = testPolicy({ ...policy, test: [...held, ...quiet.map((facts) => test(facts, forS + 60, false))] });
      expect(results.filter(({ passed }) => !passed)).toEqual([]);
      expect(policy.clear_s).toBe(clear);
    },
  );
});
