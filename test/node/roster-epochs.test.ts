// Who belongs, as the coordinator has it decided: once it has stayed the same for a while, and again where that came to nothing.
import { describe, expect, it } from 'vitest';
import type { Decisions } from '../../node/decisions/decisions.ts';
import { RosterEpochs } from '../../node/decisions/roster-epochs.ts';
import type { Roster } from '../../swarm/identity/roster.ts';

function world() {
  const its = { nowMs: 1_000, roster: 1, newest: null as { digest: Uint8Array } | null };
  const wishes: unknown[] = [];
  const roster = { digest: () => Uint8Array.of(its.roster), members: () => Array(its.roster) } as unknown as Roster;
  const decisions = {
    state: {
      epochs: {
        get newest() {
          return its.newest;
        },
      },
    },
    decide: async (...asked: unknown[]) => {
      wishes.push(asked);
      throw new Error('no majority');
    },
  } as unknown as Decisions;
  const epochs = new RosterEpochs({ monotonicMs: () => its.nowMs }, roster, () => decisions);
  const at = (nowMs: number): number => {
    its.nowMs = nowMs;
    epochs.look();
    return wishes.length;
  };
  return { its, wishes, at };
}

describe('who belongs', () => {
  it('is decided once it is the same for five seconds, and asked for again each five where that came to nothing', () => {
    const { at, wishes } = world();
    expect([at(1_000), at(5_999), at(6_000), at(10_999), at(11_000)]).toEqual([0, 0, 1, 1, 2]);
    expect(wishes[0]).toEqual([{ kind: 'epoch', digest: Uint8Array.of(1), members: 1 }, 3_000]);
  });

  it('waits again after each change, and is not decided again while it is as was decided', () => {
    const { its, at, wishes } = world();
    at(1_000);
    its.roster = 2;
    expect([at(5_000), at(9_999), at(10_000)]).toEqual([0, 0, 1]);
    expect(wishes[0]).toEqual([{ kind: 'epoch', digest: Uint8Array.of(2), members: 2 }, 3_000]);
    its.newest = { digest: Uint8Array.of(2) };
    expect(at(60_000)).toBe(1);
    its.newest = { digest: Uint8Array.of(1) };
    expect(at(60_001)).toBe(2);
  });
});
