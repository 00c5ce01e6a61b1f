// Seeded random streams, one per purpose, so that an added draw changes no other stream. sfc32 (Doty-Humphrey, PractRand).
import type { Random } from '../swarm/ports/random.ts';

export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param seed the run's seed. @param purpose names the stream. */
  constructor(seed: number, purpose: string) {
    let hash = 0x811c9dc5 ^ seed; // FNV-1a over the purpose
    for (let i = 0; i < purpose.length; i++) hash = Math.imul(hash ^ purpose.charCodeAt(i), 0x01000193);
    this.#a = hash >>> 0;
    this.#b = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
    this.#c = Math.imul(hash ^ seed, 0x85ebca6b) >>> 0;
    for (let i = 0; i < 15; i++) this.uint32();
  }

  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.uint32() & 0xff);
  }

  /** Uniform in [0, 1). */
  unit(): number {
    return this.uint32() / 2 ** 32;
  }

  /** Uniform in [low, high). */
  between(low: number, high: number): number {
    return low + this.unit() * (high - low);
  }

  chance(probability: number): boolean {
    return this.unit() < probability;
  }
}
