// Votes under attack: `npm run bench -- ballots` runs ten thousand seeds of it.
import { describe, expect, it } from 'vitest';
import { ballots } from '../support/ballots.ts';

const SEEDS = 400;

describe('votes with as many liars as may be', () => {
  it('certify what is so, refute what is not, and believe nothing that liars make up', () => {
    const all = Array.from({ length: SEEDS }, (_, nth) => ballots(nth + 1));
    expect(all.flatMap(({ wrong }, nth) => wrong.map((text) => `seed ${nth + 1}: ${text}`))).toEqual([]);
    const sum = (of: 'claims' | 'certified' | 'forged'): number => all.reduce((total, one) => total + one[of], 0);
    // The network loses a tenth of what is sent, and a tenth abstains: not every claim comes through.
    expect(sum('certified')).toBeGreaterThan(sum('claims') / 10);
    expect(sum('forged')).toBeGreaterThan(SEEDS);
  });
});
