// What goes over a connection: counted by protocol, limited by the other side's budgets, in few packets, and corked into one piece.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { corked } from '../../swarm/libp2p/corked.ts';
import { remotePeers } from '../../swarm/libp2p/greeting.ts';
import { Meter } from '../../swarm/libp2p/muxer.ts';
import type { MessageStream, MultiaddrConnection, StreamMuxer, StreamMuxerFactory, Transport } from '../support/connections.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

/** A stream as a muxer makes it. */
const streamOf = (
  protocol: string | undefined,
  window: { state?: number; recvWindow?: number; recvWindowCapacity?: number } = {},
) => {
  const stream = {
    protocol,
    ...window,
    sent: [] as number[],
    taken: [] as number[],
    updates: 0,
    send: (data: { byteLength: number }) => stream.sent.push(data.byteLength) > 0,
    onData: (data: { byteLength: number }) => void stream.taken.push(data.byteLength),
    sendWindowUpdate: () => void stream.updates++,
  };
  return stream;
};
type Stream = ReturnType<typeof streamOf>;

function world() {
  vi.spyOn(performance, 'now').mockReturnValue(1_000);
  const its = { next: streamOf('/a/1'), accepted: [] as Stream[], aborted: [] as string[], cut: [] as string[] };
  const inner = {
    createStream: async () => its.next,
    onRemoteStream: (stream: Stream) => void its.accepted.push(stream),
    maxEarlyStreams: 10,
    abort: (error: Error) => void its.aborted.push(error.message),
  };
  const connection = { abort: (error: Error) => void its.cut.push(error.message) } as unknown as MessageStream;
  remotePeers.set(connection, { toString: () => 'peer' } as never);
  const meter = new Meter();
  const floods: string[] = [];
  meter.onFlood = (peer, kind) => void floods.push(`${peer} ${kind}`);
  const make = meter.around(() => ({ protocol: '/yamux', createStreamMuxer: () => inner }) as unknown as StreamMuxerFactory);
  const factory = make({});
  const muxer = factory.createStreamMuxer(connection) as unknown as typeof inner & StreamMuxer;
  return { its, meter, floods, factory, muxer };
}
const bytes = (byteLength: number) => ({ byteLength }) as never;

describe('what is sent', () => {
  it('is counted by protocol, in bytes and writes, whoever opened the stream', async () => {
    const { its, meter, muxer, factory } = world();
    expect([factory.protocol, meter.read().size]).toEqual(['/yamux', 0]);
    const own = (await muxer.createStream()) as unknown as Stream;
    expect(own.send(bytes(5))).toBe(true);
    own.send(bytes(7));
    const theirs = streamOf('/b/1');
    muxer.onRemoteStream(theirs);
    theirs.send(bytes(11));
    theirs.onData(bytes(1_000)); // what comes is not counted
    for (const protocol of ['', undefined]) {
      its.next = streamOf(protocol);
      ((await muxer.createStream()) as unknown as Stream).send(bytes(3));
    }
    expect(Object.fromEntries(meter.read())).toEqual({
      '/a/1': { bytes: 12, writes: 2 },
      '/b/1': { bytes: 11, writes: 1 },
      negotiation: { bytes: 6, writes: 2 },
    });
    expect([own.sent, its.accepted.length, theirs.taken]).toEqual([[5, 7], 1, [1_000]]);
  });

  it('is told in copies', async () => {
    const { meter, muxer } = world();
    const stream = (await muxer.createStream()) as unknown as Stream;
    stream.send(bytes(5));
    const before = meter.read();
    stream.send(bytes(5));
    expect([before.get('/a/1')?.bytes, meter.read().get('/a/1')?.bytes]).toEqual([5, 10]);
  });
});

