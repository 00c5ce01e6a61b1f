// How long silence lasts before it is judged: as long as the gaps of late are, and no longer than where nothing stalls if there are none.
import { describe, expect, it } from 'vitest';
import { Patience } from '../../consensus/raft/patience.ts';

const SILENCE_MS = 800;

/** Somebody is heard each so many ms, for so long. */
function heard(patience: Patience, from: number, everyMs: number, forMs: number, startMs = 0): number {
  for (let ms = startMs; ms <= startMs + forMs; ms += everyMs) patience.heard(from, ms);
  return startMs + forMs;
}

describe('patience', () => {
  it('is the usual one where heartbeats come as they should', () => {
    const patience = new Patience();
    heard(patience, 1, 250, 60_000);
    expect(patience.stretch([1], SILENCE_MS)).toBe(1);
    expect(patience.stretch([], SILENCE_MS)).toBe(1);
  });

  it('grows with the longest gap, up to a limit, and shrinks within a minute after the last', () => {
    const patience = new Patience();
    let ms = heard(patience, 1, 1_600, 16_000);
    expect(patience.stretch([1], SILENCE_MS)).toBe(5);
    ms = heard(patience, 1, 20_000, 20_000, ms);
    expect(patience.stretch([1], SILENCE_MS)).toBe(8);
    ms = heard(patience, 1, 250, 62_000, ms + 250);
    expect(patience.stretch([1], SILENCE_MS)).toBe(1);
  });

  it('of a leader follows those of whom it needs a majority: one that stalls does not count', () => {
    const patience = new Patience();
    for (const id of [2, 3, 4]) heard(patience, id, 250, 30_000);
    heard(patience, 5, 3_000, 30_000);
    expect(patience.stretch([2, 3, 4, 5], SILENCE_MS)).toBe(1);
    const worse = new Patience();
    heard(worse, 2, 250, 30_000);
    for (const id of [3, 4, 5]) heard(worse, id, 1_600, 28_800);
    expect(worse.stretch([2, 3, 4, 5], SILENCE_MS)).toBe(5);
  });

  it('begins again where somebody else leads', () => {
    const patience = new Patience();
    heard(patience, 1, 3_000, 30_000);
    patience.clear();
    heard(patience, 1, 250, 1_000, 40_000);
    expect(patience.stretch([1], SILENCE_MS)).toBe(1);
  });

  it('counts each tick where nothing stalls, and as many fewer as it is stretched; late ones seldom', () => {
    const patience = new Patience();
    const counted = (stretch: number, isLate = false): number =>
      Array.from({ length: 60 }, () => patience.counts(stretch, isLate)).filter(Boolean).length;
    expect(counted(1)).toBe(60);
    expect(counted(3)).toBe(20);
    expect(counted(1, true)).toBe(20);
  });
});
