// Audit proofs as text for others, and their check: offline, with only
// the proof and the agent's peer id, which is its public key.
import { z } from 'zod';
import { equalBytes, toHex } from '../../swarm/dissemination/cbor.ts';
import { type Crypto, HASH_BYTES, SIGNATURE_BYTES } from '../../swarm/ports/crypto.ts';
import { type ConsistencyProof, headBytes, type InclusionProof, recordBytes, type SignedHead } from './audit-log.ts';
import { leafHash, rootFromInclusion, rootsFromConsistency } from './merkle.ts';
import { type AuditConflict, conflictOf } from './witness.ts';

const hexText = (length: number) => z.string().regex(new RegExp(`^[0-9a-f]{${2 * length}}$`));
const hexBytes = (length: number) =>
  hexText(length).transform((text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)));

function proofOf<Hex extends z.ZodType>(hex: (length: number) => Hex) {
  const head = z.strictObject({
    size: z.number().int().positive(),
    root: hex(HASH_BYTES),
    atMs: z.number().int(),
    signer: z.string().max(64),
    signature: hex(SIGNATURE_BYTES),
  });
  const path = z.array(hex(HASH_BYTES)).max(64);
  return z.discriminatedUnion('type', [
    /** Two heads that one agent signed, and proof that they are not of one log. */
    z.strictObject({
      type: z.literal('conflict'),
      earlier: head,
      later: head,
      instead: z.strictObject({ oldRoot: hex(HASH_BYTES), path }).nullable(),
    }),
    z.strictObject({
      type: z.literal('inclusion'),
      record: z.strictObject({
        index: z.number().int().nonnegative(),
        atMs: z.number().int(),
        kind: z.enum(['start', 'intent', 'outcome', 'refused', 'control']),
        subject: z.string(),
        text: z.string(),
      }),
      head,
      path,
    }),
    z.strictObject({
      type: z.literal('consistency'),
      oldSize: z.number().int().positive(),
      oldRoot: hex(HASH_BYTES),
      head,
      path,
    }),
  ]);
}

/** The text form: bytes in hex. */
export const proofTextSchema = proofOf(hexText);
export const proofSchema = proofOf(hexBytes);
export type Proof = z.infer<typeof proofSchema>;
export type ProofText = z.infer<typeof proofTextSchema>;

const headText = ({ size, root, atMs, signer, signature }: SignedHead) => ({
  size,
  root: toHex(root),
  atMs,
  signer,
  signature: toHex(signature),
});

export function inclusionText({ record, head, path: nodes }: InclusionProof): ProofText {
  return { type: 'inclusion', record, head: headText(head), path: nodes.map(toHex) };
}

export function consistencyText({ oldSize, oldRoot, head, path: nodes }: ConsistencyProof): ProofText {
  return { type: 'consistency', oldSize, oldRoot: toHex(oldRoot), head: headText(head), path: nodes.map(toHex) };
}

export function conflictText({ earlier, later, instead }: AuditConflict): ProofText {
  return {
    type: 'conflict',
    earlier: headText(earlier),
    later: headText(later),
    instead: instead === null ? null : { oldRoot: toHex(instead.oldRoot), path: instead.path.map(toHex) },
  };
}

export type ProofCheck = { valid: true } | { valid: false; reason: string };

export function checkProof(proof: Proof, crypto: Pick<Crypto, 'hash' | 'verify'>): ProofCheck {
  if (proof.type === 'conflict')
    return conflictOf(crypto, proof) === undefined
      ? { valid: false, reason: 'the two heads do not prove a conflict, or have different signers' }
      : { valid: true };
  const { head } = proof;
  if (!crypto.verify(head.signer, headBytes(head), head.signature))
    return { valid: false, reason: 'the head is not signed by its signer' };
  if (proof.type === 'inclusion') {
    const { record } = proof;
    const root = rootFromInclusion(leafHash(recordBytes(record), crypto.hash), record.index, head.size, proof.path, crypto.hash);
    return root !== undefined && equalBytes(root, head.root)
      ? { valid: true }
      : { valid: false, reason: 'the record is not in the log of this head' };
  }
  const roots = rootsFromConsistency(proof.oldSize, head.size, proof.oldRoot, proof.path, crypto.hash);
  const fits = roots !== undefined && equalBytes(roots.old, proof.oldRoot) && equalBytes(roots.new, head.root);
  return fits ? { valid: true } : { valid: false, reason: 'the log of this head does not extend the older one' };
}
