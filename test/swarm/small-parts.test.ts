// Small parts that much is built on, each by its definition: the ages of statuses, turns of a queue, the clocks of peers.
import { describe, expect, it } from 'vitest';
import { silenceMs, statusAgeMs } from '../../swarm/membership/ages.ts';
import { FairQueue } from '../../swarm/query/fair-queue.ts';
import { ClockOffsets } from '../../swarm/state/clock-offsets.ts';

describe('the age of a status', () => {
  it('is half a minute up to a hundred members, then in proportion, and five minutes at most', () => {
    expect([1, 100, 101, 200, 1_000, 1_001, 50_000].map(statusAgeMs)).toEqual([
      30_000, 30_000, 30_300, 60_000, 300_000, 300_000, 300_000,
    ]);
    expect([1, 200, 5_000].map(silenceMs)).toEqual([90_000, 180_000, 900_000]);
  });
});

describe('a fair queue', () => {
  const drained = (queue: FairQueue<string>): string[] => {
    const all: string[] = [];
    for (let item = queue.next(); item !== undefined; item = queue.next()) all.push(item);
    return all;
  };

  it('gives each asker its turn, however much one has waiting', () => {
    const queue = new FairQueue<string>(10, 10);
    for (const item of ['a1', 'a2', 'a3', 'b1', 'c1', 'c2']) expect(queue.add(item[0] ?? '', item)).toBe(true);
    expect([queue.isEmpty, drained(queue), queue.isEmpty, queue.next()]).toEqual([
      false,
      ['a1', 'b1', 'c1', 'a2', 'c2', 'a3'],
      true,
      undefined,
    ]);
  });

  it('takes so many of each, and of so many', () => {
    const queue = new FairQueue<string>(2, 2);
    const taken = ['a1', 'a2', 'a3', 'b1', 'c1', 'b2', 'b3'].map((item) => queue.add(item[0] ?? '', item));
    expect(taken).toEqual([true, true, false, true, false, true, false]);
    queue.next();
    expect(queue.add('a', 'a4')).toBe(true);
  });

  it('gives a turn back, before what else that asker has', () => {
    const queue = new FairQueue<string>(5, 5);
    for (const item of ['a1', 'a2', 'b1']) queue.add(item[0] ?? '', item);
    const first = queue.next() ?? '';
    queue.back('a', first);
    expect(drained(queue)).toEqual(['b1', 'a1', 'a2']);
    queue.back('x', 'x1');
    expect(drained(queue)).toEqual(['x1']);
  });

  it('drops what waits no more, and no other', () => {
    const queue = new FairQueue<string>(5, 5);
    for (const item of ['a1', 'a2', 'b1']) queue.add(item[0] ?? '', item);
    queue.drop('a', 'a1');
    queue.drop('b', 'b1');
    queue.drop('c', 'c1');
    expect([queue.isEmpty, drained(queue)]).toEqual([false, ['a2']]);
    queue.add('a', 'a1');
    queue.drop('a', 'a1');
    expect(queue.isEmpty).toBe(true);
  });
});

