// Routes of grants: tools that the policies of one machine may or may not use.
import { z } from 'zod';
import { EFFECTS, grantShape } from '../../consensus/decisions/grants.ts';
import { counted } from '../../swarm/words.ts';
import { TOOLS } from '../action/tools.ts';
import type { Agent } from '../agent/agent.ts';
import { unknownName } from '../errors.ts';
import { INSPECT } from '../query/inspectors.ts';
import { type GrantAnswer, grantsAnswer } from './answers/decisions.ts';
import { decide, deciding } from './decision-routes.ts';
import { memberNamed } from './known.ts';
import { decidedSchema, failed, get, ok, post, type Route } from './route.ts';

const HOUR_MS = 3_600_000;
const MAX_MS = 720 * HOUR_MS;

export type { GrantAnswer };

const reason = z.string().min(1).max(200);
const giveSchema = z.strictObject({
  effect: z.enum(EFFECTS),
  node: z.string().min(1),
  tool: grantShape.tool,
  target: grantShape.target.default(null),
  uses: grantShape.uses.default(3),
  withinMs: grantShape.withinMs.default(HOUR_MS),
  forMs: z.number().int().min(60_000).max(MAX_MS),
  reason,
});

const CHANGING = TOOLS.filter(({ kind }) => kind !== 'read').map(({ name }) => name);

async function give(agent: Agent, { node, forMs, reason: why, ...granted }: z.infer<typeof giveSchema>) {
  const member = memberNamed(agent, node);
  if ('unknown' in member) return member.unknown;
  const { peer } = member;
  const tool = TOOLS.find(({ name }) => name === granted.tool);
  const isInspection = granted.tool === INSPECT;
  if (isInspection && granted.effect === 'approve') return failed(400, `${INSPECT} takes the effect act or deny, not approve`);
  const into = isInspection && granted.target !== null ? memberNamed(agent, granted.target) : undefined;
  if (into !== undefined && 'unknown' in into) return into.unknown; // the target is the machine to inspect
  if (!isInspection && (tool === undefined || tool.kind === 'read'))
    return failed(404, unknownName('tool that makes changes', granted.tool, CHANGING, 'kalos tools'));
  if (granted.target === null && granted.effect !== 'deny') return failed(400, 'act and approve need a target');
  return deciding(async () => {
    const untilMs = Math.round(agent.swarm.time.wallMs() + forMs);
    const outcome = await agent.parts.grants.give({ ...granted, peer, untilMs }, why);
    if (!outcome.ok) return failed(409, outcome.reason);
    await agent.noted(`decided at ${outcome.index}: ${granted.effect} ${granted.tool} on ${node}`);
    return ok({ index: outcome.index });
  });
}

const grantsOf = ({ decisions, swarm: { members } }: Agent): GrantAnswer[] =>
  decisions.state.grants
    .all(decisions.wallMs())
    .map(({ signature: _signature, ...one }) => ({ ...one, node: members.nameOf(one.peer) }));

const DECIDED = { tag: 'decisions', answer: decidedSchema, failures: [404, 409, 503], scope: 'admin' } as const;

/** Changing a grant needs scope admin; reading needs no token. */
export const GRANT_ROUTES: readonly Route[] = [
  get('/v1/grants', 'Grants: tools that policies may or may not use', { tag: 'decisions', answer: grantsAnswer }, (agent) =>
    ok({ grants: grantsOf(agent) }),
  ),
  post('/v1/grants', 'Allows or denies a tool to the policies of one machine', giveSchema, DECIDED, give),
  post(
    '/v1/grants/revoke',
    'Revokes a grant',
    z.strictObject({ grant: z.string().regex(/^[0-9a-f]{4,32}$/, 'an id of: kalos grant list'), reason }),
    DECIDED,
    (agent, { grant, reason: why }) => {
      const all = agent.decisions.state.grants.all(agent.swarm.time.wallMs()).filter(({ id }) => id.startsWith(grant));
      const [only] = all;
      if (only === undefined || all.length > 1)
        return failed(
          404,
          `${all.length === 0 ? 'no grant id begins' : `${counted(all.length, 'grant')} begin`} with ${grant}: see kalos grant list`,
        );
      return decide(agent, { kind: 'revoke', grant: only.id, reason: why });
    },
  ),
];
