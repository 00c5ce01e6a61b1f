// Policies as CEL expressions (Common Expression Language), compiled once, evaluated over each observation.
// A policy whose metrics the machine lacks is neither true nor false: it keeps its state, and its condition is Unknown.
import type { StatusCondition } from '../../swarm/state/status.ts';
import type { ToolCall } from '../tool-call.ts';
import { type Change, type Detector, type Finding, findingKey, type Observation } from './detector.ts';
import { type Bindings, type Expression, Expressions, oneLine } from './expressions.ts';
import type { Policy, PolicyScope } from './policy.ts';
import { CONTENTS, type Target } from './targets.ts';
import { AdaptiveThreshold, type LearnedThreshold, type ThresholdState } from './threshold.ts';

type Argument = string | number;

interface CompiledCall {
  call: ToolCall;
  /** Arguments that are expressions, by name. */
  computed: ReadonlyMap<string, Expression>;
}

interface Compiled {
  policy: Policy;
  evaluate: Expression;
  thresholds: ReadonlyMap<string, AdaptiveThreshold>;
  remedies: { when: Expression | undefined; calls: CompiledCall[] }[];
  metrics: readonly string[];
}

interface Tracked {
  finding: Finding;
  /** Monotonic ms since the expression has been true, or false. */
  sinceMs: number;
  holds: boolean;
  firing: boolean;
}

/** Maximum number of tracked targets of all policies. */
const MAX_TARGETS = 4_096;
const MAX_EVIDENCE_LENGTH = 200;
/** Tools that change no file. */
const ON_PROCESSES = /^(service|process|cgroup)\./;

export class PolicyError extends Error {
  readonly policy: string;
  constructor(policy: string, detail: string) {
    super(`policy ${policy}: ${detail}`);
    this.policy = policy;
  }
}

type Parsed = Omit<Compiled, 'policy' | 'thresholds'>;
/** Parsed policies, shared by all agents of a process; each detector has its own learned thresholds. */
const parsedPolicies = new WeakMap<Policy, Parsed>();

function compile(policy: Policy): Compiled {
  let parsed = parsedPolicies.get(policy);
  if (parsed === undefined) {
    parsed = parse(policy);
    parsedPolicies.set(policy, parsed);
  }
  const thresholds = Object.entries(policy.threshold).map(([name, spec]) => [name, new AdaptiveThreshold(spec)] as const);
  return { ...parsed, policy, thresholds: new Map(thresholds) };
}

function parse(policy: Policy): Parsed {
  const expressions = new Expressions(['metrics', 'threshold', ...(policy.scope === 'machine' ? [] : [policy.scope])]);
  const expressionOf = (text: string, type: 'bool' | 'dyn'): Expression => {
    try {
      return expressions.compile(text, type);
    } catch (error) {
      throw new PolicyError(policy.name, oneLine(error, text));
    }
  };
  const compileCall = (call: ToolCall): CompiledCall => {
    const expressions = Object.entries(call).filter((entry): entry is [string, string] => isExpression(entry[1]));
    return { call, computed: new Map(expressions.map(([key, text]) => [key, expressionOf(text.slice(1), 'dyn')])) };
  };
  return {
    evaluate: expressionOf(policy.when, 'bool'),
    remedies: policy.remedy.map((one) => ({
      when: one.when === undefined ? undefined : expressionOf(one.when, 'bool'),
      calls: one.do.map((call) => compileCall(call as ToolCall)),
    })),
    metrics: [...policy.when.matchAll(/metrics\[['"]([^'"]+)['"]\]/g)].map((match) => match[1] ?? ''),
  };
}

function isExpression(value: unknown): value is string {
  return typeof value === 'string' && value.startsWith('=');
}

const enabled = (policies: readonly Policy[]): Policy[] => policies.filter((policy) => policy.enabled);

function valuesOf({ thresholds }: Compiled): Record<string, number> {
  return Object.fromEntries([...thresholds].map(([name, threshold]) => [name, threshold.value]));
}

/** Undefined if a value that it needs is unknown. */
function evaluate(expression: Expression, bindings: Bindings): unknown {
  try {
    return expression(bindings);
  } catch {
    return undefined;
  }
}

