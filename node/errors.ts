// The one error that edges throw: a code, what went wrong, and what to do next.

export type ErrorCode =
  | 'refused'
  | 'usage'
  | 'config'
  | 'damaged'
  | 'not-running'
  | 'already-running'
  | 'not-found'
  | 'no-quorum'
  | 'io'
  | 'internal';

export class KalosError extends Error {
  readonly code: ErrorCode;
  /** What the user can do about it. */
  readonly hint: string;
  constructor(code: ErrorCode, message: string, hint = '') {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

/** On one line: what is wrong, and what to do about it. */
export const continued = (text: string, next: string): string => `${text}${/[?.]$/.test(text) ? '' : ';'} ${next}`;

/** What the system said: "no space left on device" of `ENOSPC: no space left on device, mkdir '/x'`. One line. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const said = text.match(/^E[A-Z0-9]+: ([^,]+)/)?.[1] ?? text.split('\n')[0] ?? '';
  return said.charAt(0).toUpperCase() + said.slice(1);
}

/** The closest of `known` within two edits: "did you mean". */
export function closest(word: string, known: readonly string[]): string | undefined {
  const scored = known
    .map((candidate) => ({ candidate, edits: editDistance(word, candidate) }))
    .sort((a, b) => a.edits - b.edits);
  const best = scored[0];
  return best !== undefined && best.edits <= 2 ? best.candidate : undefined;
}

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
