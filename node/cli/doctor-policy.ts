// `kalos doctor --policy`: what each rule of an actuator's policy makes possible, before it is in force. The actuator says so itself.
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { findPackage } from '../adapters/package.ts';
import { KalosError } from '../errors.ts';
import { printRows } from './data.ts';
import { EXIT } from './exit-codes.ts';
import type { Format } from './output.ts';

/** How the actuator says that a rule is as good as root. */
const AS_ROOT = 'can become root';

export interface Ruling {
  rule: string;
  allows: string;
  /** Whether it lets the agent become root. */
  root: boolean;
}

/** @throws KalosError where it is no policy, with the line. */
export function rulingsOf(file: string): Ruling[] {
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

export function judgePolicy(file: string, format: Format): number {
  const rulings = rulingsOf(file);
  printRows(format, {
    headers: ['rule', 'root', 'what it makes possible'],
    rows: rulings.map(({ rule, root, allows }) => [rule, root ? 'yes' : '', allows]),
    data: { policy: file, rules: rulings },
  });
  return EXIT.ok;
}
