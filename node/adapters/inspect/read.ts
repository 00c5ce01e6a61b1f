// What every table of this machine is read with: files that may be absent, or of a process that has gone since.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { ExactValue, SqlValue } from '../../../swarm/ports/compute.ts';

export type Row = Record<string, ExactValue | undefined>;
/** Equalities that the statement asks for, by column: rows that do not meet them are not needed. */
export type Where = ReadonlyMap<string, readonly SqlValue[]>;
export type Reader = (where: Where) => Row[] | Promise<Row[]>;

export function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
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

export function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

export function link(path: string): string | undefined {
  try {
    return readlinkSync(path);
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
