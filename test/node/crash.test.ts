// A crash at every write of a transaction, with the write lost, durable, or refused by a full disk: nothing done twice, nothing done without an intent, nothing left half-made in
// the journal, no promised audit record gone.
import { describe, expect, it } from 'vitest';
import type { ToolCall } from '../../node/decision/plan.ts';
import { everyCrash } from '../support/crash.ts';

const CALLS: ToolCall[] = [
  { tool: 'service.restart', service: 'web' },
  { tool: 'service.start', service: 'web' },
  { tool: 'service.stop', service: 'web' },
];

describe.each(CALLS.map((call) => [call.tool, call] as const))('a crash at every write of %s', (_name, call) => {
  it('leaves nothing half-made, repeats nothing, loses no promised record', async () => {
    let points = 0;
    for await (const { point, outcome } of everyCrash(call)) {
      points++;
      const where = `${point.write} write ${point.at}`;
      expect(outcome.deeds, where).toBeLessThanOrEqual(Math.min(1, outcome.intents));
      expect(outcome.openJournal, where).toBe(0);
      expect(outcome.auditBroken, where).toBeUndefined();
      expect(outcome.lostRecords, where).toBe(0);
    }
    expect(points).toBeGreaterThanOrEqual(15);
  });
});
