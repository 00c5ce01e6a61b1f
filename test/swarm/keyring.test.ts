// The network key on one connection: who holds a key that the other knows is understood, and a dialer goes through its keys.
import { describe, expect, it } from 'vitest';
import { Keyring } from '../../swarm/libp2p/keyring.ts';
import { connectionPair, type MultiaddrConnection } from '../support/connections.ts';

const GREETING = new TextEncoder().encode('\u0013/multistream/1.0.0\n');
const key = (first: number): Uint8Array => new Uint8Array(32).fill(first);
const ringOf = (...firsts: number[]): Keyring => new Keyring(firsts.map(key));
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What comes over a connection, as text. */
const heard = (connection: MultiaddrConnection): (() => string) => {
  const chunks: Uint8Array[] = [];
  connection.addEventListener('message', ({ data }) => void chunks.push(data.subarray()));
  return () => chunks.map((one) => new TextDecoder().decode(one)).join('');
};

/** A dialer and a listener on one connection, as libp2p has them protect it. */
async function dialed(dialer: Keyring, listener: Keyring) {
  const [outer, inner] = connectionPair();
  const cipher: Uint8Array[] = [];
  const send = outer.send.bind(outer);
  outer.send = (data) => {
    cipher.push(data.subarray().slice());
    return send(data);
  };
  const inbound = listener.protect(inner).catch((error: unknown) => (error as Error).message);
  const outbound = await dialer.protect(outer);
  outbound.send(GREETING);
  const listening = await inbound;
  return { outer, inner, outbound, listening, cipher };
}

/** Whether a dial is understood; the connection is closed where it is not, as libp2p does. */
async function understands(dialer: Keyring, listener: Keyring): Promise<boolean> {
  const { listening, inner, outer, outbound } = await dialed(dialer, listener);
  if (typeof listening !== 'string') {
    const answer = heard(outbound);
    listening.send(new TextEncoder().encode('yes'));
    for (let turns = 0; turns < 100 && answer() === ''; turns++) await turn();
    outer.abort(new Error('done'));
    return answer() === 'yes';
  }
  expect(listening).toBe('it does not have this swarm’s network key');
  inner.abort(new Error('not understood'));
  for (let turns = 0; turns < 100 && outer.status === 'open'; turns++) await turn();
  return false;
}

describe('a network key', () => {
  it('that both hold lets both be understood, and nothing of it can be read in between', async () => {
    const { outbound, listening, cipher } = await dialed(ringOf(1), ringOf(1));
    const there = listening as MultiaddrConnection;
    const [atListener, atDialer] = [heard(there), heard(outbound)];
    outbound.send(new TextEncoder().encode('hello '));
    outbound.send(new TextEncoder().encode('there'));
    there.send(new TextEncoder().encode('welcome'));
    const whole = `${new TextDecoder().decode(GREETING)}hello there`;
    for (let turns = 0; turns < 100 && (atListener() !== whole || atDialer() === ''); turns++) await turn();
    expect([atListener(), atDialer()]).toEqual([whole, 'welcome']);
    expect([cipher[0]?.length, Buffer.concat(cipher).includes('hello'), Buffer.concat(cipher).includes('multistream')]).toEqual([
      24,
      false,
      false,
    ]);
  });

  it('that is not known is refused', async () => {
    expect(await understands(ringOf(1), ringOf(2))).toBe(false);
  });

  it('is any of those that the listener holds', async () => {
    expect([await understands(ringOf(2), ringOf(1, 2)), await understands(ringOf(3), ringOf(1, 2))]).toEqual([true, false]);
  });

  it('is the next one for who was not understood, round and round, and then the first again', async () => {
    const dialer = ringOf(1, 2, 3);
    const listener = ringOf(3);
    const tries: boolean[] = [];
    for (let nth = 0; nth < 4; nth++) tries.push(await understands(dialer, listener));
    expect(tries).toEqual([false, false, true, false]);
  });

  it('is the first again once the keys have changed', async () => {
    const dialer = ringOf(1, 2);
    expect(await understands(dialer, ringOf(3))).toBe(false);
    dialer.use([key(3), key(2)]);
    expect(await understands(dialer, ringOf(3))).toBe(true);
  });
});
