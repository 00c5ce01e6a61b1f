// Tests of policies, written beside them: given these facts, held for so long, it fires or it does not. The very detector
// that judges the machine judges the test.
import type { Sample } from '../../swarm/ports/sensors.ts';
import type { DeclaredKind } from '../telemetry/declared.ts';
import type { ToolCall } from '../tool-call.ts';
import type { Observation, ServiceView } from './detector.ts';
import type { Policy } from './policy.ts';
import { PolicyDetector } from './policy-detector.ts';

const STEP_MS = 1_000;

export interface PolicyTestResult {
  policy: string;
  test: string;
  passed: boolean;
  detail: string;
  /** What it would do, where it fired. */
  remedy: readonly ToolCall[];
}

/** @throws PolicyError where an expression is wrong. */
export function testPolicy(policy: Policy): PolicyTestResult[] {
  return policy.test.map((test) => {
    const detector = new PolicyDetector([policy]);
    const facts = { metrics: new Map(Object.entries(test.metrics)), target: test.target };
    let fired = false;
    for (let nowMs = 0; nowMs <= test.for_s * 1_000; nowMs += STEP_MS)
      fired = detector.observe(observationOf(policy, facts, nowMs)).some(({ kind }) => kind === 'fired') || fired;
    const said = fired ? 'it fires' : 'it does not fire';
    return {
      policy: policy.name,
      test: test.name,
      passed: fired === test.fires,
      detail: fired === test.fires ? said : `${said}, though it should${test.fires ? '' : ' not'}`,
      remedy: detector.firing()[0]?.remedy ?? [],
    };
  });
}

interface Facts {
  metrics: ReadonlyMap<string, number>;
  target: Readonly<Record<string, string | number | boolean>>;
}

const EMPTY_SAMPLE: Sample = {
  atMs: 0,
  cpus: 1,
  ticksPerSecond: 100,
  cpu: undefined,
  load: undefined,
  memoryTotalBytes: undefined,
  memoryAvailableBytes: undefined,
  swapTotalBytes: undefined,
  swapFreeBytes: undefined,
  pressureCpu: undefined,
  pressureMemory: undefined,
  pressureIo: undefined,
  disks: [],
  mounts: [],
  processes: [],
  host: { values: new Map(), lacks: new Map() },
};

/** A service that is well, as far as the test does not say otherwise. */
function serviceOf(target: Facts['target']): ServiceView {
  const text = (key: string, fallback: string): string => String(target[key] ?? fallback);
  return {
    name: text('name', 'test'),
    state: text('state', 'running') as ServiceView['state'],
    check: text('check', 'open') as ServiceView['check'],
    processState: text('process_state', 'S'),
    ageMs: Number(target.age_s ?? 3_600) * 1_000,
    exitCode: target.exit_code === undefined ? undefined : Number(target.exit_code),
    exitSignal: target.exit_signal === undefined ? undefined : String(target.exit_signal),
    starts: Number(target.starts ?? 1),
    restart: text('restart', 'always') as ServiceView['restart'],
    critical: target.critical === true,
    pid: 1_000,
    startTicks: 1,
    sinceMs: 0,
    port: undefined,
    unit: undefined,
    usage: {
      memoryBytes: Number(target.memory_bytes ?? 0),
      cpus: Number(target.cpus ?? 0),
      processes: Number(target.processes ?? 1),
    },
    bounds: {
      memoryBytes: target.max_memory_bytes === undefined ? undefined : Number(target.max_memory_bytes),
      cpus: target.max_cpus === undefined ? undefined : Number(target.max_cpus),
      processes: target.max_processes === undefined ? undefined : Number(target.max_processes),
    },
    onPurpose: false,
  };
}

function observationOf({ scope }: Policy, { metrics, target }: Facts, nowMs: number): Observation {
  const base: Observation = { nowMs, sample: EMPTY_SAMPLE, metrics, services: [], declared: [] };
  switch (scope) {
    case 'machine':
      return base;
    case 'service':
      return { ...base, services: [serviceOf(target)] };
    case 'mount': {
      const [used, inodes] = [Number(target.utilization ?? 0), Number(target.inodes_utilization ?? 0)];
      const mount = { path: String(target.path ?? '/'), device: 'test', type: String(target.type ?? 'ext4') };
      return {
        ...base,
        sample: {
          ...EMPTY_SAMPLE,
          mounts: [{ ...mount, sizeBytes: 1, availableBytes: 1 - used, inodes: 1, inodesFree: 1 - inodes }],
        },
      };
    }
    default: {
      const kind: DeclaredKind = scope;
      return {
        ...base,
        declared: [{ kind, name: String(target.path ?? target.key ?? target.directory ?? 'test'), fields: target }],
      };
    }
  }
}
