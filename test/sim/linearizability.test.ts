// The judge of histories: against recorded ones where they are, against every order on small random ones, and on what it must catch.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  linearizability,
  type Operation,
  type RegisterInput,
  type RegisterOutput,
  registers,
} from '../../sim/check/linearizability.ts';
import { historyDirectory, recordedHistories } from '../support/histories.ts';

type Op = Operation<RegisterInput, RegisterOutput>;
const directory = historyDirectory(undefined);
const at = (called: number, returned: number, input: RegisterInput, output: RegisterOutput | undefined): Op => ({
  input,
  output,
  called,
  returned,
});
const write = (value: string): RegisterInput => ({ kind: 'write', key: 'k', value });
const READ: RegisterInput = { kind: 'read', key: 'k' };

/** Whether any order at all will do: all of them are tried. */
function anyOrder(history: readonly Op[]): boolean {
  const model = registers(null);
  const from = (state: typeof model.initial, left: readonly Op[]): boolean =>
    left.every(({ output }) => output === undefined) ||
    left.some((one) => {
      // Nothing that has returned before it was called may come after it.
      const isNext = left.every((other) => other === one || other.output === undefined || other.returned >= one.called);
      const next = isNext ? model.step(state, one.input, one.output) : undefined;
      return (
        next !== undefined &&
        from(
          next,
          left.filter((other) => other !== one),
        )
      );
    });
  return from(model.initial, history);
}

describe('a history of registers', () => {
  it('that reads what was overwritten before it began is none', () => {
    const history = [at(0, 1, write('a'), true), at(2, 3, write('b'), true), at(4, 5, READ, 'a')];
    const judged = linearizability(registers(null), history);
    expect(judged).toMatchObject({ ok: false, part: 'k' });
    expect(judged.ok === false && judged.longest.length).toBe(2);
    expect(linearizability(registers(null), [...history.slice(0, 2), at(1, 5, READ, 'a')]).ok).toBe(true);
  });

  it('whose write may have been lost may show it later, or never, but not both ways', () => {
    const lost = at(0, 1, write('a'), undefined);
    expect(linearizability(registers(null), [lost, at(5, 6, READ, 'a')]).ok).toBe(true);
    expect(linearizability(registers(null), [lost, at(5, 6, READ, null)]).ok).toBe(true);
    expect(linearizability(registers(null), [lost, at(5, 6, READ, null), at(7, 8, READ, 'a')]).ok).toBe(true);
    expect(linearizability(registers(null), [lost, at(5, 6, READ, 'a'), at(7, 8, READ, null)]).ok).toBe(false);
  });

  it('compares and sets, appends, and is judged key by key', () => {
    const cas = (from: string, to: string, key = 'k'): RegisterInput => ({ kind: 'cas', key, from, to });
    const history = [at(0, 1, write('a'), true), at(2, 9, cas('a', 'b'), true), at(3, 8, cas('a', 'c'), false)];
    expect(linearizability(registers(null), history).ok).toBe(true);
    expect(linearizability(registers(null), [...history, at(10, 11, READ, 'c')]).ok).toBe(false);
    const append = (value: string): RegisterInput => ({ kind: 'append', key: 'other', value });
    const other = [at(0, 5, append('x'), true), at(0, 5, append('y'), true), at(6, 7, { kind: 'read', key: 'other' }, 'yx')];
    expect(linearizability(registers(''), other).ok).toBe(true);
    expect(linearizability(registers(null), [...history, at(4, 5, { kind: 'read', key: 'third' }, 'b')]).ok).toBe(false);
  });

  it('is judged as by trying every order', () => {
    const value = fc.constantFrom('a', 'b');
    const input = fc.oneof(
      fc.constant(READ),
      value.map(write),
      fc.tuple(value, value).map(([from, to]): RegisterInput => ({ kind: 'cas', key: 'k', from, to })),
    );
    const operation = fc
      .tuple(
        input,
        fc.integer({ min: 0, max: 12 }),
        fc.integer({ min: 0, max: 5 }),
        fc.constantFrom(null, 'a', 'b'),
        fc.boolean(),
        fc.nat(5),
      )
      .map(([one, called, took, read, isDone, unknown]): Op => {
        const output = unknown === 0 ? undefined : one.kind === 'read' ? read : one.kind === 'cas' ? isDone : true;
        return at(called, called + took, one, output);
      });
    const seen = { true: 0, false: 0 };
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 6 }), (history) => {
        const expected = anyOrder(history);
        seen[`${expected}`]++;
        expect(linearizability(registers(null), history).ok).toBe(expected);
      }),
      { numRuns: 2_000 },
    );
    expect(Math.min(seen.true, seen.false)).toBeGreaterThan(200);
  });

  it('that takes too long is given up', () => {
    const writes = Array.from({ length: 40 }, (_, i) => at(0, 100, write(String(i)), true));
    const history = [...writes, ...Array.from({ length: 20 }, (_, i) => at(0, 100, READ, `never ${i}`))];
    expect(linearizability(registers(null), history, () => true)).toEqual({ ok: 'unknown', part: 'k' });
  });

  it.skipIf(directory === undefined)('that was recorded is judged right (shared/data/histories)', () => {
    const histories = recordedHistories(directory ?? '');
    expect(histories.length).toBeGreaterThan(60);
    const wrong = histories.filter(
      ({ initial, operations, isLinearizable }) => linearizability(registers(initial), operations).ok !== isLinearizable,
    );
    expect(wrong.map(({ name }) => name)).toEqual([]);
  });
});
