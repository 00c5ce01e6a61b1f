// Members that flood a real libp2p host: each kind has a bound, who goes over it is thrown out and kept out for a while, and others
// are served meanwhile. How long the loop is held is measured by `npm run bench -- security`.
import { afterEach, describe, expect, it } from 'vitest';
import { Budgets } from '../../swarm/libp2p/budgets.ts';
import { Libp2pTransport } from '../../swarm/libp2p/transport.ts';
import type { TransportHandlers } from '../../swarm/ports/transport.ts';
import { eventually } from '../support/clock.ts';
import { makeIdentity } from '../support/crypto.ts';
import { Foe } from '../support/foe.ts';
import { ON_LOOPBACK } from '../support/transport.ts';
import { EVERYBODY_WELCOME } from '../support/welcome.ts';

const TOPIC = '/t/1';
const SWARM = '0'.repeat(32);

const addressOf = (transport: Libp2pTransport): string => transport.addresses()[0] ?? '';

const ending: (() => Promise<unknown>)[] = [];
afterEach(async () => void (await Promise.all(ending.splice(0).map((end) => end()))));

interface Besieged {
  transport: Libp2pTransport;
  flooded: string[];
  heard: number;
}

async function besieged(verdict: 'accept' | 'reject' = 'accept'): Promise<Besieged> {
  const { peer: self, privateKey } = await makeIdentity();
  const transport = new Libp2pTransport({ self, privateKey, ...ON_LOOPBACK });
  const state: Besieged = { transport, flooded: [], heard: 0 };
  const handlers: TransportHandlers = {
    ...EVERYBODY_WELCOME,
    broadcast: () => {
      state.heard++;
      return verdict;
    },
    message: () => void state.heard++,
    request: async (_protocol, _from, bytes) => bytes,
    connected: () => undefined,
    disconnected: () => undefined,
    found: () => undefined,
    flooded: (peer, what) => void state.flooded.push(`${peer} ${what}`),
  };
  await transport.start({ topics: [TOPIC], messages: ['/m/1'], requests: ['/r/1'] }, handlers);
  ending.push(() => transport.stop());
  return state;
}

async function foeOf({ transport }: Besieged): Promise<Foe> {
  const foe = await Foe.make({ swarmId: SWARM, topics: [TOPIC], dhtProtocol: '/test/kad/1.0.0' });
  ending.push(async () => foe.host.stop());
  expect(await foe.dial(addressOf(transport))).toBe(true);
  return foe;
}

/** Thrown out, told of once, kept out; and another is served. */
async function isKeptOut(victim: Besieged, foe: Foe, kind: string): Promise<void> {
  await eventually('it to be thrown out', () => !foe.isConnected || undefined);
  expect(victim.flooded).toEqual([`${foe.self} ${kind}`]);
  expect([await foe.dial(addressOf(victim.transport)), victim.transport.connectedPeers()]).toEqual([false, []]);
  const friend = await foeOf(victim);
  const exchange = await friend.writer('/r/1');
  await exchange?.write(Uint8Array.of(7));
  expect([...((await exchange?.read())?.subarray() ?? [])]).toEqual([7]);
}

describe('a member that floods', () => {
  it('with streams is thrown out', async () => {
    const victim = await besieged();
    const foe = await foeOf(victim);
    for (let turn = 0; turn < 100 && foe.isConnected; turn++) {
      for (let index = 0; index < 10; index++) void foe.open('/r/1');
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await isKeptOut(victim, foe, 'streams');
  });

  it('with requests is answered so far and no further, and thrown out', async () => {
    const victim = await besieged();
    const foe = await foeOf(victim);
    let answered = 0;
    for (let turn = 0; turn < 200 && foe.isConnected; turn++) {
      const exchange = await foe.writer('/r/1').catch(() => undefined);
      const reply = await exchange
        ?.write(Uint8Array.of(1))
        .then(() => exchange.read())
        .catch(() => undefined);
      if (reply !== undefined && reply !== null) answered++;
      await exchange
        ?.unwrap()
        .close()
        .catch(() => undefined);
    }
    expect(answered).toBeGreaterThanOrEqual(100);
    expect(answered).toBeLessThan(150);
    await isKeptOut(victim, foe, 'requests');
  });

  it('with messages is heard so far and no further', async () => {
    const victim = await besieged();
    const foe = await foeOf(victim);
    const writer = await foe.writer('/m/1');
    for (let index = 0; index < 20_000 && foe.isConnected; index++)
      await writer?.write(new Uint8Array(20)).catch(() => undefined);
    await isKeptOut(victim, foe, 'messages');
    expect(victim.heard).toBeGreaterThanOrEqual(2_000);
    expect(victim.heard).toBeLessThan(5_000);
  });

  it('with bytes is thrown out, whatever they are', async () => {
    const victim = await besieged();
    const foe = await foeOf(victim);
    const writer = await foe.writer('/m/1');
    for (let index = 0; index < 1_000 && foe.isConnected; index++)
      await Promise.race([
        writer?.write(new Uint8Array(60_000)).catch(() => undefined),
        new Promise((resolve) => setTimeout(resolve, 50)),
      ]);
    await isKeptOut(victim, foe, 'bytes');
  });

  it('with what is invalid is not listened to any more', async () => {
    const victim = await besieged('reject');
    const foe = await foeOf(victim);
    const pubsub = foe.host.services.pubsub;
    pubsub.subscribe(TOPIC);
    await eventually('the topic to be shared', () => pubsub.getSubscribers(TOPIC).length > 0 || undefined);
    for (let index = 0; index < 400; index++) {
      await pubsub.publish(TOPIC, Uint8Array.from([index >> 8, index])).catch(() => undefined);
      if (index % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await isKeptOut(victim, foe, 'gossip');
    expect(victim.heard).toBeLessThan(200);
  });
});

describe('budgets', () => {
  it('refill, are each peer’s own, and let a barred one back in after a minute', () => {
    let nowMs = 0;
    const over: string[] = [];
    const budgets = new Budgets(
      () => nowMs,
      (peer, kind) => void over.push(`${peer} ${kind}`),
    );
    const spend = (peer: string, count: number) =>
      Array.from({ length: count }, () => budgets.spend(peer, 'requests')).filter(Boolean).length;
    expect([spend('a', 150), spend('b', 50), over]).toEqual([100, 50, ['a requests']]);
    expect([budgets.isBarred('a'), budgets.isBarred('b')]).toEqual([true, false]);
    nowMs = 61_000;
    expect([budgets.isBarred('a'), spend('a', 10), over.length]).toEqual([false, 10, 1]);
  });
});
