// Lines of logs that match a watched pattern. They are kept for some time, independent of the number of reads.

const LASTS_MS = 10_000;
const MAX_MATCHES = 1_000;

export class LogMatches {
  #recent: { line: string; atMs: number }[] = [];

  /** @param matching lines that matched since the last read. @param nowMs monotonic. @returns the number of recent matches, and the newest. */
  take(matching: readonly string[], nowMs: number): { matches: number; last: string } {
    this.#recent = [
      ...this.#recent.filter(({ atMs }) => nowMs - atMs < LASTS_MS),
      ...matching.map((line) => ({ line, atMs: nowMs })),
    ].slice(-MAX_MATCHES);
    return { matches: this.#recent.length, last: this.#recent.at(-1)?.line ?? '' };
  }
}
