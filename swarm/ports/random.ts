// Randomness as a port. Reality asks the kernel; the simulator draws from seeded streams.

export interface Random {
  /** A uniform integer in [0, 2^32). */
  uint32(): number;
  bytes(length: number): Uint8Array;
}

/** A uniform integer in [0, bound); `bound` is at most 2^32. The modulo bias is below 2^-20 for the bounds used here. */
export function integerBelow(random: Random, bound: number): number {
  return Math.floor((random.uint32() / 2 ** 32) * bound);
}
