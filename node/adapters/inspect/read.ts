// What every table of this machine is read with: files that may be absent, or of a process that has gone since.
import { readdirSync, readlinkSync } from 'node:fs';
import type { ExactValue, SqlValue } from '../../ports/compute.ts';
import { readRegular } from '../regular-file.ts';

export type Row = Record<string, ExactValue | undefined>;
/** What the statement asks for: equalities by column, patterns by `COLUMN like`. Rows that do not meet them are not needed. */
export type Where = ReadonlyMap<string, readonly SqlValue[]>;
export type Reader = (where: Where) => Row[] | Promise<Row[]>;

/** Of one file: the status of packages is the largest that there is. */
const MAX_BYTES = 64 * 1024 * 1024;

let root = '';

/** Another machine's files, which lie below a directory, are read instead of this one's. */
export function readBelow(directory: string): void {
  root = directory;
}

/** Where a file of the machine lies. */
export const below = (path: string): string => `${root}${path}`;

export function read(path: string): string | undefined {
  try {
    return readRegular(below(path), MAX_BYTES, { kernel: true }).toString('utf8');
  } catch {
    return undefined; // absent, gone, not ours to read, or no file
  }
}

/** The first line, without its end; undefined where it is absent or empty. */
export function line(path: string): string | undefined {
  const text = read(path)?.split('\n', 1)[0]?.trim();
  return text === '' ? undefined : text;
}

export function lines(path: string): string[] {
  return (read(path) ?? '').split('\n').filter((one) => one !== '');
}

/** Of a file that people write: without blank lines and comments, which `marks` begin, and without blanks at the ends. */
export function written(path: string, marks = '#'): string[] {
  return lines(path)
    .map((one) => one.trim())
    .filter((one) => one !== '' && !marks.includes(one.charAt(0)));
}

export function list(path: string): string[] {
  try {
    return readdirSync(below(path));
  } catch {
    return [];
  }
}

export function link(path: string): string | undefined {
  try {
    return readlinkSync(below(path));
  } catch {
    return undefined;
  }
}

/** Undefined for what is no number. */
export function number(text: string | undefined): number | undefined {
  const value = text === undefined || text.trim() === '' ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : undefined;
}

/** A whole number of any size; undefined for what is none. */
export function integer(text: string | undefined): number | bigint | undefined {
  if (text === undefined || !/^-?\d+$/.test(text.trim())) return number(text);
  return whole(BigInt(text.trim()));
}

/** A number where it fits one. */
export function whole(value: bigint): number | bigint {
  const near = Number(value);
  return Number.isSafeInteger(near) ? near : value;
}
/** proc(5), fstab(5): blanks and the like are octal. */
export const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** `key: value` or `key=value` lines. */
export function pairs(text: string | undefined, separator: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const one of (text ?? '').split('\n')) {
    const at = one.indexOf(separator);
    if (at > 0) found.set(one.slice(0, at).trim(), one.slice(at + separator.length).trim());
  }
  return found;
}

/** The pids that are asked for, or all. */
export function pids(where: Where): number[] {
  const asked = where.get('pid');
  const all = asked?.map(Number) ?? list('/proc').map(Number);
  return all.filter((pid) => Number.isInteger(pid) && pid > 0);
}
