// How fast a log grows, the file that was just rotated away included, because its writer may still have that open. A log is flooded if
// it grows without a break, so fast that rotating it as often as is allowed would not keep it below its limit.

interface Part {
  inode: number;
  sizeBytes: number;
}

/** Growth is judged over so long: a burst is no flood. */
const WINDOW_MS = 8_000;
/** Looks that come sooner, while a change is watched, add nothing. */
const MIN_APART_MS = 900;
/** Fewer do not tell a burst from a flood. */
const MIN_LOOKS = 4;
/** Rotations on one log: three in five minutes (fs.rotate's rate). */
const FULL_AFTER_S = 100;
/** How long a flood is remembered. */
const FLOODS_WITHIN_MS = 600_000;

export interface Growth {
  /** Over the last seconds. */
  bytesPerS: number;
  flooding: boolean;
  /** That began within ten minutes, this one included. */
  floods: number;
  /** Of what grows. */
  sizeBytes: number;
}

export class LogGrowth {
  readonly #mostPerS: number;
  #parts: readonly Part[] = [];
  #written = 0;
  readonly #looks: { atMs: number; written: number }[] = [];
  #flooding = false;
  #floodsMs: number[] = [];

  constructor(maxBytes: number) {
    this.#mostPerS = maxBytes / FULL_AFTER_S;
  }

  /** @param current as it is now; @param rotated the one before it, where there is one. */
  look(current: Part, rotated: Part | undefined, nowMs: number): Growth {
    const parts = [current, ...(rotated === undefined ? [] : [rotated])];
    const grew = parts.map((part) => this.#grewBy(part, part === current));
    this.#parts = parts;
    this.#written += grew.reduce((sum, by) => sum + by, 0);
    this.#keep(nowMs);
    this.#judge(nowMs);
    return {
      bytesPerS: this.#rate(0),
      flooding: this.#flooding,
      floods: this.#floodsMs.length,
      sizeBytes: current.sizeBytes + ((grew[1] ?? 0) > 0 ? (rotated?.sizeBytes ?? 0) : 0),
    };
  }

  /** What is new is all growth where it is the log itself; one that was cut off begins again. */
  #grewBy({ inode, sizeBytes }: Part, isCurrent: boolean): number {
    const before = this.#parts.find((part) => part.inode === inode)?.sizeBytes;
    if (before === undefined) return isCurrent && this.#parts.length > 0 ? sizeBytes : 0;
    return sizeBytes >= before ? sizeBytes - before : isCurrent ? sizeBytes : 0;
  }

  #keep(nowMs: number): void {
    const last = this.#looks.at(-1);
    if (last !== undefined && nowMs - last.atMs < MIN_APART_MS) return;
    this.#looks.push({ atMs: nowMs, written: this.#written });
    while (this.#looks.length > 2 && nowMs - (this.#looks[1]?.atMs ?? nowMs) >= WINDOW_MS) this.#looks.shift();
  }

  #judge(nowMs: number): void {
    const [first, last] = [this.#looks[0], this.#looks.at(-1)];
    const isLong = first !== undefined && last !== undefined && last.atMs - first.atMs >= WINDOW_MS * 0.75;
    const steady =
      isLong && this.#looks.length > MIN_LOOKS && this.#looks.every((_, i) => i === 0 || this.#rate(i - 1, i) > this.#mostPerS);
    if (steady && !this.#flooding) this.#floodsMs.push(nowMs);
    this.#floodsMs = this.#floodsMs.filter((atMs) => nowMs - atMs < FLOODS_WITHIN_MS);
    this.#flooding = steady || (this.#flooding && this.#rate(0) > this.#mostPerS);
  }

  #rate(from: number, to = this.#looks.length - 1): number {
    const [first, last] = [this.#looks[from], this.#looks[to]];
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return 0;
    return ((last.written - first.written) * 1_000) / (last.atMs - first.atMs);
  }
}
