// `kalos policy …`: lists, shows and tests policies, and adds or removes live policies of the running agent.
import { counted } from '../../swarm/words.ts';
import { readInput } from '../adapters/regular-file.ts';
import type { KnownPolicy } from '../agent/policies.ts';
import { callAgent } from '../api/client.ts';
import { readLayers } from '../config/adapters/read-layers.ts';
import { readConfigFile } from '../config/adapters/state-directory.ts';
import { resolveConfig } from '../config/config.ts';
import { shippedPolicies } from '../detection/adapters/shipped-policies.ts';
import type { Policy, PolicyScope, Severity } from '../detection/policy.ts';
import { PolicyError } from '../detection/policy-detector.ts';
import { testPolicy } from '../detection/policy-test.ts';
import type { LearnedThreshold } from '../detection/threshold.ts';
import { KalosError, notFound } from '../errors.ts';
import { callsOf } from './act.ts';
import { printRows, printWhole, yaml } from './data.ts';
import { EXIT } from './exit-codes.ts';
import { type Format, paint } from './output.ts';

export interface PolicyOptions {
  dir?: string;
  config?: string;
  output: Format;
}

type Known = KnownPolicy & { thresholds?: Record<string, LearnedThreshold> };

/** The policies of the running agent; if none runs, those of the next start: a local policy replaces a built-in one of the same name. */
async function policies(options: PolicyOptions): Promise<Known[]> {
  if (options.config !== undefined) return declaredPolicies(options);
  try {
    return await callAgent<Known[]>(options.dir, 'GET', '/v1/policies');
  } catch (error) {
    if (error instanceof KalosError && error.code === 'not-running') return declaredPolicies(options);
    throw error;
  }
}

function declaredPolicies({ dir, config }: PolicyOptions): Known[] {
  const own = resolveConfig(readLayers({ dir, config, environment: process.env })).policy;
  const shipped = shippedPolicies().filter(({ name }) => own.every((other) => other.name !== name));
  return [
    ...shipped.map((policy) => ({ policy, origin: 'shipped' as const })),
    ...own.map((policy) => ({ policy, origin: 'own' as const })),
  ];
}

export async function listPolicies(options: PolicyOptions): Promise<number> {
  const known = await policies(options);
  const remedies = ({ remedy }: Policy): string | null =>
    remedy.map((one) => one.do.map(({ tool }) => tool).join(' + ')).join(', or ') || null;
  const severity = ({ enabled, severity: declared }: Policy): string => (enabled ? declared : 'disabled');
  printRows(options.output, {
    headers: ['policy', 'scope', 'severity', 'remedy', 'origin', 'summary'],
    rows: known.map(({ policy, origin }) => [
      policy.name,
      policy.scope,
      severity(policy),
      remedies(policy),
      origin,
      policy.summary,
    ]),
    wide: {
      headers: ['policy', 'scope', 'severity', 'remedy', 'origin', 'for', 'clear', 'cooldown', 'when', 'summary'],
      rows: known.map(({ policy, origin }) => [
        ...[policy.name, policy.scope, severity(policy), remedies(policy), origin],
        ...[policy.for_s, policy.clear_s, policy.cooldown_s, policy.when, policy.summary],
      ]),
    },
    data: { policies: known.map(({ policy, origin, thresholds }) => ({ ...policy, origin, thresholds })) },
  });
  return EXIT.ok;
}

function find(known: readonly Known[], name: string): Known {
  const found = known.find(({ policy }) => policy.name === name);
  const names = known.map(({ policy }) => policy.name);
  if (found === undefined) throw notFound('policy', name, names, 'kalos policy list');
  return found;
}

export async function showPolicy(options: PolicyOptions, name: string): Promise<number> {
  const { policy, origin, thresholds } = find(await policies(options), name);
  const whole = { ...policy, origin, thresholds };
  printWhole(options.output, whole, () => yaml(whole).trimEnd());
  return EXIT.ok;
}

/** The `[[policy]]` tables of a file, and nothing else. */
export function readPolicies(file: string): unknown[] {
  const { policy, ...others } = readConfigFile(file, true, readInput);
  const [other] = Object.keys(others);
  if (other !== undefined) throw new KalosError('usage', `${file}: ${other}: only [[policy]] tables can be applied`);
  if (!Array.isArray(policy) || policy.length === 0) throw new KalosError('usage', `${file} has no [[policy]] table`);
  return policy;
}

