// What the committee's log is made of: decisions of a few kinds, each with an id of its own, so that one that was proposed twice is
// taken once, and with whose wish it is. What they name is one thing: there are no wildcards, and nothing means "all".
import { coerce, SemVer } from 'semver';
import { z } from 'zod';
import { SIGNATURE_BYTES } from '../../swarm/ports/crypto.ts';
import { budgetShape } from './budgets.ts';
import { drainShape } from './drains.ts';
import { epochShape } from './epochs.ts';
import { grantShape } from './grants.ts';

const VERSION = 1;
/** A request holds 64 KiB. */
export const MAX_BUNDLE_CHARS = 32_768;
export const MAX_CANARIES = 16;
/** No bundle is watched for less. */
export const MAX_HASTE_MS = 5_000;
const MAX_SOAK_MS = 86_400_000;
/** Members in one. */
export const MAX_WAVE = 256;
export const MAX_RELEASE_BYTES = 16_777_216;
const peer = z.string().min(1).max(100);
const decisionId = z.string().regex(/^[0-9a-f]{32}$/);
const name = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[^*?]+$/, 'names one thing: no wildcards');
const reason = z.string().min(1).max(200);
const proofPart = z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length < 1_000);
const timeMs = z.number().int().nonnegative();
const signature = z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === SIGNATURE_BYTES);
/** How long it is watched: on the canaries, and then on all, or in each wave. */
const soakMs = z.number().int().min(MAX_HASTE_MS).max(MAX_SOAK_MS);
/** When it was pushed, by that member's clock: signed. Absent where a version before 0.3.0 did. */
const pushedMs = timeMs.optional();
const next = z.array(peer).max(MAX_WAVE);
const canary = z.array(peer).min(1).max(MAX_CANARIES);

const shared = {
  v: z.literal(VERSION),
  id: decisionId,
  /** The member that wished it. */
  by: peer,
  /** That member's clock. */
  atMs: timeMs,
};

