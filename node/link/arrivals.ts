// Hands what arrives over the transport to the part of this agent that it is for.
import { decodeProbe } from '../../swarm/membership/probe.ts';
import type { ProtocolName, SwarmNames } from '../../swarm/names.ts';
import type { PeerId, Transport, TransportHandlers } from '../../swarm/ports/transport.ts';
import { CONSENSUS_MESSAGES, CONSENSUS_REQUESTS, type Consensus } from '../decisions/consensus.ts';
import type { Ballots } from './ballots.ts';
import type { Connections } from './connections.ts';
import type { Enrolment } from './enrolment.ts';
import type { Gossip } from './gossip.ts';
import { AGENT_REQUESTS, type SwarmLinkEvents } from './swarm-link-config.ts';

const ENROLMENT_REQUESTS = ['renew', 'twin', 'token'] as const;

export interface Receivers {
  connections: Connections;
  gossip: Gossip;
  enrolment: Enrolment;
  ballots: Ballots;
  consensus: Consensus;
  /** Requests that the rest of the agent answers. */
  request: SwarmLinkEvents['request'];
  /** A member exceeds its limit of these. */
  flooded(peer: PeerId, what: string): void;
}

export class Arrivals {
  readonly #transport: Transport;
  readonly #names: SwarmNames;
  readonly #to: Receivers;

  constructor(transport: Transport, names: SwarmNames, to: Receivers) {
    this.#transport = transport;
    this.#names = names;
    this.#to = to;
  }

  start(): Promise<void> {
    const protocol = (name: ProtocolName): string => this.#names.protocol(name);
    const names = {
      topics: [this.#names.statusTopic, this.#names.rosterTopic],
      messages: [protocol('probe'), protocol('vote'), ...CONSENSUS_MESSAGES.map(protocol)],
      requests: [...(['sync'] as const), ...ENROLMENT_REQUESTS, ...AGENT_REQUESTS, ...CONSENSUS_REQUESTS].map(protocol),
    };
    return this.#transport.start(names, this.#handlers());
  }

  stop(): Promise<void> {
    return this.#transport.stop();
  }

  #handlers(): TransportHandlers {
    const { connections, gossip, enrolment, consensus, flooded } = this.#to;
    const { admission } = enrolment;
    return {
      hello: (to) => admission.hello(to),
      welcome: (from, hello) => admission.welcome(from, hello),
      accept: (from, answer) => admission.accept(from, answer),
      settle: (from, answer) => admission.settle(from, answer),
      broadcast: (topic, from, bytes) =>
        topic === this.#names.rosterTopic ? enrolment.receive(bytes) : gossip.receive(from, bytes),
      message: (name, from, bytes) => this.#message(name, from, bytes),
      request: (name, from, body) => this.#request(name, from, body),
      connected: (peer) => {
        connections.post({ kind: 'connected', peer });
        gossip.connected(peer);
      },
      disconnected: (peer) => {
        connections.post({ kind: 'disconnected', peer });
        consensus.committee.disconnected(peer);
      },
      flooded,
      found: (peer, address) => enrolment.found(peer, address),
    };
  }

  #nameOf<Name extends ProtocolName>(protocol: string, among: readonly Name[]): Name | undefined {
    return among.find((name) => protocol === this.#names.protocol(name));
  }

  #message(protocol: string, from: PeerId, bytes: Uint8Array): void {
    const { connections, ballots, consensus } = this.#to;
    if (protocol === this.#names.protocol('probe')) {
      const message = decodeProbe(bytes);
      if (message !== undefined) connections.post({ kind: 'message', from, message });
      return;
    }
    connections.post({ kind: 'heard', peer: from });
    if (protocol === this.#names.protocol('vote')) return ballots.receive(from, bytes);
    const name = this.#nameOf(protocol, CONSENSUS_MESSAGES);
    if (name !== undefined) consensus.receive(name, from, bytes);
  }

  async #request(protocol: string, from: PeerId, body: Uint8Array): Promise<Uint8Array> {
    const { consensus, enrolment, gossip, request } = this.#to;
    const decided = this.#nameOf(protocol, CONSENSUS_REQUESTS);
    if (decided !== undefined) return consensus.answer(decided, from, body);
    const agents = this.#nameOf(protocol, AGENT_REQUESTS);
    if (agents !== undefined) return request(agents, from, body);
    const enrolments = this.#nameOf(protocol, ENROLMENT_REQUESTS);
    return enrolments === undefined ? gossip.answer(body) : enrolment.answer(enrolments, from, body);
  }
}
