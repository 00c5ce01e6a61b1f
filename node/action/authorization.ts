// The authorization of a disruptive change: a certificate of this machine's witnesses, or the signatures of two operators, over exactly the
// steps that are to be armed. The agent checks it before it acts. The actuator, which has the privileges, has it checked again in a separate
// process (`kalos authorize-check`), by its signatures alone: an agent that was taken over cannot authorize itself.
import { z } from 'zod';
import { areDrawn, type Certificate, decodeCertificate, drawnFor, verifyCertificate } from '../../consensus/vote/certificate.ts';
import { decodeCbor, encodeCbor, equalBytes, fromHex, toHex } from '../../swarm/dissemination/cbor.ts';
import { NO_ISSUER_GRACE_MS } from '../../swarm/identity/lifetimes.ts';
import { Roster } from '../../swarm/identity/roster.ts';
import { type Crypto, HASH_BYTES } from '../../swarm/ports/crypto.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { stepToWire } from '../ports/actuator.ts';
import type { ToolCall } from '../tool-call.ts';
import { changeRefusal, type SignedChange, signedChangeSchema } from './signed-change.ts';
import type { Snapshot } from './tool.ts';
import { changeToolOf } from './tools.ts';

const VERSION = 1;
/** With fewer witnesses a single liar could decide: then a person is asked. */
export const MIN_WITNESSES = 4;
/** An authorization that expired so long ago is refused by its times already. */
const FORGET_USED_MS = 86_400_000;
const MAX_USED = 10_000;
const MAX_REVOCATIONS = 500;

type Verifier = Pick<Crypto, 'verify' | 'hash' | 'peerOf'>;

/** All steps of some calls, in order. */
export const stepsFor = (calls: readonly ToolCall[], before: readonly Snapshot[]) =>
  calls.flatMap((one, i) => changeToolOf(one).steps(one, before[i] ?? {}));

/** What an authorization covers: the tools with versions and arguments, their exact steps, and the state of their targets. */
export function digests({ hash }: Pick<Crypto, 'hash'>, calls: readonly ToolCall[], before: readonly Snapshot[]) {
  const tools = hash(encodeCbor(calls.map((call) => [changeToolOf(call).version, call])));
  const steps = stepsFor(calls, before).map(stepToWire);
  return { tools, calls: withSteps({ hash }, tools, steps), precondition: hash(encodeCbor(before)) };
}

const withSteps = ({ hash }: Pick<Crypto, 'hash'>, tools: Uint8Array, steps: unknown): Uint8Array =>
  hash(encodeCbor([tools, hash(encodeCbor(steps))]));

/** What a certificate is checked against. */
export interface CertificateQuestion {
  crypto: Pick<Crypto, 'verify' | 'hash'>;
  roster: Roster;
  /** This machine. */
  peer: PeerId;
  plan: string;
  /** From `digests`. */
  calls: Uint8Array;
  nowMs: number;
}

/** Why a certificate does not authorize a change, by its signed content alone. */
export function certificateRefusal(certificate: Certificate, question: CertificateQuestion): string | undefined {
  const { crypto, roster, peer, plan, calls, nowMs } = question;
  const { claim, witnesses } = certificate;
  const { warrant } = claim;
  if (warrant === undefined || claim.subject !== peer || warrant.plan !== plan) return 'the certificate is for another change';
  if (!equalBytes(warrant.calls, calls)) return 'the certificate is for other arguments, or another version of the tool';
  if (warrant.epoch !== (roster.member(peer)?.epoch ?? 0)) return 'the certificate is of another membership';
  if (claim.fromMs > nowMs || claim.expiresAtMs <= nowMs) return 'the certificate has expired';
  if (witnesses.length < MIN_WITNESSES || !witnesses.every((one) => roster.isMember(one)))
    return 'the certificate has too few witnesses that are members';
  const check = verifyCertificate(crypto, roster.swarmId, certificate);
  return check.valid ? undefined : `the certificate is invalid: ${check.reason}`;
}

// As sent to the actuator

const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array);
const hash = z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === HASH_BYTES);
const authorizationSchema = z.tuple([
  z.literal(VERSION),
  z.string().max(100),
  z.string().max(100),
  bytes,
  z.array(bytes),
  hash,
  z.union([z.tuple([z.literal('certificate'), bytes]), z.tuple([z.literal('order'), z.string()])]),
]);
type Proof = z.infer<typeof authorizationSchema>[6];

export const certificateProof = (certificate: Uint8Array): Proof => ['certificate', certificate];
export const changeProof = (change: SignedChange): Proof => ['order', JSON.stringify(change)];

/** What is sent with an authorization. */
export interface Shown {
  roster: Roster;
  /** This machine. */
  peer: PeerId;
  tools: Uint8Array;
  nowMs: number;
}

/** Its checker needs to trust only the root keys: the signed records that the check needs are included. */
export function encodeAuthorization(
  { roster, peer, tools, nowMs }: Shown,
  proof: Proof,
  witnesses: readonly PeerId[] = [],
): Uint8Array {
  const genesis = roster.authority.genesis?.bytes ?? new Uint8Array();
  return encodeCbor([VERSION, roster.swarmId, peer, genesis, recordsFor(roster, peer, witnesses, nowMs), tools, proof]);
}

