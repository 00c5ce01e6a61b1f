// The part of the local API about releases of KALOS: pushed, tried on a few first, and what became of them.
import { z } from 'zod';
import { MAX_CANARIES, MAX_HASTE_MS, MAX_RELEASE_BYTES } from '../../consensus/decisions/decision.ts';
import type { Agent } from '../agent/agent.ts';
import { upgradePushedAnswer, upgradesAnswer } from './answers/decisions.ts';
import { canariesOf } from './canaries.ts';
import { decide, ordered } from './decision-routes.ts';
import { type PushedAnswer, type RolloutAnswer, rolloutOf } from './rollouts.ts';
import { decidedSchema, failed, get, ok, post, type Route } from './route.ts';

const CAUGHT_UP_MS = 5_000;
/** As JSON has it, in base64. */
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
  return ordered(async () => {
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

/** What all machines run is an administrator's; to look is anybody's. */
export const UPGRADE_ROUTES: readonly Route[] = [
  get(
    '/v1/upgrades',
    'Releases of KALOS: good, being tried, and what became of the last',
    { tag: 'rollouts', answer: upgradesAnswer },
    (agent) => ok(upgradesOf(agent)),
  ),
  post(
    '/v1/upgrades',
    'Has a release tried on a few members, then taken by all in waves',
    upgradeSchema,
    { tag: 'rollouts', answer: upgradePushedAnswer, failures: [404, 409, 503], scope: 'admin', mostBytes: MAX_BODY_BYTES },
    push,
  ),
  post(
    '/v1/upgrades/withdraw',
    'Takes the newest release back',
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
