// The layers of a configuration: defaults, the system's files, the agent's own file, environment, flags. Later ones override earlier
// ones. Tables merge key by key, lists of tables by the name of each item; other values are replaced.

import { lineOf } from './lines.ts';

export interface Layer {
  /** A file's path, `environment` or `flags`. */
  origin: string;
  document: Readonly<Record<string, unknown>>;
  /** The text of a file, to find the line of a key. */
  text?: string | undefined;
}

export interface Merged {
  document: Record<string, unknown>;
  /** By key: `mode`, `policy_engine.max_rules`. */
  origins: Map<string, string>;
  /** Of the items of lists of tables. */
  items: WeakMap<object, string>;
}

type Table = Readonly<Record<string, unknown>>;

/** Keys that name an item of a list of tables. */
const NAMES = ['name', 'key', 'path', 'directory', 'start'] as const;

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @returns undefined for an item without a name: it is never merged. */
export function nameOf(item: unknown): string | undefined {
  if (!isTable(item)) return undefined;
  const key = NAMES.find((one) => typeof item[one] === 'string');
  return key === undefined ? undefined : String(item[key]);
}

export function mergeLayers(layers: readonly Layer[]): Merged {
  const merged: Merged = { document: {}, origins: new Map(), items: new WeakMap() };
  for (const { origin, document } of layers) {
    for (const [key, value] of Object.entries(document)) {
      if (value === undefined) continue;
      merged.document[key] = mergeKey(merged, key, value, origin);
    }
  }
  return merged;
}

function mergeKey({ document, origins, items }: Merged, key: string, value: unknown, origin: string): unknown {
  const before = document[key];
  if (isTable(value)) {
    origins.set(key, origin);
    for (const inner of Object.keys(value)) origins.set(`${key}.${inner}`, origin);
    return isTable(before) ? { ...before, ...value } : value;
  }
  if (Array.isArray(value) && value.some(isTable)) {
    const names = value.map(nameOf);
    origins.set(key, origin);
    for (const item of value) if (isTable(item)) items.set(item, origin);
    // The same name twice in one file is an error, which is reported later; in a later file it overrides.
    const kept = Array.isArray(before) ? before.filter((item) => !names.includes(nameOf(item) ?? '')) : [];
    return [...kept, ...value];
  }
  origins.set(key, origin);
  return value;
}

/** The layer that a place in the merged document comes from. */
export function originOf({ document, origins, items }: Merged, path: readonly PropertyKey[]): string | undefined {
  const [key = '', second = ''] = path.map(String);
  const list = document[key];
  const item: unknown = Array.isArray(list) ? list[Number(second)] : undefined;
  return (isTable(item) ? items.get(item) : origins.get(`${key}.${second}`)) ?? origins.get(key);
}

/** `FILE:LINE` of a place in the merged document, if the text of the file is known; else only the layer. */
export function placeIn(layers: readonly Layer[], merged: Merged, path: readonly PropertyKey[]): string | undefined {
  const origin = originOf(merged, path);
  const layer = layers.find((one) => one.origin === origin);
  if (layer?.text === undefined) return origin;
  const [key = '', index, ...rest] = path;
  // A list may have items of several files.
  const item = typeof index === 'number' ? valueAt(merged, [key, index]) : undefined;
  const own = layer.document[String(key)];
  const nth = item !== undefined && Array.isArray(own) ? own.indexOf(item) : -1;
  const line = lineOf(layer.text, nth < 0 ? path : [key, nth, ...rest]);
  return line === undefined ? origin : `${origin}:${line}`;
}

/** The value at a place of the merged document. */
export function valueAt({ document }: Merged, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined),
    document,
  );
}
