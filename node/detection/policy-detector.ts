// Policies as CEL expressions (Common Expression Language), compiled once, evaluated over each observation.
// A policy whose metrics the machine lacks is neither true nor false: it keeps what it had and its condition is Unknown.
import { Environment } from '@marcbachmann/cel-js';
import type { StatusCondition } from '../../swarm/state/status.ts';
import type { ToolCall } from '../tool-call.ts';
import { type Change, type Detector, type Finding, findingKey, type Observation } from './detector.ts';
import type { Policy } from './policy.ts';

type Bindings = Record<string, unknown>;
type Expression = (bindings: Bindings) => unknown;

interface Compiled {
  policy: Policy;
  evaluate: Expression;
  metrics: readonly string[];
}

interface Target {
  finding: Finding;
  /** Monotonic ms since when the expression has held, or has not. */
  sinceMs: number;
  holds: boolean;
  firing: boolean;
}

/** Targets tracked at a time, over all policies. */
const MAX_TARGETS = 4_096;
const MAX_EVIDENCE_LENGTH = 200;

export class PolicyError extends Error {
  readonly policy: string;
  constructor(policy: string, detail: string) {
    super(`policy ${policy}: ${detail}`);
    this.policy = policy;
  }
}

function compile(policy: Policy): Compiled {
  const environment = new Environment({ limits: { maxAstNodes: 500, maxDepth: 32 } }).registerVariable('metrics', 'map');
  if (policy.scope !== 'machine') environment.registerVariable(policy.scope, 'map');
  try {
    const expression = environment.parse(policy.when);
    const check = expression.check();
    if (!check.valid) throw check.error ?? new Error('it has no type');
    if (check.type !== 'bool' && check.type !== 'dyn') throw new Error(`"when" is ${check.type}, it must be bool`);
    const metrics = [...policy.when.matchAll(/metrics\[['"]([^'"]+)['"]\]/g)].map((match) => match[1] ?? '');
    return { policy, evaluate: expression as unknown as Expression, metrics };
  } catch (error) {
    throw new PolicyError(policy.name, error instanceof Error ? error.message.trimEnd() : String(error));
  }
}

export class PolicyDetector implements Detector {
  readonly #compiled: readonly Compiled[];
  readonly #targets = new Map<string, Target>();
  readonly #unknown = new Set<StatusCondition>();

  /** @throws PolicyError with the position in the expression. */
  constructor(policies: readonly Policy[]) {
    this.#compiled = policies.map(compile);
  }

