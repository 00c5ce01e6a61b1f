// Names within a policy's expressions: what there is none of is refused, with its place and what was probably meant.
import { expect, it } from 'vitest';
import { type PolicyInput, policySchema } from '../../node/detection/policy.ts';
import { checkNames } from '../../node/detection/policy-check.ts';

const said = (given: Partial<PolicyInput>): string | undefined => {
  try {
    checkNames(policySchema.parse({ name: 'own', summary: 's', when: 'true', ...given }));
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
};
const CPU = 'system.cpu.utilization';
const much = { metric: CPU, times: 5, low: 0.1, high: 0.9 };

it.each<[string, Partial<PolicyInput>]>([
  ['metrics', { when: `metrics['${CPU}'] > 0.9 && metrics["system.load.1m"] > 1.0` }],
  ['a threshold', { when: `metrics['${CPU}'] > threshold.much`, threshold: { much } }],
  ['fields', { scope: 'service', when: "service.state == 'exited' && service.exits > 1" }],
  ['a field of a scope elsewhere, as a text', { when: "'service.stat' == 'x'" }],
])('%s that there are pass', (_what, given) => {
  expect(said(given)).toBeUndefined();
});

it.each<[string, Partial<PolicyInput>, string]>([
  [
    'a metric',
    { when: "1 > 0 && metrics['system.cpu.utilisation'] > 0.9" },
    'policy own: no metric "system.cpu.utilisation"; did you mean "system.cpu.utilization"? in column 19 of 1 > 0 && metrics[\'system.cpu.utilisation\'] > 0.9',
  ],
  ['the end of one', { when: 'metrics["top_cpu"] > 0.9' }, 'no metric "top_cpu"; did you mean "system.process.top_cpu"? in'],
  [
    'a part of one',
    { when: "metrics['conntrack'] > 1.0" },
    'no metric "conntrack"; did you mean "system.network.conntrack.utilization"? in',
  ],
  ['nothing that is like any', { when: "metrics['xyzzy'] > 1.0" }, 'no metric "xyzzy", in column 10 of'],
  ['too little to tell', { when: "metrics['cpu'] > 1.0" }, 'no metric "cpu", in column 10 of'],
  [
    'a threshold',
    { when: '1.0 > threshold.mcuh', threshold: { much } },
    'no threshold "mcuh"; did you mean "much"? in column 17 of',
  ],
  ['a threshold where there are none', { when: '1.0 > threshold.much' }, 'no threshold "much", in column 17 of'],
  [
    'the metric of a threshold',
    { threshold: { much: { ...much, metric: 'system.load.2m' } } },
    'no metric "system.load.2m"; did you mean "system.load.1m"? in column 1 of system.load.2m',
  ],
  ['a field', { scope: 'service', when: "service.stat == 'exited'" }, 'no field "stat"; did you mean "state"? in column 9 of'],
  [
    'a field in the condition of a remedy',
    { scope: 'service', remedy: [{ when: 'service.exit >= 2', do: { tool: 'service.stop' } }] },
    'no field "exit"; did you mean "exits"? in column 9 of service.exit >= 2',
  ],
  [
    'a field in what a remedy computes',
    { scope: 'service', remedy: { tool: 'cgroup.limit', service: '$name', cpus: '=service.max_cpu * 2.0' } },
    'no field "max_cpu"; did you mean "max_cpus"? in column 9 of service.max_cpu * 2.0',
  ],
])('%s that there is not is refused', (_what, given, message) => {
  expect(said(given)).toContain(message);
});
