// What the command line prints for people: tables, colours, sizes and times.

export const FORMATS = ['table', 'wide', 'json', 'yaml', 'csv'] as const;
export type Format = (typeof FORMATS)[number];

const useColour = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;

export function paint(colour: keyof typeof CODES, text: string): string {
  return useColour ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text;
}

/**
 * What a terminal would obey: control characters, but for tabs and ends of lines; and what turns the direction of text, or ends a line
 * where nothing else does, by which one name looks like another.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** Text from machines, for a terminal. */
export function printable(text: string): string {
  return text.replace(OBEYED, '�');
}

/** The same within JSON, where it can be written so that programs read what it was. */
export function printableJson(text: string): string {
  return text.replace(OBEYED, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Columns padded to their widest cell; numbers to the right. */
export function table(headers: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const cells = rows.map((row) => row.map(cell));
  const widths = headers.map((header, i) => Math.max(header.length, ...cells.map((row) => row[i]?.length ?? 0)));
  const numeric = headers.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number' || row[i] === null));
  const line = (row: readonly string[]): string =>
    row
      .map((text, i) => (numeric[i] ? text.padStart(widths[i] ?? 0) : text.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  return [paint('bold', line(headers.map((header) => header.toUpperCase()))), ...cells.map(line)].join('\n');
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return '-';
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
  return printable(String(value)).replaceAll(/[\n\t]/g, ' ');
}

export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let scaled = value;
  let unit = 0;
  for (; scaled >= 1024 && unit < units.length - 1; unit++) scaled /= 1024;
  return `${scaled >= 100 || unit === 0 ? Math.round(scaled) : scaled.toFixed(1)} ${units[unit]}`;
}

/** What lies ahead is dated by a clock that was wrong: it is no older than now. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}

const BARS = '▁▂▃▄▅▆▇█';

/** @param most what a full bar stands for; the highest value where it is not given. */
export function sparkline(values: readonly number[], width = values.length, most?: number): string {
  const shown = values.slice(-width);
  const top = most ?? Math.max(...shown, Number.EPSILON);
  const bar = (value: number): string =>
    BARS[Math.min(BARS.length - 1, Math.max(0, Math.floor((value / top) * BARS.length)))] ?? ' ';
  return shown.map(bar).join('').padStart(width);
}
