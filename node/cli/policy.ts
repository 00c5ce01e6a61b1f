// `kalos policy …`: what counts as wrong, and whether it does what its author means; live ones come and go while the agent runs.
import { readInput } from '../adapters/regular-file.ts';
import type { KnownPolicy } from '../agent/policies.ts';
import { callAgent } from '../api/client.ts';
import { readLayers } from '../config/adapters/read-layers.ts';
import { readConfigFile } from '../config/adapters/state-directory.ts';
import { resolveConfig } from '../config/config.ts';
import { type Policy, SHIPPED_POLICIES } from '../detection/policy.ts';
import { PolicyError } from '../detection/policy-detector.ts';
import { testPolicy } from '../detection/policy-test.ts';
import type { LearnedThreshold } from '../detection/threshold.ts';
import { closest, KalosError } from '../errors.ts';
import { printData, printRows } from './data.ts';
import { EXIT, type Format, paint } from './output.ts';

export interface PolicyOptions {
  dir?: string;
  config?: string;
  output: Format;
}

type Known = KnownPolicy & { thresholds?: Record<string, LearnedThreshold> };

/** Those of the agent that runs; else as an agent would have them: one of one's own with the name of a shipped one replaces it. */
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
  const shipped = SHIPPED_POLICIES.filter(({ name }) => own.every((other) => other.name !== name));
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
    headers: ['policy', 'scope', 'severity', 'remedy', 'origin', 'what is wrong'],
    rows: known.map(({ policy, origin }) => [
      policy.name,
      policy.scope,
      severity(policy),
      remedies(policy),
      origin,
      policy.summary,
    ]),
    wide: {
      headers: ['policy', 'scope', 'severity', 'remedy', 'origin', 'for', 'clear', 'cooldown', 'when', 'what is wrong'],
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
  if (found === undefined) {
    const meant = closest(
      name,
      known.map(({ policy }) => policy.name),
    );
    throw new KalosError(
      'not-found',
      `no policy "${name}"${meant === undefined ? '' : `; did you mean "${meant}"?`}`,
      'see: kalos policy list',
    );
  }
  return found;
}

export async function showPolicy(options: PolicyOptions, name: string): Promise<number> {
  const { policy, origin, thresholds } = find(await policies(options), name);
  printData(options.output === 'json' ? 'json' : 'yaml', { ...policy, origin, thresholds });
  return EXIT.ok;
}

/** The `[[policy]]` tables of a file, and nothing else. */
export function readPolicies(file: string): unknown[] {
  const { policy, ...others } = readConfigFile(file, true, readInput);
  const [other] = Object.keys(others);
  if (other !== undefined) throw new KalosError('usage', `${file}: ${other}: only [[policy]] tables can be applied`);
  if (!Array.isArray(policy) || policy.length === 0) throw new KalosError('usage', `${file} holds no [[policy]] table`);
  return policy;
}

/** Adds or replaces live policies of the running agent, from a file of `[[policy]]` tables; all of them or none. */
export async function applyPolicies(options: PolicyOptions, file: string): Promise<number> {
  const policies = readPolicies(file);
  const { applied } = await callAgent<{ applied: string[] }>(options.dir, 'POST', '/v1/policies', { policies });
  for (const name of applied) process.stdout.write(`${name} is in force\n`);
  return EXIT.ok;
}

/** Takes a live policy away: what it replaced is in force again. */
export async function deletePolicy({ dir }: PolicyOptions, name: string): Promise<number> {
  await callAgent(dir, 'POST', `/v1/policies/${encodeURIComponent(name)}/removal`, {});
  process.stdout.write(`${name} is removed\n`);
  return EXIT.ok;
}

/** As a live policy that replaces the one of that name. */
export async function switchPolicy(options: PolicyOptions, name: string, enabled: boolean): Promise<number> {
  const { policy } = find(await policies(options), name);
  await callAgent(options.dir, 'POST', '/v1/policies', { policies: [{ ...policy, enabled }] });
  process.stdout.write(`${name} is ${enabled ? 'enabled' : 'disabled'}\n`);
  return EXIT.ok;
}

export async function resetPolicy(options: PolicyOptions, name: string): Promise<number> {
  const { policy } = find(await policies(options), name);
  const names = Object.keys(policy.threshold);
  if (names.length === 0) throw new KalosError('usage', `${name} has no thresholds that learn`);
  await callAgent(options.dir, 'POST', `/v1/policies/${encodeURIComponent(name)}/reset`, {});
  process.stdout.write(`${name} learns ${names.join(', ')} anew\n`);
  return EXIT.ok;
}

/** Runs the tests that are written beside the policies. */
export async function testPolicies(options: PolicyOptions, name: string | undefined): Promise<number> {
  const chosen = (await policies(options)).filter(({ policy }) => name === undefined || policy.name === name);
  if (chosen.length === 0) throw new KalosError('not-found', `no policy "${name}"`, 'see: kalos policy list');
  try {
    const results = chosen.flatMap(({ policy }) => testPolicy(policy));
    const failed = results.filter(({ passed }) => !passed);
    if (options.output !== 'table') printData(options.output, { results });
    else {
      for (const { policy, test, passed, detail } of results)
        process.stdout.write(`${paint(passed ? 'green' : 'red', passed ? 'ok   ' : 'wrong')} ${policy}: ${test}: ${detail}\n`);
      const untested = chosen.filter(({ policy }) => policy.test.length === 0).length;
      process.stdout.write(`${results.length - failed.length} of ${results.length} tests hold; ${untested} policies have none\n`);
    }
    return failed.length > 0 ? EXIT.error : EXIT.ok;
  } catch (error) {
    if (error instanceof PolicyError)
      throw new KalosError('config', error.message, 'policies are CEL expressions: see docs/CONFIG.md');
    throw error;
  }
}