/** Adds or replaces live policies of the running agent from a file of `[[policy]]` tables, atomically. */
export async function applyPolicies(options: PolicyOptions, file: string): Promise<number> {
  return applied(options.dir, readPolicies(file));
}

async function applied(dir: string | undefined, policies: readonly unknown[]): Promise<number> {
  const { applied: names } = await callAgent<{ applied: string[] }>(dir, 'POST', '/v1/policies', { policies });
  for (const name of names) process.stdout.write(`${name} is active\n`);
  return EXIT.ok;
}

export interface PolicyAddOptions {
  dir?: string;
  scope: PolicyScope;
  severity: Severity;
  /** ms */
  for?: number;
  summary?: string;
}

const MAX_SUMMARY = 200;

/** One live policy, without a file. @param action a tool and its arguments, or `alert` */
export async function addPolicy(
  { dir, scope, severity, for: forMs = 0, summary }: PolicyAddOptions,
  name: string,
  when: string,
  action: readonly string[],
): Promise<number> {
  const known = await callAgent<Known[]>(dir, 'GET', '/v1/policies');
  const same = known.find(({ policy }) => policy.name === name);
  if (same !== undefined)
    throw new KalosError(
      'usage',
      `policy "${name}" exists already (${same.origin})`,
      'choose another name, or replace it: kalos policy apply FILE',
    );
  const words = action.flatMap((word) => word.split(' ').filter((part) => part !== ''));
  const isAlert = words.length === 0 || words.join(' ') === 'alert';
  const remedy = isAlert ? [] : [{ do: await callsOf(dir, action.length === 1 ? words : action) }];
  const text = summary ?? when.slice(0, MAX_SUMMARY);
  const policy = { name, scope, severity, when, for_s: forMs / 1_000, summary: text, remedy };
  return applied(dir, [policy]);
}

/** Deletes a live policy; the policy that it replaced applies again. */
export async function deletePolicy({ dir }: PolicyOptions, name: string): Promise<number> {
  await callAgent(dir, 'POST', `/v1/policies/${encodeURIComponent(name)}/removal`, {});
  process.stdout.write(`${name} is deleted\n`);
  return EXIT.ok;
}

/** Enables or disables a policy, by a live policy that replaces it. */
export async function switchPolicy(options: PolicyOptions, name: string, enabled: boolean): Promise<number> {
  const { policy } = find(await policies(options), name);
  await callAgent(options.dir, 'POST', '/v1/policies', { policies: [{ ...policy, enabled }] });
  process.stdout.write(`${name} is ${enabled ? 'enabled' : 'disabled'}\n`);
  return EXIT.ok;
}

export async function resetPolicy(options: PolicyOptions, name: string): Promise<number> {
  const { policy } = find(await policies(options), name);
  const names = Object.keys(policy.threshold);
  if (names.length === 0) throw new KalosError('usage', `${name} has no learned thresholds`);
  await callAgent(options.dir, 'POST', `/v1/policies/${encodeURIComponent(name)}/reset`, {});
  process.stdout.write(`${name} relearns ${names.join(', ')}\n`);
  return EXIT.ok;
}

/** Runs the tests that the policies define. */
export async function testPolicies(options: PolicyOptions, name: string | undefined): Promise<number> {
  const known = await policies(options);
  const chosen = name === undefined ? known : [find(known, name)];
  try {
    const results = chosen.flatMap(({ policy }) => testPolicy(policy));
    const failed = results.filter(({ passed }) => !passed);
    if (options.output !== 'table' && options.output !== 'wide')
      printRows(options.output, {
        headers: ['policy', 'test', 'passed', 'detail'],
        rows: results.map(({ policy, test, passed, detail }) => [policy, test, passed, detail]),
        data: { results },
      });
    else {
      for (const { policy, test, passed, detail } of results)
        process.stdout.write(`${paint(passed ? 'green' : 'red', passed ? 'ok   ' : 'fail ')} ${policy}: ${test}: ${detail}\n`);
      const untested = chosen.filter(({ policy }) => policy.test.length === 0).length;
      process.stdout.write(
        `${results.length - failed.length} of ${counted(results.length, 'test')} pass; ${untested === 1 ? 'one policy has' : `${untested} policies have`} no tests\n`,
      );
    }
    return failed.length > 0 ? EXIT.error : EXIT.ok;
  } catch (error) {
    if (error instanceof PolicyError)
      throw new KalosError('config', error.message, 'policies are CEL expressions: see docs/CONFIG.md');
    throw error;
  }
}