  firing(): Finding[] {
    return [...this.#targets.values()].filter((target) => target.firing).map((target) => target.finding);
  }

  rearm(finding: Pick<Finding, 'policy' | 'target'>): void {
    this.#targets.delete(findingKey(finding));
  }

  /** Conditions that no policy could judge at the last observation. */
  unknownConditions(): ReadonlySet<StatusCondition> {
    return this.#unknown;
  }

  observe(observation: Observation): Change[] {
    const changes: Change[] = [];
    const present = new Set<string>();
    const metrics = Object.fromEntries(observation.metrics);
    this.#unknown.clear();
    for (const compiled of this.#compiled) {
      if (compiled.metrics.some((name) => !observation.metrics.has(name))) {
        if (compiled.policy.condition !== undefined) this.#unknown.add(compiled.policy.condition);
        continue;
      }
      for (const { target, bindings } of targetsOf(compiled.policy, observation)) {
        present.add(`${compiled.policy.name} ${target}`);
        const change = this.#judge(compiled, target, { metrics, ...bindings }, observation);
        if (change !== undefined) changes.push(change);
      }
    }
    return [...changes, ...this.#vanished(present)];
  }

  #judge(compiled: Compiled, name: string, bindings: Bindings, observation: Observation): Change | undefined {
    const { policy } = compiled;
    const key = `${policy.name} ${name}`;
    const holds = compiled.evaluate(bindings) === true;
    let target = this.#targets.get(key);
    if (target === undefined) {
      if (!holds || this.#targets.size >= MAX_TARGETS) return undefined;
      target = { finding: findingOf(policy, name, bindings), sinceMs: observation.nowMs, holds: true, firing: false };
      this.#targets.set(key, target);
    }
    if (holds !== target.holds) Object.assign(target, { holds, sinceMs: observation.nowMs });
    const lastedS = (observation.nowMs - target.sinceMs) / 1000;
    if (holds && !target.firing && lastedS >= policy.for_s) {
      target.firing = true;
      target.finding = { ...findingOf(policy, name, bindings), evidence: evidenceOf(compiled, bindings) };
      return { kind: 'fired', finding: target.finding };
    }
    if (!holds && lastedS >= (target.firing ? policy.clear_s : 0)) {
      this.#targets.delete(key);
      return target.firing ? { kind: 'cleared', finding: target.finding } : undefined;
    }
    return undefined;
  }

  /** A target that is gone (a service removed, a mount unmounted) no longer fires. */
  #vanished(present: ReadonlySet<string>): Change[] {
    const changes: Change[] = [];
    const judged = new Set(this.#compiled.map(({ policy }) => policy.name));
    for (const [key, target] of this.#targets) {
      if (present.has(key) || !judged.has(target.finding.policy) || target.finding.target === 'machine') continue;
      this.#targets.delete(key);
      if (target.firing) changes.push({ kind: 'cleared', finding: target.finding });
    }
    return changes;
  }
}

function targetsOf(policy: Policy, { services, sample, declared }: Observation): { target: string; bindings: Bindings }[] {
  switch (policy.scope) {
    case 'machine':
      return [{ target: 'machine', bindings: {} }];
    case 'service':
      return services.map((service) => ({
        target: service.name,
        bindings: {
          service: {
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
            memory_bytes: service.usage.memoryBytes,
            cpus: service.usage.cpus,
            processes: service.usage.processes,
            max_memory_bytes: service.bounds.memoryBytes ?? Number.POSITIVE_INFINITY,
            max_cpus: service.bounds.cpus ?? Number.POSITIVE_INFINITY,
            max_processes: service.bounds.processes ?? Number.POSITIVE_INFINITY,
          },
        },
      }));
    case 'sysctl':
    case 'file':
    case 'log':
    case 'cleanup':
      return declared
        .filter(({ kind }) => kind === policy.scope)
        .map(({ kind, name, fields }) => ({
          target: name,
          bindings: { [kind]: kind === 'cleanup' ? { ...fields, utilization: utilizationAt(sample, name) } : fields },
        }));
    case 'mount':
      return sample.mounts.map((mount) => ({
        target: mount.path,
        bindings: {
          mount: {
            path: mount.path,
            type: mount.type,
            utilization: mount.sizeBytes > 0 ? 1 - mount.availableBytes / mount.sizeBytes : 0,
            inodes_utilization: mount.inodes > 0 ? 1 - mount.inodesFree / mount.inodes : 0,
          },
        },
      }));
  }
}

/** Of the file system that a path lies on. */
function utilizationAt({ mounts }: Observation['sample'], path: string): number {
  const above = mounts.filter((mount) => mount.path === '/' || path === mount.path || path.startsWith(`${mount.path}/`));
  const mount = above.toSorted((a, b) => b.path.length - a.path.length)[0];
  return mount === undefined || mount.sizeBytes === 0 ? 0 : 1 - mount.availableBytes / mount.sizeBytes;
}

function findingOf(policy: Policy, target: string, bindings: Bindings): Finding {
  const { name, severity, summary, condition, claim } = policy;
  const remedy = remedyOf(policy, target, bindings);
  return { policy: name, target, severity, summary, condition, claim, remedy, evidence: {} };
}

/** The remedy with the fields of what was found in the place of their names; on a service by default the one found. */
function remedyOf({ remedy, scope }: Policy, target: string, bindings: Bindings): ToolCall[] {
  if (remedy === undefined) return [];
  const fields = { ...(bindings[scope] as Record<string, unknown> | undefined), name: target };
  const call = Object.entries(remedy).map(([key, value]) => {
    const field = typeof value === 'string' && value.startsWith('$') ? value.slice(1) : undefined;
    return [key, field !== undefined && field in fields ? (fields as Record<string, unknown>)[field] : value];
  });
  const onService = scope === 'service' && !('service' in remedy) ? [['service', target]] : [];
  // Whoever holds the file open is told, in the same plan.
  const { reload } = fields as { reload?: unknown };
  const then = typeof reload === 'string' && reload !== '' ? [{ tool: 'service.reload', service: reload }] : [];
  return [Object.fromEntries([...onService, ...call]) as ToolCall, ...then];
}

/** What the expression saw: figures and short texts. What is not declared (infinite) and a file's whole text are no evidence. */
function evidenceOf({ metrics: names, policy }: Compiled, bindings: Bindings): Finding['evidence'] {
  const metrics = bindings.metrics as Record<string, number>;
  const evidence: Record<string, string | number | boolean> = {};
  for (const name of names) evidence[name] = metrics[name] ?? 0;
  const fields = (bindings[policy.scope] as Record<string, string | number | boolean> | undefined) ?? {};
  for (const [key, value] of Object.entries(policy.scope === 'machine' ? {} : fields)) {
    if (typeof value === 'number' && !Number.isFinite(value)) continue;
    if (typeof value === 'string' && value.length > MAX_EVIDENCE_LENGTH) continue;
    evidence[`${policy.scope}.${key}`] = value;
  }
  return evidence;
}
