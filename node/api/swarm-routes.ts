// Routes of membership: members, join tokens, operators, and records for root keys to sign.
import { z } from 'zod';
import { MAX_NAME } from '../../swarm/identity/record.ts';
import type { Agent } from '../agent/agent.ts';
import { type MembershipAdmin, MembershipError, type RootAction } from '../link/membership-admin.ts';
import {
  joinTokenAnswer,
  joinTokensAnswer,
  memberAnswer,
  memberCertificateAnswer,
  networkKeyAnswer,
  operatorsAnswer,
  recoveryAnswer,
  rootDraftAnswer,
  trafficAnswer,
} from './answers/swarm.ts';
import { listed } from './pages.ts';
import { done, type Failure, failed, get, nothing, ok, post, type Route, type Success } from './route.ts';

const DAY_MS = 86_400_000;
const name = z
  .string()
  .min(1)
  .max(MAX_NAME)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'letters, digits, dots, dashes and underscores');
const reason = z.string().max(120).default('');
const tokenSchema = z.strictObject({
  role: z.enum(['member', 'committee']).default('member'),
  ttlMs: z
    .number()
    .int()
    .min(1_000)
    .max(30 * DAY_MS)
    .default(600_000),
  uses: z.number().int().min(1).max(1_000).default(1),
});
const rotationSchema = z.strictObject({
  keepMs: z
    .number()
    .int()
    .min(0)
    .max(90 * DAY_MS)
    .default(8 * DAY_MS),
});
const draftSchema: z.ZodType<RootAction> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('operator'), name, key: z.string().max(100) }),
  z.strictObject({ kind: z.literal('issuer'), member: z.string().min(1) }),
  z.strictObject({ kind: z.literal('recovery'), member: z.string().min(1) }),
  z.strictObject({ kind: z.literal('revoke'), of: z.enum(['operator', 'issuer']), subject: z.string().min(1), reason }),
]);
const hex = z
  .string()
  .max(20_000)
  .regex(/^([0-9a-f]{2})*$/);
const commitSchema = z.strictObject({
  kind: z.enum(['issuer', 'member', 'operator', 'revocation', 'recovery']),
  body: hex,
  signatures: z.array(z.strictObject({ by: z.string().max(100), signature: hex })).max(16),
});

/** Answers 409 with the reason of a refusal. */
async function administered<Body>(
  agent: Agent,
  what: (admin: MembershipAdmin) => Promise<Body> | Body,
): Promise<Success<Body> | Failure<409>> {
  try {
    return ok(await what(agent.parts.membershipAdmin));
  } catch (error) {
    if (error instanceof MembershipError) return failed(409, error.message);
    throw error;
  }
}

const changing = <T>(answer: z.ZodType<T>) => ({ tag: 'members', answer, failures: [409], scope: 'admin' }) as const;
/** Answers without data. */
const quietly = async (work: Promise<void>): Promise<Record<string, never>> => {
  await work;
  return {};
};

/** Changing the membership needs scope admin. */
export const SWARM_ROUTES: readonly Route[] = [
  get(
    '/v1/recovery',
    'Candidates to recover the committee, with their last decision',
    { tag: 'members', answer: recoveryAnswer },
    (agent) => ok(agent.parts.membershipAdmin.recovery()),
  ),
  listed('/v1/members', 'The members of the swarm, with their state as seen by this agent', {
    tag: 'members',
    item: memberAnswer,
    read: (agent) => agent.parts.membershipAdmin.members(false),
    keyOf: ({ name: called, peer }) => `${called} ${peer}`,
  }),
  get(
    '/v1/traffic',
    'Traffic that this agent sent since its start, by protocol, without lower-layer headers',
    { tag: 'agent', answer: trafficAnswer },
    (agent) => ok(Object.fromEntries(agent.traffic())),
  ),
  listed('/v1/members/all', 'Include members that left or were removed', {
    tag: 'members',
    item: memberAnswer,
    read: (agent) => agent.parts.membershipAdmin.members(true),
    keyOf: ({ name: called, peer }) => `${called} ${peer}`,
  }),
  get('/v1/members/{name}', 'One member', { tag: 'members', answer: memberAnswer, failures: [409] }, (agent, given) =>
    administered(agent, (admin) => admin.member(given)),
  ),
  post(
    '/v1/members/{name}/revocation',
    'Revokes a membership',
    z.strictObject({ reason }),
    changing(memberCertificateAnswer),
    (agent, body, given) => administered(agent, (admin) => admin.revoke(given, body.reason)),
  ),
  post(
    '/v1/members/{name}/name',
    'Renames a member',
    z.strictObject({ name }),
    changing(memberCertificateAnswer),
    (agent, body, given) => administered(agent, (admin) => admin.rename(given, body.name)),
  ),
  post('/v1/tokens', 'Creates a join token', tokenSchema, changing(joinTokenAnswer), (agent, body) =>
    administered(agent, (admin) => admin.makeToken(body)),
  ),
  get('/v1/tokens', 'The join tokens of this issuer', { tag: 'members', answer: joinTokensAnswer }, (agent) =>
    ok(agent.parts.membershipAdmin.tokens()),
  ),
  post('/v1/tokens/{id}/removal', 'Revokes a join token', nothing, changing(done), (agent, _body, id) =>
    administered(agent, (admin) => quietly(admin.endToken(id))),
  ),
  post(
    '/v1/leave',
    'Leaves the swarm permanently',
    z.strictObject({ force: z.boolean().default(false) }),
    changing(done),
    (agent, { force }) => administered(agent, () => quietly(agent.leave(force))),
  ),
  post('/v1/network-key', 'Rotates the network key', rotationSchema, changing(networkKeyAnswer), (agent, { keepMs }) =>
    administered(agent, (admin) => admin.rotateNetworkKey(keepMs)),
  ),
  get('/v1/operators', 'The operators of the swarm', { tag: 'members', answer: operatorsAnswer }, (agent) =>
    ok(agent.parts.membershipAdmin.operators()),
  ),
  post('/v1/root/draft', 'A record for root keys to sign', draftSchema, changing(rootDraftAnswer), (agent, action) =>
    administered(agent, (admin) => admin.draft(action)),
  ),
  post(
    '/v1/root/commit',
    'Publishes a record signed by root keys',
    commitSchema,
    changing(done),
    (agent, { kind, body, signatures }) => administered(agent, (admin) => quietly(admin.commit(kind, body, signatures))),
  ),
];
