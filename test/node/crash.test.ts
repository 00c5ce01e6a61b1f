// After a crash anywhere the machine is as it was or as intended, never between; nothing is done twice; what the audit had
// promised is there.
import { describe, expect, it } from 'vitest';
import { CASES, everyCrash, WRITES, wrongWith } from '../support/crash.ts';
import { tearEverywhere } from '../support/torn-log.ts';

const FEWEST_WRITES = 5;

describe.each(CASES.map((one) => [one.name, one] as const))('a crash at every write of %s', (_name, one) => {
  it('leaves nothing half-made, done twice or lost', async () => {
    let crashes = 0;
    const wrong: string[] = [];
    for await (const { point, outcome } of everyCrash(one)) {
      crashes++;
      wrong.push(...wrongWith(outcome).map((what) => `${point.write} write ${point.at}: ${what}`));
    }
    expect(wrong).toEqual([]);
    expect(crashes).toBeGreaterThanOrEqual(FEWEST_WRITES * WRITES.length);
  });
});

describe('level’s log, cut short or changed in its last batch', () => {
  it('gives that batch whole or not at all, and all batches before it', async () => {
    const { states, wrong } = await tearEverywhere(7);
    expect(wrong).toEqual([]);
    expect(states).toBeGreaterThan(20);
  });
});
