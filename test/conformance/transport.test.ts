// What every Transport does, libp2p on loopback and the simulated network alike.

import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Trace } from '../../sim/adapters/trace.ts';
import type { PortAnswers } from '../../sim/network/host.ts';
import { Network } from '../../sim/network/network.ts';
import { SimulatedTransport } from '../../sim/network/transport.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { Libp2pTransport } from '../../swarm/libp2p/transport.ts';
import type { HttpState, PeerId, Transport, TransportHandlers, Verdict } from '../../swarm/ports/transport.ts';
import { eventually } from '../support/clock.ts';
import { makeIdentity } from '../support/crypto.ts';
import { ON_LOOPBACK } from '../support/transport.ts';
import { EVERYBODY_WELCOME } from '../support/welcome.ts';

const NAMES = { topics: ['/t/1'], messages: ['/m/1'], requests: ['/r/1'] };

/** A world of transports; `pump` lets time pass where it is virtual. */
interface World {
  make(networkKey?: Uint8Array): Promise<Transport>;
  pump(): Promise<void>;
  close(): Promise<void>;
}

/** `makeElsewhere`: one that is seen at an address at which it does not say that it listens, as behind a router that translates. */
function libp2pWorld(): World & { makeElsewhere(): Promise<Transport> } {
  const made: Transport[] = [];
  const make = async (networkKey?: Uint8Array, announce: string[] = []): Promise<Transport> => {
    const { peer: self, privateKey } = await makeIdentity();
    const networkKeys = networkKey === undefined ? [] : [networkKey];
    const transport = new Libp2pTransport({ self, privateKey, ...ON_LOOPBACK, announce, networkKeys });
    made.push(transport);
    return transport;
  };
  return {
    make,
    makeElsewhere: () => make(undefined, ['/ip4/127.0.0.9/tcp/9']),
    pump: async () => undefined,
    close: async () => void (await Promise.all(made.map((transport) => transport.stop()))),
  };
}

/** Of simulated machines, by port; on a port of reality a server of this test's. */
const SICK_PORT = 500;
const MUTE_PORT = 501;
const ANSWERS: PortAnswers = {
  portState: (port) => (port === 1 ? 'refused' : 'open'),
  httpState: (port) => (port === 1 ? 'refused' : port === SICK_PORT ? 'failed' : port === MUTE_PORT ? 'mute' : 'passed'),
};

function simulatedWorld(): World {
  const scheduler = new Scheduler();
  const network = new Network(scheduler, new SeededRandom(1, 'network'), new Trace());
  let count = 0;
  return {
    make: async () => new SimulatedTransport(`sim-${count++}`, network, ANSWERS),
    pump: async () => {
      const untilMs = scheduler.nowMs + 50;
      while (scheduler.step(untilMs)) await new Promise((resolve) => setImmediate(resolve));
    },
    close: async () => undefined,
  };
}

