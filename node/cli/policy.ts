// `kalos policy list | show | test`: what counts as wrong, and whether it does what its author means. Needs no agent.
import { readConfigFile, stateDirectory } from '../config/adapters/state-directory.ts';
import { resolveConfig } from '../config/config.ts';
import { type Policy, SHIPPED_POLICIES } from '../detection/policy.ts';
import { PolicyError } from '../detection/policy-detector.ts';
import { testPolicy } from '../detection/policy-test.ts';
import { closest, KalosError } from '../errors.ts';
import { printData } from './data.ts';
import { EXIT, type Format, paint, table } from './output.ts';

export interface PolicyOptions {
  dir?: string;
  config?: string;
  output: Format;
}

interface Known {
  policy: Policy;
  origin: 'shipped' | 'own';
}

/** As an agent would have them: a policy of one's own with the name of a shipped one replaces it. */
function policies({ dir, config }: PolicyOptions): Known[] {
  const file = config ?? stateDirectory(dir).configFile;
  const own = resolveConfig(readConfigFile(file, config !== undefined), {}, file).policy;
  const shipped = SHIPPED_POLICIES.filter(({ name }) => own.every((other) => other.name !== name));
  return [
    ...shipped.map((policy) => ({ policy, origin: 'shipped' as const })),
    ...own.map((policy) => ({ policy, origin: 'own' as const })),
  ];
}

export function listPolicies(options: PolicyOptions): number {
  const known = policies(options);
  if (options.output !== 'table')
    printData(options.output, { policies: known.map(({ policy, origin }) => ({ ...policy, origin })) });
  else {
    const rows = known.map(({ policy, origin }) => [
      policy.name,
      policy.scope,
      policy.severity,
      policy.remedy.map((one) => one.do.map(({ tool }) => tool).join(' + ')).join(', or ') || null,
      origin,
      policy.summary,
    ]);
    process.stdout.write(`${table(['policy', 'scope', 'severity', 'remedy', 'origin', 'what is wrong'], rows)}\n`);
  }
  return EXIT.ok;
}

export function showPolicy(options: PolicyOptions, name: string): number {
  const known = policies(options);
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
  printData(options.output === 'json' ? 'json' : 'yaml', { ...found.policy, origin: found.origin });
  return EXIT.ok;
}

/** Runs the tests that are written beside the policies. */
export function testPolicies(options: PolicyOptions, name: string | undefined): number {
  const chosen = policies(options).filter(({ policy }) => name === undefined || policy.name === name);
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
