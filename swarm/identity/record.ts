// Signed records about the swarm: issuers, members, operators, revocations, the next network key, and recoveries of the committee.
// Layout: CBOR array [version, kind, body, [[key (32 B), signature (64 B)], …]]; the body is CBOR itself.
// Signatures cover a domain string and the swarm's id, so that no record is valid in another swarm.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../dissemination/cbor.ts';
import { type Crypto, PEER_KEY_BYTES, SIGNATURE_BYTES } from '../ports/crypto.ts';
import type { PeerId } from '../ports/transport.ts';
import { MAX_ROOT_KEYS } from './genesis.ts';

const RECORD_VERSION = 1;
const DOMAIN = 'kalos/record';
const MAX_RECORD_BYTES = 4_096;
export const MAX_NAME = 24;
/** Names of members: no control characters for terminals, and no lookalike letters. */
export const MEMBER_NAME = /^[a-zA-Z0-9][a-zA-Z0-9.-]{0,23}$/;
const MAX_REASON = 120;
const MAX_LABELS = 16;
export const NETWORK_KEY_BYTES = 32;
const MAX_EPOCH = 2 ** 19;
/** Bits of a version number: the epoch comes before the seconds. */
const SECONDS = 2 ** 34;

const KINDS = { issuer: 1, member: 2, operator: 3, revocation: 4, network: 5, recovery: 6 } as const;
export type RecordKind = keyof typeof KINDS;
/** Kinds of certificates, which can be revoked. */
export type CertifiedKind = 'issuer' | 'member' | 'operator';
export type Role = 'member' | 'committee';

interface Certified {
  subject: PeerId;
  /** Increases when a subject is admitted again: a revocation ends all certificates up to its own epoch. */
  epoch: number;
  /** Wall clock; whole seconds. */
  fromMs: number;
  untilMs: number;
}

export interface MemberCertificate extends Certified {
  kind: 'member';
  name: string;
  role: Role;
  /** Reserved for permissions of its agent. */
  capabilities: readonly string[];
}
export interface IssuerCertificate extends Certified {
  kind: 'issuer';
}
export interface OperatorCertificate extends Certified {
  kind: 'operator';
  name: string;
}
export interface Revocation extends Certified {
  kind: 'revocation';
  /** Which kind of certificate of the subject ends. */
  of: CertifiedKind;
  reason: string;
}
/** The next network key, by the issuer that is its subject: for dials from then on; older keys are accepted until then. Only members see it. */
export interface NetworkRotation extends Certified {
  kind: 'network';
  /** 32 bytes. */
  key: Uint8Array;
}
/** A recovery of a lost committee, signed by root keys: its subject is the first voter. The log continues above all that may be decided. */
export interface Recovery extends Certified {
  kind: 'recovery';
  /** The index in the log, and the term, after which it begins. */
  index: number;
  term: number;
}
export type RecordBody = MemberCertificate | IssuerCertificate | OperatorCertificate | Revocation | NetworkRotation | Recovery;
/** Kinds of which a swarm has one record at a time, whatever its subject is. */
export type SingleBody = NetworkRotation | Recovery;
export const isSingle = (body: RecordBody): body is SingleBody => body.kind === 'network' || body.kind === 'recovery';

export interface Signature {
  by: PeerId;
  signature: Uint8Array;
}

export interface SignedRecord {
  body: RecordBody;
  signatures: readonly Signature[];
  /** The bytes of the body, which are signed. */
  signedBody: Uint8Array;
  /** The complete record, as it is stored and forwarded. */
  bytes: Uint8Array;
}

const keySchema = z.instanceof(Uint8Array).refine((key) => key.length === PEER_KEY_BYTES);
const seconds = z
  .number()
  .int()
  .min(0)
  .max(SECONDS - 1);