export const decisionSchema = z.discriminatedUnion('kind', [
  /** A coordinator begins. */
  z.strictObject({ ...shared, kind: z.literal('leads') }),
  /** Who belongs has changed. */
  z.strictObject({ ...shared, kind: z.literal('epoch'), ...epochShape }),
  /** An agent changes nothing on its machine until it is woken. */
  z.strictObject({ ...shared, kind: z.literal('pause'), peer, reason }),
  z.strictObject({ ...shared, kind: z.literal('wake'), peer, reason }),
  /** Nothing is done about a policy's findings, or about a target, on any machine until then. */
  z.strictObject({
    ...shared,
    kind: z.literal('silence'),
    policy: name.nullable(),
    target: name.nullable(),
    untilMs: timeMs,
    reason,
  }),
  z.strictObject({ ...shared, kind: z.literal('unsilence'), silence: decisionId }),
  /** Leave to make one disruptive change, while not too many others do. The coordinator says how many members there are, and how many look sick. */
  z.strictObject({
    ...shared,
    kind: z.literal('lease'),
    plan: z.string().min(1).max(100),
    members: z.number().int().positive(),
    sick: z.number().int().nonnegative(),
    untilMs: timeMs,
  }),
  z.strictObject({ ...shared, kind: z.literal('release'), lease: decisionId }),
  /** A member takes a service for fail-over that nobody runs: from here on it is this member's. */
  z.strictObject({ ...shared, kind: z.literal('place'), service: name }),
  /** It gives it up; and, where it could not run it, takes it no more until then. */
  z.strictObject({
    ...shared,
    kind: z.literal('unplace'),
    service: name,
    fence: z.number().int().positive(),
    unfitUntilMs: timeMs.nullable(),
    reason,
  }),
  /** The coordinator takes it away, which has heard no more of whoever has it. */
  z.strictObject({ ...shared, kind: z.literal('displace'), service: name, fence: z.number().int().positive(), reason }),
  /** A witness has signed two different votes: it is asked no more until it is pardoned. */
  z.strictObject({ ...shared, kind: z.literal('quarantine'), peer, first: proofPart, second: proofPart }),
  z.strictObject({ ...shared, kind: z.literal('pardon'), peer, reason }),
  /** What an agent may, or may not. */
  z.strictObject({ ...shared, kind: z.literal('grant'), ...grantShape, reason }),
  z.strictObject({ ...shared, kind: z.literal('revoke'), grant: decisionId, reason }),
  /** Nothing is to depend on a member for a while. The coordinator says how many members there are, and whether a person wants it. */
  z.strictObject({
    ...shared,
    kind: z.literal('drain'),
    ...drainShape,
    members: z.number().int().positive(),
    isOrdered: z.boolean(),
    reason,
  }),
  z.strictObject({ ...shared, kind: z.literal('undrain'), peer, reason }),
  /** How many changes policies may make on a machine in a while. */
  z.strictObject({ ...shared, kind: z.literal('budget'), ...budgetShape, reason }),
  z.strictObject({ ...shared, kind: z.literal('unbudget'), peer: budgetShape.peer, reason }),
  /** Policies for all machines, tried on a few first. */
  z.strictObject({
    ...shared,
    kind: z.literal('bundle'),
    policies: z.string().min(2).max(MAX_BUNDLE_CHARS),
    pushedMs,
    signature,
    canary,
    soakMs,
    /** What its policies may find on a machine while it is watched; more, and it does not know what is normal. */
    findings: z.number().int().min(0).max(1_000),
  }),
  /** How it does on one machine. */
  z.strictObject({
    ...shared,
    kind: z.literal('bundle-report'),
    bundle: decisionId,
    ok: z.boolean(),
    reason: z.string().max(200),
  }),
  /** As `upgrade-advance`. Before 0.3.0, to all, and then for good. */
  z.strictObject({ ...shared, kind: z.literal('bundle-advance'), bundle: decisionId, next: next.optional() }),
  /** The coordinator or an issuer: the last good one again. */
  z.strictObject({ ...shared, kind: z.literal('bundle-withdraw'), bundle: decisionId, reason }),
  /** A release of KALOS for all machines that take any, tried on a few first. */
  z.strictObject({
    ...shared,
    kind: z.literal('upgrade'),
    version: z
      .string()
      .max(40)
      .regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/),
    digest: z.string().regex(/^[0-9a-f]{64}$/),
    bytes: z.number().int().positive().max(MAX_RELEASE_BYTES),
    pushedMs,
    signature,
    canary,
    soakMs,
  }),
  /** How it does on one machine. */
  z.strictObject({
    ...shared,
    kind: z.literal('upgrade-report'),
    upgrade: decisionId,
    ok: z.boolean(),
    reason: z.string().max(200),
  }),
  /** The coordinator: on to these; to all that are left, where there are none. */
  z.strictObject({ ...shared, kind: z.literal('upgrade-advance'), upgrade: decisionId, next }),
  /** The coordinator or an issuer: the last good one again. */
  z.strictObject({ ...shared, kind: z.literal('upgrade-withdraw'), upgrade: decisionId, reason }),
  /** Whoever has it is to give it up to another. */
  z.strictObject({ ...shared, kind: z.literal('move'), service: name, reason }),
]);
export type Decision = z.infer<typeof decisionSchema>;

type WithoutShared<One> = One extends unknown ? Omit<One, 'v' | 'id' | 'by' | 'atMs'> : never;
/** What is wished for, before it is known whose wish it is. */
export type Wish = WithoutShared<Decision>;

export const wished = (wish: Wish, by: string, id: string, atMs: number): Decision =>
  ({ v: VERSION, id, by, atMs: Math.round(atMs), ...wish }) as Decision;

const plain = (version: string): SemVer => coerce(version) ?? new SemVer('0.0.0');

/** By the three numbers of a version: one that leads up to another knows what that one knows. */
export const isOlder = (version: string, than: string): boolean => plain(version).compareMain(plain(than)) < 0;
