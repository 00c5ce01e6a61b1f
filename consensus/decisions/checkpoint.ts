// Checkpoints: a state of the decisions at an index of the log, signed by a majority of the voters. A voter signs once it knows that the
// index is committed. Members outside the committee follow the decisions by checkpoints.
import { z } from 'zod';
import { decodeCbor, encodeCbor, toHex } from '../../swarm/dissemination/cbor.ts';
import { type Crypto, HASH_BYTES, SIGNATURE_BYTES } from '../../swarm/ports/crypto.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { majority } from '../quorum.ts';

const DOMAIN = 'kalos/checkpoint/1';
const MAX_VOTERS = 16;
/** Checkpoints that still miss signatures. */
const MAX_OPEN = 8;

const bytes = (length: number) => z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === length);

const checkpointSchema = z.strictObject({
  index: z.number().int().positive(),
  /** The hash of the encoded state. */
  digest: bytes(HASH_BYTES),
  /** Their peer ids, sorted. */
  voters: z.array(z.string().max(100)).min(1).max(MAX_VOTERS),
});
export type Checkpoint = z.infer<typeof checkpointSchema>;

const certifiedSchema = checkpointSchema.extend({
  signatures: z.array(z.strictObject({ by: z.string().max(100), signature: bytes(SIGNATURE_BYTES) })).max(MAX_VOTERS),
});
export type CertifiedCheckpoint = z.infer<typeof certifiedSchema>;

export const certifiedFrom = (decoded: unknown): CertifiedCheckpoint | undefined => certifiedSchema.safeParse(decoded).data;

const toSign = (swarmId: string, { index, digest, voters }: Checkpoint): Uint8Array =>
  encodeCbor([DOMAIN, swarmId, index, digest, voters]);

/** The voters with a valid signature under a checkpoint, each once. */
export function signersOf(crypto: Pick<Crypto, 'verify'>, swarmId: string, one: CertifiedCheckpoint): PeerId[] {
  const signed = toSign(swarmId, one);
  const right = one.signatures.filter(({ by, signature }) => one.voters.includes(by) && crypto.verify(by, signed, signature));
  return [...new Set(right.map(({ by }) => by))];
}

/** Whether a majority of the listed voters have signed. Whether they are the voters, the caller must know. */
export function isCertified(crypto: Pick<Crypto, 'verify'>, swarmId: string, one: CertifiedCheckpoint): boolean {
  return new Set(one.voters).size === one.voters.length && signersOf(crypto, swarmId, one).length >= majority(one.voters.length);
}

const attestationSchema = z.tuple([checkpointSchema, bytes(SIGNATURE_BYTES)]);

/** Collects the signatures of the voters. */
export class Attestations {
  readonly #crypto: Pick<Crypto, 'verify' | 'sign' | 'self'>;
  readonly #swarmId: string;
  readonly #open = new Map<string, CertifiedCheckpoint>();
  #newest: CertifiedCheckpoint | undefined;

  constructor(crypto: Pick<Crypto, 'verify' | 'sign' | 'self'>, swarmId: string) {
    this.#crypto = crypto;
    this.#swarmId = swarmId;
  }

  /** The newest checkpoint that a majority has signed. */
  get newest(): CertifiedCheckpoint | undefined {
    return this.#newest;
  }

  /** Signs a checkpoint. @returns the signature to send to the other voters */
  attest(checkpoint: Checkpoint): Uint8Array {
    const signature = this.#crypto.sign(toSign(this.#swarmId, checkpoint));
    this.#count(checkpoint, this.#crypto.self, signature);
    return encodeCbor([checkpoint, signature]);
  }

  receive(from: PeerId, encoded: Uint8Array): void {
    const parsed = attestationSchema.safeParse(decodeCbor(encoded));
    if (!parsed.success) return;
    const [checkpoint, signature] = parsed.data;
    if (!checkpoint.voters.includes(from) || !this.#crypto.verify(from, toSign(this.#swarmId, checkpoint), signature)) return;
    this.#count(checkpoint, from, signature);
  }

  #count(checkpoint: Checkpoint, by: PeerId, signature: Uint8Array): void {
    if (this.#newest !== undefined && checkpoint.index < this.#newest.index) return;
    const key = `${checkpoint.index} ${toHex(checkpoint.digest)} ${checkpoint.voters.join(' ')}`;
    const open = this.#open.get(key) ?? { ...checkpoint, signatures: [] };
    if (open.signatures.every((one) => one.by !== by)) open.signatures.push({ by, signature });
    this.#open.delete(key);
    this.#open.set(key, open);
    if (this.#open.size > MAX_OPEN) this.#open.delete(this.#open.keys().next().value ?? '');
    if (open.signatures.length >= majority(open.voters.length)) this.#newest = open;
  }
}
