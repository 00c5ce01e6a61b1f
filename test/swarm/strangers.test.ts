// Strangers at the door of a real libp2p host: none of them gets a stream, each costs little, and members still come in.
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { Identity } from '../../swarm/libp2p/identity.ts';
import { Libp2pTransport } from '../../swarm/libp2p/transport.ts';
import type { Greeter, TransportHandlers } from '../../swarm/ports/transport.ts';
import { eventually } from '../support/clock.ts';
import { makeIdentity, makeRsaIdentity } from '../support/crypto.ts';
import { patient } from '../support/patience.ts';
import { foundedSwarm, joined, newcomer, type Papers } from '../support/swarm-papers.ts';
import { ON_LOOPBACK } from '../support/transport.ts';
import { EVERYBODY_WELCOME } from '../support/welcome.ts';

const NAMES = { topics: ['/t/1'], messages: ['/m/1'], requests: ['/r/1'] };
const DIALS = 200;
const STALLERS = 100;

const made: Libp2pTransport[] = [];
afterEach(async () => void (await Promise.all(made.splice(0).map((transport) => transport.stop()))));

interface Seen {
  lines: string[];
  handlers: TransportHandlers;
}

function seeing(greeter: Greeter): Seen {
  const lines: string[] = [];
  const handlers: TransportHandlers = {
    hello: (to) => greeter.hello(to),
    welcome: (...args) => greeter.welcome(...args),
    accept: (...args) => greeter.accept(...args),
    settle: (...args) => greeter.settle(...args),
    broadcast: () => {
      lines.push('broadcast');
      return 'accept';
    },
    message: () => void lines.push('message'),
    request: async () => {
      lines.push('request');
      return new Uint8Array();
    },
    connected: (peer) => void lines.push(`connected ${peer}`),
    disconnected: () => undefined,
    flooded: () => undefined,
    found: () => undefined,
  };
  return { lines, handlers };
}

async function listening(
  { peer: self, privateKey }: Identity,
  swarmId: string,
  greeter: Greeter,
): Promise<{ transport: Libp2pTransport; seen: Seen }> {
  const transport = new Libp2pTransport({ self, privateKey, ...ON_LOOPBACK, swarmId });
  made.push(transport);
  const seen = seeing(greeter);
  await transport.start(NAMES, seen.handlers);
  return { transport, seen };
}

/** A host whose key and papers are not the same thing: papers are checked against the key that noise has proved. */
async function hostOf(papers: Papers) {
  return listening(await makeIdentity(), papers.admission.roster.swarmId, papers.admission);
}

const addressOf = (transport: Libp2pTransport): string => transport.addresses()[0] ?? '';

describe('a stranger', () => {
  it('is told why it is not let in, and gets no further, however often it dials', async () => {
    const { founder } = await foundedSwarm();
    const { transport, seen } = await hostOf(founder);
    const { transport: stranger } = await hostOf(await newcomer(founder, 'stranger'));
    await expect(stranger.dial(addressOf(transport))).rejects.toMatchObject({
      code: 'denied',
      message: expect.stringMatching(/no certificate of this swarm/),
    });
    const before = process.memoryUsage().rss;
    for (let i = 1; i < DIALS; i++) await stranger.dial(addressOf(transport)).catch(() => undefined);
    expect([seen.lines, transport.connectedPeers()]).toEqual([[], []]);
    expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(50);
  });

  it('of another swarm, or with another kind of key, is none of ours', async () => {
    const [{ founder }, { founder: other }] = [await foundedSwarm(), await foundedSwarm()];
    const { transport, seen } = await hostOf(founder);
    const { transport: foreign } = await hostOf(other);
    await expect(foreign.dial(addressOf(transport))).rejects.toMatchObject({
      code: 'denied',
      message: expect.stringMatching(/another swarm/),
    });
    const rsa = await makeRsaIdentity();
    const { transport: wrong } = await listening(rsa, founder.admission.roster.swarmId, (await joined(founder, 'x')).admission);
    await expect(wrong.dial(addressOf(transport))).rejects.toMatchObject({ code: expect.stringMatching(/denied|unreachable/) });
    expect([seen.lines, transport.connectedPeers()]).toEqual([[], []]);
  });

  it('of another wire version is told so, and what is asked in a protocol that it does not speak fails at once', async () => {
    const host = async (swarmId: string) => (await listening(await makeIdentity(), swarmId, EVERYBODY_WELCOME)).transport;
    const transport = await host('0'.repeat(32));
    const later = await host('1'.repeat(32)); // its first protocol has another name, as one of another version would
    await expect(later.dial(addressOf(transport))).rejects.toMatchObject({
      code: 'denied',
      message: expect.stringMatching(/another swarm or KALOS version/),
    });
    const member = await host('0'.repeat(32));
    await member.dial(addressOf(transport));
    const askedMs = performance.now();
    await expect(member.request(transport.self, '/r/2', Uint8Array.of(1), patient(5_000))).rejects.toMatchObject({
      code: 'unreachable',
    });
    expect(performance.now() - askedMs).toBeLessThan(patient(3_000));
    member.send(transport.self, '/m/2', Uint8Array.of(1));
    expect((await member.request(transport.self, '/r/1', Uint8Array.of(1), 5_000)).length).toBe(0);
  });

  it('that shows a member’s certificate is not that member', async () => {
    const { founder } = await foundedSwarm();
    const member = await joined(founder, 'member');
    const { transport, seen } = await hostOf(founder);
    const { transport: thief } = await hostOf(member); // the papers of a member, and a key of its own
    await expect(thief.dial(addressOf(transport))).rejects.toMatchObject({ code: 'denied' });
    expect(seen.lines).toEqual([]);
  });

  it('that connects and says nothing holds no member up', async () => {
    const { founder } = await foundedSwarm();
    const { transport, seen } = await listening(await makeIdentity(), founder.admission.roster.swarmId, EVERYBODY_WELCOME);
    const port = Number(addressOf(transport).match(/tcp\/(\d+)/)?.[1]);
    const sockets: Socket[] = Array.from({ length: STALLERS }, () => connect(port, '127.0.0.1').on('error', () => undefined));
    await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
    const { transport: member } = await listening(await makeIdentity(), founder.admission.roster.swarmId, EVERYBODY_WELCOME);
    await eventually(
      'the member to be let in',
      () =>
        member.dial(addressOf(transport)).then(
          () => true,
          () => undefined,
        ),
      10_000,
    );
    await eventually('it to be seen', () => seen.lines.length > 0 || undefined);
    expect(seen.lines).toEqual([`connected ${member.self}`]);
    await eventually('the others to be hung up on', () => sockets.every(({ closed }) => closed) || undefined, 15_000);
  });
});