export class PolicyDetector implements Detector {
  #compiled: readonly Compiled[];
  readonly #targets = new Map<string, Tracked>();
  /** Until when a cleared finding does not fire again, by its key; monotonic ms. */
  readonly #quiet = new Map<string, number>();
  readonly #unknown = new Set<StatusCondition>();
  readonly #metrics: Record<string, number> = {};

  /** @throws PolicyError with the position in the expression. */
  constructor(policies: readonly Policy[]) {
    this.#compiled = enabled(policies).map(compile);
  }

  /**
   * Replaces the policies. An unchanged policy keeps its state; a finding of a removed policy clears.
   * @throws PolicyError if one is invalid: then nothing has changed.
   */
  replace(policies: readonly Policy[]): Change[] {
    const before = new Map(this.#compiled.map((compiled) => [JSON.stringify(compiled.policy), compiled]));
    this.#compiled = enabled(policies).map((policy) => before.get(JSON.stringify(policy)) ?? compile(policy));
    const kept = new Set(
      this.#compiled.filter((compiled) => [...before.values()].includes(compiled)).map(({ policy }) => policy.name),
    );
    const changes: Change[] = [];
    for (const [key, target] of this.#targets) {
      if (kept.has(target.finding.policy)) continue;
      this.#targets.delete(key);
      if (target.firing) changes.push({ kind: 'cleared', finding: target.finding });
    }
    return changes;
  }

  /** The current thresholds of a policy and their origin, by name. */
  thresholds(policy: string): Record<string, LearnedThreshold> {
    const compiled = this.#compiled.find((one) => one.policy.name === policy);
    return Object.fromEntries([...(compiled?.thresholds ?? [])].map(([name, threshold]) => [name, threshold.explain()]));
  }

  /** The learned values, by policy and threshold: `cpu-pressure busy`. */
  learned(): Record<string, ThresholdState> {
    const all = this.#compiled.flatMap(({ policy, thresholds }) =>
      [...thresholds].flatMap(([name, { state }]) => (state === undefined ? [] : [[`${policy.name} ${name}`, state] as const])),
    );
    return Object.fromEntries(all);
  }

