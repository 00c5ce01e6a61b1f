// The network key and its rotation: who holds none gets nowhere, who slept through a rotation comes back, and old keys end in time.
import { afterEach, describe, expect, it } from 'vitest';
import { NetworkKeys } from '../../node/link/network-keys.ts';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { signRecord } from '../../swarm/identity/record.ts';
import { Libp2pTransport } from '../../swarm/libp2p/transport.ts';
import { makeIdentity } from '../support/crypto.ts';
import { foundedSwarm, joined, START_MS } from '../support/swarm-papers.ts';
import { ON_LOOPBACK } from '../support/transport.ts';
import { EVERYBODY_WELCOME } from '../support/welcome.ts';

const HOUR_MS = 3_600_000;
const keyOf = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const [OLD, NEW] = [keyOf(1), keyOf(2)];

const made: Libp2pTransport[] = [];
afterEach(async () => void (await Promise.all(made.splice(0).map((transport) => transport.stop()))));

async function holding(...networkKeys: Uint8Array[]): Promise<Libp2pTransport> {
  const { peer: self, privateKey } = await makeIdentity();
  const transport = new Libp2pTransport({ self, privateKey, ...ON_LOOPBACK, networkKeys });
  made.push(transport);
  await transport.start(
    { topics: [], messages: [], requests: ['/echo/1'] },
    {
      ...EVERYBODY_WELCOME,
      broadcast: () => 'accept',
      message: () => undefined,
      request: async (_protocol, _from, bytes) => bytes,
      connected: () => undefined,
      disconnected: () => undefined,
      flooded: () => undefined,
      found: () => undefined,
    },
  );
  return transport;
}

/** That everything arrives as it was sent, over more than one segment. */
async function talks(dialer: Libp2pTransport, listener: Libp2pTransport): Promise<void> {
  await dialer.dial(listener.addresses()[0] ?? '');
  const asked = Uint8Array.from({ length: 60_000 }, (_, index) => index * 7);
  expect(Uint8Array.from(await dialer.request(listener.self, '/echo/1', asked, 5_000))).toEqual(asked);
}
const refuses = (dialer: Libp2pTransport, listener: Libp2pTransport) =>
  expect(dialer.dial(listener.addresses()[0] ?? '')).rejects.toMatchObject({ code: 'unreachable' });

describe('a network key', () => {
  it('keeps out who has another, or none', async () => {
    const listener = await holding(NEW);
    await talks(await holding(NEW), listener);
    await refuses(await holding(OLD), listener);
    await refuses(await holding(), listener);
    await refuses(await holding(NEW), await holding());
  });

  it('of before a rotation is understood by who has both', async () => {
    await talks(await holding(OLD), await holding(NEW, OLD));
  });

  it('is tried after a newer one that was not understood', async () => {
    const [dialer, asleep] = [await holding(NEW, OLD), await holding(OLD)];
    await refuses(dialer, asleep);
    await talks(dialer, asleep);
  });

  it('can change while connections are open', async () => {
    const [dialer, listener] = [await holding(OLD), await holding(OLD)];
    await talks(dialer, listener);
    listener.useNetworkKeys([NEW]);
    expect(Uint8Array.from(await dialer.request(listener.self, '/echo/1', OLD, 5_000))).toEqual(OLD);
    await refuses(await holding(OLD), listener);
    await talks(await holding(NEW), listener);
  });
});

describe('a rotation', () => {
  /** What a member with the old key does at that time. */
  function follower(): { keys: NetworkKeys; used: number[][]; kept: number[][]; clock: { wallMs: number } } {
    const [used, kept]: number[][][] = [[], []];
    const bytes = (keys: readonly Uint8Array[]): number[] => keys.map(([first]) => first ?? 0);
    const clock = { wallMs: START_MS };
    const keys = new NetworkKeys(
      { useNetworkKeys: (given) => void used?.push(bytes(given)) },
      { wallMs: () => clock.wallMs, monotonicMs: () => 0, after: () => ({ cancel: () => undefined }) },
      { keys: [OLD], keep: (given) => void kept?.push(bytes(given)) },
    );
    return { keys, used: used ?? [], kept: kept ?? [], clock };
  }

  it('is understood at once, dialed with in time, and ends the older keys in time', async () => {
    const { founder } = await foundedSwarm();
    const rotation = { ...(await founder.admission.issuer.rotateNetworkKey(30_000, HOUR_MS)), key: NEW };
    const { keys, used, kept, clock } = follower();
    keys.follow(rotation);
    clock.wallMs = START_MS + 31_000;
    keys.follow(rotation);
    clock.wallMs = START_MS + 31_000 + HOUR_MS;
    keys.follow(rotation);
    keys.follow(rotation);
    expect(used).toEqual([[1, 2], [2, 1], [2], [2]]);
    expect(kept).toEqual([[2, 1], [2]]);
    expect(keys.newest).toEqual(NEW);
  });

  it('is an issuer’s to make, and the newest counts everywhere', async () => {
    const { founder } = await foundedSwarm();
    const member = await joined(founder, 'member');
    await expect(member.admission.issuer.rotateNetworkKey(0, HOUR_MS)).rejects.toThrow('may not sign');
    await founder.admission.issuer.rotateNetworkKey(0, HOUR_MS);
    const first = founder.learned.at(-1)?.bytes as Uint8Array;
    await founder.admission.issuer.rotateNetworkKey(0, HOUR_MS);
    const second = founder.learned.at(-1)?.bytes as Uint8Array;
    const { roster } = member.admission;
    expect([second, first].map((bytes) => roster.offer(bytes, START_MS).verdict)).toEqual(['accept', 'ignore']);
    expect(roster.records.single('network')).toEqual(founder.admission.roster.records.single('network'));
    expect((await founder.restarted()).admission.roster.records.single('network')?.epoch).toBe(2);
  });

  it('in another issuer’s name is forged', async () => {
    const { founder } = await foundedSwarm();
    const member = await joined(founder, 'member');
    const body = { kind: 'network', subject: founder.peer, epoch: 9, fromMs: START_MS, untilMs: START_MS, key: NEW } as const;
    const forged = signRecord(member.crypto, founder.admission.roster.swarmId, body, [member.crypto]);
    expect(founder.admission.roster.offer(forged.bytes, START_MS).verdict).toBe('reject');
  });
});

describe('a record', () => {
  it('of a later version or kind is left alone; nonsense is not', async () => {
    const { founder } = await foundedSwarm();
    const offered = (...wire: unknown[]) => founder.admission.roster.offer(encodeCbor(wire), START_MS).verdict;
    expect([offered(2, 1, {}), offered(1, 99, new Uint8Array(), [])]).toEqual(['ignore', 'ignore']);
    expect([offered(1, 2, 'nonsense'), offered(0, 1), offered('a')]).toEqual(['reject', 'reject', 'reject']);
  });
});