describe('a receive window', () => {
  it.each([
    ['is renewed below half', { state: 3, recvWindow: 100, recvWindowCapacity: 49 }, 1],
    ['is not at half', { state: 3, recvWindow: 100, recvWindowCapacity: 50 }, 0],
    ['is not above it', { state: 3, recvWindow: 100, recvWindowCapacity: 100 }, 0],
    ['is told of while the stream is opened', { state: 2, recvWindow: 100, recvWindowCapacity: 100 }, 1],
    ['that is not known is not', { state: 3 }, 0],
  ])('%s', async (_title, window, updates) => {
    const { its, muxer } = world();
    its.next = streamOf('/a/1', window);
    ((await muxer.createStream()) as unknown as Stream).sendWindowUpdate();
    expect(its.next.updates).toBe(updates);
  });

  it('of a stream that has none is nobody’s to renew', async () => {
    const { its, muxer } = world();
    const { sendWindowUpdate: _without, ...bare } = streamOf('/a/1');
    its.next = bare as Stream;
    expect('sendWindowUpdate' in (await muxer.createStream())).toBe(false);
  });
});

describe('the other side', () => {
  it('may open three hundred streams at once, of which 64 may wait: one more cuts it off', () => {
    const { its, floods, muxer } = world();
    expect(muxer.maxEarlyStreams).toBe(64);
    for (let nth = 0; nth < 300; nth++) muxer.onRemoteStream(streamOf('/a/1'));
    expect([its.accepted.length, floods, its.cut]).toEqual([300, [], []]);
    muxer.onRemoteStream(streamOf('/a/1'));
    expect([its.accepted.length, floods, its.cut]).toEqual([300, ['peer streams'], ['too many streams']]);
  });

  it('may send eight megabytes at once over all of them, and a megabyte a second', () => {
    const { its, floods, muxer } = world();
    const [one, two] = [streamOf('/a/1'), streamOf('/b/1')];
    for (const stream of [one, two]) muxer.onRemoteStream(stream);
    one.onData(bytes(4_000_000));
    two.onData(bytes(4_000_000));
    vi.spyOn(performance, 'now').mockReturnValue(1_500);
    two.onData(bytes(500_000));
    expect([one.taken, two.taken, floods]).toEqual([[4_000_000], [4_000_000, 500_000], []]);
    one.onData(bytes(1));
    expect([one.taken.length, floods, its.cut]).toEqual([1, ['peer bytes'], ['too many bytes']]);
  });

  it('loses its connection with its muxer', () => {
    const { its, muxer } = world();
    muxer.abort(new Error('broken'));
    expect([its.aborted, its.cut]).toEqual([['broken'], ['broken']]);
  });
});

describe('a corked transport', () => {
  const pieces = Object.assign([new Uint8Array([1]), new Uint8Array([2, 3])], { subarray: () => new Uint8Array([1, 2, 3]) });

  it('sends what is written together as one piece, on connections of both directions, and changes nothing else', async () => {
    const sent: unknown[][] = [];
    const connection = () =>
      ({ sendData: (data: Iterable<Uint8Array>) => sent.push([...data]) }) as unknown as MultiaddrConnection;
    const upgraded: string[] = [];
    class Upgrader {
      readonly name = 'upgrader';
      async upgradeInbound(one: { sendData(data: unknown): void }, ...rest: unknown[]) {
        upgraded.push(`in ${rest} ${this.name}`);
        one.sendData(pieces);
      }
      async upgradeOutbound(one: { sendData(data: unknown): void }, ...rest: unknown[]) {
        upgraded.push(`out ${rest} ${this.name}`);
        one.sendData(pieces);
      }
      getStreamMuxers() {
        return this.name;
      }
    }
    type Options = { upgrader: Upgrader; signal: string };
    const seen: unknown[] = [];
    const inner = {
      dial: async (address: string, { upgrader, signal }: Options) => {
        seen.push(address, signal, upgrader.getStreamMuxers(), upgrader.name);
        await upgrader.upgradeOutbound(connection() as never, 'opts');
      },
      createListener: ({ upgrader, signal }: Options) => {
        seen.push(signal);
        void upgrader.upgradeInbound(connection() as never, 'opts');
      },
    };
    const transport = corked(() => inner as unknown as Transport)({}) as unknown as typeof inner;
    const options = { upgrader: new Upgrader(), signal: 's' };
    await transport.dial('/a', options);
    transport.createListener(options);
    expect(seen).toEqual(['/a', 's', 'upgrader', 'upgrader', 's']);
    expect(upgraded).toEqual(['out opts upgrader', 'in opts upgrader']);
    expect(sent).toEqual([[new Uint8Array([1, 2, 3])], [new Uint8Array([1, 2, 3])]]);
  });
});
