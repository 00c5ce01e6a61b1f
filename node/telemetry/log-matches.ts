// Lines of logs that tell of what a person wanted to be told of. They stay for a while, however often anybody looks.

const LASTS_MS = 10_000;
const MAX_MATCHES = 1_000;
const MAX_SHOWN_LENGTH = 160;

export class LogMatches {
  readonly #pattern: RegExp;
  #recent: { line: string; atMs: number }[] = [];

  /** @param pattern a regular expression, which the configuration has tried. */
  constructor(pattern: string) {
    this.#pattern = new RegExp(pattern);
  }

  /** @param nowMs monotonic. @returns how many lines matched of late, and the newest. */
  take(lines: readonly string[], nowMs: number): { matches: number; last: string } {
    const matching = lines.filter((line) => this.#pattern.test(line));
    this.#recent = [
      ...this.#recent.filter(({ atMs }) => nowMs - atMs < LASTS_MS),
      ...matching.map((line) => ({ line: line.slice(0, MAX_SHOWN_LENGTH), atMs: nowMs })),
    ].slice(-MAX_MATCHES);
    return { matches: this.#recent.length, last: this.#recent.at(-1)?.line ?? '' };
  }
}
