// Lines of logs that tell of what a person wanted to be told of. They stay for a while, however often anybody looks.

const LASTS_MS = 10_000;
const MAX_MATCHES = 1_000;

export class LogMatches {
  #recent: { line: string; atMs: number }[] = [];

  /** @param matching lines that matched since the last look. @param nowMs monotonic. @returns how many matched of late, and the newest. */
  take(matching: readonly string[], nowMs: number): { matches: number; last: string } {
    this.#recent = [
      ...this.#recent.filter(({ atMs }) => nowMs - atMs < LASTS_MS),
      ...matching.map((line) => ({ line, atMs: nowMs })),
    ].slice(-MAX_MATCHES);
    return { matches: this.#recent.length, last: this.#recent.at(-1)?.line ?? '' };
  }
}
