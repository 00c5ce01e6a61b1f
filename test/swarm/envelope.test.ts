// The envelope: what is signed is what is read, and nothing altered, foreign or of another swarm passes.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { isAuthentic, MAX_ENVELOPE_BYTES, parseEnvelope, sealEnvelope } from '../../swarm/dissemination/envelope.ts';
import { makePeers } from '../support/crypto.ts';

const SWARM = 'a'.repeat(32);
const [alice, bob] = (await makePeers(2)) as [Awaited<ReturnType<typeof makePeers>>[0], Awaited<ReturnType<typeof makePeers>>[0]];

describe('envelope', () => {
  it('decodes to what was sealed, for any payload and sequence', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), fc.nat({ max: Number.MAX_SAFE_INTEGER }), (payload, sequence) => {
        const sealed = sealEnvelope(alice, SWARM, 'status', sequence, payload);
        const parsed = parseEnvelope(bob, sealed.bytes);
        expect(parsed).toMatchObject({ kind: 'status', origin: alice.self, sequence, payload });
        expect(parsed !== undefined && isAuthentic(bob, SWARM, parsed)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it('is refused when any byte was changed', () => {
    const { bytes } = sealEnvelope(alice, SWARM, 'status', 7, new Uint8Array([1, 2, 3]));
    for (let i = 0; i < bytes.length; i++) {
      const forged = bytes.slice();
      forged[i] = (forged[i] ?? 0) ^ 1;
      const parsed = parseEnvelope(bob, forged);
      expect(parsed !== undefined && isAuthentic(bob, SWARM, parsed), `byte ${i}`).toBe(false);
    }
  });

  it('of another swarm is not authentic', () => {
    const parsed = parseEnvelope(bob, sealEnvelope(alice, SWARM, 'status', 1, new Uint8Array()).bytes);
    expect(parsed !== undefined && isAuthentic(bob, 'b'.repeat(32), parsed)).toBe(false);
  });

  it('is not parsed when too large, cut short or followed by more', () => {
    const { bytes } = sealEnvelope(alice, SWARM, 'status', 1, new Uint8Array(10));
    expect(parseEnvelope(bob, bytes.slice(0, -1))).toBeUndefined();
    expect(parseEnvelope(bob, new Uint8Array([...bytes, 0]))).toBeUndefined();
    expect(parseEnvelope(bob, new Uint8Array(MAX_ENVELOPE_BYTES + 1))).toBeUndefined();
    expect(parseEnvelope(bob, encodeCbor([2, 1, new Uint8Array(32), 1, new Uint8Array(), new Uint8Array(64)]))).toBeUndefined();
  });
});
