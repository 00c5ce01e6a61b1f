// etcd/raft's golden traces, byte by byte, where they are (KALOS_DATA, or shared/data beside the checkout).
import { describe, expect, it } from 'vitest';
import { directives } from '../support/raft/data-driven.ts';
import { InteractionTrace } from '../support/raft/interaction-trace.ts';
import { replayTraces, traceDirectory } from '../support/raft/traces.ts';

const directory = traceDirectory(undefined);

describe('etcd/raft’s golden traces', () => {
  it.skipIf(directory === undefined)('are replayed to the byte, log lines included (shared/data/raft-traces)', () => {
    const results = replayTraces(directory ?? '');
    expect(results.length).toBeGreaterThan(20);
    expect(results.filter(({ difference }) => difference !== undefined)).toEqual([]);
  });

  it('are found to differ where they do', () => {
    const text = 'log-level info\n----\nok\n\nadd-nodes 1 voters=(1) index=3\n----\nINFO 1 became leader\n';
    const trace = new InteractionTrace();
    const outputs = directives(text).map((directive) => [trace.run(directive), directive.expected]);
    expect(outputs[0]).toEqual(['ok\n', 'ok\n']);
    expect(outputs[1]?.[0]).toMatch(
      /^INFO 1 switched to configuration voters=\(1\)\nINFO 1 became follower at term 0\nINFO newRaft 1 /,
    );
  });
});
