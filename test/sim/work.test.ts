// What a node does in a second does not grow unnoticed: counts of the deterministic simulator against those that were kept.
import { describe, expect, it } from 'vitest';
import { countAllocations } from '../support/allocations.ts';
import { ALLOCATED, grownWork, readWorkFile, workOf } from '../support/work-figures.ts';

describe('what a node does in a second', () => {
  it.each([30, 100])(
    'is, of %i nodes, no more than test/bench/work.json has: else `npm run bench -- work --write REASON`',
    async (nodes) => {
      const kept = readWorkFile();
      const now = await workOf(nodes);
      expect(grownWork(kept.work[nodes] ?? {}, now)).toEqual([]);
      expect(now.rest?.events).toBeLessThanOrEqual(25);
      expect(now.rest?.[ALLOCATED]).toBeGreaterThan(1_000);
    },
  );

  it('is told where it grew by more than a tenth, or is new', () => {
    const before = { rest: { events: 20, 'messages sync': 0.1 } };
    expect(grownWork(before, { rest: { events: 22, 'messages sync': 0.12 } })).toEqual([]);
    expect(grownWork(before, { rest: { events: 20, [ALLOCATED]: 1e9 } })).toEqual([]); // printed only
    expect(grownWork(before, { rest: { events: 22.1, 'messages raft': 0.1 } })).toEqual([
      'rest: events 20.00 → 22.10 a node and second',
      'rest: messages raft 0.00 → 0.10 a node and second',
    ]);
  });

  it('counts what was allocated, whether it is kept or collected', () => {
    const kept: number[][] = [];
    const counted = countAllocations();
    for (let nth = 0; nth < 1_000; nth++) kept[nth % 500] = new Array(1_000).fill(nth + 0.5);
    const bytes = counted();
    expect([kept.length, bytes > 8_000_000, bytes < 20_000_000]).toEqual([500, true, true]); // 8 bytes a number, and the arrays' own
  });
});
