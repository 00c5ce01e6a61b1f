// The configuration key by key, each with its value and origin: for `kalos config show` and GET /v1/config.
import { configSchema } from './config.ts';
import { type Layer, mergeLayers, nameOf, originOf } from './layers.ts';

export interface Entry {
  key: string;
  value: unknown;
  origin: string;
}

/** Tables whose values may be secrets: their keys are shown, the values are not. */
const SECRET_KEYS: ReadonlySet<string> = new Set(['environment']);
const HIDDEN = '(hidden)';

export function entriesOf(layers: readonly Layer[]): Entry[] {
  const merged = mergeLayers(layers);
  const entries: Entry[] = [];
  for (const [key, value] of Object.entries({ ...defaults(), ...merged.document })) {
    const from = (...path: PropertyKey[]): string => originOf(merged, [key, ...path]) ?? 'default';
    const add = (path: readonly string[], one: unknown, ...place: PropertyKey[]): void => {
      entries.push({ key: [key, ...path].join('.'), value: hidden(path.at(-1), one), origin: from(...place) });
    };
    if (Array.isArray(value) && value.some((item) => nameOf(item) !== undefined))
      value.forEach((item, i) => {
        for (const [inner, one] of Object.entries(item as Record<string, unknown>))
          add([nameOf(item) ?? String(i), inner], one, i);
      });
    else if (typeof value === 'object' && value !== null && !Array.isArray(value))
      for (const [inner, one] of Object.entries(value)) add([inner], one, inner);
    else if (key === 'join' && Array.isArray(value))
      add(
        [],
        value.map((one) => (String(one).startsWith('/') ? one : HIDDEN)),
      );
    else add([], value);
  }
  return entries;
}

/** A table keeps its keys. */
function hidden(key: string | undefined, value: unknown): unknown {
  if (key === undefined || !SECRET_KEYS.has(key)) return value;
  if (typeof value !== 'object' || value === null) return HIDDEN;
  return Object.fromEntries(Object.keys(value).map((one) => [one, HIDDEN]));
}

/** Defaults, without empty lists. */
function defaults(): Record<string, unknown> {
  const parsed = Object.entries(configSchema.parse({}));
  return Object.fromEntries(parsed.filter(([, value]) => !(Array.isArray(value) && value.length === 0)));
}
