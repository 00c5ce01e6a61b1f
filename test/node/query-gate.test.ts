// How many questions are answered at a time and of whom, what of them is remembered, and which members a selector means.
import { describe, expect, it } from 'vitest';
import type { QueryResult } from '../../node/query/answer.ts';
import { QueryGate } from '../../node/query/query-gate.ts';
import { QueryLog } from '../../node/query/query-log.ts';
import type { SwarmReads } from '../../node/query/reads.ts';
import { selectorOf } from '../../node/query/selector.ts';

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('questions', () => {
  /** Each runs until it is ended by its name. */
  function asking() {
    const gate = new QueryGate();
    const running = new Map<string, (fails?: boolean) => void>();
    const results = new Map<string, QueryResult | string>();
    const ask = (asker: string, name: string): void => {
      const work = () =>
        new Promise<QueryResult>((resolve, reject) =>
          running.set(name, (fails = false) => {
            running.delete(name);
            if (fails) reject(new Error('it failed'));
            else resolve({ ok: false, message: name });
          }),
        );
      gate.through(asker, work).then(
        (result) => results.set(name, result),
        (error: Error) => results.set(name, error.message),
      );
    };
    const seen = async () => {
      await settled();
      return [...running.keys()];
    };
    return { ask, running, results, seen };
  }

  it('are three at a time of one who asks, and six of all', async () => {
    const { ask, seen } = asking();
    for (const name of ['a1', 'a2', 'a3', 'a4']) ask('a', name);
    expect(await seen()).toEqual(['a1', 'a2', 'a3']);
    for (const name of ['b1', 'b2']) ask('b', name);
    ask('c', 'c1');
    ask('d', 'd1');
    expect(await seen()).toEqual(['a1', 'a2', 'a3', 'b1', 'b2', 'c1']);
  });

  it('go on as others end, also by an error; of whoever has no three yet', async () => {
    const { ask, running, results, seen } = asking();
    for (const name of ['a1', 'a2', 'a3', 'a4', 'a5']) ask('a', name);
    for (const name of ['b1', 'b2', 'b3', 'b4']) ask('b', name);
    expect(await seen()).toEqual(['a1', 'a2', 'a3', 'b1', 'b2', 'b3']);
    running.get('b2')?.(true);
    expect(await seen()).toEqual(['a1', 'a2', 'a3', 'b1', 'b3', 'b4']);
    running.get('a1')?.();
    expect(await seen()).toEqual(['a2', 'a3', 'b1', 'b3', 'b4', 'a4']);
    for (const name of ['a2', 'a3', 'a4', 'b1', 'b3', 'b4']) running.get(name)?.();
    expect(await seen()).toEqual(['a5']);
    expect(results.get('b2')).toBe('it failed');
    expect(results.get('a1')).toEqual({ ok: false, message: 'a1' });
  });

  it('of one who asks wait by 32 at the most', async () => {
    const { ask, results, seen } = asking();
    for (let n = 0; n < 36; n++) ask('a', `a${n}`);
    await seen();
    expect([...results]).toEqual([['a35', { ok: false, message: '32 of your queries are queued already: try again' }]]);
  });
});

it('the last 500 questions are remembered, each as far as 500 characters', () => {
  const log = new QueryLog();
  for (let n = 0; n <= 500; n++)
    log.add({ atMs: n * 1_000 + 999, by: 'b', what: 'x'.repeat(501), tookMs: 1.6, rows: n, error: 'e' });
  const all = log.all();
  expect([all.length, all[0]?.rows, all.at(-1)?.rows]).toEqual([500, 1, 500]);
  expect(all[0]).toEqual({ time: 1, asked_by: 'b', what: 'x'.repeat(500), took_ms: 2, rows: 1, error: 'e' });
});

describe('a selector', () => {
  const swarm = {
    coordinator: 'peer-1',
    members: [
      { peer: 'peer-1', state: 'alive' },
      { peer: 'peer-2', state: 'suspect' },
    ],
    nameOf: (peer: string) => peer.replace('peer', 'web'),
    roleOf: (peer: string) => (peer === 'peer-3' ? undefined : 'witness'),
    statusOf: (peer: string) => (peer === 'peer-2' ? { status: { version: '0.4.0', mode: 'act' } } : undefined),
  } as unknown as SwarmReads;
  const chosen = (text: string) => {
    const selector = selectorOf(text);
    return typeof selector === 'function' ? ['peer-1', 'peer-2', 'peer-3'].filter((peer) => selector(swarm, peer)) : selector;
  };

  it.each<[string, string[]]>([
    ['web-1', ['peer-1']],
    [' web-1 , web-3', ['peer-1', 'peer-3']],
    ['er-2', ['peer-2']],
    ['role=coordinator', ['peer-1']],
    ['role=witness', ['peer-2']],
    ['role=', ['peer-3']],
    ['state=suspect', ['peer-2']],
    ['state=', ['peer-3']],
    ['version=0.4.0,state=alive', ['peer-1', 'peer-2']],
    ['mode=act', ['peer-2']],
    ['web', []],
  ])('%s means %j', (text, peers) => {
    expect(chosen(text)).toEqual(peers);
  });

  it('that means nothing says so', () => {
    expect(chosen('colour=red')).toBe('unknown selector key colour; use role, state, version, mode, or a name');
    for (const text of ['', '*', 'a,,b'])
      expect(chosen(text)).toBe('empty selector: give names or role=coordinator, or omit --nodes to query all');
  });
});
