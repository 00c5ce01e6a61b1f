// Routes of releases: push one to all members, canaries first; its state; and its roll back.
import { z } from 'zod';
import { MAX_CANARIES, MAX_HASTE_MS, MAX_RELEASE_BYTES } from '../../consensus/decisions/decision.ts';
import type { Agent } from '../agent/agent.ts';
import { upgradePushedAnswer, upgradesAnswer } from './answers/decisions.ts';
import { canariesOf } from './canaries.ts';
import { decide, deciding } from './decision-routes.ts';
import { type PushedAnswer, type RolloutAnswer, rolloutOf } from './rollouts.ts';
import { decidedSchema, failed, get, ok, post, type Route } from './route.ts';

const CAUGHT_UP_MS = 5_000;
/** A release in base64 within JSON. */
const MAX_BODY_BYTES = Math.ceil((MAX_RELEASE_BYTES * 4) / 3) + 65_536;
const upgradeSchema = z.strictObject({
  archive: z.base64().min(1),
  canary: z.array(z.string().min(1)).min(1).max(MAX_CANARIES).optional(),
  soakMs: z.number().int().min(MAX_HASTE_MS).max(86_400_000).default(600_000),
});

export type UpgradeAnswer = PushedAnswer & { version: string; digest: string };
export type UpgradesAnswer = RolloutAnswer<UpgradeAnswer> & { versions: { node: string; version: string }[] };

function upgradesOf(agent: Agent): UpgradesAnswer {
  const { members } = agent.swarm;
  const rollout = rolloutOf(agent, agent.decisions.state.upgrades.state, ({ version, digest }) => ({ version, digest }));
  const versions = members.alive().map((peer) => ({
    node: members.nameOf(peer),
    version: members.statusOf(peer)?.version ?? 'unknown',
  }));
  return { ...rollout, versions };
}

async function push(agent: Agent, { archive, canary, soakMs }: z.infer<typeof upgradeSchema>) {
  const bytes = Buffer.from(archive, 'base64');
  if (bytes.length > MAX_RELEASE_BYTES) return failed(400, `a release is ${MAX_RELEASE_BYTES} bytes at most`);
  const peers = canariesOf(agent, canary);
  if ('status' in peers) return peers;
  return deciding(async () => {
    const pushed = await agent.parts.upgrades
      .push(bytes, { canary: peers, soakMs })
      .catch((error: Error) => failed(400, error.message));
    if ('status' in pushed) return pushed;
    if (!pushed.ok) return failed(409, pushed.reason);
    await agent.decisions.reads.caughtUp(pushed.index, CAUGHT_UP_MS);
    const { candidate } = agent.decisions.state.upgrades.state;
    await agent.noted(`KALOS ${candidate?.version} was pushed, decision ${pushed.index}`);
    const named = peers.map((peer) => agent.swarm.members.nameOf(peer));
    return ok({ index: pushed.index, upgrade: candidate?.id ?? '', version: candidate?.version ?? '', canary: named });
  });
}

/** Changing the release of all machines needs scope admin; reading needs no token. */
export const UPGRADE_ROUTES: readonly Route[] = [
  get(
    '/v1/upgrades',
    'KALOS releases: active, in roll-out, and the last result',
    { tag: 'rollouts', answer: upgradesAnswer },
    (agent) => ok(upgradesOf(agent)),
  ),
  post(
    '/v1/upgrades',
    'Rolls out a release: canaries, then waves',
    upgradeSchema,
    { tag: 'rollouts', answer: upgradePushedAnswer, failures: [404, 409, 503], scope: 'admin', maxBytes: MAX_BODY_BYTES },
    push,
  ),
  post(
    '/v1/upgrades/withdraw',
    'Rolls back the newest release',
    z.strictObject({ reason: z.string().min(1).max(200) }),
    { tag: 'rollouts', answer: decidedSchema, failures: [404, 409, 503], scope: 'admin' },
    (agent, { reason }) => {
      const { candidate, good } = agent.decisions.state.upgrades.state;
      const upgrade = candidate?.id ?? good?.id;
      if (upgrade === undefined) return failed(404, 'there is no release: see kalos upgrade status');
      return decide(agent, { kind: 'upgrade-withdraw', upgrade, reason });
    },
  ),
];