const certified = [keySchema, z.number().int().min(0).max(MAX_EPOCH), seconds, seconds] as const;
const nameSchema = z.string().min(1).max(MAX_NAME);
const bodySchemas = {
  issuer: z.tuple([...certified]),
  member: z.tuple([...certified, nameSchema, z.enum(['member', 'committee']), z.array(z.string().max(MAX_NAME)).max(MAX_LABELS)]),
  operator: z.tuple([...certified, nameSchema]),
  revocation: z.tuple([...certified, z.enum(['issuer', 'member', 'operator']), z.string().max(MAX_REASON)]),
  network: z.tuple([...certified, z.instanceof(Uint8Array).refine((key) => key.length === NETWORK_KEY_BYTES)]),
  recovery: z.tuple([...certified, z.number().int().min(1), z.number().int().min(1)]),
};
const wireSchema = z.tuple([
  z.literal(RECORD_VERSION),
  z
    .number()
    .int()
    .min(1)
    .max(Math.max(...Object.values(KINDS))),
  z.instanceof(Uint8Array),
  z
    .array(z.tuple([keySchema, z.instanceof(Uint8Array).refine((signature) => signature.length === SIGNATURE_BYTES)]))
    .min(1)
    .max(MAX_ROOT_KEYS),
]);

export function encodeBody(crypto: Pick<Crypto, 'keyOf'>, body: RecordBody): Uint8Array {
  const key = crypto.keyOf(body.subject);
  if (key === undefined) throw new RangeError(`${body.subject} is not a peer id`);
  const shared = [key, body.epoch, Math.floor(body.fromMs / 1000), Math.floor(body.untilMs / 1000)];
  switch (body.kind) {
    case 'issuer':
      return encodeCbor(shared);
    case 'member':
      return encodeCbor([...shared, body.name, body.role, body.capabilities]);
    case 'operator':
      return encodeCbor([...shared, body.name]);
    case 'revocation':
      return encodeCbor([...shared, body.of, body.reason]);
    case 'network':
      return encodeCbor([...shared, body.key]);
    case 'recovery':
      return encodeCbor([...shared, body.index, body.term]);
  }
}

/** The bytes that a signature of a record covers. */
export function recordToSign(swarmId: string, kind: RecordKind, body: Uint8Array): Uint8Array {
  return encodeCbor([DOMAIN, RECORD_VERSION, swarmId, KINDS[kind], body]);
}

export function sealRecord(
  crypto: Pick<Crypto, 'keyOf' | 'peerOf'>,
  kind: RecordKind,
  body: Uint8Array,
  signatures: readonly Signature[],
): SignedRecord {
  const signed = signatures.map(({ by, signature }) => [crypto.keyOf(by), signature]);
  const record = parseRecord(crypto, encodeCbor([RECORD_VERSION, KINDS[kind], body, signed]));
  if (record === undefined) throw new RangeError(`this is not a ${kind} record`);
  return record;
}

export function signRecord(
  crypto: Pick<Crypto, 'keyOf' | 'peerOf'>,
  swarmId: string,
  body: RecordBody,
  signers: readonly Pick<Crypto, 'self' | 'sign'>[],
): SignedRecord {
  const bytes = encodeBody(crypto, body);
  const toSign = recordToSign(swarmId, body.kind, bytes);
  const signatures = signers.map((signer) => ({ by: signer.self, signature: signer.sign(toSign) }));
  return sealRecord(crypto, body.kind, bytes, signatures);
}

const futureSchema = z.tuple([z.number().int().min(1), z.number().int()], z.unknown());

/** Whether unreadable bytes may be a record of a later version or a later kind: such bytes are neither accepted nor rejected. */
export function isLaterRecord(bytes: Uint8Array): boolean {
  if (bytes.length > MAX_RECORD_BYTES) return false;
  const outer = futureSchema.safeParse(decodeCbor(bytes)).data;
  if (outer === undefined) return false;
  const [version, kind] = outer;
  return version > RECORD_VERSION || (version === RECORD_VERSION && kind > Math.max(...Object.values(KINDS)));
}

/** Parsed once for the same bytes: agents of one process, as in a simulation, share them. */
const parsed = new WeakMap<Uint8Array, SignedRecord>();

