// What the command line prints for programs: JSON or YAML. Apart from output.ts, so that an agent does not load a YAML library.
import { stringify } from 'yaml';
import { type Format, printableJson, table } from './output.ts';
import { Moment, withMoments } from './times.ts';

/** Machine-readable output carries a version, so that scripts can tell when its shape changes. */
const OUTPUT_VERSION = 1;

export interface Rows {
  headers: readonly string[];
  rows: readonly (readonly unknown[])[];
  /** For `-o wide` and CSV: more columns. */
  wide?: { headers: readonly string[]; rows: readonly (readonly unknown[])[] };
  /** All data, for JSON and YAML. */
  data: Record<string, unknown>;
}

/** Prints a list in the requested format. */
export function printRows(format: Format, { headers, rows, wide, data }: Rows): void {
  const all = wide ?? { headers, rows };
  if (format === 'json' || format === 'yaml') printData(format, data);
  else if (format === 'csv') process.stdout.write([all.headers, ...all.rows].map(csvLine).join(''));
  else process.stdout.write(`${format === 'wide' ? table(all.headers, all.rows) : table(headers, rows)}\n`);
}

/** RFC 4180, but with LF at the end of lines: programs after a pipe would read a CR as data. */
export const csvLine = (row: readonly unknown[]): string => `${row.map(csvCell).join(',')}\n`;

function csvCell(value: unknown): string {
  if (value instanceof Moment) return value.toJSON() ?? '';
  const text = value === null || value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Prints one object: `text` for people; as CSV one line for each value, with its path of keys. */
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
