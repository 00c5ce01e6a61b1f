// The growth of a log, including its last rotated file, because its writer may still have that open. A log is flooded if
// it grows continuously, so fast that the allowed number of rotations cannot keep it below its limit.

interface Part {
  inode: number;
  sizeBytes: number;
}

/** Growth is measured over this time: a burst is not a flood. */
const WINDOW_MS = 8_000;
/** Reads that come sooner, while a change is verified, are ignored. */
const MIN_APART_MS = 900;
/** Fewer reads cannot distinguish a burst from a flood. */
const MIN_LOOKS = 4;
/** Rotations on one log: three in five minutes (fs.rotate's rate). */
const FULL_AFTER_S = 100;
/** How long a flood is counted. */
const FLOODS_WITHIN_MS = 600_000;

export interface Growth {
  /** Over the last few seconds. */
  bytesPerS: number;
  flooding: boolean;
  /** Floods that began within ten minutes, including this one. */
  floods: number;
  /** The growing file. */
  sizeBytes: number;
}

export class LogGrowth {
  readonly #maxPerS: number;
  #parts: readonly Part[] = [];
  #written = 0;
  readonly #looks: { atMs: number; written: number }[] = [];
  #flooding = false;
  #floodsMs: number[] = [];

  constructor(maxBytes: number) {
    this.#maxPerS = maxBytes / FULL_AFTER_S;
  }

  /** @param current the current file; @param rotated the last rotated file, if any. */
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

  /** A new current file counts in full; a truncated file starts from zero. */
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
      isLong && this.#looks.length > MIN_LOOKS && this.#looks.every((_, i) => i === 0 || this.#rate(i - 1, i) > this.#maxPerS);
    if (steady && !this.#flooding) this.#floodsMs.push(nowMs);
    this.#floodsMs = this.#floodsMs.filter((atMs) => nowMs - atMs < FLOODS_WITHIN_MS);
    this.#flooding = steady || (this.#flooding && this.#rate(0) > this.#maxPerS);
  }

  #rate(from: number, to = this.#looks.length - 1): number {
    const [first, last] = [this.#looks[from], this.#looks[to]];
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return 0;
    return ((last.written - first.written) * 1_000) / (last.atMs - first.atMs);
  }
}