/** Parses the outer and inner layer; undefined if it is not a record of this version. No cryptography. */
export function parseRecord(crypto: Pick<Crypto, 'peerOf'>, bytes: Uint8Array): SignedRecord | undefined {
  const known = parsed.get(bytes);
  if (known !== undefined) return known;
  const record = bytes.length > MAX_RECORD_BYTES ? undefined : parseUncached(crypto, bytes);
  if (record !== undefined) parsed.set(bytes, record);
  return record;
}

function parseUncached(crypto: Pick<Crypto, 'peerOf'>, bytes: Uint8Array): SignedRecord | undefined {
  const wire = wireSchema.safeParse(decodeCbor(bytes)).data;
  if (wire === undefined) return undefined;
  const [, code, signedBody, signed] = wire;
  const body = parseBody(crypto, code, signedBody);
  const signatures = signed.flatMap(([key, signature]) => {
    const by = crypto.peerOf(key);
    return by === undefined ? [] : [{ by, signature }];
  });
  if (body === undefined || signatures.length !== signed.length) return undefined;
  return { body, signatures, signedBody, bytes };
}

function parseBody(crypto: Pick<Crypto, 'peerOf'>, code: number, bytes: Uint8Array): RecordBody | undefined {
  const kind = (Object.keys(KINDS) as RecordKind[]).find((name) => KINDS[name] === code);
  if (kind === undefined) return undefined;
  const wire = bodySchemas[kind].safeParse(decodeCbor(bytes)).data as readonly unknown[] | undefined;
  if (wire === undefined) return undefined;
  const [key, epoch, fromS, untilS, ...rest] = wire as [Uint8Array, number, number, number, ...unknown[]];
  const subject = crypto.peerOf(key);
  if (subject === undefined || untilS < fromS) return undefined;
  const shared = { subject, epoch, fromMs: fromS * 1000, untilMs: untilS * 1000 };
  switch (kind) {
    case 'issuer':
      return { kind, ...shared };
    case 'member':
      return { kind, ...shared, name: rest[0] as string, role: rest[1] as Role, capabilities: rest[2] as string[] };
    case 'operator':
      return { kind, ...shared, name: rest[0] as string };
    case 'revocation':
      return { kind, ...shared, of: rest[0] as CertifiedKind, reason: rest[1] as string };
    case 'network':
      return { kind, ...shared, key: rest[0] as Uint8Array };
    case 'recovery':
      return { kind, ...shared, index: rest[0] as number, term: rest[1] as number };
  }
}

/** Of two records of the same kind about the same subject, the larger one counts. */
export function versionOf({ body }: SignedRecord): number {
  return body.epoch * SECONDS + Math.floor(body.fromMs / 1000);
}

/** Its key in the store: one newest record each. */
export function keyOfRecord({ body }: SignedRecord): string {
  if (isSingle(body)) return body.kind;
  return body.kind === 'revocation' ? `revocation ${body.of} ${body.subject}` : `${body.kind} ${body.subject}`;
}

/** The key of a second certificate of a member, the one with the committee role. Read after issuers, and before the newest certificates. */
export const seatKeyOf = (subject: PeerId): string => `mandate ${subject}`;

/** Results of signature checks, by swarm. */
const judged = new WeakMap<SignedRecord, Map<string, boolean>>();

/** Whether the record has a valid signature of this signer. */
export function isSignedBy(crypto: Pick<Crypto, 'verify'>, swarmId: string, record: SignedRecord, signer: PeerId): boolean {
  const found = record.signatures.find(({ by }) => by === signer);
  if (found === undefined) return false;
  const known = judged.get(record) ?? new Map<string, boolean>();
  judged.set(record, known);
  const key = `${swarmId} ${signer}`;
  let authentic = known.get(key);
  if (authentic === undefined) {
    authentic = crypto.verify(signer, recordToSign(swarmId, record.body.kind, record.signedBody), found.signature);
    known.set(key, authentic);
  }
  return authentic;
}
