// Where members are, and the connections to them: what is kept over a restart, who is dialed and when, and what is said of it.
import { describe, expect, it } from 'vitest';
import { Peers } from '../../node/link/peers.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { TransportError } from '../../swarm/ports/transport.ts';
import { PlainStore } from '../support/store.ts';
import { pass } from '../support/virtual.ts';

class CountingStore extends PlainStore {
  writes = 0;
  fails = false;
  override async write(...given: Parameters<PlainStore['write']>) {
    this.writes++;
    if (this.fails) throw new Error('EIO');
    return super.write(...given);
  }
}

function world(given: { bootstrap?: string[]; store?: CountingStore } = {}) {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler);
  const store = given.store ?? new CountingStore();
  const its = {
    wanted: [] as string[],
    connected: [] as string[],
    /** Of each dial; `hangs`: it never ends. */
    error: undefined as Error | undefined,
    hangs: false,
  };
  const log: string[] = [];
  const done: string[] = [];
  const transport = {
    self: 'm',
    connectedPeers: () => its.connected,
    dialPeer: async (peer: string, address?: string) => {
      log.push(`dial ${peer} ${address}`);
      if (its.hangs) await new Promise(() => undefined);
      if (its.error !== undefined) throw its.error;
    },
    dial: async (address: string) => {
      log.push(`dial ${address}`);
      if (its.hangs) await new Promise(() => undefined);
      if (its.error !== undefined) throw its.error;
    },
    lookAround: () => void log.push('look around'),
  };
  const peers = new Peers({ transport, clock, store } as never, given.bootstrap ?? [], {
    wanted: () => its.wanted,
    dialed: (peer, outcome) => void done.push(`${peer} ${outcome}`),
    log: (level, text) => void done.push(`${level}: ${text}`),
    failed: (error) => void done.push(`failed: ${(error as Error).message}`),
  });
  const take = (): string[] => log.splice(0);
  return { peers, its, done, store, scheduler, take, pump: (ms: number) => pass(scheduler, ms) };
}

describe('addresses of members', () => {
  it('outlive a restart, half a second after they came, in one write', async () => {
    const { peers, store, pump } = world();
    peers.remember('a', '/a');
    peers.remember('b', '/b');
    peers.remember('c', '/c');
    peers.remember('c', undefined);
    await pump(499);
    expect([store.writes, peers.known, peers.addressOf('a'), peers.addressOf('c')]).toEqual([0, 2, '/a', undefined]);
    await pump(1);
    expect(store.writes).toBe(1);
    const again = world({ store });
    await again.peers.load();
    expect([again.peers.known, again.peers.addressOf('a'), again.peers.addressOf('b')]).toEqual([2, '/a', '/b']);
    again.peers.remember('a', undefined);
    await again.pump(500);
    expect([...store.content.keys()]).toEqual(['peer/b']);
  });

  it('that are the same, or one’s own, are not written', async () => {
    const { peers, store, pump } = world();
    peers.remember('m', '/m');
    peers.remember('a', '/a');
    await pump(500);
    peers.remember('a', '/a');
    await pump(500);
    expect([store.writes, [...store.content.keys()]]).toEqual([1, ['peer/a']]);
  });

  it('of who let one in are written at once, and others at the stop, which is the last', async () => {
    const { peers, store, pump } = world();
    peers.rememberNow('a', '/a');
    expect(store.writes).toBe(1);
    peers.remember('b', '/b');
    peers.stop();
    peers.remember('c', '/c');
    await pump(10_000);
    expect([store.writes, [...store.content.keys()]]).toEqual([2, ['peer/a', 'peer/b']]);
  });

  it('that cannot be written are told', async () => {
    const { peers, store, done, pump } = world();
    store.fails = true;
    peers.remember('a', '/a');
    await pump(500);
    expect(done).toEqual(['failed: EIO']);
  });
});

