// Recorded histories with known verdicts, judged. Bar: all verdicts right, none over 10 s.
import { linearizability as judge, registers } from '../../sim/check/linearizability.ts';
import { historyDirectory, recordedHistories } from '../support/histories.ts';
import type { Bench, Figures } from './bench.ts';

const LIMIT_MS = 60_000;

export const linearizability: Bench = {
  name: 'linearizability',
  description: 'recorded histories of a register and of a key-value store: verdicts, and how long each takes (--data DIR)',
  run: async ({ text, progress }): Promise<Figures> => {
    const given = text('data', '');
    const directory = historyDirectory(given === '' ? undefined : given);
    if (directory === undefined) throw new Error('no histories: --data DIR, with jepsen-etcd/ and kv/ in it');
    const results = recordedHistories(directory).map(({ name, isLinearizable, initial, operations }) => {
      const startMs = performance.now();
      const { ok } = judge(registers(initial), operations, () => performance.now() - startMs > LIMIT_MS);
      const tookMs = performance.now() - startMs;
      if (ok !== isLinearizable) progress(`${name}: said ${ok}, is ${isLinearizable}`);
      return { name, operations: operations.length, isRight: ok === isLinearizable, tookMs };
    });
    const slowest = results.toSorted((a, b) => b.tookMs - a.tookMs).slice(0, 5);
    const right = results.filter(({ isRight }) => isRight).length;
    return {
      rows: [
        ['histories judged right', `${right} of ${results.length}`, '-'],
        ...slowest.map(({ name, operations, tookMs }): [string, string, string] => [
          `${name}, ${operations} operations`,
          `${tookMs.toFixed(1)} ms`,
          '-',
        ]),
      ],
      keys: { histories: results.length, right, slowest_ms: slowest[0]?.tookMs },
      unmeasured: [],
    };
  },
};
