// The configuration key by key, each with its value and origin: for `kalos config show` and GET /v1/config.
import { configSchema } from './config.ts';
import { type Layer, mergeLayers, nameOf, originOf } from './layers.ts';

export interface Entry {
  key: string;
  value: unknown;
  origin: string;
}

/** Tables with values that may be secrets: only their keys are shown. */
const SECRET_KEYS: ReadonlySet<string> = new Set(['environment']);
const HIDDEN = '(hidden)';

/** With the bare value, which is compared and never shown. */
export interface WholeEntry extends Entry {
  /** The value, including secrets. */
  bare: unknown;
  /** The item that it belongs to, if it is in a list of tables: `service.web`. */
  item?: string;
}

export const entriesOf = (layers: readonly Layer[]): Entry[] =>
  wholeEntriesOf(layers).map(({ key, value, origin }) => ({ key, value, origin }));

export function wholeEntriesOf(layers: readonly Layer[]): WholeEntry[] {
  const merged = mergeLayers(layers);
  const from = (...path: PropertyKey[]): string => originOf(merged, path) ?? 'default';
  const fallback = defaults();
  return Object.entries({ ...fallback, ...merged.document }).flatMap(([key, value]): WholeEntry[] => {
    if (Array.isArray(value) && value.some((item) => nameOf(item) !== undefined))
      return value.flatMap((one, i) => {
        const item = `${key}.${nameOf(one) ?? i}`;
        return Object.entries(one as Record<string, unknown>).map(([inner, bare]) => ({
          ...{ key: `${item}.${inner}`, value: hidden(inner, bare), bare, origin: from(key, i), item },
        }));
      });
    if (isTable(value))
      return Object.entries({ ...tableOf(fallback[key]), ...value }).map(([inner, bare]) => ({
        ...{ key: `${key}.${inner}`, value: hidden(inner, bare), bare, origin: inner in value ? from(key, inner) : 'default' },
      }));
    const shown =
      key === 'join' && Array.isArray(value) ? value.map((one) => (String(one).startsWith('/') ? one : HIDDEN)) : value;
    return [{ key, value: shown, bare: value, origin: from(key) }];
  });
}

const isTable = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const tableOf = (value: unknown): Record<string, unknown> => (isTable(value) ? value : {});

/** Hides a secret value; a table keeps its keys. */
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
