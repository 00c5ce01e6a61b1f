// How a roll-out goes on: who is next, when it waits, and when it goes back.
import { describe, expect, it } from 'vitest';
import type { RolloutState } from '../../consensus/decisions/rollout.ts';
import { nextStep } from '../../consensus/decisions/waves.ts';

const SOAK_MS = 60_000;
const names = (count: number): string[] => Array.from({ length: count }, (_, nth) => String.fromCharCode(97 + nth));

/** Of members a, b, c …; a coordinates; b is the canary, and says that it does well. */
function step(
  count: number,
  voters: string,
  trial: object = {},
  ill: Record<string, string | undefined> = {},
  away = '',
  nowMs = SOAK_MS,
) {
  const candidate = {
    ...{ id: 'id', by: 'a', atMs: 0, pushedMs: 0, canary: ['b'], soakMs: SOAK_MS, phase: 'canary', sinceMs: 0 },
    reports: [{ peer: 'b', ok: true, reason: '' }],
    ...trial,
  };
  const members = names(count).map((peer) => ({ peer, isAlive: !away.includes(peer), ill: ill[peer] }));
  const view = { nowMs, self: 'a', voters: [...voters], members };
  return nextStep('upgrade', { candidate } as unknown as RolloutState<never>, view, (peer) => peer.toUpperCase());
}
const next = (...given: Parameters<typeof step>): unknown => (step(...given) as { next?: string[] } | undefined)?.next?.join('');
const back = (...given: Parameters<typeof step>): unknown => (step(...given) as { reason?: string } | undefined)?.reason;
const well = (peers: string) => [...peers].map((peer) => ({ peer, ok: true, reason: '' }));

describe('the next wave', () => {
  it.each([
    ['twice as many as had it, less than half of the voters', 13, 'abcde', {}, {}, '', 'cd'],
    ['at most one voter of three', 13, 'bcd', {}, {}, '', 'ce'],
    ['a quarter of all at most', 9, '', { phase: 'wave', wave: ['c', 'd'], reports: well('cd') }, {}, '', 'ef'],
    ['none that is ill or away', 13, 'abc', {}, { c: 'slow' }, 'd', 'ef'],
    ['the coordinator last, and alone', 4, '', { phase: 'wave', wave: ['d'], before: ['c'], reports: well('d') }, {}, '', 'a'],
    ['nobody where all have it', 2, '', { phase: 'wave', wave: ['a'], reports: well('a') }, {}, '', ''],
  ] as const)('is %s', (_, count, voters, trial, ill, away, expected) => {
    expect(next(count, voters, trial, ill, away)).toBe(expected);
  });

  it('waits until its time is over and all canaries have said how they do', () => {
    expect(step(9, '', {}, {}, '', SOAK_MS - 1)).toBeUndefined();
    expect(step(9, '', { reports: [] })).toBeUndefined();
    expect(step(9, '', {})).toBeDefined();
  });

  it('of a bundle goes the same way, but for one of before 0.3.0, which goes to all', () => {
    const of = (pushedMs: number | undefined) =>
      nextStep(
        'bundle',
        { candidate: { id: 'id', canary: ['b'], soakMs: 1, phase: 'canary', sinceMs: 0, pushedMs, reports: well('b') } } as never,
        { nowMs: 2, self: 'a', voters: [], members: names(4).map((peer) => ({ peer, isAlive: true, ill: undefined })) },
        (peer) => peer,
      );
    expect(of(5)).toEqual({ kind: 'bundle-advance', bundle: 'id', next: ['c'] });
    expect(of(undefined)).toEqual({ kind: 'bundle-advance', bundle: 'id' });
  });
});

describe('a roll-out goes back', () => {
  it('at once where one says that it does harm', () => {
    expect(back(9, '', { reports: [{ peer: 'b', ok: false, reason: 'boom' }] }, {}, '', 1)).toBe('B: boom');
  });

  it('where the canary is ill after its restart, with what is wrong', () => {
    expect(back(9, '', {}, { b: 'slow' }, '', 44_999)).toBeUndefined();
    expect(back(9, '', {}, { b: 'slow' }, '', 45_000)).toBe('since their wave began: B slow');
  });

  it('where two of a wave are ill together, or its only one; one of several is not waited for', () => {
    const wave = { phase: 'wave', wave: ['c', 'd', 'e'], reports: well('e') };
    expect(back(13, '', wave, { c: 'slow', d: 'lossy' })).toBe('since their wave began: C slow, D lossy');
    expect(next(13, '', { ...wave, reports: well('de') }, { c: 'slow' })).toBe('fgh');
    expect(back(13, '', { phase: 'wave', wave: ['c'], reports: [] }, { c: 'slow' })).toBe('since their wave began: C slow');
    expect(back(2, '', { phase: 'wave', wave: ['z'], reports: [] })).toBe('since their wave began: Z is down');
  });

  it('where a canary has not said how it does for too long', () => {
    expect(back(9, '', { reports: [] }, {}, '', 10 * SOAK_MS)).toBe('B did not report');
  });
});
