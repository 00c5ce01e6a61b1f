// What goes to one peer within a moment goes as one message, where that peer reads such messages.
import { describe, expect, it } from 'vitest';
import { Batches, unbatched } from '../../node/link/batches.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { pass } from '../support/virtual.ts';

const one = (first: number): Uint8Array => new Uint8Array([first, 0xff]);

function world() {
  const scheduler = new Scheduler();
  const sent: [number, string, number[]][] = [];
  const batches = new Batches({
    clock: new ProcessClock(scheduler, () => 0),
    send: (to, bytes) => void sent.push([scheduler.nowMs, to, unbatched(bytes).map(([first]) => first ?? -1)]),
    reads: (peer) => peer !== 'old',
  });
  const send = (to: string, ...firsts: number[]): void => {
    for (const first of firsts) batches.send(to, one(first));
  };
  return { batches, sent, send, pump: (ms: number) => pass(scheduler, ms) };
}

describe('messages', () => {
  it('to one peer within 20 ms go together, in their order, and to each peer its own', async () => {
    const { sent, send, pump } = world();
    send('a', 1, 2);
    send('b', 3);
    await pump(19);
    send('a', 4);
    expect(sent).toEqual([]);
    await pump(1);
    expect(sent).toEqual([
      [20, 'a', [1, 2, 4]],
      [20, 'b', [3]],
    ]);
    send('a', 5);
    await pump(100);
    expect(sent.slice(2)).toEqual([[40, 'a', [5]]]);
  });

  it('are sixteen in one at most: the sixteenth has them go', async () => {
    const { sent, send, pump } = world();
    const firsts = Array.from({ length: 17 }, (_, nth) => nth);
    send('a', ...firsts.slice(0, 15));
    expect(sent).toEqual([]);
    send('a', ...firsts.slice(15));
    expect(sent).toEqual([[0, 'a', firsts.slice(0, 16)]]);
    await pump(100);
    expect(sent.slice(1)).toEqual([[20, 'a', [16]]]);
  });

  it('go one by one, at once, to who reads no others', async () => {
    const { sent, send, pump } = world();
    send('old', 1, 2);
    expect(sent).toEqual([
      [0, 'old', [1]],
      [0, 'old', [2]],
    ]);
    await pump(100);
    expect(sent.length).toBe(2);
  });

  it('are not sent by who has stopped, nor those that waited', async () => {
    const { batches, sent, send, pump } = world();
    send('a', 1);
    batches.stop();
    send('a', 2);
    send('old', 3);
    await pump(100);
    expect(sent).toEqual([]);
  });
});

describe('a message', () => {
  it.each([
    ['of one', encodeCbor(['batch', [one(1)]]), 1],
    ['of sixteen', encodeCbor(['batch', Array(16).fill(one(1))]), 16],
  ])('%s is taken apart', (_what, bytes, count) => {
    expect(unbatched(bytes)).toEqual(Array(count).fill(one(1)));
  });

  it.each([
    ['more than sixteen', encodeCbor(['batch', Array(17).fill(one(1))])],
    ['none', encodeCbor(['batch', []])],
    ['something that is no message', encodeCbor(['batch', ['text']])],
    ['something else', encodeCbor(['claim', [one(1)]])],
    ['nonsense', one(1)],
  ])('of %s is one that nobody takes apart', (_what, bytes) => {
    expect(unbatched(bytes)).toEqual([bytes]);
  });
});