  recall(learned: Readonly<Record<string, ThresholdState>>): void {
    for (const { policy, thresholds } of this.#compiled)
      for (const [name, threshold] of thresholds) {
        const state = learned[`${policy.name} ${name}`];
        if (state !== undefined) threshold.recall(state);
      }
  }

  /** Resets the learned thresholds of a policy. */
  resetThresholds(policy: string): void {
    const compiled = this.#compiled.find((one) => one.policy.name === policy);
    for (const threshold of compiled?.thresholds.values() ?? []) threshold.reset();
  }

  firing(): Finding[] {
    return [...this.#targets.values()].filter((target) => target.firing).map((target) => target.finding);
  }

  rearm(finding: Pick<Finding, 'policy' | 'target'>): void {
    this.#targets.delete(findingKey(finding));
  }

  /** Conditions that no policy could evaluate at the last observation. */
  unknownConditions(): ReadonlySet<StatusCondition> {
    return this.#unknown;
  }

  /** Whether a finding's expression was true at the last observation. */
  holds(finding: Pick<Finding, 'policy' | 'target'>): boolean {
    return this.#targets.get(findingKey(finding))?.holds === true;
  }

  /** Handles a time without observations: no expression is known to have been true through it. */
  skip(unseenMs: number): void {
    for (const target of this.#targets.values()) target.sinceMs += unseenMs;
  }

  observe(observation: Observation): Change[] {
    const changes: Change[] = [];
    const metrics = this.#seen(observation.metrics);
    const bound = new Map<PolicyScope, { name: string; bindings: Bindings }[]>();
    this.#unknown.clear();
    for (const compiled of this.#compiled) {
      const { policy, thresholds } = compiled;
      if (!knowsAll(observation.metrics, compiled.metrics)) {
        if (policy.condition !== undefined) this.#unknown.add(policy.condition);
        continue;
      }
      let targets = bound.get(policy.scope);
      if (targets === undefined) {
        targets = bind(policy.scope, observation.targets.get(policy.scope) ?? [], metrics);
        bound.set(policy.scope, targets);
      }
      for (const { name, bindings } of targets) {
        const all = thresholds.size > 0 ? { ...bindings, threshold: valuesOf(compiled) } : bindings;
        const change = this.#evaluate(compiled, name, all, observation.nowMs);
        if (change !== undefined) changes.push(change);
      }
      if (thresholds.size > 0) this.#learn(compiled, observation.metrics);
    }
    return this.#targets.size === 0 ? changes : [...changes, ...this.#vanished(observation)];
  }

  /** The metrics for expressions, in one object that is reused: creating one each second is a large part of the work. */
  #seen(metrics: Observation['metrics']): Record<string, number> {
    for (const name in this.#metrics) if (!metrics.has(name)) delete this.#metrics[name];
    for (const [name, value] of metrics) this.#metrics[name] = value;
    return this.#metrics;
  }

  /** Learns normal values while no expression of the policy is true. */
  #learn({ policy, thresholds }: Compiled, metrics: Observation['metrics']): void {
    for (const { finding, holds } of this.#targets.values()) if (holds && finding.policy === policy.name) return;
    for (const threshold of thresholds.values()) threshold.learn(metrics);
  }

  #evaluate(compiled: Compiled, name: string, bindings: Bindings, nowMs: number): Change | undefined {
    const { policy } = compiled;
    const value = evaluate(compiled.evaluate, bindings);
    if (typeof value !== 'boolean') {
      if (policy.condition !== undefined) this.#unknown.add(policy.condition);
      return undefined;
    }
    if (!value && this.#targets.size === 0) return undefined;
    const key = `${policy.name} ${name}`;
    let target = this.#targets.get(key);
    if (target === undefined) {
      if (!value || this.#targets.size >= MAX_TARGETS || nowMs < (this.#quiet.get(key) ?? 0)) return undefined;
      target = { finding: findingOf(compiled, name, bindings), sinceMs: nowMs, holds: true, firing: false };
      this.#targets.set(key, target);
    }
    if (value !== target.holds) Object.assign(target, { holds: value, sinceMs: nowMs });
    const lastedS = (nowMs - target.sinceMs) / 1000;
    if (value && target.firing) target.finding = { ...target.finding, remedies: remediesOf(compiled, name, bindings) };
    if (value && !target.firing && lastedS >= policy.for_s) {
      target.firing = true;
      target.finding = { ...findingOf(compiled, name, bindings), evidence: evidenceOf(compiled, bindings) };
      return { kind: 'fired', finding: target.finding };
    }
    if (!value && lastedS >= (target.firing ? policy.clear_s : 0)) {
      this.#targets.delete(key);
      if (target.firing && policy.cooldown_s > 0) this.#keepQuiet(key, nowMs, policy.cooldown_s);
      return target.firing ? { kind: 'cleared', finding: target.finding } : undefined;
    }
    return undefined;
  }

  #keepQuiet(key: string, nowMs: number, seconds: number): void {
    for (const [other, untilMs] of this.#quiet) if (untilMs <= nowMs) this.#quiet.delete(other);
    if (this.#quiet.size < MAX_TARGETS) this.#quiet.set(key, nowMs + seconds * 1_000);
  }

  /** A removed target (a service, a mount) no longer fires. */
  #vanished({ metrics, targets }: Observation): Change[] {
    const changes: Change[] = [];
    const judged = new Set<string>();
    const present = new Set<string>();
    for (const { policy, metrics: needed } of this.#compiled) {
      judged.add(policy.name);
      if (!knowsAll(metrics, needed)) continue;
      for (const { name } of targets.get(policy.scope) ?? []) present.add(`${policy.name} ${name}`);
    }
    for (const [key, target] of this.#targets) {
      if (present.has(key) || !judged.has(target.finding.policy) || target.finding.target === 'machine') continue;
      this.#targets.delete(key);
      if (target.firing) changes.push({ kind: 'cleared', finding: target.finding });
    }
    return changes;
  }
}

function knowsAll(metrics: Observation['metrics'], names: readonly string[]): boolean {
  for (const name of names) if (!metrics.has(name)) return false;
  return true;
}

/** The variables of an expression for each target. */
function bind(
  scope: PolicyScope,
  targets: readonly Target[],
  metrics: Record<string, number>,
): { name: string; bindings: Bindings }[] {
  return targets.map(({ name, fields }) => ({
    name,
    bindings: scope === 'machine' ? { metrics } : { metrics, [scope]: fields },
  }));
}

function findingOf(compiled: Compiled, target: string, bindings: Bindings): Finding {
  const { name, severity, summary, condition, claim } = compiled.policy;
  const remedies = remediesOf(compiled, target, bindings);
  return { policy: name, target, severity, summary, condition, claim, remedies, evidence: {} };
}

/** The remedies whose own expression is true. */
function remediesOf({ policy, remedies }: Compiled, target: string, bindings: Bindings): ToolCall[][] {
  return remedies
    .filter(({ when }) => when === undefined || evaluate(when, bindings) === true)
    .map(({ calls }) => planOf(policy, calls, target, bindings));
}

/** Replaces field names with the fields of the target; a service tool acts by default on the service found. */
function planOf({ scope }: Policy, calls: readonly CompiledCall[], target: string, bindings: Bindings): ToolCall[] {
  const fields: Record<string, unknown> = { ...(bindings[scope] as Record<string, unknown> | undefined), name: target };
  const plan = calls.map(({ call, computed }) => {
    const given = Object.entries(call).map(([key, value]) => {
      const expression = computed.get(key);
      if (expression !== undefined) return [key, asArgument(evaluate(expression, bindings))];
      const field = typeof value === 'string' && value.startsWith('$') ? value.slice(1) : undefined;
      return [key, field !== undefined && field in fields ? fields[field] : value];
    });
    const onService = scope === 'service' && call.tool.startsWith('service.') && !('service' in call);
    return Object.fromEntries([...(onService ? [['service', target]] : []), ...given]) as ToolCall;
  });
  // The service that reads the file is reloaded in the same plan, unless the plan acts on it already.
  const { reload } = fields;
  const isMade = plan.some(({ tool }) => tool === 'service.run' || !ON_PROCESSES.test(tool));
  const isReloaded = plan.some(({ service }) => service === reload);
  return typeof reload === 'string' && reload !== '' && isMade && !isReloaded
    ? [...plan, { tool: 'service.reload', service: reload }]
    : plan;
}

/** CEL's integers are bigints. */
function asArgument(value: unknown): Argument {
  return typeof value === 'bigint' ? Number(value) : typeof value === 'number' ? value : String(value);
}

/**
 * The values of the expression: numbers and short texts. Fields that it does not name are left out if they are empty. Infinite
 * values (no bound declared) and the content of files are never evidence, because the whole swarm can read it.
 */
function evidenceOf({ metrics: names, policy }: Compiled, bindings: Bindings): Finding['evidence'] {
  const metrics = bindings.metrics as Record<string, number>;
  const evidence: Record<string, string | number | boolean> = {};
  for (const name of names) evidence[name] = metrics[name] ?? 0;
  for (const [name, value] of Object.entries((bindings.threshold as Record<string, number> | undefined) ?? {}))
    evidence[`threshold.${name}`] = value;
  const fields = (bindings[policy.scope] as Record<string, string | number | boolean> | undefined) ?? {};
  for (const [key, value] of Object.entries(policy.scope === 'machine' ? {} : fields)) {
    if (typeof value === 'number' && !Number.isFinite(value)) continue;
    if (CONTENTS.includes(key) || (typeof value === 'string' && value.length > MAX_EVIDENCE_LENGTH)) continue;
    const isNamed = new RegExp(`\\b${policy.scope}\\.${key}\\b`).test(policy.when);
    if (!isNamed && (value === '' || value === 0 || value === false || value === -1)) continue;
    evidence[`${policy.scope}.${key}`] = value;
  }
  return evidence;
}
