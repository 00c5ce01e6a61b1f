// One that means ill, in a process of its own: a stranger who dials without end, or a member, with a certificate, who floods.
// `node besieger.ts KIND SECONDS ADDRESS [TOKEN]`: prints one line of JSON at its end.
import { connect, type Socket } from 'node:net';
import type { Stream } from '@libp2p/interface';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { sealEnvelope } from '../../swarm/dissemination/envelope.ts';
import { parseToken } from '../../swarm/identity/token.ts';
import { Ed25519Crypto } from '../../swarm/libp2p/identity.ts';
import { encodeProbe } from '../../swarm/membership/probe.ts';
import { type SwarmNames, swarmNames } from '../../swarm/names.ts';
import type { Greeter } from '../../swarm/ports/transport.ts';
import { makeIdentity } from './crypto.ts';
import { Foe } from './foe.ts';
import { Papers } from './swarm-papers.ts';
import { EVERYBODY_WELCOME } from './welcome.ts';

const AT_ONCE = 64;
/** Of a stranger's dials. */
const MAX_DIALS = 10_000;
/** What gossipsub does with a remote procedure call, which its type does not show. */
interface Gossips {
  streamsOutbound: Map<string, { rawStream: Stream }>;
  sendRpc(to: string, rpc: unknown): boolean;
}

