// An agent's link to its swarm, alone with a transport that the test plays.
import { expect } from 'vitest';
import type { HeldKeys } from '../../node/link/network-keys.ts';
import { SwarmLink } from '../../node/link/swarm-link.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { ModelledCrypto, simulatedPeer } from '../../sim/adapters/crypto.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { type EnvelopeKind, sealEnvelope } from '../../swarm/dissemination/envelope.ts';
import { makeGenesis } from '../../swarm/identity/genesis.ts';
import { certifiedBy, foundSwarm } from '../../swarm/identity/roster-store.ts';
import { swarmNames } from '../../swarm/names.ts';
import { TransportError, type TransportHandlers, type TransportNames } from '../../swarm/ports/transport.ts';
import { encodeStatus, STATUS_CONDITIONS, type Status } from '../../swarm/state/status.ts';
import { PlainStore } from './store.ts';
import { pass } from './virtual.ts';

export const WALL_MS = 1_700_000_000_000;
const SECRET = new Uint8Array([1]);
export const cryptoOf = (index: number): ModelledCrypto => new ModelledCrypto(simulatedPeer(index, 1), SECRET);
export const [self, root, beta, stranger, gamma] = [cryptoOf(0), cryptoOf(1), cryptoOf(2), cryptoOf(3), cryptoOf(4)];
const genesis = makeGenesis(self, {
  name: 't',
  rootKeys: [root.self],
  threshold: 1,
  createdMs: WALL_MS,
  nonce: new Uint8Array(16),
});
export const { swarmId } = genesis;
export const names = swarmNames(swarmId);

export const conditions = (more: object): Status['conditions'] =>
  ({ ...Object.fromEntries(STATUS_CONDITIONS.map((name) => [name, 'Unknown'])), ...more }) as Status['conditions'];
export const statusOf = (name: string, more: Partial<Status> = {}): Status => ({
  name,
  version: '0.4.0',
  atMs: WALL_MS,
  zone: 0,
  address: `/at/${name}`,
  loadCenti: undefined,
  memoryPermille: undefined,
  cpuPermille: undefined,
  pressureCenti: [undefined, undefined, undefined],
  conditions: conditions({ Ready: 'True' }),
  openIncidents: 0,
  term: 0,
  coordinator: false,
  decided: 0,
  mode: 'act',
  ...more,
});
export const certificate = (crypto: ModelledCrypto, name: string): Uint8Array =>
  certifiedBy(self, swarmId, crypto.self, { name, role: 'member', nowMs: WALL_MS }).bytes;
export const sealed = (crypto: ModelledCrypto, sequence: number, status: Status, kind: EnvelopeKind = 'status'): Uint8Array =>
  sealEnvelope(crypto, swarmId, kind, sequence, kind === 'status' ? encodeStatus(status) : new Uint8Array()).bytes;

/** The founder of a swarm, alone with its transport. */
export async function linked(store = new PlainStore(), networkKeys?: HeldKeys) {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler, () => WALL_MS);
  const log: string[] = [];
  const did: string[] = [];
  const sent: { to: string; bytes: Uint8Array }[] = [];
  const published: { topic: string; bytes: Uint8Array; urgent: boolean | undefined }[] = [];
  const its = {
    connected: [] as string[],
    /** What a pull brings: records, envelopes with their ages, and whether there is more. */
    lacking: undefined as [Uint8Array[], [Uint8Array, number][], boolean] | undefined,
    asked: new Uint8Array() as Uint8Array,
    /** Who cannot be dialed. */
    away: new Set<string>(),
    /** Those who are there answer no probes. */
    hangs: false,
    /** Of requests that are no pulls. */
    answer: undefined as ((to: string, protocol: string) => Promise<Uint8Array>) | undefined,
  };
  let given: { names: TransportNames; handlers: TransportHandlers } | undefined;
  const transport = {
    self: self.self,
    start: async (names: TransportNames, handlers: TransportHandlers) => {
      given = { names, handlers };
    },
    stop: async () => void did.push('stop'),
    publish: (topic: string, bytes: Uint8Array, urgent?: boolean) => void published.push({ topic, bytes, urgent }),
    send: (to: string, protocol: string, bytes: Uint8Array) => {
      did.push(`send ${protocol.split('/')[3]} ${to}`);
      sent.push({ to, bytes });
    },
    request: async (to: string, protocol: string, body: Uint8Array) => {
      did.push(`request ${protocol.split('/')[3]} ${to}`);
      if (protocol === names.protocol('sync')) its.asked = body;
      if (protocol === names.protocol('sync') && its.lacking !== undefined) return encodeCbor(its.lacking);
      if (protocol !== names.protocol('sync') && its.answer !== undefined) return its.answer(to, protocol.split('/')[3] ?? '');
      throw new TransportError('unreachable', 'nobody is there');
    },
    disconnect: (peer: string) => void did.push(`disconnect ${peer}`),
    connectedPeers: () => its.connected,
    addresses: () => ['/at/self'],
    useNetworkKeys: (keys: readonly Uint8Array[]) => void did.push(`network keys ${keys.map(([first]) => first)}`),
    lookAround: () => undefined,
    dial: async (address: string) => {
      did.push(`dial ${address}`);
      return beta.self;
    },
    dialPeer: async (peer: string, address?: string) => {
      did.push(`dial ${peer} ${address}`);
      if (its.away.has(peer)) throw new TransportError('unreachable', 'nobody is there');
    },
    traffic: () => new Map(),
  };
  if (store.content.size === 0) await store.write(foundSwarm(self, genesis, [root], { name: 'alpha', nowMs: WALL_MS }));
  const ports = {
    clock,
    store,
    crypto: self,
    random: new SeededRandom(1, 'link'),
    transport,
    sensors: { waitedMs: () => 0 },
  } as unknown as Ports;
  const link = new SwarmLink(
    ports,
    { swarmId, name: 'alpha', join: [], token: undefined, rootSigners: [], networkKeys },
    {
      request: async (protocol, from, body) => encodeCbor([protocol, from, body.length]),
      voted: (claim, { verdict }) => void did.push(`voted ${verdict} on ${claim.target}`),
      measured: () => ({ verdict: 'abstain', reason: 'no-evidence', confidence: 0 }),
      log: (level, text) => void log.push(`${level}: ${text}`),
      failed: (error) => {
        throw error;
      },
    },
  );
  await link.start();
  const { handlers, names: offered } = given ?? expect.fail('it was not started');
  const record = (bytes: Uint8Array) => handlers.broadcast(names.rosterTopic, beta.self, bytes);
  const said = (bytes: Uint8Array, from = beta.self) => handlers.broadcast(names.statusTopic, from, bytes);
  const pump = (ms: number) => pass(scheduler, ms);
  /** With another member, whose status has come. */
  const withBeta = async () => {
    record(certificate(beta, 'beta'));
    handlers.connected(beta.self);
    said(sealed(beta, 1, statusOf('beta')));
    await pump(100);
  };
  return { link, handlers, offered, log, did, sent, published, store, its, scheduler, record, said, withBeta, pump };
}
