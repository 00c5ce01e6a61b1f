// What the command line prints for programs: JSON or YAML. Apart from output.ts, so that an agent does not load a YAML library.
import { stringify } from 'yaml';
import { type Format, printableJson, table } from './output.ts';

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
  else if (format === 'csv')
    process.stdout.write([all.headers, ...all.rows].map((row) => `${row.map(csvCell).join(',')}\r\n`).join(''));
  else process.stdout.write(`${format === 'wide' ? table(all.headers, all.rows) : table(headers, rows)}\n`);
}

/** RFC 4180. */
function csvCell(value: unknown): string {
  const text = value === null || value === undefined ? '' : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function printData(format: Format, data: Record<string, unknown>): void {
  const versioned = { outputVersion: OUTPUT_VERSION, ...data };
  process.stdout.write(format === 'json' ? `${printableJson(JSON.stringify(versioned, null, 2))}\n` : stringify(versioned)); // json, and yaml for all that is no json
}