describe('the clocks of peers', () => {
  const NOW = 1_000_000;
  const WALL = 1_700_000_000_000;
  /** Peers whose clocks are so much ahead of this one. */
  const heard = (...aheadMs: number[]): ClockOffsets => {
    const clocks = new ClockOffsets();
    for (const [nth, ahead] of aheadMs.entries()) clocks.heard(`p${nth}`, WALL + ahead, NOW);
    return clocks;
  };

  it('say by their median what this one is behind, where there are two at least', () => {
    const behind = (...ahead: number[]) => heard(...ahead).behindMs(WALL, NOW);
    expect([behind(), behind(5), behind(5, 7), behind(1, 100, -50), behind(4, 3, 2, 1)]).toEqual([
      undefined,
      undefined,
      6,
      1,
      2.5,
    ]);
    const clocks = heard(3_000, 3_000);
    expect([clocks.behindMs(WALL + 1_000, NOW), clocks.behindMs(WALL + 500, NOW + 500)]).toEqual([2_000, 3_000]);
  });

  it('are judged by the highest that came of each of late, up to sixteen', () => {
    const clocks = new ClockOffsets();
    for (const peer of ['a', 'b']) for (const late of [300, 20, 100]) clocks.heard(peer, WALL - late, NOW);
    expect(clocks.behindMs(WALL, NOW)).toBe(-20);
    const old = new ClockOffsets();
    for (const peer of ['a', 'b']) {
      old.heard(peer, WALL, NOW);
      old.heard(peer, WALL + 30_000 - 500, NOW + 30_000);
    }
    expect(old.behindMs(WALL + 64_999, NOW + 64_999)).toBe(0);
    expect(old.behindMs(WALL + 75_000, NOW + 75_000)).toBe(-500);
    expect(old.behindMs(WALL + 95_000, NOW + 95_000)).toBeUndefined();
    const many = new ClockOffsets();
    for (const peer of ['a', 'b']) {
      many.heard(peer, WALL + 900, NOW);
      for (let nth = 0; nth < 16; nth++) many.heard(peer, WALL, NOW);
    }
    expect(many.behindMs(WALL, NOW)).toBe(0);
  });

  it('count for what is late by no more than it may have waited', () => {
    const behind = (theirs: number, byMs: number) => {
      const clocks = new ClockOffsets();
      for (const peer of ['a', 'b']) clocks.heard(peer, WALL + theirs, NOW, { byMs, ourMs: WALL });
      return clocks.behindMs(WALL, NOW);
    };
    expect([behind(-3_000, 1_000), behind(-3_000, 9_000), behind(3_000, 9_000), behind(-3_000, 0)]).toEqual([
      -2_000, 0, 3_000, -3_000,
    ]);
  });

  it('correct this one as one of them, from two seconds on; of two halves its own is believed', () => {
    const correction = (...ahead: number[]) => heard(...ahead).correctionMs(WALL, NOW);
    expect([
      correction(),
      correction(9_000),
      correction(9_000, 9_000),
      correction(1_999, 1_999),
      correction(2_000, 2_000),
    ]).toEqual([0, 0, 9_000, 0, 2_000]);
    expect([
      correction(-9_000, -9_000),
      correction(9_000, -9_000),
      correction(5_000, 5_000, 0),
      correction(5_000, 5_000, 0, 0),
    ]).toEqual([-9_000, 0, 0, 0]);
    const clocks = heard(9_000, 9_000);
    expect([
      clocks.correctionMs(WALL, NOW),
      clocks.correctionMs(WALL + 4_000, NOW),
      clocks.correctionMs(WALL + 4_500, NOW + 500),
    ]).toEqual([9_000, 5_000, 5_000]);
  });

  it('show who is off, and who is not known', () => {
    const clocks = heard(0, 0, 8_000);
    expect([clocks.aheadMs('p2', NOW), clocks.aheadMs('p0', NOW), clocks.aheadMs('p9', NOW)]).toEqual([8_000, 0, undefined]);
    expect(heard(8_000).aheadMs('p0', NOW)).toBeUndefined();
    clocks.forget('p2');
    expect(clocks.aheadMs('p2', NOW)).toBeUndefined();
    expect(clocks.behindMs(WALL + 11_000, NOW + 11_000)).toBe(0);
  });

  it('are those of sixty-four, and who was not heard for long makes room', () => {
    const clocks = heard(...Array.from({ length: 64 }, () => 0));
    clocks.heard('late', WALL + 5_000, NOW);
    expect(clocks.aheadMs('late', NOW)).toBeUndefined();
    clocks.heard('late', WALL + 65_000 + 5_000, NOW + 65_000);
    clocks.heard('other', WALL + 65_000, NOW + 65_000);
    expect(clocks.aheadMs('late', NOW + 65_000)).toBe(2_500);
  });
});