/** Of issuers, operators, this machine, its witnesses and the voters; then revocations, the newest first. */
function recordsFor(roster: Roster, peer: PeerId, witnesses: readonly PeerId[], nowMs: number): Uint8Array[] {
  const issuers = roster.issuers().map(({ subject }) => subject);
  const shown = new Set([peer, ...issuers, ...witnesses, ...drawnFor(peer, membersOf(roster, nowMs))]);
  const all = roster.records.all();
  const revocations = all.filter(({ body }) => body.kind === 'revocation').sort((a, b) => b.body.fromMs - a.body.fromMs);
  const others = all.filter(({ body }) =>
    body.kind === 'member' ? shown.has(body.subject) : body.kind === 'issuer' || body.kind === 'operator',
  );
  return [...others, ...revocations.slice(0, MAX_REVOCATIONS)].map((record) => record.bytes);
}

/**
 * The members that witnesses are drawn from. Members with a lapsed certificate count for a while: else an agent could wait until the
 * certificates of unwanted witnesses have expired.
 */
const membersOf = (roster: Roster, nowMs: number): PeerId[] =>
  roster
    .members()
    .filter(({ subject, untilMs }) => untilMs + NO_ISSUER_GRACE_MS > nowMs && roster.standing(subject, nowMs) !== 'future')
    .map(({ subject }) => subject);

/** What the actuator keeps between two authorizations: swarm, machine, newest term, used nonces, and the records known at the last check. */
const memorySchema = z.tuple([
  z.literal(VERSION),
  z.string(),
  z.string(),
  z.number(),
  z.array(z.tuple([z.string(), z.number()])),
  z.array(bytes),
]);

export interface AuthorizationQuestion {
  /** Id of the change: the plan's. */
  id: string;
  /** The steps that the actuator is about to arm. */
  steps: unknown;
  leave: Uint8Array;
  /** The swarm whose authorizations count; undefined or empty: that of the first one. */
  ofSwarm?: string;
  /** The `memory` of the last answer; empty if there was none. */
  memory: Uint8Array;
  nowMs: number;
  /** Only one machine of one swarm is accepted: that of the first authorization. */
  pinned: boolean;
}

/** `memory` must be durable before anything is done. */
export type AuthorizationAnswer = { ok: true; memory: Uint8Array } | { ok: false; reason: string };

const refused = (reason: string): AuthorizationAnswer => ({ ok: false, reason });

export function judgeAuthorization(
  crypto: Verifier,
  { id, steps, leave: authorization, ofSwarm = '', memory, nowMs, pinned }: AuthorizationQuestion,
): AuthorizationAnswer {
  const parsed = authorizationSchema.safeParse(decodeCbor(authorization));
  if (!parsed.success) return refused('that is not an authorization');
  const [, swarm, peer, genesis, records, tools, proof] = parsed.data;
  if (ofSwarm !== '' && swarm !== ofSwarm)
    return refused('the authorization is for another swarm than the actuator’s policy names');
  const blank = [VERSION, swarm, peer, 0, [], []] as z.infer<typeof memorySchema>;
  const kept = memory.length === 0 ? blank : memorySchema.safeParse(decodeCbor(memory)).data;
  if (kept === undefined) return refused('earlier authorizations cannot be read: remove the actuator’s file "leave"');
  const isElsewhere = swarm !== kept[1] || peer !== kept[2];
  if (isElsewhere && pinned)
    return refused('the authorization is for another machine or swarm; if that is intended, remove the actuator’s file "leave"');
  const [, , , term, used, known] = isElsewhere ? blank : kept;
  const roster = new Roster(crypto, swarm);
  if (!roster.authority.adopt(genesis)) return refused('its genesis record is of another swarm');
  // Known records stay: an agent cannot omit members to choose its voters.
  for (const record of [...known, ...records]) roster.offer(record, nowMs);
  const question = { crypto, roster, peer, plan: id, calls: withSteps(crypto, tools, steps), nowMs };
  const judged = proof[0] === 'certificate' ? judgeCertificate(proof[1], question, term) : judgeChange(proof[1], question);
  if (typeof judged === 'string') return refused(judged);
  if (used.some(([nonce]) => nonce === judged.nonce)) return refused('the authorization was used already');
  const stillUsed = used.filter(([, untilMs]) => untilMs + FORGET_USED_MS > nowMs).slice(-MAX_USED);
  roster.reap(nowMs);
  const all = roster.records.all().map((record) => record.bytes);
  const nowUsed = [...stillUsed, [judged.nonce, judged.untilMs]];
  return { ok: true, memory: encodeCbor([VERSION, swarm, peer, Math.max(term, judged.term), nowUsed, all]) };
}

interface Judged {
  nonce: string;
  untilMs: number;
  term: number;
}

function judgeCertificate(encoded: Uint8Array, question: CertificateQuestion, term: number): Judged | string {
  const certificate = decodeCertificate(encoded);
  const warrant = certificate?.claim.warrant;
  if (certificate === undefined || warrant === undefined) return 'that is not a certificate for a change';
  const refusal = certificateRefusal(certificate, question);
  if (refusal !== undefined) return refusal;
  if (warrant.term < term) return 'the certificate is of an earlier term';
  const { roster, peer, nowMs } = question;
  if (!areDrawn(peer, certificate.witnesses, membersOf(roster, nowMs))) return 'its witnesses are not this machine’s witnesses';
  return { nonce: toHex(warrant.nonce), untilMs: certificate.claim.expiresAtMs, term: warrant.term };
}

function judgeChange(text: string, { crypto, roster, peer, calls, nowMs }: CertificateQuestion): Judged | string {
  const change = signedChangeSchema.safeParse(parsedJson(text)).data;
  if (change === undefined) return 'that is not a signed change';
  const refusal = changeRefusal(change, { crypto, roster, peer, nowMs });
  if (refusal !== undefined) return refusal;
  if (!equalBytes(fromHex(change.callsDigest), calls)) return 'the signed change is for other calls';
  return { nonce: change.nonce, untilMs: change.untilMs, term: 0 };
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
