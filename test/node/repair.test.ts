// Anti-entropy of one agent: whom it pulls from, how soon, how often while all is calm, and whom it comes back to.
import { describe, expect, it } from 'vitest';
import { Repair } from '../../node/link/repair.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Transport } from '../../swarm/ports/transport.ts';
import type { Replica } from '../../swarm/state/replica.ts';
import { pass } from '../support/virtual.ts';

/** An answer without anything in it; `more`: there is more. */
const answer = (more = false): Uint8Array => encodeCbor([[], [], more]);

function world(connected: string[]) {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler);
  const asked: string[] = [];
  const its = { complete: true, more: 0, news: 0, missedOf: undefined as string | undefined, fails: false };
  const transport = {
    connectedPeers: () => connected,
    request: async (peer: string) => {
      asked.push(`${Math.round(clock.monotonicMs())} ${peer}`);
      if (its.fails) throw new Error('gone');
      return answer(its.more-- > 0);
    },
  } as unknown as Transport;
  const replica = { encodeDigests: () => new Uint8Array() } as unknown as Replica;
  const repair = new Repair({ transport, clock, random: new SeededRandom(3, 'repair') }, replica, 'sync', {
    pulled: () => ({ news: its.news, missed: asked.at(-1)?.endsWith(` ${its.missedOf}`) === true ? 1 : 0 }),
    isComplete: () => its.complete,
  });
  const take = (): string[] => asked.splice(0);
  return { repair, its, take, pump: (ms: number) => pass(scheduler, ms) };
}
const times = (asked: readonly string[]): number[] => asked.map((one) => Number(one.split(' ')[0]));

describe('pulls', () => {
  it('come at once when one connects, then ever more seldom while all is calm', async () => {
    const { repair, take, pump } = world(['a']);
    repair.connected('a');
    await pump(100_000);
    expect(times(take())).toEqual([0, 500, 1_500, 3_500, 7_500, 15_500, 31_500, 61_500, 91_500]);
  });

  it('stay frequent while something is missing', async () => {
    const { repair, its, take, pump } = world(['a']);
    its.complete = false;
    repair.connected('a');
    await pump(20_000);
    expect(times(take())).toEqual([0, 500, 1_500, 3_500, 6_500, 9_500, 12_500, 15_500, 18_500]);
  });

  it('of many that connect at once ask one', async () => {
    const { repair, take, pump } = world(['a', 'b', 'c']);
    for (const peer of ['a', 'b', 'c']) repair.connected(peer);
    await pump(499);
    expect(take()).toEqual(['0 a']);
    await pump(1_100);
    take();
    await pump(500);
    repair.connected('c');
    expect(take().at(-1)).toMatch(/ c$/);
  });

  it('come soon where something is likely to be missing, and every few seconds where gossip does not bring it', async () => {
    const { repair, take, pump } = world(['a']);
    repair.connected('a');
    await pump(70_000);
    take();
    repair.soon();
    await pump(2_500);
    const [first = 0] = times(take());
    expect(first >= 70_500 && first < 72_500).toBe(true);
    await pump(100_000);
    take();
    repair.often();
    await pump(8_000);
    expect(times(take()).length).toBe(1);
  });

  it('go on at once where an answer brought news and was not all, not where it brought nothing', async () => {
    const { repair, its, take, pump } = world(['a']);
    Object.assign(its, { more: 2, news: 5 });
    repair.connected('a');
    await pump(400);
    expect(times(take())).toEqual([0, 50, 100]);
    await pump(60_000);
    take();
    Object.assign(its, { more: 3, news: 0 });
    await repair.pullFrom('a');
    await pump(400);
    expect(times(take()).length).toBe(1);
  });

  it('come back to who had what gossip did not bring, until that was for nothing ten times', async () => {
    const { repair, its, take, pump } = world(['a', 'b', 'c', 'd', 'e', 'f']);
    its.complete = false;
    its.missedOf = 'c';
    repair.connected('c');
    its.missedOf = 'c';
    await pump(30_000);
    const asked = take();
    const ofC = asked.filter((one) => one.endsWith(' c'));
    expect(ofC.length).toBe(new Set(times(asked)).size); // at each pull
    its.missedOf = undefined;
    await pump(30_000 + 3_000);
    expect(take().filter((one) => one.endsWith(' c')).length).toBeGreaterThanOrEqual(10);
    await pump(60_000);
    const later = take();
    expect(later.filter((one) => one.endsWith(' c')).length).toBeLessThan(new Set(times(later)).size);
  });

  it('that fail are forgotten, and none come after it was stopped', async () => {
    const { repair, its, take, pump } = world(['a']);
    its.fails = true;
    repair.connected('a');
    await pump(10_000);
    expect(take().length).toBe(5);
    repair.stop();
    repair.soon();
    repair.often();
    await pump(60_000);
    expect(take()).toEqual([]);
  });
});
