// What the command line prints for programs: JSON or YAML. Apart from output.ts, so that an agent does not load a YAML library.
import { stringify } from 'yaml';
import { type Format, printableJson, table } from './output.ts';
import { Moment, withMoments } from './times.ts';

/** Machine-readable output carries a version, so that scripts can tell when its shape changes. */
const OUTPUT_VERSION = 1;

export interface Rows {
  headers: readonly string[];
  rows: readonly (readonly unknown[])[];
  /** The same with more columns. */
  wide?: { headers: readonly string[]; rows: readonly (readonly unknown[])[] };
  /** The whole, for programs. */
  data: Record<string, unknown>;
}

/** A list in whatever format was asked for. */
export function printRows(format: Format, { headers, rows, wide, data }: Rows): void {
  const all = wide ?? { headers, rows };
  if (format === 'json' || format === 'yaml') printData(format, data);
  else if (format === 'csv') process.stdout.write([all.headers, ...all.rows].map(csvLine).join(''));
  else process.stdout.write(`${format === 'wide' ? table(all.headers, all.rows) : table(headers, rows)}\n`);
}

/** RFC 4180, but for the ends of lines, which are those of every other text here: what follows in a pipe would take a CR for data. */
export const csvLine = (row: readonly unknown[]): string => `${row.map(csvCell).join(',')}\n`;

function csvCell(value: unknown): string {
  if (value instanceof Moment) return value.toJSON() ?? '';
  const text = value === null || value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** What is no list: for people as the text says it; as CSV a line for each value, under the keys that lead to it. */
export function printWhole(format: Format, data: Record<string, unknown>, text: () => string): void {
  if (format === 'table' || format === 'wide') process.stdout.write(`${text()}\n`);
  else if (format === 'csv') process.stdout.write([['key', 'value'], ...leavesOf(withMoments(data), '')].map(csvLine).join(''));
  else printData(format, data);
}

function leavesOf(value: unknown, path: string): [key: string, value: unknown][] {
  if (value === undefined) return [];
  const inner = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  if (inner.length === 0) return path === '' ? [] : [[path, value]];
  return inner.flatMap(([key, one]) => leavesOf(one, path === '' ? key : `${path}.${key}`));
}

function printData(format: 'json' | 'yaml', data: Record<string, unknown>): void {
  const versioned = { outputVersion: OUTPUT_VERSION, ...(withMoments(data) as Record<string, unknown>) };
  process.stdout.write(format === 'json' ? `${printableJson(JSON.stringify(versioned, null, 2))}\n` : yaml(versioned));
}

export const yaml = (data: Record<string, unknown>): string => stringify(data);
