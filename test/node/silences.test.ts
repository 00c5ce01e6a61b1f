// Silences: they cover what they name and nothing else, end by themselves, and survive a restart.
import { describe, expect, it } from 'vitest';
import { MAX_SILENCE_MS, Silences, silenceRequestSchema } from '../../node/action/silences.ts';
import { PlainStore } from '../support/store.ts';

const request = { forMs: 60_000, reason: 'work' };

describe('a silence', () => {
  it('covers the policy, the target, or the pair that it names', async () => {
    const silences = new Silences(new PlainStore());
    await silences.add('a', { ...request, policy: 'p' }, 0);
    await silences.add('b', { ...request, target: 't' }, 0);
    await silences.add('c', { ...request, policy: 'q', target: 'u' }, 0);
    const covered = (policy: string, target: string) => silences.covering(policy, target, 1)?.id;
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
    const silences = new Silences(store);
    await silences.add('a', { ...request, policy: 'p' }, 0);
    await silences.add('b', { ...request, policy: 'r' }, 0);
    expect([await silences.remove('b'), await silences.remove('b')]).toEqual([true, false]);
    const again = new Silences(store);
    await again.open();
    expect([again.covering('p', 't', 59_999)?.id, again.covering('p', 't', 60_000), again.covering('r', 't', 1)]).toEqual([
      'a',
      undefined,
      undefined,
    ]);
    await again.add('c', { ...request, policy: 's' }, 70_000);
    expect([...store.content.keys()]).toEqual(['silence/c']);
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
    const silences = new Silences(new PlainStore());
    for (let i = 0; i < 256; i++) await silences.add(`s${i}`, { ...request, policy: 'p' }, 0);
    await expect(silences.add('more', { ...request, policy: 'p' }, 0)).rejects.toThrow(RangeError);
  });
});
