// The pause before a remedy is tried again, learned from how it did before; and the order in which services are started.
import { describe, expect, it } from 'vitest';
import { startOrder } from '../../node/action/bring-up.ts';
import { backoffMs } from '../../node/decision/backoff.ts';

describe('the pause before another attempt', () => {
  it('grows with each attempt and with what failed before, shrinks with what worked, and has bounds', () => {
    expect([1, 2, 3].map((attempt) => backoffMs({ worked: 0, failed: 0 }, attempt))).toEqual([5_000, 10_000, 15_000]);
    expect(backoffMs({ worked: 0, failed: 3 }, 1)).toBe(20_000);
    expect(backoffMs({ worked: 9, failed: 0 }, 1)).toBe(2_000);
    expect(backoffMs({ worked: 0, failed: 1_000 }, 9)).toBe(300_000);
  });
});

describe('the order of services', () => {
  const service = (name: string, ...after: string[]) => ({ name, command: ['true'], after });
  const names = (result: ReturnType<typeof startOrder>) => (result.ok ? result.services.map(({ name }) => name) : result);

  it('puts each after those that it needs, otherwise as declared', () => {
    expect(names(startOrder([service('web', 'db', 'cache'), service('db'), service('cache', 'db'), service('other')]))).toEqual([
      'db',
      'other',
      'cache',
      'web',
    ]);
  });

  it('names a circle, and a service that needs one that is not declared', () => {
    expect(names(startOrder([service('a', 'b'), service('b', 'a'), service('c')]))).toEqual({ ok: false, names: ['a', 'b'] });
    expect(names(startOrder([service('a', 'missing')]))).toEqual({ ok: false, names: ['a'] });
  });
});