class Recorder implements TransportHandlers {
  readonly hello = EVERYBODY_WELCOME.hello;
  readonly welcome = EVERYBODY_WELCOME.welcome;
  readonly accept = EVERYBODY_WELCOME.accept;
  readonly settle = EVERYBODY_WELCOME.settle;
  readonly seen: string[] = [];
  verdict: Verdict = 'accept';
  broadcast(_topic: string, _from: PeerId, bytes: Uint8Array): Verdict {
    this.seen.push(`broadcast ${new TextDecoder().decode(bytes)}`);
    return this.verdict;
  }
  message(_protocol: string, from: PeerId, bytes: Uint8Array): void {
    this.seen.push(`message ${new TextDecoder().decode(bytes)} from ${from}`);
  }
  async request(_protocol: string, _from: PeerId, bytes: Uint8Array): Promise<Uint8Array> {
    if (bytes.length === 0) throw new Error('nothing was asked');
    return new Uint8Array([...bytes].reverse());
  }
  connected(peer: PeerId): void {
    this.seen.push(`connected ${peer}`);
  }
  disconnected(peer: PeerId): void {
    this.seen.push(`disconnected ${peer}`);
  }
  flooded(): void {}
  found(): void {}
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

describe.each([
  ['libp2p', libp2pWorld],
  ['simulated', simulatedWorld],
])('%s transport', (kind, makeWorld) => {
  let world: World;
  afterEach(() => world.close());

  /** Lets virtual time pass while `work` is under way. */
  const settled = async <T>(work: Promise<T>): Promise<T> => {
    let done = false;
    const finish = work.finally(() => {
      done = true;
    });
    finish.catch(() => undefined);
    await eventually('the call to settle', async () => {
      await world.pump();
      return done || undefined;
    });
    return finish;
  };

  async function pair(): Promise<{ a: Transport; b: Transport; atA: Recorder; atB: Recorder }> {
    world = makeWorld();
    const [a, b] = [await world.make(), await world.make()];
    const [atA, atB] = [new Recorder(), new Recorder()];
    await Promise.all([a.start(NAMES, atA), b.start(NAMES, atB)]);
    expect(await settled(b.dial(a.addresses()[0] ?? ''))).toBe(a.self);
    await seen(atA, `connected ${b.self}`);
    await seen(atB, `connected ${a.self}`);
    return { a, b, atA, atB };
  }

  const seen = (recorder: Recorder, what: string): Promise<true> =>
    eventually(what, async () => {
      await world.pump();
      return recorder.seen.includes(what) || undefined;
    });

  it('carries messages in order, both ways over one connection', async () => {
    const { a, b, atA, atB } = await pair();
    for (let i = 0; i < 20; i++) b.send(a.self, '/m/1', encode(`n${i}`));
    a.send(b.self, '/m/1', encode('back'));
    await seen(atA, `message n19 from ${b.self}`);
    await seen(atB, `message back from ${a.self}`);
    if (kind === 'libp2p') {
      const order = atA.seen.filter((line) => line.startsWith('message')).map((line) => line.split(' ')[1]);
      expect(order).toEqual(Array.from({ length: 20 }, (_, i) => `n${i}`));
    }
  });

  it('carries a message that comes later as well as the first, and loses none', async () => {
    const { a, b, atA } = await pair();
    for (const text of ['first', 'second', 'third', 'fourth']) {
      b.send(a.self, '/m/1', encode(text));
      await seen(atA, `message ${text} from ${b.self}`);
    }
  });

  it('answers requests, passes refusals on, and tells what is unreachable', async () => {
    const { a, b } = await pair();
    expect([...(await settled(b.request(a.self, '/r/1', new Uint8Array([1, 2, 3]), 5_000)))]).toEqual([3, 2, 1]);
    await expect(settled(b.request(a.self, '/r/1', new Uint8Array(), 5_000))).rejects.toMatchObject({ code: 'refused' });
    const stranger = await world.make();
    await expect(settled(b.request(stranger.self, '/r/1', new Uint8Array([1]), 5_000))).rejects.toMatchObject({
      code: 'unreachable',
    });
  });

  it('gossips to subscribers', async () => {
    const { b, atA } = await pair();
    await eventually('the gossip to arrive', async () => {
      b.publish('/t/1', encode(`news ${Math.floor(performance.now())}`)); // a mesh forms within a heartbeat or two
      await world.pump();
      await new Promise((resolve) => setTimeout(resolve, 100));
      return atA.seen.some((line) => line.startsWith('broadcast news')) || undefined;
    });
  });

  it('tells at once when the other end stops', async () => {
    const { a, b, atB } = await pair();
    await settled(a.stop());
    await seen(atB, `disconnected ${a.self}`);
    expect(b.connectedPeers()).toEqual([]);
  });

  it('probes a port on the peer’s host without saying anything', async () => {
    const { a, b } = await pair();
    let port = 80;
    const server = createServer();
    if (kind === 'libp2p') {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      port = (server.address() as { port: number }).port;
    }
    expect(await settled(b.probePort(a.self, port, 1_000))).toBe('open');
    // Who was dialled knows once the other has said where it listens.
    await eventually('open from the other end', async () => {
      return (await settled(a.probePort(b.self, port, 1_000))) === 'open' || undefined;
    });
    await new Promise((resolve) => server.close(resolve));
    expect(await settled(b.probePort(a.self, kind === 'libp2p' ? port : 1, 1_000))).toBe('refused');
  });

  it('runs an HTTP check on the peer’s host, and tells an answer, an error, silence and nobody apart', async () => {
    const { a, b } = await pair();
    let state = 'passed';
    const asked: (string | undefined)[] = [];
    const server = createHttpServer((request, response) => {
      asked.push(`${request.url} ${request.headers.host}`);
      if (state !== 'mute') response.writeHead(state === 'passed' ? 204 : 500).end();
    });
    let port = 80;
    if (kind === 'libp2p') {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      port = (server.address() as { port: number }).port;
    }
    const probe = (simulated: number): Promise<HttpState> =>
      settled(b.probeHttp(a.self, kind === 'libp2p' ? port : simulated, '/health?deep=1', 300));
    expect(await probe(80)).toBe('passed');
    state = 'failed';
    expect(await probe(SICK_PORT)).toBe('failed');
    state = 'mute';
    expect(await probe(MUTE_PORT)).toBe('mute');
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    expect(await probe(1)).toBe('refused');
    if (kind === 'libp2p') expect(await settled(b.probeHttp(a.self, port, '/a b', 300))).toBe('unknown');
    if (kind === 'libp2p') expect(new Set(asked)).toEqual(new Set([`/health?deep=1 127.0.0.1:${port}`]));
  });
});

describe('a peer that is seen at an address that is not its own', () => {
  it('has no port of that address looked at, nor asked for anything by HTTP', async () => {
    const world = libp2pWorld();
    const connections: string[] = [];
    const server = createHttpServer(({ url = '' }, response) => {
      connections.push(url);
      response.end();
    });
    try {
      const [a, b] = [await world.make(), await world.makeElsewhere()];
      await Promise.all([a.start(NAMES, new Recorder()), b.start(NAMES, new Recorder())]);
      await b.dial(a.addresses()[0] ?? '');
      await eventually('both to be connected', async () => a.connectedPeers().includes(b.self) || undefined);
      server.on('connection', () => void connections.push('a connection'));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as { port: number };
      // Also once it has said where it listens.
      for (let tries = 0; tries < 10; tries++) {
        expect(await a.probePort(b.self, port, 300)).toBe('silent');
        expect(await a.probeHttp(b.self, port, '/', 300)).toBe('silent');
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
      expect(await b.probeHttp(a.self, port, '/', 300)).toBe('passed');
      expect(connections).toEqual(['a connection', '/']);
    } finally {
      await world.close();
      server.close();
    }
  });
});

describe('the DHT', () => {
  it('finds a peer by its id alone, through a peer that both know', async () => {
    const world = libp2pWorld();
    const [hub, a, b] = [await world.make(), await world.make(), await world.make()];
    const atB = new Recorder();
    await Promise.all([hub.start(NAMES, new Recorder()), a.start(NAMES, new Recorder()), b.start(NAMES, atB)]);
    for (const peer of [a, b]) await peer.dial(hub.addresses()[0] ?? '');
    expect(a.connectedPeers()).not.toContain(b.self);
    // The hub learns where b listens once they have identified each other.
    await eventually('a to find b', () =>
      a.dialPeer(b.self).then(
        () => true,
        () => undefined,
      ),
    );
    expect(a.connectedPeers()).toContain(b.self);
    await eventually('b to see a', () => atB.seen.includes(`connected ${a.self}`) || undefined);
    await world.close();
  });
});

describe('the network key', () => {
  it('keeps who has another one from connecting at all', async () => {
    const world = libp2pWorld();
    const [a, b] = [await world.make(new Uint8Array(32).fill(1)), await world.make(new Uint8Array(32).fill(2))];
    const atA = new Recorder();
    await Promise.all([a.start(NAMES, atA), b.start(NAMES, new Recorder())]);
    await expect(b.dial(a.addresses()[0] ?? '')).rejects.toMatchObject({ code: 'unreachable' });
    expect([atA.seen, a.connectedPeers()]).toEqual([[], []]);
    await world.close();
  });
});
