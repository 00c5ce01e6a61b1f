// Routes of the committee: the leader, the voters, the log of decisions, and the decisions that an administrator makes.

import { z } from 'zod';
import type { Wish } from '../../consensus/decisions/decision.ts';
import { endMs, MAX_DRAIN_MS } from '../../consensus/decisions/drains.ts';
import { describeDecision } from '../../consensus/decisions/kinds.ts';
import { LogUnavailable } from '../../consensus/raft/requests.ts';
import { equalBytes, toHex } from '../../swarm/dissemination/cbor.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { messageOf } from '../../swarm/words.ts';
import { MAX_SILENCE_MS } from '../action/silences.ts';
import type { Agent } from '../agent/agent.ts';
import { READS, type ReadMode } from '../decisions/reads.ts';
import { decisionAnswer, type LogAnswer, logAnswer, type NovaAnswer, novaAnswer } from './answers/decisions.ts';
import { memberNamed, mistypedTarget, noSuchPlacement, noSuchPolicy } from './known.ts';
import { decidedSchema, done, type Failure, failed, get, ok, post, type Reply, type Route } from './route.ts';

const WITHIN_MS = 10_000;
const MAX_SHOWN = 256;
const reason = z.string().min(1).max(200);
const name = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[^*?]+$/, 'must be one target, no wildcards');
const memberSchema = z.strictObject({ node: z.string().min(1), reason });
const readSchema = z.strictObject({
  read: z.enum(READS).default('local'),
  limit: z.number().int().min(1).max(MAX_SHOWN).default(20),
});
const silenceSchema = z
  .strictObject({
    policy: name.optional(),
    target: name.optional(),
    forMs: z.number().int().min(1_000).max(MAX_SILENCE_MS),
    reason,
  })
  .refine(({ policy, target }) => policy !== undefined || target !== undefined, 'name a policy, a target, or both');
const liftSchema = z.strictObject({ silence: z.string().regex(/^[0-9a-f]{32}$/, 'an id of: kalos log tail') });

export type { LogAnswer, NovaAnswer };
/** The read level, index and term of an answer. */
export type AsOf = Pick<NovaAnswer, 'read' | 'index' | 'term'>;

const asOf = (agent: Agent, read: ReadMode): AsOf => ({
  read,
  index: agent.decisions.state.index,
  term: agent.committee.term,
});

function rosterOf({ swarm, decisions }: Agent): NovaAnswer['roster'] {
  const { newest } = decisions.state.epochs;
  if (newest === null) return null;
  const { epoch, members, atMs, digest } = newest;
  return { epoch, members, atMs, isSame: equalBytes(digest, swarm.admission.roster.digest()) };
}

export function nova(agent: Agent, read: ReadMode): NovaAnswer {
  const { committee, decisions } = agent;
  const { members } = agent.swarm;
  const { state } = decisions;
  const checkpoint = decisions.checkpoints.newest;
  const nowMs = decisions.wallMs();
  const { coordinator } = committee;
  const seats = committee.seats.all();
  const own = seats.find(({ peer }) => peer === members.self);
  const withNode = <T extends { peer: PeerId }>(one: T): T & { node: string } => ({ ...one, node: members.nameOf(one.peer) });
  return {
    ...asOf(agent, read),
    coordinator: coordinator === undefined ? null : members.nameOf(coordinator),
    roster: rosterOf(agent),
    seat: own === undefined ? 'follower' : own.votes ? 'voter' : 'learner',
    committee:
      seats.length > 0
        ? seats.map(({ peer, votes, leads, behind }) => ({
            node: peer === undefined ? 'no longer a member' : members.nameOf(peer),
            seat: votes ? 'voter' : 'learner',
            leads,
            behind: behind ?? null,
          }))
        : (checkpoint?.voters ?? []).map((peer) => ({
            node: members.nameOf(peer),
            seat: 'voter',
            leads: peer === coordinator,
            behind: null,
          })),
    vouchedFor:
      checkpoint === undefined
        ? null
        : {
            index: checkpoint.index,
            voters: checkpoint.voters.map((peer) => members.nameOf(peer)),
            signatures: checkpoint.signatures.length,
          },
    paused: state.paused().map(withNode),
    silences: state.silences(nowMs),
    leases: state.leases(nowMs).map(withNode),
    drained: [...decisions.proven.drained().values()].map((one) => ({
      node: members.nameOf(one.peer),
      by: members.nameOf(one.by),
      untilMs: endMs(one),
      reason: one.reason,
    })),
    quarantined: state
      .quarantined()
      .filter(({ peer }) => decisions.proven.quarantined().has(peer))
      .map(({ peer, by, atMs }) => ({ node: members.nameOf(peer), by: members.nameOf(by), atMs })),
    placements: state.placements().map((one) => ({ ...one, node: one.peer === null ? null : members.nameOf(one.peer) })),
  };
}

