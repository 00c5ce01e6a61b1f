// Claims and votes on the wire. A claim states that an anomaly is real; a vote answers from the voter's own evidence.
// Only enums and integers are signed: no free text can enter a vote.
import { z } from 'zod';
import { decodeCbor, encodeCbor, toHex, utf8 } from '../../swarm/dissemination/cbor.ts';
import { type Crypto, HASH_BYTES, SIGNATURE_BYTES } from '../../swarm/ports/crypto.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';

const CLAIM_VERSION = 1;
/** With a warrant. */
const WARRANT_VERSION = 2;
/** With the declared check of a service, and perhaps a warrant; for members from 0.4.0 on. */
const CHECK_VERSION = 3;
const MAX_PATH_LENGTH = 200;
/** As in a request line: no spaces, no line ends, no characters that need escapes. */
export const PLAIN_PATH = /^\/[\x21-\x7e]*$/;
const NONCE_BYTES = 16;
const CLAIM_DOMAIN = 'kalos/claim';
const VOTE_DOMAIN = 'kalos/vote';

/** What may be claimed. Append only: the position is signed. */
export const CLAIM_KINDS = [
  'service-down',
  'service-unresponsive',
  'service-frozen',
  'pressure',
  'anomaly',
  'slow',
  'lossy',
  'skewed',
] as const;
export type ClaimKind = (typeof CLAIM_KINDS)[number];

/** What others see of a gray member, neither healthy nor down: each of its observers may claim it. */
export const GRAY_KINDS = ['slow', 'lossy', 'skewed'] as const satisfies readonly ClaimKind[];
export type GrayKind = (typeof GRAY_KINDS)[number];
export const isGray = (kind: ClaimKind): kind is GrayKind => GRAY_KINDS.some((one) => one === kind);

export const VERDICTS = ['yes', 'no', 'abstain'] as const;
export type VoteVerdict = (typeof VERDICTS)[number];

/** The evidence of a voter's verdict. Append only. */
export const VOTE_REASONS = [
  'port-refused',
  'port-silent',
  'port-open',
  'subject-unreachable',
  'status-agrees',
  'status-differs',
  'no-evidence',
  'own-measure',
  'check-passed',
  'check-failed',
  'check-silent',
] as const;
export type VoteReason = (typeof VOTE_REASONS)[number];

/** A service's check as another machine can run it. */
export type RemoteCheck = { kind: 'tcp' } | { kind: 'http'; path: string };

/** How strong evidence is: hearsay, a sign, the declared check or an own measure, the thing itself. */
const HEARSAY = 1;
const SIGN = 2;
const CHECK = 3;
const DIRECT = 4;

const STRENGTH_OF_REASON: Record<VoteReason, number> = {
  'no-evidence': 0,
  'status-agrees': HEARSAY,
  'status-differs': HEARSAY,
  'port-refused': SIGN,
  'port-silent': HEARSAY,
  'port-open': SIGN,
  'subject-unreachable': HEARSAY,
  'own-measure': CHECK,
  'check-passed': CHECK,
  'check-failed': CHECK,
  'check-silent': CHECK,
};

/** How strong the subject's own evidence is. That a process is gone or stopped it knows from the kernel. */
const STRENGTH_OF_CLAIM: Record<ClaimKind, number> = {
  'service-down': DIRECT,
  'service-unresponsive': CHECK,
  'service-frozen': DIRECT,
  pressure: HEARSAY,
  anomaly: HEARSAY,
  slow: CHECK,
  lossy: CHECK,
  skewed: CHECK,
};

/** Whether a "no" for this reason counts: weaker evidence than the claim's own is an abstention. */
export function canRefute(kind: ClaimKind, reason: VoteReason): boolean {
  return STRENGTH_OF_REASON[reason] >= STRENGTH_OF_CLAIM[kind];
}

