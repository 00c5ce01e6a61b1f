// Readers for the tables of this machine: files may be absent, and processes may have exited.
import { readdirSync, readlinkSync } from 'node:fs';
import type { ExactValue, SqlValue } from '../../ports/compute.ts';
import { readRegular } from '../regular-file.ts';

export type Row = Record<string, ExactValue | undefined>;
/** The constraints of the statement: equalities by column, patterns by `COLUMN like`. Rows that do not meet them are not needed. */
export type Where = ReadonlyMap<string, readonly SqlValue[]>;
export type Reader = (where: Where) => Row[] | Promise<Row[]>;

/** Limit of one file: the status of packages is the largest. */
const MAX_BYTES = 64 * 1024 * 1024;

let root = '';

/** Reads another machine's files below a directory, for tests. */
export function readBelow(directory: string): void {
  root = directory;
}

/** The path of a file of the machine. */
export const below = (path: string): string => `${root}${path}`;

export function read(path: string): string | undefined {
  try {
    return readRegular(below(path), MAX_BYTES, { kernel: true }).toString('utf8');
  } catch {
    return undefined; // absent, removed, not readable, or not a file
  }
}

/** The first line, without its end; undefined if it is absent or empty. */
export function line(path: string): string | undefined {
  const text = read(path)?.split('\n', 1)[0]?.trim();
  return text === '' ? undefined : text;
}

export function lines(path: string): string[] {
  return (read(path) ?? '').split('\n').filter((one) => one !== '');
}

/** The lines of a configuration file, trimmed, without blank lines and comments, which begin with one of `marks`. */
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

/** Undefined if it is not a number. */
export function number(text: string | undefined): number | undefined {
  const value = text === undefined || text.trim() === '' ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : undefined;
}

/** An integer of any size; undefined if it is not one. */
export function integer(text: string | undefined): number | bigint | undefined {
  if (text === undefined || !/^-?\d+$/.test(text.trim())) return number(text);
  return whole(BigInt(text.trim()));
}

/** A number if it is small enough, else a bigint. */
export function whole(value: bigint): number | bigint {
  const near = Number(value);
  return Number.isSafeInteger(near) ? near : value;
}
/** proc(5), fstab(5): blanks and similar characters are octal. */
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

/** The requested pids, or all. */
export function pids(where: Where): number[] {
  const asked = where.get('pid');
  const all = asked?.map(Number) ?? list('/proc').map(Number);
  return all.filter((pid) => Number.isInteger(pid) && pid > 0);
}