/** Answers 503 with a hint if the swarm cannot decide. */
export async function deciding<Done extends Reply>(work: () => Promise<Done>): Promise<Done | Failure<503>> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof LogUnavailable)
      return failed(
        503,
        `the swarm cannot decide now: ${error.message}${error.isUnknown ? '; its outcome is unknown: see kalos log tail' : ''}`,
        'no-quorum',
      );
    throw error;
  }
}

export const decide = (agent: Agent, wish: Wish) =>
  deciding(async () => {
    const outcome = await agent.decisions.decide(wish, WITHIN_MS);
    if (!outcome.ok) return failed(409, outcome.reason);
    await agent.noted(`decided at ${outcome.index}: ${wish.kind}`);
    return ok({ index: outcome.index });
  });

/** A decision about one member, whose name must be unambiguous. */
async function aboutMember(agent: Agent, named: string, wish: (peer: PeerId) => Wish) {
  const member = memberNamed(agent, named);
  return 'unknown' in member ? member.unknown : decide(agent, wish(member.peer));
}

const drainSchema = z.strictObject({ node: z.string().min(1), forMs: z.number().int().positive().max(MAX_DRAIN_MS), reason });

async function drain(agent: Agent, { node, forMs, reason: why }: z.infer<typeof drainSchema>) {
  const member = memberNamed(agent, node);
  if ('unknown' in member) return member.unknown;
  return deciding(async () => {
    const outcome = await agent.decisions.drain(member.peer, forMs, why, WITHIN_MS);
    if (!outcome.ok) return failed(409, outcome.reason);
    await agent.noted(`decided at ${outcome.index}: ${node} is drained`);
    return ok({ index: outcome.index });
  });
}

const DECIDED = { tag: 'decisions', answer: decidedSchema, failures: [404, 409, 503], scope: 'admin' } as const;