interface Siege {
  foe: Foe;
  crypto: Ed25519Crypto;
  names: SwarmNames;
  victim: string;
  address: string;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const rpcOf = (topic: string, data: Uint8Array) => ({ subscriptions: [], messages: [{ topic, data }], control: undefined });

/** Each does its worst once, a little at a time, so that the loop of this process goes on; and says how much of it there was. */
const KINDS: Record<string, (siege: Siege, turn: number) => Promise<number>> = {
  strangers: async ({ foe, address }) => {
    await foe.dial(address);
    foe.hangUp();
    return 1;
  },
  'slow-strangers': async ({ foe, address }) => {
    await foe.dial(address);
    foe.hangUp();
    await pause(20); // below the rate that an address is cut off at
    return 1;
  },
  sockets: async ({ address }) => {
    const port = Number(address.match(/tcp\/(\d+)/)?.[1]);
    const opened: Socket[] = Array.from({ length: AT_ONCE }, () => connect(port, '127.0.0.1').on('error', () => undefined));
    await pause(20);
    void opened;
    return AT_ONCE;
  },
  nonsense: (siege, turn) =>
    gossiped(siege, AT_ONCE, (index) => new Uint8Array(1_000).fill(turn * AT_ONCE + index).fill(turn, 10)),
  bombs: (siege, turn) => gossiped(siege, 4, (index) => bomb(turn * 4 + index)),
  forged: (siege, turn) => {
    const { crypto, names, victim } = siege;
    const asVictim = { keyOf: crypto.keyOf.bind(crypto), sign: crypto.sign.bind(crypto), self: victim };
    return gossiped(
      siege,
      AT_ONCE,
      (index) => sealEnvelope(asVictim, names.swarmId, 'status', 2 ** 45 + turn * AT_ONCE + index, new Uint8Array(200)).bytes,
    );
  },
  /** Its own, well signed, and many. */
  statuses: (siege, turn) =>
    gossiped(
      siege,
      AT_ONCE,
      (index) =>
        sealEnvelope(siege.crypto, siege.names.swarmId, 'status', 2 ** 40 + turn * AT_ONCE + index, encodeCbor([1, 'nothing']))
          .bytes,
    ),
  subscriptions: async ({ foe, victim }, turn) => {
    const subscriptions = Array.from({ length: 1_000 }, (_, index) => ({ subscribe: true, topic: `/t/${turn}/${index}` }));
    const pubsub = foe.host.services.pubsub as unknown as Gossips;
    pubsub.sendRpc(victim, { subscriptions, messages: [], control: undefined });
    await pause(5);
    return subscriptions.length;
  },
  streams: async ({ foe, names }) => {
    await Promise.all(Array.from({ length: AT_ONCE }, () => foe.open(names.protocol('sync'))));
    await pause(1);
    return AT_ONCE;
  },
  probes: async (siege, turn) => {
    const writer = await writerOf(siege, siege.names.protocol('probe'));
    for (let index = 0; index < AT_ONCE * 8; index++)
      await writer?.write(encodeProbe({ kind: 'ping', token: turn * AT_ONCE + index }));
    await pause(0);
    return AT_ONCE * 8;
  },
  /** The costliest question that there is: a digest in which everything differs. */
  syncs: async ({ foe, names }, turn) => {
    const ask = async (): Promise<void> => {
      const exchange = await foe.writer(names.protocol('sync'));
      await exchange?.write(new Uint8Array(2 * 1_024 * 8 + 2).fill(turn));
      await exchange?.read({ signal: AbortSignal.timeout(5_000) });
      exchange?.unwrap().abort(new Error('enough'));
    };
    await Promise.all(Array.from({ length: 16 }, () => ask().catch(() => undefined)));
    await pause(1);
    return 16;
  },
};

/** Arrays within arrays: as deep as a message may be long. */
function bomb(nonce: number): Uint8Array {
  const bytes = new Uint8Array(60_000).fill(0x81);
  new DataView(bytes.buffer).setUint32(bytes.length - 5, nonce);
  return bytes;
}

async function gossiped({ foe, victim, names }: Siege, count: number, make: (index: number) => Uint8Array): Promise<number> {
  const pubsub = foe.host.services.pubsub as unknown as Gossips;
  for (let index = 0; index < count; index++) pubsub.sendRpc(victim, rpcOf(names.statusTopic, make(index)));
  await pause(2);
  return count;
}

const writers = new Map<string, Awaited<ReturnType<Foe['writer']>>>();
async function writerOf({ foe }: Siege, protocol: string) {
  const known = writers.get(protocol) ?? (await foe.writer(protocol));
  writers.set(protocol, known);
  return known;
}

async function besiege(kind: string, seconds: number, address: string, text: string | undefined): Promise<void> {
  const identity = await makeIdentity();
  const crypto = new Ed25519Crypto(identity);
  const token = text === undefined ? undefined : parseToken(crypto, text);
  if (typeof token === 'string') throw new Error(token);
  const swarmId = token?.swarmId ?? address.split('#')[1] ?? '';
  const papers = new Papers(crypto, swarmId, `foe-${kind}`, token);
  papers.nowMs = Date.now();
  const names = swarmNames(swarmId);
  const greeter: Greeter = token === undefined ? EVERYBODY_WELCOME : papers.admission;
  const { privateKey } = identity;
  const foe = await Foe.make({ privateKey, swarmId, greeter, topics: [names.statusTopic], dhtProtocol: names.dhtProtocol });
  const to = address.split('#')[0] ?? '';
  const siege: Siege = { foe, crypto, names, victim: to.split('/p2p/')[1] ?? '', address: to };
  if (token !== undefined) {
    foe.host.services.pubsub.subscribe(names.statusTopic);
    await foe.dial(to);
    await pause(1_500); // gossipsub opens its stream
  }
  const act = KINDS[kind];
  if (act === undefined) throw new Error(`no siege is called ${kind}`);
  const untilMs = performance.now() + seconds * 1_000;
  let done = 0;
  let dials = 0;
  const most = token === undefined ? MAX_DIALS : Number.POSITIVE_INFINITY;
  for (let turn = 0; performance.now() < untilMs && done < most; turn++) {
    if (token !== undefined && !foe.isConnected) {
      // Thrown out: it comes again at once.
      writers.clear();
      dials++;
      if (!(await foe.dial(to))) await pause(5);
    } else done += await Promise.race([act(siege, turn).catch(() => 0), pause(1_000).then(() => 0)]);
  }
  process.stdout.write(`${JSON.stringify({ kind, done, dials })}\n`, () => process.exit(0));
}

const [kind = '', seconds = '1', address = '', token] = process.argv.slice(2);
await besiege(kind, Number(seconds), address, token);
