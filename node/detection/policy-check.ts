// Checks the names in a policy's expressions: a metric of the catalogue, a field of its scope, one of its thresholds.
// A misspelt name would never match, unnoticed: it is rejected with its position and the most similar name.
import { closest } from '../errors.ts';
import { METRICS } from '../telemetry/metrics.ts';
import { placeInText } from './expressions.ts';
import type { Policy } from './policy.ts';
import { PolicyError } from './policy-detector.ts';
import { FIELDS } from './targets.ts';

const METRIC_NAMES = METRICS.map(({ name }) => name);
const MAX_EDITS_SHARE = 3;

/** @throws PolicyError */
export function checkNames(policy: Policy): void {
  for (const text of expressionsOf(policy)) {
    for (const { index, name } of found(text, /metrics\[(['"])([^'"]+)\1\]/g, 2))
      known(policy, text, index, 'metric', name, METRIC_NAMES);
    for (const { index, name } of found(text, /\bthreshold\.([a-z_]\w*)/g, 1))
      known(policy, text, index, 'threshold', name, Object.keys(policy.threshold));
    if (policy.scope === 'machine') continue;
    for (const { index, name } of found(text, new RegExp(`\\b${policy.scope}\\.([a-z_]\\w*)`, 'g'), 1))
      known(policy, text, index, 'field', name, FIELDS[policy.scope]);
  }
  for (const { metric } of Object.values(policy.threshold)) known(policy, metric, 0, 'metric', metric, METRIC_NAMES);
}

function expressionsOf({ when, remedy }: Policy): string[] {
  const computed = remedy.flatMap((one) =>
    one.do.flatMap((call) => Object.values(call).filter((value) => typeof value === 'string' && value.startsWith('='))),
  );
  return [when, ...remedy.flatMap((one) => one.when ?? []), ...computed.map((text) => String(text).slice(1))];
}

function found(text: string, pattern: RegExp, group: number): { index: number; name: string }[] {
  return [...text.matchAll(pattern)].map((match) => ({
    index: match.index + match[0].indexOf(match[group] ?? ''),
    name: match[group] ?? '',
  }));
}

function known(policy: Policy, text: string, index: number, kind: string, name: string, names: readonly string[]): void {
  if (names.includes(name)) return;
  const meant =
    closest(name, names) ??
    names.find((other) => other.endsWith(`.${name}`) || (name.length > MAX_EDITS_SHARE && other.includes(name)));
  const suggestion = meant === undefined ? '' : `; did you mean "${meant}"?`;
  throw new PolicyError(
    policy.name,
    `no ${kind} "${name}"${suggestion}${suggestion === '' ? ', in' : ' in'} ${placeInText(text, index)}`,
  );
}
