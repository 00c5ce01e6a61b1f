// Splits the bytes of a log into lines: LF, CRLF or CR, in UTF-8 with or without a byte order mark, in UTF-16 with one, in Latin-1; with
// NUL bytes, as in holes of a file and UTF-16 without a mark; of any length, of which the beginning is kept. Pure.

/** Longer lines are cut. */
const MAX_LINE_BYTES = 4_096;
const [LF, CR, NUL] = [0x0a, 0x0d, 0x00];
const REPLACED = '\ufffd';

export type Encoding = 'bytes' | 'utf-16le' | 'utf-16be';

/** The encoding by a file's first bytes. */
export function encodingOf(head: Uint8Array): Encoding {
  if (head[0] === 0xff && head[1] === 0xfe) return 'utf-16le';
  return head[0] === 0xfe && head[1] === 0xff ? 'utf-16be' : 'bytes';
}

export class LineSplitter {
  readonly #wide: InstanceType<typeof TextDecoder> | undefined;
  #line: Buffer[] = [];
  #kept = 0;
  /** Bytes of the unfinished line since the last line end; of UTF-16, in UTF-8. */
  pendingBytes = 0;
  #afterCr = false;
  #isLong = false;

  constructor(encoding: Encoding) {
    this.#wide = encoding === 'bytes' ? undefined : new TextDecoder(encoding);
  }

  get isWide(): boolean {
    return this.#wide !== undefined;
  }

  /** The lines that end in these bytes. */
  take(bytes: Buffer): string[] {
    this.pendingBytes += bytes.length;
    const plain = this.#wide === undefined ? bytes : Buffer.from(this.#wide.decode(bytes, { stream: true }));
    const lines: string[] = [];
    let start = 0;
    for (let at = 0; at < plain.length; at++) {
      const byte = plain[at];
      if (byte === LF || byte === CR) {
        const isSecondHalf = byte === LF && this.#afterCr; // of CRLF
        if (!isSecondHalf) this.#keep(plain.subarray(start, at));
        if (!isSecondHalf) lines.push(this.#ended());
        start = at + 1;
        this.pendingBytes = plain.length - start;
      }
      if (byte !== NUL) this.#afterCr = byte === CR; // NULs are left out, so they stand between nothing
    }
    this.#keep(plain.subarray(start));
    return lines;
  }

  /** The unfinished line; undefined if there is none. */
  flush(): string | undefined {
    const isEmpty = this.#kept === 0;
    this.pendingBytes = 0;
    const line = this.#ended();
    return isEmpty ? undefined : line;
  }

  #keep(bytes: Buffer): void {
    const text = bytes.includes(NUL) ? Buffer.from(bytes.filter((byte) => byte !== NUL)) : bytes;
    const room = MAX_LINE_BYTES - this.#kept;
    if (text.length > room) this.#isLong = true;
    // A copy: the buffer that was read into is large.
    if (room > 0 && text.length > 0) this.#line.push(Buffer.from(text.subarray(0, room)));
    this.#kept = Math.min(MAX_LINE_BYTES, this.#kept + text.length);
  }

  #ended(): string {
    const text = decoded(Buffer.concat(this.#line), this.#isLong);
    [this.#line, this.#kept, this.#isLong] = [[], 0, false];
    return text;
  }
}

/** UTF-8; Latin-1 if only its ASCII is valid UTF-8. */
function decoded(bytes: Buffer, isCut: boolean): string {
  const text = bytes.toString('utf8').replace(/^\ufeff/, '');
  if (!text.includes(REPLACED)) return text;
  // If the line was cut, its last character may be cut too.
  const whole = isCut ? text.replace(/\ufffd{1,3}$/, '') : text;
  const others = [...whole].some((character) => character > '\x7f' && character !== REPLACED);
  return others || !whole.includes(REPLACED) ? whole : bytes.toString('latin1');
}
