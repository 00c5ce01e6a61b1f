// Routes of policy bundles: push one to all members, canaries first; its state; and its roll back.
import { z } from 'zod';
import { MAX_BUNDLE_CHARS, MAX_CANARIES, MAX_HASTE_MS } from '../../consensus/decisions/decision.ts';
import { counted } from '../../swarm/words.ts';
import type { Agent } from '../agent/agent.ts';
import { checkPolicy, MAX_RULES, parsePolicy } from '../agent/policies.ts';
import { PolicyError } from '../detection/policy-detector.ts';
import { bundlePushedAnswer, bundlesAnswer } from './answers/decisions.ts';
import { canariesOf } from './canaries.ts';
import { decide, deciding } from './decision-routes.ts';
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

/** The names in a bundle. A lying leader may have any text decided, so the text is parsed like untrusted input. */
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
  return deciding(async () => {
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

/** Changing the policies of all machines needs scope admin; reading needs no token. */
export const BUNDLE_ROUTES: readonly Route[] = [
  get(
    '/v1/bundles',
    'Policy bundles: active, in roll-out, and the last result',
    { tag: 'rollouts', answer: bundlesAnswer },
    (agent) => ok(bundlesOf(agent)),
  ),
  post(
    '/v1/bundles',
    'Rolls out policies: canaries, then waves',
    bundleSchema,
    { tag: 'rollouts', answer: bundlePushedAnswer, failures: [404, 409, 503], scope: 'admin' },
    push,
  ),
  post(
    '/v1/bundles/withdraw',
    'Rolls back the newest policy bundle',
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
