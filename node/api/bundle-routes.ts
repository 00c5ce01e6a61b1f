// The part of the local API about policies for all machines: pushed, tried on a few first, and what became of them.
import { z } from 'zod';
import { MAX_BUNDLE_CHARS, MAX_CANARIES, MAX_HASTE_MS } from '../../consensus/decisions/decision.ts';
import { counted } from '../../swarm/words.ts';
import type { Agent } from '../agent/agent.ts';
import { checkPolicy, MAX_RULES, parsePolicy } from '../agent/policies.ts';
import { PolicyError } from '../detection/policy-detector.ts';
import { bundlePushedAnswer, bundlesAnswer } from './answers/decisions.ts';
import { canariesOf } from './canaries.ts';
import { decide, ordered } from './decision-routes.ts';
import { type PushedAnswer, type RolloutAnswer, rolloutOf } from './rollouts.ts';
import { decidedSchema, failed, get, ok, post, type Route } from './route.ts';

const CAUGHT_UP_MS = 5_000;
const bundleSchema = z.strictObject({
  policies: z.array(z.unknown()).min(1).max(MAX_RULES),
  canary: z.array(z.string().min(1)).min(1).max(MAX_CANARIES).optional(),
  soakMs: z.number().int().min(MAX_HASTE_MS).max(86_400_000).default(60_000),
  findings: z.number().int().min(0).max(1_000).default(0),
});

export type BundleAnswer = PushedAnswer & { policies: string[] };
export type BundlesAnswer = RolloutAnswer<BundleAnswer>;

/** Those that a bundle says that it has: a coordinator that lies may have anything decided. */
function namesIn(policies: string): string[] {
  try {
    const named = z.array(z.object({ name: z.string() })).safeParse(JSON.parse(policies)).data ?? [];
    return named.map(({ name }) => name);
  } catch {
    return [];
  }
}

const bundlesOf = (agent: Agent): BundlesAnswer =>
  rolloutOf(agent, agent.decisions.state.bundles.state, ({ policies }) => ({ policies: namesIn(policies) }));

async function push(agent: Agent, { policies, canary, soakMs, findings }: z.infer<typeof bundleSchema>) {
  try {
    for (const policy of policies) checkPolicy(parsePolicy(policy));
  } catch (error) {
    if (error instanceof PolicyError) return failed(400, error.message);
    throw error;
  }
  if (JSON.stringify(policies).length > MAX_BUNDLE_CHARS)
    return failed(400, `a bundle is ${MAX_BUNDLE_CHARS} characters at most`);
  const peers = canariesOf(agent, canary);
  if ('status' in peers) return peers;
  return ordered(async () => {
    const outcome = await agent.parts.swarmPolicies.push(policies, { canary: peers, soakMs, findings });
    if (!outcome.ok) return failed(409, outcome.reason);
    await agent.decisions.reads.caughtUp(outcome.index, CAUGHT_UP_MS);
    const { candidate } = agent.decisions.state.bundles.state;
    await agent.noted(`a bundle of ${counted(policies.length, 'policy')} was pushed, decision ${outcome.index}`);
    return ok({
      index: outcome.index,
      bundle: candidate?.id ?? '',
      canary: peers.map((peer) => agent.swarm.members.nameOf(peer)),
    });
  });
}

/** What all machines judge by is an administrator's; to look is anybody's. */
export const BUNDLE_ROUTES: readonly Route[] = [
  get(
    '/v1/bundles',
    'Policies for all machines: in force, being tried, and what became of the last',
    { tag: 'rollouts', answer: bundlesAnswer },
    (agent) => ok(bundlesOf(agent)),
  ),
  post(
    '/v1/bundles',
    'Has policies tried on a few members, then taken by all in waves',
    bundleSchema,
    { tag: 'rollouts', answer: bundlePushedAnswer, failures: [404, 409, 503], scope: 'admin' },
    push,
  ),
  post(
    '/v1/bundles/withdraw',
    'Takes the newest bundle of policies back',
    z.strictObject({ reason: z.string().min(1).max(200) }),
    { tag: 'rollouts', answer: decidedSchema, failures: [404, 409, 503], scope: 'admin' },
    (agent, { reason }) => {
      const { candidate, good } = agent.decisions.state.bundles.state;
      const bundle = candidate?.id ?? good?.id;
      if (bundle === undefined) return failed(404, 'there is no bundle: see kalos policy bundle');
      return decide(agent, { kind: 'bundle-withdraw', bundle, reason });
    },
  ),
];
