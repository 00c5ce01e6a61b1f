// The kernel's randomness.
import { randomBytes } from 'node:crypto';
import type { Random } from '../../swarm/ports/random.ts';

export class SystemRandom implements Random {
  uint32(): number {
    return randomBytes(4).readUInt32LE();
  }

  bytes(length: number): Uint8Array {
    return new Uint8Array(randomBytes(length));
  }
}
