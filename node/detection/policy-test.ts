// Tests of policies, written beside them: with given facts for a given time, the policy fires or does not. The same detector
// evaluates the machine and the test.
import { stoppedService } from '../ports/actuator.ts';
import { NO_FACTS } from '../telemetry/service-facts.ts';
import { NO_USAGE } from '../telemetry/usage.ts';
import type { ToolCall } from '../tool-call.ts';
import type { Policy } from './policy.ts';
import { PolicyDetector } from './policy-detector.ts';
import type { ServiceView } from './targets.ts';
import { type Target, targetsOf } from './targets.ts';

const STEP_MS = 1_000;

export interface PolicyTestResult {
  policy: string;
  test: string;
  passed: boolean;
  detail: string;
  /** The first of its remedies, if it fired. */
  remedy: readonly ToolCall[];
}

/** Also runs tests of disabled policies. @throws PolicyError if an expression is invalid. */
export function testPolicy(policy: Policy): PolicyTestResult[] {
  return policy.test.map((test) => {
    const detector = new PolicyDetector([{ ...policy, enabled: true }]);
    const metrics = new Map(Object.entries(test.metrics));
    const targets = new Map([[policy.scope, [targetOf(policy, test.target)]]]);
    let fired = false;
    for (let nowMs = 0; nowMs <= test.for_s * 1_000; nowMs += STEP_MS)
      fired = detector.observe({ nowMs, wallMs: nowMs, metrics, targets }).some(({ kind }) => kind === 'fired') || fired;
    const said = fired ? 'it fires' : 'it does not fire';
    return {
      policy: policy.name,
      test: test.name,
      passed: fired === test.fires,
      detail: fired === test.fires ? said : `${said}, but it should${test.fires ? '' : ' not'}`,
      remedy: detector.firing()[0]?.remedies[0] ?? [],
    };
  });
}

/** A healthy service, unless the test gives other fields. */
const WELL: ServiceView = {
  ...stoppedService({ name: 'test', command: [] }, 0),
  state: 'running',
  check: 'open',
  processState: 'S',
  ageMs: 3_600_000,
  starts: 1,
  pid: 1_000,
  startTicks: 1,
  usage: { ...NO_USAGE, processes: 1 },
  facts: NO_FACTS,
};

function targetOf({ scope }: Policy, given: Target['fields']): Target {
  const base = targetsOf(undefined, [WELL], []).get(scope)?.[0] ?? { name: 'test', fields: {} };
  const share: Target['fields'] = scope === 'mount' || scope === 'cleanup' ? { utilization: 0, inodes_utilization: 0 } : {};
  const name = String(given.name ?? given.path ?? given.key ?? given.directory ?? base.name);
  return { name, fields: { ...base.fields, ...share, ...given } };
}
