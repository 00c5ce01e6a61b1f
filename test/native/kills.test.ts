// kill -9 of the agent, the actuator and both in the middle of real changes; the benchmark `transaction` does it 200 times.
import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../../sim/random.ts';
import { KillRange, VICTIMS } from '../support/kills.ts';

const ROUNDS = 6;

describe.skipIf(process.getuid?.() !== 0)('kill -9 in the middle of a change', () => {
  it('leaves nothing half-made, done twice or lost', async () => {
    const range = new KillRange();
    const random = new SeededRandom(7, 'kills');
    try {
      await range.start();
      for (let round = 0; round < ROUNDS; round++) await range.kill(VICTIMS[round % VICTIMS.length] ?? 'both', random, round);
      range.judgeLog();
    } finally {
      await range.stop();
    }
    expect(range.tally.wrong).toEqual([]);
    expect(range.tally.kills).toBe(ROUNDS);
  });
});
