// Reads the configuration layers of this machine: /etc/kalos/kalos.toml, /etc/kalos/conf.d/*.toml, the agent's own file, KALOS_*.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { closest, KalosError } from '../../errors.ts';
import type { ConfigFlags } from '../config.ts';
import { ENVIRONMENT_KEYS, takes } from '../config.ts';
import type { Layer } from '../layers.ts';
import { readConfig, stateDirectory } from './state-directory.ts';
import { checkTrust } from './trust.ts';

export const SYSTEM_DIRECTORY = '/etc/kalos';
/** Variables that are not keys of the configuration. */
const OTHER_VARIABLES = ['KALOS_DIR', 'KALOS_ACTUATOR', 'KALOS_ACTUATOR_POLICY', 'KALOS_COMMAND', 'KALOS_DEBUG'];

export interface LayerSources {
  /** The state directory, as given. */
  dir?: string | undefined;
  /** Instead of the file in the state directory. */
  config?: string | undefined;
  flags?: ConfigFlags | undefined;
  environment: Readonly<Record<string, string | undefined>>;
  system?: string | undefined;
  /** The agent will act on them: other users must not be able to write them. */
  acts?: boolean | undefined;
}

/** @throws KalosError if a file cannot be read, is not TOML, or is not trusted; or if a variable is unknown. */
export function readLayers({
  dir,
  config,
  flags = {},
  environment,
  system = SYSTEM_DIRECTORY,
  acts = false,
}: LayerSources): Layer[] {
  const drops = join(system, 'conf.d');
  const dropped = existsSync(drops)
    ? readdirSync(drops)
        .filter((name) => name.endsWith('.toml'))
        .sort()
        .map((name) => join(drops, name))
    : [];
  const own = config ?? stateDirectory(dir).configFile;
  const shared = [join(system, 'kalos.toml'), ...dropped];
  if (acts) for (const path of [...shared, own]) if (existsSync(path)) checkTrust(path);
  const files = shared.map((path) => ({ origin: path, ...readConfig(path, false) }));
  return [
    ...files,
    { origin: own, ...readConfig(own, config !== undefined) },
    { origin: 'environment', document: environmentLayer(environment) },
    { origin: 'flags', document: { ...flags } },
  ];
}

/** KALOS_MODE, KALOS_POLICY_ENGINE_MAX_RULES …; lists are separated by commas. */
function environmentLayer(environment: LayerSources['environment']): Record<string, unknown> {
  const document: Record<string, Record<string, unknown> | unknown> = {};
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith('KALOS_') || text === undefined || OTHER_VARIABLES.includes(variable)) continue;
    const known = ENVIRONMENT_KEYS.get(variable);
    if (known === undefined) {
      // A variable that resembles none of ours belongs to other software: container platforms set KALOS_SERVICE_HOST and the like.
      const meant = closest(variable, [...ENVIRONMENT_KEYS.keys(), ...OTHER_VARIABLES]);
      if (meant === undefined) continue;
      throw new KalosError('config', `environment: unknown variable ${variable}; did you mean ${meant}?`);
    }
    const {
      path: [key = '', inner],
      list,
    } = known;
    const value = list
      ? text.split(',').filter((part) => part !== '')
      : plain([key, ...(inner === undefined ? [] : [inner])], text);
    document[key] = inner === undefined ? value : { ...(document[key] as Record<string, unknown> | undefined), [inner]: value };
  }
  return document;
}

/** A variable's value: a string if the key accepts one, such as a name of digits; else a boolean or a number if it looks like one. */
function plain(path: readonly string[], text: string): string | number | boolean {
  if (takes(path, text)) return text;
  if (text === 'true' || text === 'false') return text === 'true';
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}