describe('a dial', () => {
  it('goes to where the member is, one at a time, and says what came of it', async () => {
    const { peers, its, done, take, pump } = world();
    peers.remember('a', '/a');
    its.hangs = true;
    void peers.dial('a');
    void peers.dial('a');
    void peers.dial('b');
    await pump(0);
    expect(take()).toEqual(['dial a /a', 'dial b undefined']);
    const other = world();
    await other.peers.dial('a');
    await other.peers.dial('a');
    expect([other.take().length, other.done]).toEqual([2, ['a open', 'a open']]);
    expect(done).toEqual([]);
  });

  it.each([
    [new TransportError('refused', 'no'), ['a refused']],
    [new TransportError('timeout', 'no'), ['a silent']],
    [new TransportError('unreachable', 'no'), ['a silent']],
    [new Error('odd'), ['a silent']],
    [new TransportError('denied', 'it was revoked'), ['warn: rejected by a member: it was revoked']],
  ])('that fails with %s', async (error, said) => {
    const { peers, its, done } = world();
    its.error = error;
    await expect(peers.dial('a')).rejects.toBe(error);
    await expect(peers.dial('a')).rejects.toBe(error);
    // Who is not let in hears of it once.
    expect(done).toEqual(said[0]?.startsWith('warn') ? said : [...said, ...said]);
  });

  it('that fails says nothing once all has stopped', async () => {
    for (const code of ['denied', 'timeout'] as const) {
      const { peers, its, done } = world();
      its.error = new TransportError(code, 'no');
      const dialing = peers.dial('a');
      peers.stop();
      await expect(dialing).rejects.toThrow();
      expect(done).toEqual([]);
    }
  });

  it('that is denied for another reason is told again', async () => {
    const { peers, its, done } = world();
    for (const reason of ['one', 'one', 'two']) {
      its.error = new TransportError('denied', reason);
      await peers.dial('a').catch(() => undefined);
    }
    expect(done).toEqual(['warn: rejected by a member: one', 'warn: rejected by a member: two']);
  });
});

describe('who wants to be connected', () => {
  it('dials those after it at once, and those before it at the next turn, three seconds later', async () => {
    const { peers, its, take, pump } = world();
    its.connected = ['x'];
    its.wanted = ['a', 'z', 'x'];
    peers.keepDialing();
    expect(take()).toEqual(['dial z undefined']);
    await pump(2_999);
    expect(take()).toEqual([]);
    await pump(1);
    expect(take()).toEqual(['dial a undefined', 'dial z undefined']);
    its.wanted = ['x'];
    await pump(3_000);
    expect(take()).toEqual([]);
    its.wanted = ['a'];
    await pump(3_000);
    expect(take()).toEqual([]); // it may dial first, once more
  });

  it('and is alone dials all, sixteen at a time, its first addresses too, and looks around at every third turn', async () => {
    const { peers, its, take, pump } = world({ bootstrap: ['/first'] });
    its.wanted = Array.from({ length: 20 }, (_, i) => `a${i}`);
    peers.keepDialing();
    const dials = take();
    expect([dials.filter((one) => one.startsWith('dial a')).length, dials.at(-1)]).toEqual([16, 'dial /first']);
    peers.remember('a0', '/a0');
    its.wanted = [];
    const turns: string[][] = [];
    for (let i = 0; i < 4; i++) {
      await pump(3_000);
      turns.push(take());
    }
    expect(turns.map((one) => one.includes('look around'))).toEqual([true, false, false, true]);
    its.connected = ['x'];
    await pump(3_000);
    expect(take()).toEqual([]);
    its.connected = [];
    await pump(3_000);
    expect(take()).toEqual(['dial /first', 'look around']);
  });

  it('tells which of its first addresses it cannot reach', async () => {
    const { peers, its, done, pump } = world({ bootstrap: ['/first'] });
    its.error = new Error('no route');
    peers.keepDialing();
    await pump(0);
    expect(done).toEqual(['warn: cannot reach /first: no route']);
  });

  it('dials no more once it has stopped', async () => {
    const { peers, its, take, scheduler, pump } = world();
    its.wanted = ['z'];
    peers.keepDialing();
    peers.stop();
    take();
    const { executed } = scheduler;
    await pump(60_000);
    expect([take(), scheduler.executed]).toEqual([[], executed]);
    peers.keepDialing();
    await pump(60_000);
    expect(take().length).toBe(1);
  });
});

describe('a member that the local network tells of', () => {
  it('is tried by who is alone: once at a time, sixteen at most, and nobody tries itself', async () => {
    const { peers, its, take } = world();
    its.hangs = true;
    peers.found('m', '/m');
    peers.found('a', '/a');
    peers.found('a', '/a');
    expect(take()).toEqual(['dial /a/p2p/a']);
    for (let i = 0; i < 20; i++) peers.found(`b${i}`, `/b${i}`);
    expect(take().length).toBe(15);
  });

  it('is tried again after it could not be reached, and not by who is connected', async () => {
    const { peers, its, take, done, pump } = world();
    its.error = new Error('no');
    for (let i = 0; i < 2; i++) {
      peers.found('a', '/a');
      await pump(0);
    }
    its.connected = ['x'];
    peers.found('b', '/b');
    expect([take(), done]).toEqual([['dial /a/p2p/a', 'dial /a/p2p/a'], []]);
  });
});