/** A decision for the swarm needs scope admin; reading needs no token. */
export const DECISION_ROUTES: readonly Route[] = [
  get('/v1/nova', 'The leader, the committee and the decisions in force', { tag: 'decisions', answer: novaAnswer }, (agent) =>
    ok(nova(agent, 'local')),
  ),
  post(
    '/v1/nova/read',
    'The leader and the decisions in force, at a read level',
    readSchema,
    { tag: 'decisions', answer: novaAnswer, failures: [503], scope: 'look' },
    (agent, { read }) =>
      deciding(async () => {
        await agent.decisions.reads.read(read, WITHIN_MS);
        return ok(nova(agent, read));
      }),
  ),
  post(
    '/v1/log',
    'The newest decisions, at a read level',
    readSchema,
    { tag: 'decisions', answer: logAnswer, failures: [503], scope: 'look' },
    (agent, { read, limit }) =>
      deciding(async () => {
        const state = await agent.decisions.reads.read(read, WITHIN_MS);
        const decisions = state
          .recent()
          .slice(-limit)
          .map((one) => {
            const { id, kind, by, atMs } = one.decision;
            const what = describeDecision(one.decision, (peer) => agent.swarm.members.nameOf(peer));
            return { index: one.index, term: one.term, id, kind, by: agent.swarm.members.nameOf(by), atMs, what };
          });
        return ok({ ...asOf(agent, read), decisions } satisfies LogAnswer);
      }),
  ),
  post(
    '/v1/log/{index}',
    'One decision',
    readSchema,
    { tag: 'decisions', answer: decisionAnswer, failures: [404, 503], scope: 'look' },
    (agent, { read }, given) =>
      deciding(async () => {
        const state = await agent.decisions.reads.read(read, WITHIN_MS);
        const found = state.recent().find((one) => String(one.index) === given || one.decision.id === given);
        if (found === undefined) return failed(404, `${given} is not among the newest decisions: see kalos log tail`);
        const what = describeDecision(found.decision, (peer) => agent.swarm.members.nameOf(peer));
        const fields = Object.entries(found.decision).map(([key, value]) => [
          key,
          value instanceof Uint8Array ? toHex(value) : value,
        ]);
        return ok({ ...asOf(agent, read), index: found.index, term: found.term, decision: Object.fromEntries(fields), what });
      }),
  ),
  post(
    '/v1/nova/transfer',
    'Transfers leadership to another voter',
    z.strictObject({ node: z.string().min(1) }),
    { tag: 'decisions', answer: done, failures: [404, 409, 503], scope: 'admin' },
    async (agent, { node }) => {
      const member = memberNamed(agent, node);
      if ('unknown' in member) return member.unknown;
      if (agent.committee.coordinator === undefined)
        return failed(503, 'the swarm has no leader, so no leadership to transfer: see kalos nova status', 'no-quorum');
      try {
        await agent.committee.transfer(member.peer);
      } catch (error) {
        return failed(409, messageOf(error));
      }
      await agent.noted(`leadership was transferred to ${node}`);
      return ok({});
    },
  ),
  post('/v1/pause', 'Pauses a member', memberSchema, DECIDED, (agent, body) =>
    aboutMember(agent, body.node, (peer) => ({ kind: 'pause', peer, reason: body.reason })),
  ),
  post('/v1/wake', 'Ends a pause', memberSchema, DECIDED, (agent, body) =>
    aboutMember(agent, body.node, (peer) => ({ kind: 'wake', peer, reason: body.reason })),
  ),
  post('/v1/drain', 'Drains a member for a while', drainSchema, DECIDED, drain),
  post('/v1/undrain', 'Ends a drain', memberSchema, DECIDED, (agent, body) =>
    aboutMember(agent, body.node, (peer) => ({ kind: 'undrain', peer, reason: body.reason })),
  ),
  post(
    '/v1/placements/move',
    'Moves a fail-over service to another member',
    z.strictObject({ service: name, reason }),
    DECIDED,
    (agent, { service, reason: why }) => noSuchPlacement(agent, service) ?? decide(agent, { kind: 'move', service, reason: why }),
  ),
  post('/v1/pardon', 'Ends the quarantine of a member', memberSchema, DECIDED, (agent, body) =>
    aboutMember(agent, body.node, (peer) => ({ kind: 'pardon', peer, reason: body.reason })),
  ),
  post(
    '/v1/swarm-silences',
    'Silences a policy or a target on all machines, for a while',
    silenceSchema,
    DECIDED,
    (agent, body) => {
      const { policy, target, forMs, reason: why } = body;
      const untilMs = Math.round(agent.swarm.time.wallMs() + forMs);
      const unknown = noSuchPolicy(agent, policy) ?? mistypedTarget(agent, target);
      if (unknown !== undefined) return unknown;
      return decide(agent, { kind: 'silence', policy: policy ?? null, target: target ?? null, untilMs, reason: why });
    },
  ),
  post('/v1/swarm-silences/lift', 'Removes a silence', liftSchema, DECIDED, (agent, { silence }) =>
    decide(agent, { kind: 'unsilence', silence }),
  ),
];
