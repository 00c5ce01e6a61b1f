// NOVA's planner in its own thread: the same plan as on the agent's loop, and a thread that fails is replaced.
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type PlannerView, plan } from '../../consensus/committee/planner.ts';
import { NOTHING_PUSHED } from '../../consensus/decisions/rollout.ts';
import { findPackage } from '../../node/adapters/package.ts';
import { PlannerThread } from '../../node/adapters/planner-thread.ts';
import { patient } from '../support/patience.ts';

const WITHIN_MS = patient(20_000);
const thread = new PlannerThread(join(findPackage().root, 'bin', 'main.ts'));
afterAll(() => thread.close());

const member = (peer: string, unwellMs: number | undefined) => ({
  peer,
  name: `node-${peer}`,
  isAlive: true,
  ill: undefined,
  unwellMs,
  shortMs: undefined,
  services: ['db'],
  version: '1.0.0',
  domain: unwellMs === undefined ? 'rack-1' : 'rack-2',
});
const view: PlannerView = {
  nowMs: 1_000,
  self: 'a',
  voters: ['a'],
  members: [...'abcdefg'].map((peer) => member(peer, 'bdf'.includes(peer) ? 500 : undefined)),
  names: new Map([['z', 'node-z']]),
  bundles: NOTHING_PUSHED,
  upgrades: NOTHING_PUSHED,
  placements: [],
  movedMs: Number.NEGATIVE_INFINITY,
};

describe('the planner’s thread', () => {
  it('plans as the planner does', async () => {
    expect(await thread.plan(view, WITHIN_MS)).toEqual(plan(view));
    expect(plan(view).correlation).toMatchObject({ cause: 'domain', value: 'rack-2' });
  });

  it('that fails says so to who waits, and another takes its place', async () => {
    await expect(thread.plan(undefined as never, WITHIN_MS)).rejects.toThrow(/^the planner failed: /);
    expect(await thread.plan(view, WITHIN_MS)).toEqual(plan(view));
  });

  it('that takes too long is ended, and another takes its place', async () => {
    const waiting = [thread.plan(view, 1), thread.plan(view, WITHIN_MS)];
    const ended = await Promise.allSettled(waiting);
    // It was quick, or both were told; in any case the next one answers.
    for (const one of ended) if (one.status === 'rejected') expect(String(one.reason)).toContain('took longer than 1 ms');
    expect(await thread.plan(view, WITHIN_MS)).toEqual(plan(view));
  });
});
