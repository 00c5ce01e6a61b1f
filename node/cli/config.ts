// `kalos config show | reload`: the configuration of the running agent; if none runs, that of the next start.
import { callAgent } from '../api/client.ts';
import { readLayers } from '../config/adapters/read-layers.ts';
import { resolveConfig } from '../config/config.ts';
import { type Entry, entriesOf } from '../config/entries.ts';
import { KalosError } from '../errors.ts';
import { printRows } from './data.ts';
import { EXIT } from './exit-codes.ts';
import type { Format } from './output.ts';

/** @param config shows this file; no agent is called. @throws KalosError with the invalid keys and their layers. */
export async function showConfig(
  dir: string | undefined,
  config: string | undefined,
  origin: boolean,
  format: Format,
): Promise<number> {
  const inForce = config === undefined ? await ofAgent(dir) : undefined;
  const entries = inForce ?? ofFiles(dir, config);
  if (inForce !== undefined) noteDifferences(inForce, dir);
  const shown = ({ key, value, origin: from }: Entry): unknown[] => [key, JSON.stringify(value), ...(origin ? [from] : [])];
  printRows(format, {
    headers: ['key', 'value', ...(origin ? ['origin'] : [])],
    rows: entries.map(shown),
    data: { config: entries, of: inForce === undefined ? 'files' : 'agent' },
  });
  return EXIT.ok;
}

function ofFiles(dir: string | undefined, config: string | undefined): Entry[] {
  const layers = readLayers({ dir, config, environment: process.env });
  resolveConfig(layers);
  return entriesOf(layers);
}

/** Undefined if no agent runs, or one before 0.4.0. */
async function ofAgent(dir: string | undefined): Promise<Entry[] | undefined> {
  try {
    return await callAgent<Entry[]>(dir, 'GET', '/v1/config');
  } catch (error) {
    if (error instanceof KalosError && (error.code === 'not-running' || error.code === 'not-found')) return undefined;
    throw error;
  }
}

/** Prints the keys that changed in the files after the agent read them. Its variables, flags and --config are not known here. */
function noteDifferences(inForce: readonly Entry[], dir: string | undefined): void {
  const text = ({ key, value, origin }: Entry): string => JSON.stringify([key, value, origin]);
  const isOfFile = ({ origin }: Entry): boolean => origin.startsWith('/');
  const files = new Set(inForce.filter(isOfFile).map(({ origin }) => origin));
  const held = new Set(inForce.map(text));
  try {
    const others = ofFiles(dir, undefined).filter((entry) => isOfFile(entry) && !held.has(text(entry)));
    const overridden = new Set(inForce.filter((entry) => !isOfFile(entry) && entry.origin !== 'default').map(({ key }) => key));
    const changed = others.filter(({ key, origin }) => !overridden.has(key) && (files.size === 0 || files.has(origin)));
    if (changed.length > 0)
      process.stderr.write(
        `changed in the files but not loaded: ${changed.map(({ key }) => key).join(', ')}; run: kalos config reload\n`,
      );
  } catch (error) {
    process.stderr.write(`the configuration files are invalid: ${(error as Error).message.split('\n')[0]}\n`);
  }
}

/** Reloads like `kill -HUP`, and prints what changed. */
export async function reloadConfig(dir: string | undefined): Promise<number> {
  const { lines, taken } = await callAgent<{ lines: string[]; taken: boolean }>(dir, 'POST', '/v1/config/reload', {});
  process.stdout.write(`${lines.join('\n')}\n`);
  return taken ? EXIT.ok : EXIT.usage;
}