/** The change that a claim asks an authorization for: a certificate of the claim is valid for this change, once. */
export interface Warrant {
  plan: string;
  /** Hash of the tools, their versions and their arguments. */
  calls: Uint8Array;
  /** Hash of the target as it was before the change. */
  precondition: Uint8Array;
  nonce: Uint8Array;
  /** The epoch of the subject's membership certificate. */
  epoch: number;
  /** The coordinator's term. */
  term: number;
}

export interface Claim {
  subject: PeerId;
  kind: ClaimKind;
  /** The target on the subject: the name of a service or a policy. Data, never interpreted. */
  target: string;
  /** The TCP port that witnesses may probe on the subject's host; undefined if none is declared. */
  port: number | undefined;
  fromMs: number;
  expiresAtMs: number;
  /** Hash of the subject's own evidence. */
  evidenceDigest: Uint8Array;
  /** Undefined if no change follows from the claim. */
  warrant?: Warrant | undefined;
  /** The check that failed on the subject, which witnesses run on the port; undefined if they cannot. */
  check?: RemoteCheck | undefined;
}

export interface Vote {
  claimId: string;
  witness: PeerId;
  verdict: VoteVerdict;
  reason: VoteReason;
  /** 0–100. */
  confidence: number;
  signature: Uint8Array;
}

const digest = z.instanceof(Uint8Array).refine((bytes) => bytes.length === HASH_BYTES);
const index = (list: readonly string[]) =>
  z
    .number()
    .int()
    .min(0)
    .max(list.length - 1);

const MAX_TARGET = 64;
const TARGET_HASH_DIGITS = 16;

/** The target of a claim, shortened if it is too long, so that two that begin alike differ. */
export function claimTarget(target: string, hash: (bytes: Uint8Array) => Uint8Array): string {
  if (target.length <= MAX_TARGET) return target;
  return `${target.slice(0, MAX_TARGET - TARGET_HASH_DIGITS - 1)}~${toHex(hash(utf8(target))).slice(0, TARGET_HASH_DIGITS)}`;
}

const warrantSchema = z.tuple([
  z.string().min(1).max(100),
  digest,
  digest,
  z.instanceof(Uint8Array).refine((bytes) => bytes.length === NONCE_BYTES),
  z.number().int().nonnegative(),
  z.number().int().nonnegative(),
]);

const checkSchema = z.union([
  z.tuple([z.literal('tcp')]),
  z.tuple([z.literal('http'), z.string().regex(PLAIN_PATH).max(MAX_PATH_LENGTH)]),
]);

const claimSchema = z.tuple([
  z.union([z.literal(CLAIM_VERSION), z.literal(WARRANT_VERSION), z.literal(CHECK_VERSION)]),
  z.string().max(64),
  index(CLAIM_KINDS),
  z.string().max(64),
  z.number().int().min(1).max(65_535).nullable(),
  z.number().int(),
  z.number().int(),
  digest,
  warrantSchema.nullable().optional(),
  checkSchema.optional(),
]);

const voteSchema = z.tuple([
  z.string().length(32),
  z.string().max(64),
  index(VERDICTS),
  index(VOTE_REASONS),
  z.number().int().min(0).max(100),
  z.instanceof(Uint8Array).refine((bytes) => bytes.length === SIGNATURE_BYTES),
]);

/** The enum member at a position that a schema has already bounded. */
function at<const T extends readonly string[]>(list: T, position: number): T[number] {
  const value = list[position];
  if (value === undefined) throw new RangeError(`no entry ${position}`);
  return value;
}

export function claimToWire(claim: Claim): unknown[] {
  const { warrant, check } = claim;
  const fields = [
    claim.subject,
    CLAIM_KINDS.indexOf(claim.kind),
    claim.target,
    claim.port ?? null,
    claim.fromMs,
    claim.expiresAtMs,
    claim.evidenceDigest,
  ];
  const wanted = warrant && [warrant.plan, warrant.calls, warrant.precondition, warrant.nonce, warrant.epoch, warrant.term];
  if (check !== undefined)
    return [CHECK_VERSION, ...fields, wanted ?? null, check.kind === 'http' ? ['http', check.path] : ['tcp']];
  return wanted === undefined ? [CLAIM_VERSION, ...fields] : [WARRANT_VERSION, ...fields, wanted];
}

