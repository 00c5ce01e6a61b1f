// The error type that edges throw: a code, what is wrong, and what to do.
import { messageOf } from '../swarm/words.ts';

export const ERROR_CODES = [
  'refused',
  'usage',
  'config',
  'damaged',
  'not-running',
  'already-running',
  'not-found',
  'no-quorum',
  'io',
  'internal',
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

export class KalosError extends Error {
  readonly code: ErrorCode;
  /** What the user can do. */
  readonly hint: string;
  constructor(code: ErrorCode, message: string, hint = '') {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

/** On one line: what is wrong, and what to do. */
export const continued = (text: string, next: string): string => `${text}${/[?.]$/.test(text) ? '' : ';'} ${next}`;

/** Texts of strerror(3), as LevelDB and the actuator print them, for errors that Node words differently. */
const WORDS: Readonly<Record<string, string>> = { EIO: 'Input/output error', ENFILE: 'Too many open files in system' };

/** The system's text of an error, on one line: "No space left on device" of `ENOSPC: no space left on device, mkdir '/x'`. */
export function reasonOf(error: unknown): string {
  const text = messageOf(error);
  const [, code = '', words] = text.match(/^(E[A-Z0-9]+): ([^,]+)/) ?? [];
  const reason = WORDS[code] ?? words ?? text.split('\n')[0] ?? '';
  return reason.charAt(0).toUpperCase() + reason.slice(1);
}

/** What to do about an error of the disk. @param path a path on it; by default DIR, the state directory. */
export function remedyFor(refusal: string, path = 'DIR'): string {
  if (/space|quota/i.test(refusal)) return `free space there (df ${path}; df -i ${path})`;
  if (/open files/i.test(refusal)) return 'raise the limit of open files (ulimit -n; at least 256)';
  if (/permission|permitted/i.test(refusal))
    return `give this user access (chown -R ${process.getuid?.()} ${path}; chmod -R u+rwX ${path})`;
  if (/read-only/i.test(refusal)) return 'see dmesg for why the file system is read-only, and remount it writable';
  if (/input\/output/i.test(refusal)) return 'the disk is failing: see dmesg and smartctl -a, back it up and replace it';
  return 'repair the disk';
}

/** The closest of `known` within two edits, for "did you mean". */
export function closest(word: string, known: readonly string[]): string | undefined {
  const scored = known
    .map((candidate) => ({ candidate, edits: editDistance(word, candidate) }))
    .sort((a, b) => a.edits - b.edits);
  const best = scored[0];
  return best !== undefined && best.edits <= 2 ? best.candidate : undefined;
}

/** "No X is called NAME", with the name that was probably meant. */
function notCalled(what: string, name: string, known: readonly string[]): string {
  const meant = closest(name, known);
  return `no ${what} is called ${name || '""'}${meant === undefined ? '' : `; did you mean ${meant}?`}`;
}

/** The same on one line, with the command that lists the names. */
export const unknownName = (what: string, name: string, known: readonly string[], see: string): string =>
  continued(notCalled(what, name, known), `see: ${see}`);

/** The same as an error. */
export const notFound = (what: string, name: string, known: readonly string[], see: string): KalosError =>
  new KalosError('not-found', notCalled(what, name, known), `see: ${see}`);

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next[j] = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, change);
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
