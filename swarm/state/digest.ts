// Digests that two peers compare to find missing data: sums over all keys, in buckets, so that a pull costs little more than the difference.
// Sums are kept for many buckets, and folded to as few as the size of the swarm needs.
import { hashOf, mixed } from '../membership/observers.ts';

const BUCKETS = 1_024;
const FEWEST_BUCKETS = 16;
/** Two sums of 32 bits for each bucket. */
const BUCKET_BYTES = 8;

/** About as many buckets as keys: a power of two. */
const bucketsFor = (keys: number): number =>
  Math.min(BUCKETS, Math.max(FEWEST_BUCKETS, 2 ** Math.ceil(Math.log2(Math.max(1, keys)))));

/** Whether bytes may be a digest. */
export function isDigest(bytes: Uint8Array): boolean {
  const buckets = bytes.length / BUCKET_BYTES;
  return buckets >= FEWEST_BUCKETS && buckets <= BUCKETS && Number.isInteger(Math.log2(buckets));
}

export class Digest {
  /** At most. */
  static readonly BUCKETS = BUCKETS;
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

  /** @param keys the approximate number of keys */
  encode(keys: number): Uint8Array {
    const sums = this.#folded(bucketsFor(keys));
    const digest = new DataView(new ArrayBuffer(sums.length * 4));
    sums.forEach((sum, index) => void digest.setUint32(index * 4, sum));
    return new Uint8Array(digest.buffer);
  }

  /** Folds the sums to fewer buckets: with n buckets, bucket i gets those with index i modulo n. */
  #folded(buckets: number): Uint32Array {
    if (buckets === BUCKETS) return this.#sums;
    const folded = new Uint32Array(buckets * 2);
    const mask = buckets * 2 - 1; // a power of two: the remainder of a division
    for (let at = 0; at < this.#sums.length; at++) folded[at & mask] = (folded[at & mask] as number) + (this.#sums[at] as number);
    return folded;
  }

  /** Whether a key is in a bucket that differs from a digest's; undefined if no bucket differs. */
  differing(digest: Uint8Array): ((key: string) => boolean) | undefined {
    const theirs = new DataView(digest.buffer, digest.byteOffset, digest.length);
    const buckets = digest.length / BUCKET_BYTES;
    const ours = this.#folded(buckets);
    const differs = Array.from({ length: buckets }, (_, bucket) =>
      [0, 1].some((half) => theirs.getUint32(bucket * BUCKET_BYTES + half * 4) !== ours[bucket * 2 + half]),
    );
    return differs.includes(true) ? (key) => differs[bucketOf(hashOf(key)) % buckets] === true : undefined;
  }

  /** The bucket of a key, by which differences are sorted, so that the next pull can continue. */
  static bucketOf(key: string): number {
    return bucketOf(hashOf(key));
  }
}

const bucketOf = (hash: number): number => mixed(hash) % BUCKETS;

/** The contribution of one key to a sum of its bucket. */
function termOf(hash: number, sequence: number, half: number): number {
  return mixed(mixed(hash + half) ^ mixed(sequence) ^ Math.floor(sequence / 2 ** 32));
}
