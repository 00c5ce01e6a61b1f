// What a node does in a second does not grow unnoticed: counts of the deterministic simulator against those that were kept.
import { describe, expect, it } from 'vitest';
import { grownWork, readWorkFile, workOf } from '../support/work-figures.ts';

describe('what a node does in a second', () => {
  it.each([30, 100])(
    'is, of %i nodes, no more than test/bench/work.json has: else `npm run bench -- work --write REASON`',
    async (nodes) => {
      const kept = readWorkFile();
      const now = await workOf(nodes);
      expect(grownWork(kept.work[nodes] ?? {}, now)).toEqual([]);
      expect(now.rest?.events).toBeLessThanOrEqual(25);
    },
  );

  it('is told where it grew by more than a tenth, or is new', () => {
    const before = { rest: { events: 20, 'messages sync': 0.1 } };
    expect(grownWork(before, { rest: { events: 22, 'messages sync': 0.12 } })).toEqual([]);
    expect(grownWork(before, { rest: { events: 22.1, 'messages raft': 0.1 } })).toEqual([
      'rest: events 20.00 → 22.10 a node and second',
      'rest: messages raft 0.00 → 0.10 a node and second',
    ]);
  });
});
