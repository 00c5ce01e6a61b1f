// What two peers compare to learn what one of them lacks: sums over everything that was seen, in 64 buckets, so that a pull
// costs no more than what differs, however many there are.
import { hashOf, mixed } from '../membership/observers.ts';

const BUCKETS = 64;
/** Two sums of 32 bits for each. */
export const DIGEST_BYTES = BUCKETS * 8;

export class Digest {
  readonly #sums = new Uint32Array(BUCKETS * 2);
  readonly #seen = new Map<string, number>();

  get size(): number {
    return this.#seen.size;
  }

  seen(key: string): number | undefined {
    return this.#seen.get(key);
  }

  see(key: string, sequence: number): void {
    this.#add(key, this.#seen.get(key), -1);
    this.#add(key, sequence, 1);
    this.#seen.set(key, sequence);
  }

  forget(key: string): void {
    this.#add(key, this.#seen.get(key), -1);
    this.#seen.delete(key);
  }

  #add(key: string, sequence: number | undefined, sign: 1 | -1): void {
    if (sequence === undefined) return;
    const hash = hashOf(key);
    for (const half of [0, 1]) {
      const at = bucketOf(hash) * 2 + half;
      this.#sums[at] = (this.#sums[at] ?? 0) + sign * termOf(hash, sequence, half);
    }
  }

  encode(): Uint8Array {
    const digest = new DataView(new ArrayBuffer(DIGEST_BYTES));
    this.#sums.forEach((sum, index) => void digest.setUint32(index * 4, sum));
    return new Uint8Array(digest.buffer);
  }

  /** Which keys lie in buckets that differ from those of a digest, which has `DIGEST_BYTES`; undefined where none does. */
  differing(digest: Uint8Array): ((key: string) => boolean) | undefined {
    const theirs = new DataView(digest.buffer, digest.byteOffset, DIGEST_BYTES);
    const differs = Array.from({ length: BUCKETS }, (_, bucket) =>
      [0, 1].some((half) => theirs.getUint32(bucket * 8 + half * 4) !== this.#sums[bucket * 2 + half]),
    );
    return differs.includes(true) ? (key) => differs[bucketOf(hashOf(key))] === true : undefined;
  }

  /** For putting what differs in an order in which a next pull goes on where this one is not enough. */
  static bucketOf(key: string): number {
    return bucketOf(hashOf(key));
  }
}

const bucketOf = (hash: number): number => mixed(hash) % BUCKETS;

/** What one key adds to a sum of its bucket. */
function termOf(hash: number, sequence: number, half: number): number {
  return mixed(mixed(hash + half) ^ mixed(sequence) ^ Math.floor(sequence / 2 ** 32));
}
