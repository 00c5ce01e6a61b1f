// The envelope of all gossiped messages: the origin, a sequence number, and the origin's signature.
// Layout: CBOR array [version, kind, origin key (32 B), sequence, payload, signature (64 B)].
// The signature also covers a domain string and the swarm id, so that no envelope is valid in another swarm.
import { z } from 'zod';
import { type Crypto, PEER_KEY_BYTES, SIGNATURE_BYTES } from '../ports/crypto.ts';
import type { PeerId } from '../ports/transport.ts';
import { decodeCbor, encodeCbor, equalBytes } from './cbor.ts';

export const MAX_ENVELOPE_BYTES = 65_536;
const ENVELOPE_VERSION = 1;
const DOMAIN = 'kalos/envelope';
const COPY_KEY_BYTES = 24;
/** RFC 8949: the initial byte of an array, and the numbers that fit into an initial byte. */
const CBOR_ARRAY = 0x80;
const CBOR_SMALL = 24;

export const ENVELOPE_KINDS = { status: 1, leave: 2, report: 3 } as const;
export type EnvelopeKind = keyof typeof ENVELOPE_KINDS;

export interface Envelope {
  kind: EnvelopeKind;
  origin: PeerId;
  /** Increases with every envelope of an origin, also after restarts. */
  sequence: number;
  payload: Uint8Array;
  /** The complete envelope as received, which is forwarded. */
  bytes: Uint8Array;
}

const wireSchema = z.tuple([
  z.literal(ENVELOPE_VERSION),
  z.number().int(),
  z.instanceof(Uint8Array).refine((key) => key.length === PEER_KEY_BYTES),
  z.number().int().nonnegative(),
  z.instanceof(Uint8Array),
  z.instanceof(Uint8Array).refine((signature) => signature.length === SIGNATURE_BYTES),
]);

function signedBytes(swarmId: string, kind: number, key: Uint8Array, sequence: number, payload: Uint8Array): Uint8Array {
  return encodeCbor([DOMAIN, ENVELOPE_VERSION, swarmId, kind, key, sequence, payload]);
}

export function sealEnvelope(
  crypto: Pick<Crypto, 'self' | 'keyOf' | 'sign'>,
  swarmId: string,
  kind: EnvelopeKind,
  sequence: number,
  payload: Uint8Array,
): Envelope {
  const key = crypto.keyOf(crypto.self);
  if (key === undefined) throw new Error('the agent’s own key is unknown');
  const code = ENVELOPE_KINDS[kind];
  const signature = crypto.sign(signedBytes(swarmId, code, key, sequence, payload));
  const bytes = oneCopy(encodeCbor([ENVELOPE_VERSION, code, key, sequence, payload, signature]));
  return { kind, origin: crypto.self, sequence, payload, bytes };
}

/** An envelope whose signature has not been checked yet. */
export interface UncheckedEnvelope extends Envelope {
  signature: Uint8Array;
  /** The result of the check, once it was checked. */
  judged: { swarmId: string; authentic: boolean } | undefined;
}

const copies = new Map<string, WeakRef<Uint8Array>>();
const forgotten = new FinalizationRegistry<string>((key) => {
  if (copies.get(key)?.deref() === undefined) copies.delete(key);
});

const futureSchema = z.tuple([z.number().int().min(1), z.number().int()], z.unknown());

/** Whether unreadable bytes may be an envelope of a later version or a later kind: such bytes are neither accepted nor rejected. */
export function isOfLaterVersion(bytes: Uint8Array): boolean {
  if (!startsAsEnvelope(bytes)) return false;
  const outer = futureSchema.safeParse(decodeCbor(bytes)).data;
  if (outer === undefined) return false;
  const [version, kind] = outer;
  return (
    version > ENVELOPE_VERSION || (version === ENVELOPE_VERSION && !(Object.values(ENVELOPE_KINDS) as number[]).includes(kind))
  );
}

/** The first copy of equal bytes in memory: bytes that come by push and again in pulls are stored, parsed and checked once. */
export function oneCopy(bytes: Uint8Array): Uint8Array {
  const key = String.fromCharCode(...bytes.subarray(-COPY_KEY_BYTES)); // of the signature: different envelopes have different ones
  const first = copies.get(key)?.deref();
  if (first !== undefined && (first === bytes || equalBytes(first, bytes))) return first;
  copies.set(key, new WeakRef(bytes));
  forgotten.register(bytes, key);
  return bytes;
}

/** Parsed envelopes of bytes that are still in memory. Agents of one process, as in a simulation, share the same bytes. */
const parsed = new WeakMap<Uint8Array, UncheckedEnvelope>();

/** Parses the outer layer; undefined if it is not an envelope of this version. Cheap: no cryptography. */
export function parseEnvelope(crypto: Crypto, bytes: Uint8Array): UncheckedEnvelope | undefined {
  const known = parsed.get(bytes);
  if (known !== undefined) return known;
  const envelope = parseUncached(crypto, bytes);
  if (envelope !== undefined) parsed.set(bytes, envelope);
  return envelope;
}

/** Whether the first two bytes are those of an envelope: a short CBOR array that begins with a small integer. Cheaper than a parser's exception. */
function startsAsEnvelope(bytes: Uint8Array): boolean {
  const [array = 0, version = 0xff] = bytes;
  return bytes.length <= MAX_ENVELOPE_BYTES && array > CBOR_ARRAY && array < CBOR_ARRAY + CBOR_SMALL && version < CBOR_SMALL;
}

function parseUncached(crypto: Crypto, bytes: Uint8Array): UncheckedEnvelope | undefined {
  if (!startsAsEnvelope(bytes)) return undefined;
  const wire = wireSchema.safeParse(decodeCbor(bytes));
  if (!wire.success) return undefined;
  const [, code, key, sequence, payload, signature] = wire.data;
  const kind = (Object.keys(ENVELOPE_KINDS) as EnvelopeKind[]).find((name) => ENVELOPE_KINDS[name] === code);
  const origin = crypto.peerOf(key);
  if (kind === undefined || origin === undefined) return undefined;
  return { kind, origin, sequence, payload, bytes: oneCopy(bytes), signature, judged: undefined };
}

export function isAuthentic(crypto: Crypto, swarmId: string, envelope: UncheckedEnvelope): boolean {
  if (envelope.judged?.swarmId !== swarmId) envelope.judged = { swarmId, authentic: verify(crypto, swarmId, envelope) };
  return envelope.judged.authentic;
}

function verify(crypto: Crypto, swarmId: string, envelope: UncheckedEnvelope): boolean {
  const key = crypto.keyOf(envelope.origin);
  if (key === undefined) return false;
  const signed = signedBytes(swarmId, ENVELOPE_KINDS[envelope.kind], key, envelope.sequence, envelope.payload);
  return crypto.verify(envelope.origin, signed, envelope.signature);
}
