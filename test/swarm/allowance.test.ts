// From the side of a user who asks without end: this agent asks no member so often that it would be cut off there, and everybody else has a turn.
import { describe, expect, it } from 'vitest';
import { Scheduler } from '../../sim/scheduler.ts';
import { Budgets } from '../../swarm/libp2p/budgets.ts';
import type { Clock } from '../../swarm/ports/clock.ts';
import { A_SECOND, Allowance, AT_ONCE, MAX_WAITING } from '../../swarm/query/allowance.ts';

function world() {
  const scheduler = new Scheduler();
  const clock: Clock = {
    wallMs: () => scheduler.nowMs,
    monotonicMs: () => scheduler.nowMs,
    after: (ms, run) => scheduler.after(ms, run),
  };
  const allowance = new Allowance(clock);
  const asked: { peer: string; asker: string; atMs: number }[] = [];
  const ask = async (peer: string, asker: string, withinMs = 60_000): Promise<void> => {
    if (!allowance.take(peer)) await allowance.turn(peer, asker, withinMs);
    asked.push({ peer, asker, atMs: scheduler.nowMs });
  };
  const run = async (untilMs: number): Promise<void> => {
    while (scheduler.step(untilMs)) await new Promise((resolve) => setImmediate(resolve));
  };
  return { ask, asked, run };
}

describe('what an agent asks of another for its users', () => {
  it('stays below what that one takes of it, with as much again for the swarm itself', async () => {
    const { ask, asked, run } = world();
    for (let turn = 0; turn < 24; turn++)
      for (let table = 0; table < 13; table++) ask('p', `user ${turn % 3}`).catch(() => undefined);
    await run(60_000);
    expect(asked.length).toBeGreaterThan(AT_ONCE + MAX_WAITING);
    let nowMs = 0;
    const barred: string[] = [];
    const budgets = new Budgets(
      () => nowMs,
      (peer) => void barred.push(peer),
    );
    for (const { atMs } of asked) {
      nowMs = atMs;
      for (let twice = 0; twice < 2; twice++) budgets.spend('this agent', 'requests');
    }
    expect(barred).toEqual([]);
  });

  it('is shared by turns: whoever comes later waits for no more than one turn of each other', async () => {
    const { ask, asked, run } = world();
    for (let i = 0; i < AT_ONCE + MAX_WAITING; i++) ask('p', 'greedy').catch(() => undefined);
    await run(1_000);
    void ask('p', 'administrator');
    await run(1_000 + (3 * 1_000) / A_SECOND);
    expect(asked.filter(({ asker }) => asker === 'administrator')).toHaveLength(1);
    void ask('q', 'greedy');
    await run(2_000);
    expect(asked.filter(({ peer }) => peer === 'q')).toHaveLength(1);
  });

  it('is refused with the reason where it would wait too long, or too much waits', async () => {
    const { ask, run } = world();
    for (let i = 0; i < AT_ONCE; i++) await ask('p', 'a');
    const late = ask('p', 'a', 100).catch((error: Error) => error.message);
    await run(100);
    expect(await late).toBe('not asked: this agent’s limit of 5 requests a second to a member is used up');
    for (let i = 0; i < MAX_WAITING; i++) ask('p', 'a').catch(() => undefined);
    await expect(ask('p', 'a')).rejects.toThrow('not asked: 100 requests to it are queued already');
    await expect(Promise.race([ask('p', 'b'), run(60_000)])).resolves.toBeUndefined();
  });
});
