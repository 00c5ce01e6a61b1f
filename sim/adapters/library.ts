// Scenarios as files: the shipped ones, and those of users.
import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { findPackage } from '../../node/adapters/package.ts';
import { readConfigFile } from '../../node/config/adapters/state-directory.ts';
import { closest, KalosError } from '../../node/errors.ts';
import { parseScenario, type Scenario } from '../scenario/schema.ts';

const EXTENSION = '.toml';

/** The sorted names of the shipped ones. */
export function shippedScenarios(): string[] {
  return readdirSync(findPackage().scenarios)
    .filter((file) => file.endsWith(EXTENSION))
    .map((file) => basename(file, EXTENSION))
    .sort();
}

/**
 * @param name of a shipped one, or a file's path.
 * @throws KalosError `usage` if there is none, `config` if it is invalid.
 */
export function loadScenario(name: string): Scenario {
  const shipped = join(findPackage().scenarios, `${name}${EXTENSION}`);
  const path = /^[a-z0-9-]+$/.test(name) && existsSync(shipped) ? shipped : name;
  if (!existsSync(path)) {
    const meant = closest(name, shippedScenarios());
    const hint = meant === undefined ? `scenarios: ${shippedScenarios().join(', ')}; or give a file` : `did you mean ${meant}?`;
    throw new KalosError('usage', `no scenario "${name}"`, hint);
  }
  return parseScenario(readConfigFile(path, true), path);
}