/** Whether a path is short and plain enough for witnesses to request it. */
export function isClaimable(check: RemoteCheck): boolean {
  return check.kind === 'tcp' || checkSchema.safeParse(['http', check.path]).success;
}

export function claimFromWire(wire: unknown): Claim | undefined {
  const parsed = claimSchema.safeParse(wire);
  if (!parsed.success) return undefined;
  const [version, subject, kind, target, port, fromMs, expiresAtMs, evidenceDigest, wanted, checked] = parsed.data;
  // The version in the signed bytes tells whether there is a warrant, and whether there is a check.
  if ((version === CHECK_VERSION) !== (checked !== undefined)) return undefined;
  if (version !== CHECK_VERSION && (version === WARRANT_VERSION) !== (wanted !== undefined && wanted !== null)) return undefined;
  if (version === CLAIM_VERSION && wanted !== undefined) return undefined;
  const claim: Claim = {
    subject,
    kind: at(CLAIM_KINDS, kind),
    target,
    port: port ?? undefined,
    fromMs,
    expiresAtMs,
    evidenceDigest,
  };
  if (checked !== undefined) claim.check = checked[0] === 'http' ? { kind: 'http', path: checked[1] } : { kind: 'tcp' };
  if (wanted === undefined || wanted === null) return claim;
  const [plan, calls, precondition, nonce, epoch, term] = wanted;
  return { ...claim, warrant: { plan, calls, precondition, nonce, epoch, term } };
}

/** 32 hex digits over the canonical bytes: two claims with one id are the same claim. */
export function claimIdOf(swarmId: string, claim: Claim, hash: Crypto['hash']): string {
  return toHex(hash(encodeCbor([CLAIM_DOMAIN, swarmId, claimToWire(claim)]))).slice(0, 32);
}

export function voteToWire(vote: Vote): unknown[] {
  return [
    vote.claimId,
    vote.witness,
    VERDICTS.indexOf(vote.verdict),
    VOTE_REASONS.indexOf(vote.reason),
    vote.confidence,
    vote.signature,
  ];
}

export function voteFromWire(wire: unknown): Vote | undefined {
  const parsed = voteSchema.safeParse(wire);
  if (!parsed.success) return undefined;
  const [claimId, witness, verdict, reason, confidence, signature] = parsed.data;
  return { claimId, witness, verdict: at(VERDICTS, verdict), reason: at(VOTE_REASONS, reason), confidence, signature };
}

/** What a vote's signature covers. */
export function voteBytes(swarmId: string, vote: Omit<Vote, 'signature'>): Uint8Array {
  return encodeCbor([VOTE_DOMAIN, swarmId, ...voteToWire({ ...vote, signature: new Uint8Array() }).slice(0, 5)]);
}

export function encodeClaimMessage(claim: Claim): Uint8Array {
  return encodeCbor(['claim', claimToWire(claim)]);
}

export function encodeVoteMessage(vote: Vote): Uint8Array {
  return encodeCbor(['vote', voteToWire(vote)]);
}

export type VoteMessage = { type: 'claim'; claim: Claim } | { type: 'vote'; vote: Vote };

export function decodeVoteMessage(bytes: Uint8Array): VoteMessage | undefined {
  const wire = z.tuple([z.enum(['claim', 'vote']), z.unknown()]).safeParse(decodeCbor(bytes));
  if (!wire.success) return undefined;
  if (wire.data[0] === 'claim') {
    const claim = claimFromWire(wire.data[1]);
    return claim && { type: 'claim', claim };
  }
  const vote = voteFromWire(wire.data[1]);
  return vote && { type: 'vote', vote };
}
