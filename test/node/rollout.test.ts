// How a rollout is followed to its end: whose turn it is, once each, over an agent that is away while it restarts.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RolloutAnswer } from '../../node/api/rollouts.ts';
import { EXIT } from '../../node/cli/exit-codes.ts';
import { follow } from '../../node/cli/rollout.ts';

const clock = vi.hoisted(() => ({ ms: 0 }));
vi.mock('node:timers/promises', () => ({
  setTimeout: (ms: number) => {
    clock.ms += ms;
    return Promise.resolve();
  },
}));
beforeEach(() => {
  clock.ms = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => clock.ms);
});
afterEach(() => vi.restoreAllMocks());

const NONE = { good: null, before: null, candidate: null, ended: null };
const turn = (done: string[], next: string[]) => ({ ...NONE, candidate: { turn: next, done } }) as unknown as RolloutAnswer;
const ended = (id: string, outcome: 'everywhere' | 'back', reason = ''): RolloutAnswer => ({
  ...NONE,
  ended: { id, atMs: 0, outcome, reason },
});

/** Of looks one after another, twice a second; a text is an error. */
const followed = async (looks: readonly (RolloutAnswer | string)[]) => {
  const left = [...looks];
  let out = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  const look = async (): Promise<RolloutAnswer> => {
    const next = left.shift() ?? 'nothing is left';
    if (typeof next === 'string') throw new Error(next);
    return next;
  };
  try {
    return { code: await follow({ id: 'u1', canary: ['ada'], look, everywhere: 'everywhere', back: 'taken back' }), out };
  } finally {
    write.mockRestore();
  }
};

describe('a rollout', () => {
  it('tells whose turn it is when that changes, until all have it', async () => {
    const looks = [
      NONE,
      turn([], ['ada']),
      turn(['ada'], ['bob', 'cy']),
      turn(['ada'], ['bob', 'cy']),
      turn(['ada', 'bob', 'cy'], ['dan']),
      ended('u0', 'back', 'another'),
      ended('u1', 'everywhere'),
    ];
    expect(await followed(looks)).toEqual({
      code: EXIT.ok,
      out: '1 member is healthy; next bob, cy\n3 members are healthy; next dan\neverywhere\n',
    });
    expect(clock.ms).toBe(looks.length * 500);
  });

  it('that goes back is refused, with the reason', async () => {
    await expect(followed([ended('u1', 'back', 'it hurt\u0007')])).rejects.toMatchObject({
      code: 'refused',
      message: 'taken back: it hurt�',
    });
  });

  it('goes on over an agent that is away for a minute, and not for longer', async () => {
    const away = (times: number): string[] => Array.from({ length: times }, () => 'away');
    expect((await followed([...away(120), NONE, ...away(120), ended('u1', 'everywhere')])).code).toBe(EXIT.ok);
    await expect(followed([...away(121), ended('u1', 'everywhere')])).rejects.toThrow('away');
  });
});
