// Checks whether the files of a LevelDB database are as LevelDB wrote them. LevelDB itself creates an empty database if CURRENT is missing, ignores
// unreadable parts of its log, and does not notice flipped bits in its tables. Formats: LevelDB's doc/log_format.md, doc/table_format.md.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';

/** A start reads the newest tables up to this size; `kalos doctor` reads them all. */
export const READ_AT_START_BYTES = 64 * 1024 * 1024;

const LOG_BLOCK_BYTES = 32_768;
const LOG_HEADER_BYTES = 7;
const FOOTER_BYTES = 48;
const TRAILER_BYTES = 5;
const TABLE_MAGIC = 0xdb4775248b80fb57n;
const SNAPPY = 1;

export interface Damage {
  file: string;
  what: string;
}

/** @returns the first damage found; undefined if there is none, or no database. */
export function damageOf(directory: string, tableBytes = Number.POSITIVE_INFINITY): Damage | undefined {
  const isDirectory = (name: string): boolean => statSync(join(directory, name)).isDirectory();
  const inTheWay = existsSync(directory)
    ? readdirSync(directory).find((name) => !name.startsWith('lost') && isDirectory(name))
    : undefined;
  if (inTheWay !== undefined) return { file: join(directory, inTheWay), what: 'is a directory, and should not be there' };
  const names = existsSync(directory) ? readdirSync(directory) : [];
  const isThere = names.some((name) => /^(MANIFEST-\d+|\d+\.(log|ldb|sst))$/.test(name));
  if (!isThere && !names.includes('CURRENT')) return undefined;
  const at = (name: string): string => join(directory, name);
  const current = names.includes('CURRENT') ? readFileSync(at('CURRENT'), 'latin1') : undefined;
  if (current === undefined) return { file: at('CURRENT'), what: 'is missing' };
  const manifest = current.match(/^(MANIFEST-\d+)\n$/)?.[1];
  if (manifest === undefined) return { file: at('CURRENT'), what: named(current) };
  if (!names.includes(manifest)) return { file: at(manifest), what: 'is missing' };
  if (statSync(at(manifest)).size === 0) return { file: at(manifest), what: 'is empty' };
  const history = logRecords(readFileSync(at(manifest)));
  if (history.damagedAt !== undefined) return { file: at(manifest), what: `is damaged at byte ${history.damagedAt}` };
  const live = liveFiles(history.records);
  if (live === undefined)
    return { file: at(manifest), what: 'is truncated or damaged: it does not list the files of the database' };
  const oldestLog = names.find((name) => numberOf(name) === live.log && name.endsWith('.log'));
  if (oldestLog === undefined)
    return { file: at(`${String(live.log).padStart(6, '0')}.log`), what: 'is missing: the newest records are lost' };
  for (const name of names.filter((one) => one.endsWith('.log') && numberOf(one) >= live.log)) {
    const { damagedAt } = logRecords(readFileSync(at(name)));
    if (damagedAt !== undefined) return { file: at(name), what: `is damaged at byte ${damagedAt}` };
  }
  const numbers = new Set(names.map(numberOf));
  const lost = [...live.tables].find((number) => !numbers.has(number));
  if (lost !== undefined) return { file: at(`${String(lost).padStart(6, '0')}.ldb`), what: 'is missing' };
  return damageOfTables(names.filter((name) => /\.(ldb|sst)$/.test(name) && live.tables.has(numberOf(name))).map(at), tableBytes);
}

const numberOf = (name: string): number => Number.parseInt(name, 10);
const named = (text: string): string =>
  text === '' ? 'is empty' : `contains ${JSON.stringify(text.slice(0, 40))}, not the name of a manifest`;

function damageOfTables(paths: readonly string[], atMost: number): Damage | undefined {
  let left = atMost;
  for (const path of [...paths].sort((a, b) => basename(b).localeCompare(basename(a)))) {
    left -= statSync(path).size;
    if (left < 0) return undefined;
    const what = damageOfTable(readFileSync(path));
    if (what !== undefined) return { file: path, what };
  }
  return undefined;
}

interface LogContent {
  records: Buffer[];
  /** The position of an unreadable record before a readable one. An unreadable record at the very end is an unfinished write of a power cut. */
  damagedAt: number | undefined;
}

const FIRST = 2;
const LAST = 4;

function logRecords(bytes: Buffer): LogContent {
  const records: Buffer[] = [];
  let parts: Buffer[] = [];
  let broken: number | undefined;
  for (let block = 0; block < bytes.length; block += LOG_BLOCK_BYTES) {
    const end = Math.min(block + LOG_BLOCK_BYTES, bytes.length);
    for (let at = block; at + LOG_HEADER_BYTES <= end; ) {
      const [crc, length, type] = [bytes.readUInt32LE(at), bytes.readUInt16LE(at + 4), bytes.readUInt8(at + 6)];
      const next = at + LOG_HEADER_BYTES + length;
      if (type === 0 && length === 0 && crc === 0) break; // reserved, and never written
      const isWhole = next <= end && type >= 1 && type <= LAST && masked(crc32c(bytes, at + 6, next)) === crc;
      if (isWhole && broken !== undefined) return { records, damagedAt: broken };
      if (!isWhole) broken ??= at;
      if (next > end) {
        if (hasRecord(bytes, at + 1, end)) return { records, damagedAt: broken };
        break;
      }
      // Full, first, middle, last.
      if (type === 1 || type === FIRST) parts = [];
      parts.push(bytes.subarray(at + LOG_HEADER_BYTES, next));
      if (isWhole && (type === 1 || type === LAST)) records.push(Buffer.concat(parts));
      at = next;
    }
  }
  return { records, damagedAt: undefined };
}

