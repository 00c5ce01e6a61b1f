// Silences: they cover what they name and nothing else, end by themselves, and survive a restart.
import { describe, expect, it } from 'vitest';
import { MAX_SILENCE_MS, Silences, silenceRequestSchema } from '../../node/action/silences.ts';
import { SeededRandom } from '../../sim/random.ts';
import { PlainStore } from '../support/store.ts';

const request = { forMs: 60_000, reason: 'work' };
const noted: [string, string | undefined][] = [];
const silencesOn = (store: PlainStore, clock: ReturnType<typeof clockAt>) =>
  new Silences(
    { store, clock, random: new SeededRandom(1, 's') },
    { noted: async (text, subject) => void noted.push([text, subject]) },
  );
const HOUR_MS = 3_600_000;

/** The one that counts, and the one that can be set. */
const clockAt = (monotonicMs: number, wallMs = monotonicMs) => {
  const clock = {
    nowMs: monotonicMs,
    aheadMs: wallMs - monotonicMs,
    monotonicMs: () => clock.nowMs,
    wallMs: () => clock.nowMs + clock.aheadMs,
  };
  return clock;
};

describe('a silence', () => {
  it('covers the policy, the target, or the pair that it names', async () => {
    const silences = silencesOn(new PlainStore(), clockAt(0));
    await silences.add({ ...request, policy: 'p' }, 'a');
    await silences.add({ ...request, target: 't' }, 'b');
    await silences.add({ ...request, policy: 'q', target: 'u' }, 'c');
    const covered = (policy: string, target: string) => silences.covering(policy, target)?.id;
    expect([covered('p', 'x'), covered('x', 't'), covered('q', 'u'), covered('q', 'x'), covered('x', 'u')]).toEqual([
      'a',
      'b',
      'c',
      undefined,
      undefined,
    ]);
  });

  it('ends by itself or when it is lifted, and survives a restart until then', async () => {
    const store = new PlainStore();
    const clock = clockAt(0);
    const silences = silencesOn(store, clock);
    await silences.add({ ...request, policy: 'p' }, 'a');
    await silences.add({ ...request, policy: 'r' }, 'b');
    noted.length = 0;
    expect([await silences.remove('b'), await silences.remove('b')]).toEqual([true, false]);
    expect(noted).toEqual([['the silence was removed', 'b']]);
    const again = silencesOn(store, clock);
    await again.open();
    for (const one of [silences, again]) {
      clock.nowMs = 59_999;
      expect([one.covering('p', 't')?.id, one.covering('r', 't')]).toEqual(['a', undefined]);
      clock.nowMs = 60_000;
      expect(one.covering('p', 't')).toBeUndefined();
    }
    clock.nowMs = 70_000;
    await again.add({ ...request, policy: 's' }, 'c');
    expect([...store.content.keys()]).toEqual(['silence/c']);
  });

  it.each([1_000, -1_000, 2 * HOUR_MS, -2 * HOUR_MS, 25 * HOUR_MS, -73 * HOUR_MS])(
    'lasts for as long as was said when the clock is set by %s ms',
    async (stepMs) => {
      const clock = clockAt(5_000, 1_700_000_000_000);
      const silences = silencesOn(new PlainStore(), clock);
      const { untilMs } = await silences.add({ ...request, policy: 'p' }, 'a');
      clock.nowMs += 59_000;
      clock.aheadMs += stepMs;
      expect(silences.covering('p', 't')).toMatchObject({ id: 'a', untilMs: untilMs + stepMs });
      clock.nowMs += 1_000;
      expect(silences.active()).toEqual([]);
    },
  );

  it.each<[string, object, boolean]>([
    ['a policy for a second', { policy: 'p', forMs: 1_000, reason: 'w' }, true],
    ['a target for thirty days', { target: 't', forMs: 30 * 86_400_000, reason: 'w'.repeat(200) }, true],
    ['both, with names of one and of 64 characters', { policy: 'p', target: 't'.repeat(64), forMs: 1_000, reason: 'w' }, true],
    ['less than a second', { policy: 'p', forMs: 999, reason: 'w' }, false],
    ['longer than thirty days', { policy: 'p', forMs: 30 * 86_400_000 + 1, reason: 'w' }, false],
    ['half a millisecond', { policy: 'p', forMs: 1_000.5, reason: 'w' }, false],
    ['a name of 65 characters', { policy: 'p'.repeat(65), forMs: 1_000, reason: 'w' }, false],
    ['a name with a wildcard', { policy: 'p?', forMs: 1_000, reason: 'w' }, false],
    ['no reason', { policy: 'p', forMs: 1_000, reason: '' }, false],
    ['a reason of 201 characters', { policy: 'p', forMs: 1_000, reason: 'w'.repeat(201) }, false],
    ['neither a policy nor a target', { forMs: 1_000, reason: 'w' }, false],
    ['something else beside them', { policy: 'p', forMs: 1_000, reason: 'w', host: 'h' }, false],
  ])('is asked for with %s', (_title, asked, isRight) => {
    expect(silenceRequestSchema.safeParse(asked).success).toBe(isRight);
  });

  it('is listed with what it names and nothing else, the next to end first', async () => {
    const silences = silencesOn(new PlainStore(), clockAt(0));
    await silences.add({ ...request, forMs: 90_000, policy: 'p' }, 'a');
    await silences.add({ ...request, target: 't' }, 'b');
    expect(silences.active()).toStrictEqual([
      { id: 'b', untilMs: 60_000, reason: 'work', target: 't' },
      { id: 'a', untilMs: 90_000, reason: 'work', policy: 'p' },
    ]);
  });

  it('that cannot be read is as none', async () => {
    const store = new PlainStore();
    store.content.set('silence/x', new Uint8Array([0xa0]));
    const silences = silencesOn(store, clockAt(0));
    await silences.open();
    expect(silences.active()).toEqual([]);
  });

  it('of an id that is used again ends by what was said last', async () => {
    const clock = clockAt(0);
    const silences = silencesOn(new PlainStore(), clock);
    await silences.add({ ...request, policy: 'p' }, 'a');
    await silences.remove('a');
    clock.nowMs = 30_000;
    await silences.add({ ...request, policy: 'p' }, 'a');
    expect(silences.active()[0]?.untilMs).toBe(90_000);
  });

  it('never means all, has an end, and is bounded in number', async () => {
    for (const wrong of [
      request,
      { ...request, policy: '' },
      { ...request, target: '*' },
      { ...request, policy: 'p', forMs: MAX_SILENCE_MS + 1 },
    ]) {
      expect(silenceRequestSchema.safeParse(wrong).success).toBe(false);
    }
    const silences = silencesOn(new PlainStore(), clockAt(0));
    for (let i = 0; i < 256; i++) await silences.add({ ...request, policy: 'p' }, `s${i}`);
    await expect(silences.add({ ...request, policy: 'p' }, 'more')).rejects.toThrow(RangeError);
  });
});
