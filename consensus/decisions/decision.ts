// The entries of the committee's log: decisions of a few kinds. Each has an id, so that one that was proposed twice applies once, and the
// member that proposed it. It names one target: there are no wildcards, and no value means "all".
import { coerce, SemVer } from 'semver';
import { z } from 'zod';
import { SIGNATURE_BYTES } from '../../swarm/ports/crypto.ts';
import { budgetShape } from './budgets.ts';
import { drainShape } from './drains.ts';
import { epochShape } from './epochs.ts';
import { grantShape } from './grants.ts';

const VERSION = 1;
/** A request may have 64 KiB. */
export const MAX_BUNDLE_CHARS = 32_768;
export const MAX_CANARIES = 16;
/** The shortest soak time. */
export const MAX_HASTE_MS = 5_000;
const MAX_SOAK_MS = 86_400_000;
/** Members in one wave. */
export const MAX_WAVE = 256;
export const MAX_RELEASE_BYTES = 16_777_216;
const peer = z.string().min(1).max(100);
const decisionId = z.string().regex(/^[0-9a-f]{32}$/);
const name = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[^*?]+$/, 'must be one target, no wildcards');
const reason = z.string().min(1).max(200);
const proofPart = z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length < 1_000);
const timeMs = z.number().int().nonnegative();
const signature = z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === SIGNATURE_BYTES);
/** The soak time: on the canaries, and then in each wave, or on all. */
const soakMs = z.number().int().min(MAX_HASTE_MS).max(MAX_SOAK_MS);
/** When it was pushed, by that member's clock: signed. Absent if a version before 0.3.0 pushed it. */
const pushedMs = timeMs.optional();
const next = z.array(peer).max(MAX_WAVE);
const canary = z.array(peer).min(1).max(MAX_CANARIES);

const shared = {
  v: z.literal(VERSION),
  id: decisionId,
  /** The member that proposed it. */
  by: peer,
  /** That member's clock. */
  atMs: timeMs,
};

export const decisionSchema = z.discriminatedUnion('kind', [
  /** A new leader. */
  z.strictObject({ ...shared, kind: z.literal('leads') }),
  /** The roster has changed. */
  z.strictObject({ ...shared, kind: z.literal('epoch'), ...epochShape }),
  /** A paused agent changes nothing on its machine until a `wake`. */
  z.strictObject({ ...shared, kind: z.literal('pause'), peer, reason }),
  z.strictObject({ ...shared, kind: z.literal('wake'), peer, reason }),
  /** Findings of a policy, or about a target, cause no action on any machine until then. */
  z.strictObject({
    ...shared,
    kind: z.literal('silence'),
    policy: name.nullable(),
    target: name.nullable(),
    untilMs: timeMs,
    reason,
  }),
  z.strictObject({ ...shared, kind: z.literal('unsilence'), silence: decisionId }),
  /** Allows one disruptive change, while few others are in progress. The leader sets the number of members, and how many look unhealthy. */
  z.strictObject({
    ...shared,
    kind: z.literal('lease'),
    plan: z.string().min(1).max(100),
    members: z.number().int().positive(),
    sick: z.number().int().nonnegative(),
    untilMs: timeMs,
  }),
  z.strictObject({ ...shared, kind: z.literal('release'), lease: decisionId }),
  /** A member takes a service for fail-over that no member runs. */
  z.strictObject({ ...shared, kind: z.literal('place'), service: name }),
  /** It releases the service. If it failed to run it, it does not take it again until then. */
  z.strictObject({
    ...shared,
    kind: z.literal('unplace'),
    service: name,
    fence: z.number().int().positive(),
    unfitUntilMs: timeMs.nullable(),
    reason,
  }),
  /** The leader removes the placement, since it no longer hears from the holder. */
  z.strictObject({ ...shared, kind: z.literal('displace'), service: name, fence: z.number().int().positive(), reason }),
  /** A witness has signed two different votes: it does not vote again until a `pardon`. */
  z.strictObject({ ...shared, kind: z.literal('quarantine'), peer, first: proofPart, second: proofPart }),
  z.strictObject({ ...shared, kind: z.literal('pardon'), peer, reason }),
  /** A standing permission, approval or denial for an agent. */
  z.strictObject({ ...shared, kind: z.literal('grant'), ...grantShape, reason }),
  z.strictObject({ ...shared, kind: z.literal('revoke'), grant: decisionId, reason }),
  /** Nothing may depend on a member for some time. The leader sets the number of members, and whether a person requested it. */
  z.strictObject({
    ...shared,
    kind: z.literal('drain'),
    ...drainShape,
    members: z.number().int().positive(),
    isOrdered: z.boolean(),
    reason,
  }),
  z.strictObject({ ...shared, kind: z.literal('undrain'), peer, reason }),
  /** How many changes policies may make on a machine within a time. */
  z.strictObject({ ...shared, kind: z.literal('budget'), ...budgetShape, reason }),
  z.strictObject({ ...shared, kind: z.literal('unbudget'), peer: budgetShape.peer, reason }),
  /** Policies for all machines, first on canaries. */
  z.strictObject({
    ...shared,
    kind: z.literal('bundle'),
    policies: z.string().min(2).max(MAX_BUNDLE_CHARS),
    pushedMs,
    signature,
    canary,
    soakMs,
    /** How many findings its policies may have on a machine during the soak time; more, and the bundle counts as failing. */
    findings: z.number().int().min(0).max(1_000),
  }),
  /** Its result on one machine. */
  z.strictObject({
    ...shared,
    kind: z.literal('bundle-report'),
    bundle: decisionId,
    ok: z.boolean(),
    reason: z.string().max(200),
  }),
  /** As `upgrade-advance`. Before 0.3.0: first to all, then final. */
  z.strictObject({ ...shared, kind: z.literal('bundle-advance'), bundle: decisionId, next: next.optional() }),
  /** By the leader or an issuer: rolls back to the last good one. */
  z.strictObject({ ...shared, kind: z.literal('bundle-withdraw'), bundle: decisionId, reason }),
  /** A release of KALOS for all machines that accept releases, first on canaries. */
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
  /** Its result on one machine. */
  z.strictObject({
    ...shared,
    kind: z.literal('upgrade-report'),
    upgrade: decisionId,
    ok: z.boolean(),
    reason: z.string().max(200),
  }),
  /** By the leader: the next wave; an empty list means all others. */
  z.strictObject({ ...shared, kind: z.literal('upgrade-advance'), upgrade: decisionId, next }),
  /** By the leader or an issuer: rolls back to the last good one. */
  z.strictObject({ ...shared, kind: z.literal('upgrade-withdraw'), upgrade: decisionId, reason }),
  /** The member that runs the service must release it to another. */
  z.strictObject({ ...shared, kind: z.literal('move'), service: name, reason }),
]);
export type Decision = z.infer<typeof decisionSchema>;

type WithoutShared<One> = One extends unknown ? Omit<One, 'v' | 'id' | 'by' | 'atMs'> : never;
/** A proposal, before its proposer is known. */
export type Wish = WithoutShared<Decision>;

export const wished = (wish: Wish, by: string, id: string, atMs: number): Decision =>
  ({ v: VERSION, id, by, atMs: Math.round(atMs), ...wish }) as Decision;

const plain = (version: string): SemVer => coerce(version) ?? new SemVer('0.0.0');

/** Compares the three numbers of versions only: a pre-release knows what its release knows. */
export const isOlder = (version: string, than: string): boolean => plain(version).compareMain(plain(than)) < 0;