/** Whether another record begins later in the block of a record with a damaged length. */
function hasRecord(bytes: Buffer, from: number, end: number): boolean {
  for (let at = from; at + LOG_HEADER_BYTES <= end; at++) {
    const next = at + LOG_HEADER_BYTES + bytes.readUInt16LE(at + 4);
    const type = bytes.readUInt8(at + 6);
    if (type < 1 || type > LAST || next > end) continue;
    if (masked(crc32c(bytes, at + 6, next)) === bytes.readUInt32LE(at)) return true;
  }
  return false;
}

/** The result of a manifest's edits: tables by number, and the oldest log that is still needed. */
function liveFiles(edits: readonly Buffer[]): { log: number; tables: Set<number> } | undefined {
  const tables = new Set<number>();
  let log: number | undefined;
  for (const edit of edits) {
    const reader = new Reader(edit);
    while (!reader.isDone) {
      const tag = reader.varint();
      if (tag === 1)
        reader.text(); // comparator
      else if (tag === 2) log = reader.varint();
      else if (tag === 5) {
        reader.varint(); // where the compaction of a level continues
        reader.text();
      } else if (tag === 6) {
        reader.varint();
        tables.delete(reader.varint());
      } else if (tag === 7) {
        reader.varint();
        tables.add(reader.varint());
        reader.varint(); // size, smallest and largest key
        reader.text();
        reader.text();
      } else reader.varint(); // next file, last sequence, previous log
    }
  }
  return log === undefined ? undefined : { log, tables };
}

function damageOfTable(bytes: Buffer): string | undefined {
  if (bytes.length < FOOTER_BYTES) return bytes.length === 0 ? 'is empty' : `is truncated to ${bytes.length} bytes`;
  const footer = bytes.subarray(bytes.length - FOOTER_BYTES);
  if (footer.readBigUInt64LE(FOOTER_BYTES - 8) !== TABLE_MAGIC)
    return 'has no table footer: it is truncated, or bytes were appended';
  try {
    const reader = new Reader(footer);
    const metaIndex = reader.handle();
    const index = reader.handle();
    blockAt(bytes, metaIndex);
    for (const handle of handlesIn(blockAt(bytes, index))) blockAt(bytes, handle);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

interface Handle {
  offset: number;
  size: number;
}

/** Decompresses a block. @throws if its checksum does not match. */
function blockAt(bytes: Buffer, { offset, size }: Handle): Buffer {
  const end = offset + size;
  if (end + TRAILER_BYTES > bytes.length) throw new Error(`is damaged: a block at byte ${offset} reaches beyond its end`);
  if (masked(crc32c(bytes, offset, end + 1)) !== bytes.readUInt32LE(end + 1)) throw new Error(`is damaged at byte ${offset}`);
  const block = bytes.subarray(offset, end);
  return bytes[end] === SNAPPY ? unpack(block) : block;
}

/** The blocks that an index lists: entries of shared, own and value lengths, then restarts and their count. */
function handlesIn(index: Buffer): Handle[] {
  const restarts = index.readUInt32LE(index.length - 4);
  const reader = new Reader(index.subarray(0, index.length - 4 * (restarts + 1)));
  const handles: Handle[] = [];
  while (!reader.isDone) {
    reader.varint();
    const [own, length] = [reader.varint(), reader.varint()];
    reader.at += own;
    const end = reader.at + length;
    handles.push(reader.handle());
    reader.at = end;
  }
  return handles;
}

class Reader {
  readonly #bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isDone(): boolean {
    return this.at >= this.#bytes.length;
  }

  varint(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#bytes.readUInt8(this.at++);
      value += (byte & 0x7f) * factor;
      if (byte < 128) return value;
    }
  }

  text(): void {
    const length = this.varint();
    this.at += length;
  }

  handle(): Handle {
    return { offset: this.varint(), size: this.varint() };
  }
}

/** Snappy's format: its length, then literals and copies of what came before. */
function unpack(packed: Buffer): Buffer {
  const reader = new Reader(packed);
  const out = Buffer.alloc(reader.varint());
  let end = 0;
  const number = (bytes: number): number => {
    const value = packed.readUIntLE(reader.at, bytes);
    reader.at += bytes;
    return value;
  };
  while (!reader.isDone) {
    const tag = number(1);
    const [kind, high] = [tag & 3, tag >> 2];
    if (kind === 0) {
      const length = (high < 60 ? high : number(high - 59)) + 1;
      packed.copy(out, end, reader.at, reader.at + length);
      reader.at += length;
      end += length;
      continue;
    }
    const length = kind === 1 ? (high & 7) + 4 : high + 1;
    const back = kind === 1 ? ((tag >> 5) << 8) + number(1) : number(kind === 2 ? 2 : 4);
    for (let i = 0; i < length; i++, end++) out[end] = out[end - back] ?? 0;
  }
  return out;
}

/** CRC-32C (RFC 3720). */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc >>> 0;
});

function crc32c(bytes: Buffer, from: number, to: number): number {
  let crc = 0xffffffff;
  for (let at = from; at < to; at++) crc = (TABLE[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** The mask of LevelDB's stored checksums: a checksum over data with checksums would be weak. */
const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
