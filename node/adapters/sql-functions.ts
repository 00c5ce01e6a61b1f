// Functions that osquery adds to SQLite: strings, patterns, addresses, digests. NULL gives NULL.
import { createHash } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import { compilePattern, type Pattern } from '../patterns.ts';

type Value = SQLOutputValue;

const patterns = new Map<string, Pattern>();
const MAX_PATTERNS = 256;

function patternOf(text: string): Pattern {
  const known = patterns.get(text);
  if (known !== undefined) return known;
  const compiled = compilePattern(text);
  if (!compiled.ok) throw new Error(`the pattern "${text}": ${compiled.reason}`);
  if (patterns.size >= MAX_PATTERNS) patterns.clear();
  patterns.set(text, compiled.pattern);
  return compiled.pattern;
}

/** Without empty parts, and trimmed, as osquery does. @param tokens each character separates. */
function split(text: string, tokens: string): string[] {
  if (tokens === '') throw new Error('split needs separators: a string of one or more characters');
  const parts = [''];
  for (const character of text) {
    if (tokens.includes(character)) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts.filter((part) => part !== '').map((part) => part.trim());
}

/** IPv4 as a number, as in inet_aton(3); NULL if it is not an address. */
function inetAton(address: string): bigint | null {
  return isIP(address) === 4 ? address.split('.').reduce((sum, byte) => sum * 256n + BigInt(byte), 0n) : null;
}

/** @param block such as 10.0.0.0/8 */
function inBlock(block: string, address: string): bigint {
  const [network = '', bits = ''] = block.split('/');
  const family = isIP(network) === 6 ? 'ipv6' : 'ipv4';
  const most = family === 'ipv6' ? 128 : 32;
  if (isIP(network) === 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > most)
    throw new Error(`in_cidr_block needs a block such as 10.0.0.0/8, not "${block}"`);
  if (isIP(address) === 0) throw new Error(`in_cidr_block needs an address, not "${address}"`);
  if ((isIP(address) === 6) !== (family === 'ipv6')) return 0n;
  const blocks = new BlockList();
  blocks.addSubnet(network, Number(bits), family);
  return blocks.check(address, family) ? 1n : 0n;
}

const digest =
  (name: string) =>
  (text: string): string =>
    createHash(name).update(text).digest('hex');
const base64 = (text: string): string => Buffer.from(text).toString('base64');

const OF_ONE: Readonly<Record<string, (text: string) => Value>> = {
  inet_aton: inetAton,
  md5: digest('md5'),
  sha1: digest('sha1'),
  sha256: digest('sha256'),
  to_base64: base64,
  from_base64: (text) => Buffer.from(text, 'base64').toString('utf8'),
  conditional_to_base64: (text) => (/^\p{ASCII}*$/u.test(text) ? text : base64(text)),
};
const OF_TWO: Readonly<Record<string, (first: string, second: string) => Value>> = { in_cidr_block: inBlock };

/** Functions that split a string and return one part. */
const PARTS: Readonly<Record<string, (text: string, by: string) => (string | null)[] | undefined>> = {
  regex_match: (text, pattern) => patternOf(pattern).match(text),
  regex_split: (text, pattern) => patternOf(pattern).split(text),
  split,
};

export function addFunctions(db: DatabaseSync): void {
  const options = { deterministic: true, directOnly: true, useBigIntArguments: true };
  // SQLite uses the function's own number of arguments.
  for (const [name, work] of Object.entries(OF_ONE))
    db.function(name, options, (text: Value) => (text === null ? null : work(String(text))));
  for (const [name, work] of Object.entries(OF_TWO))
    db.function(name, options, (a: Value, b: Value) => (a === null || b === null ? null : work(String(a), String(b))));
  for (const [name, parts] of Object.entries(PARTS))
    db.function(name, options, (text: Value, by: Value, index: Value) =>
      text === null || by === null || index === null ? null : (parts(String(text), String(by))?.[Number(index)] ?? null),
    );
}
