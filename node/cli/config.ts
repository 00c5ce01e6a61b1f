// `kalos config show`: the configuration as it is in force, and where each key of it comes from. Needs no agent.
import { readLayers } from '../config/adapters/read-layers.ts';
import { configSchema, resolveConfig } from '../config/config.ts';
import { mergeLayers, nameOf, originOf } from '../config/layers.ts';
import { printRows } from './data.ts';
import { EXIT, type Format } from './output.ts';

interface Entry {
  key: string;
  value: unknown;
  origin: string;
}

/** @throws KalosError naming what is wrong, and the layer that it comes from. */
export function showConfig(dir: string | undefined, config: string | undefined, origin: boolean, format: Format): number {
  const layers = readLayers({ dir, config, environment: process.env });
  resolveConfig(layers);
  const merged = mergeLayers(layers);
  const entries: Entry[] = [];
  for (const [key, value] of Object.entries({ ...defaults(), ...merged.document })) {
    const from = (...path: PropertyKey[]): string => originOf(merged, [key, ...path]) ?? 'default';
    if (Array.isArray(value) && value.some((item) => nameOf(item) !== undefined))
      value.forEach((item, i) => {
        for (const [inner, one] of Object.entries(item as Record<string, unknown>))
          entries.push({ key: `${key}.${nameOf(item) ?? i}.${inner}`, value: one, origin: from(i) });
      });
    else if (typeof value === 'object' && value !== null && !Array.isArray(value))
      for (const [inner, one] of Object.entries(value)) entries.push({ key: `${key}.${inner}`, value: one, origin: from(inner) });
    else entries.push({ key, value, origin: from() });
  }
  const shown = ({ key, value, origin: from }: Entry): unknown[] => [key, JSON.stringify(value), ...(origin ? [from] : [])];
  printRows(format, {
    headers: ['key', 'value', ...(origin ? ['origin'] : [])],
    rows: entries.map(shown),
    data: { config: entries },
  });
  return EXIT.ok;
}

/** What holds where nothing is said; lists that are empty say nothing. */
function defaults(): Record<string, unknown> {
  const parsed = Object.entries(configSchema.parse({}));
  return Object.fromEntries(parsed.filter(([, value]) => !(Array.isArray(value) && value.length === 0)));
}
