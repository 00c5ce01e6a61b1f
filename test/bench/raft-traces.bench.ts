// etcd/raft's golden traces against our Raft core. Bar: all of the folder, byte by byte, log lines included.
import { replayTraces, traceDirectory } from '../support/raft/traces.ts';
import type { Bench, Figures } from './bench.ts';

export const raftTraces: Bench = {
  name: 'raft-traces',
  description: 'etcd/raft’s golden traces replayed against the Raft core (--data DIR)',
  run: async ({ text }): Promise<Figures> => {
    const given = text('data', '');
    const directory = traceDirectory(given === '' ? undefined : given);
    if (directory === undefined) throw new Error('no traces: --data DIR, with quorum/, confchange/ and interaction/ in it');
    const results = replayTraces(directory);
    return {
      rows: results.map(({ file, commands, difference }): [string, string, string] => [
        file,
        difference === undefined
          ? `pass, ${commands} commands`
          : `line ${difference.line}, ${difference.command}: expected\n${difference.expected}received\n${difference.received}`,
        '-',
      ]),
      keys: { files: results.length, passed: results.filter(({ difference }) => difference === undefined).length },
      unmeasured: [],
    };
  },
};
