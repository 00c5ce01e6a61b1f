// `kalos doctor --policy`: what each rule of an actuator policy allows, before it is active. The actuator itself prints it.
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { findPackage } from '../adapters/package.ts';
import { KalosError } from '../errors.ts';
import { printRows } from './data.ts';
import { EXIT } from './exit-codes.ts';
import type { Format } from './output.ts';

/** The actuator's text for a rule that is equivalent to root. */
const AS_ROOT = 'can become root';

export interface RuleMeaning {
  rule: string;
  allows: string;
  /** Whether it lets the agent become root. */
  root: boolean;
}

/** @throws KalosError with the line, if the file is not a valid policy. */
export function meaningsOf(file: string): RuleMeaning[] {
  const { actuatorPath } = findPackage();
  const { status, stdout, stderr, error } = spawnSync(actuatorPath, ['--check-policy', resolve(file)], { encoding: 'utf8' });
  if (error !== undefined) throw new KalosError('io', `the actuator does not run: ${error.message}`, 'build it: npm install');
  if (status !== 0)
    throw new KalosError('config', stderr.trim().replace(/^kalos-actuator: /, ''), 'see docs/CONFIG.md, The actuator’s policy');
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('  '))
    .map((line) => {
      const [, rule = '', allows = ''] = line.trim().match(/^(.+?): (.*)$/) ?? [];
      return { rule, allows, root: allows.includes(AS_ROOT) };
    });
}

export function explainPolicy(file: string, format: Format): number {
  const meanings = meaningsOf(file);
  printRows(format, {
    headers: ['rule', 'root', 'what it allows'],
    rows: meanings.map(({ rule, root, allows }) => [rule, root ? 'yes' : '', allows]),
    data: { policy: file, rules: meanings },
  });
  return EXIT.ok;
}
