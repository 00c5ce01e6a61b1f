// One member of a Raft group as a process of its own: real libp2p over loopback, a real LevelDB. Its parent speaks to it by IPC.

import { ReplicatedLog } from '../../../consensus/raft/replicated-log.ts';
import { LogUnavailable } from '../../../consensus/raft/requests.ts';
import { SystemClock } from '../../../node/adapters/clock.ts';
import { LevelStore } from '../../../node/adapters/level-store.ts';
import { SystemRandom } from '../../../node/adapters/random.ts';
import type { RegisterInput, RegisterOutput } from '../../../sim/check/linearizability.ts';
import { carryOut, Registers } from '../../../sim/raft/registers.ts';
import { Ed25519Crypto, identityFromSeed } from '../../../swarm/libp2p/identity.ts';
import { Libp2pTransport } from '../../../swarm/libp2p/transport.ts';
import { ON_LOOPBACK } from '../transport.ts';
import { EVERYBODY_WELCOME } from '../welcome.ts';

const PROTOCOL = '/raft/1';
const REDIAL_MS = 100;
const PROPOSE_MS = 3_000;

export interface RaftProcessOptions {
  /** From 1. */
  id: number;
  /** A port of loopback for each member. */
  ports: number[];
  directory: string;
}

export type FromRaftProcess =
  | { kind: 'state'; state: string; lead: number; term: number }
  | { kind: 'answer'; id: number; ok: boolean; why: string }
  /** Without an output: dropped where it cannot have taken effect, else nobody knows. */
  | { kind: 'worked'; id: number; output?: RegisterOutput; dropped: boolean }
  | { kind: 'look'; applied: number; connected: number; state: string; lead: number; term: number };

export type ToRaftProcess =
  | { kind: 'propose'; id: number; key: string; value: string }
  | { kind: 'work'; id: number; input: RegisterInput }
  | { kind: 'look' }
  | { kind: 'stall'; forMs: number };

const seedOf = (id: number): Uint8Array => new Uint8Array(32).fill(id);
const tell = (message: FromRaftProcess): void => void process.send?.(message);

async function main({ id, ports, directory }: RaftProcessOptions): Promise<void> {
  const identities = await Promise.all(ports.map((_, i) => identityFromSeed(seedOf(i + 1))));
  const own = identities[id - 1];
  if (own === undefined) throw new RangeError(`no member ${id}`);
  const peers = identities.map(({ peer }) => peer);
  const transport = new Libp2pTransport({
    self: own.peer,
    privateKey: own.privateKey,
    ...ON_LOOPBACK,
    listen: [`/ip4/127.0.0.1/tcp/${ports[id - 1]}`],
  });
  let log: ReplicatedLog<Registers> | undefined;
  await transport.start(
    { topics: [], messages: [PROTOCOL], requests: [] },
    {
      ...EVERYBODY_WELCOME,
      broadcast: () => 'ignore',
      message: (_protocol, from, bytes) => log?.receive(peers.indexOf(from) + 1, bytes),
      request: async () => new Uint8Array(),
      connected: () => undefined,
      disconnected: (peer) => log?.disconnected(peers.indexOf(peer) + 1),
      found: () => undefined,
      flooded: (peer, what) => process.stderr.write(`${peers.indexOf(peer) + 1} sends too many ${what}\n`),
    },
  );
  const crypto = new Ed25519Crypto(own);
  log = await ReplicatedLog.open(
    id,
    ports.map((_, i) => i + 1),
    new Registers(),
    { clock: new SystemClock(), store: await LevelStore.open(directory), random: new SystemRandom(), crypto },
    {
      send: (to, bytes) => transport.send(peers[to - 1] ?? '', PROTOCOL, bytes),
      changed: (state) => tell({ kind: 'state', ...state }),
      applied: () => undefined,
      diskFails: (why) => process.stderr.write(`disk: ${why ?? 'works again'}\n`),
      failed: (error) => {
        process.stderr.write(`failed: ${String(error)}\n`);
        process.exit(1);
      },
    },
  );
  setInterval(() => {
    const connected = new Set(transport.connectedPeers());
    // Of two the one with the lower number dials.
    for (const [i, port] of ports.entries())
      if (i + 1 > id && !connected.has(peers[i] ?? ''))
        transport.dial(`/ip4/127.0.0.1/tcp/${port}/p2p/${peers[i]}`).catch(() => undefined);
  }, REDIAL_MS);
  const answer = (number: number, ok: boolean, why: string): void => tell({ kind: 'answer', id: number, ok, why });
  process.on('message', (message: ToRaftProcess) => {
    const running = log as ReplicatedLog<Registers>;
    if (message.kind === 'look') {
      tell({ kind: 'look', connected: transport.connectedPeers().length, ...running.state });
    } else if (message.kind === 'work') {
      carryOut(running, message.input, PROPOSE_MS).then(
        (output) => tell({ kind: 'worked', id: message.id, output, dropped: false }),
        (error: unknown) =>
          tell({ kind: 'worked', id: message.id, dropped: error instanceof LogUnavailable && !error.isUnknown }),
      );
    } else if (message.kind === 'stall') {
      const untilMs = performance.now() + message.forMs;
      while (performance.now() < untilMs);
    } else {
      running.propose({ op: 'put', key: message.key, value: message.value }, PROPOSE_MS).then(
        () => answer(message.id, true, ''),
        (error: unknown) => answer(message.id, false, error instanceof LogUnavailable ? error.message : String(error)),
      );
    }
  });
  process.on('disconnect', () => process.exit());
}

await main(JSON.parse(process.argv[2] ?? '{}') as RaftProcessOptions);
