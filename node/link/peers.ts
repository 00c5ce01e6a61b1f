// The addresses of members, kept over restarts, and the dials to them with their outcomes.

import { utf8 } from '../../swarm/dissemination/cbor.ts';
import { MAX_MEMBERS } from '../../swarm/membership/member-table.ts';
import type { DialOutcome } from '../../swarm/membership/membership.ts';
import type { Timer } from '../../swarm/ports/clock.ts';
import type { StoreOperation } from '../../swarm/ports/store.ts';
import { type PeerId, TransportError } from '../../swarm/ports/transport.ts';
import type { Ports } from '../ports/ports.ts';

const REDIAL_EVERY_MS = 3_000;
const PEER_PREFIX = 'peer/';
const MAX_DIALS_AT_ONCE = 16;
/** An agent without connections looks around the local network, but not at every turn: all members there answer. */
const LOOK_AROUND_EVERY = 3;
/** A crash may lose addresses that changed within this time. */
const SAVE_AFTER_MS = 500;

export interface PeersEvents {
  /** The members to be connected with. */
  wanted(): readonly PeerId[];
  dialed(peer: PeerId, outcome: DialOutcome): void;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

export class Peers {
  readonly #ports: Pick<Ports, 'transport' | 'clock' | 'store'>;
  readonly #bootstrap: readonly string[];
  readonly #events: PeersEvents;
  readonly #addresses = new Map<PeerId, string>();
  /** Peers whose address changed since it was written. */
  readonly #unsaved = new Set<PeerId>();
  readonly #dialing = new Map<PeerId, Promise<void>>();
  #redial: Timer | undefined;
  /** Addresses from the local network that are being dialed. */
  readonly #trying = new Set<string>();
  #turnsAlone = 0;
  /** Wanted members that were not connected at the last turn. */
  #absent: ReadonlySet<PeerId> = new Set();
  #stopped = false;
  #deniedFor = '';

  /** @param bootstrap addresses to dial while no member is connected. */
  constructor(ports: Pick<Ports, 'transport' | 'clock' | 'store'>, bootstrap: readonly string[], events: PeersEvents) {
    this.#ports = ports;
    this.#bootstrap = bootstrap;
    this.#events = events;
  }

  get known(): number {
    return this.#addresses.size;
  }

  async load(): Promise<void> {
    for (const [key, value] of await this.#ports.store.range(PEER_PREFIX, { limit: MAX_MEMBERS }))
      this.#addresses.set(key.slice(PEER_PREFIX.length), new TextDecoder().decode(value));
  }

  addressOf(peer: PeerId): string | undefined {
    return this.#addresses.get(peer);
  }

  /** @param address undefined: forget the peer. */
  remember(peer: PeerId, address: string | undefined): void {
    if (peer === this.#ports.transport.self || this.#addresses.get(peer) === address) return;
    if (address === undefined) this.#addresses.delete(peer);
    else this.#addresses.set(peer, address);
    this.#unsaved.add(peer);
    if (this.#unsaved.size === 1) this.#ports.clock.after(SAVE_AFTER_MS, () => this.#save());
  }

  /** The address of the member that admitted this agent is saved immediately: it is the only one that a new agent knows. */
  rememberNow(by: PeerId, address: string): void {
    this.remember(by, address);
    this.#save();
  }

  /** Writes all changes in one operation. */
  #save(): void {
    const operations = [...this.#unsaved].map((peer): StoreOperation => {
      const [key, address] = [`${PEER_PREFIX}${peer}`, this.#addresses.get(peer)];
      return address === undefined ? { kind: 'delete', key } : { kind: 'put', key, value: utf8(address) };
    });
    this.#unsaved.clear();
    if (!this.#stopped && operations.length > 0)
      this.#ports.store.write(operations).catch((error: unknown) => this.#events.failed(error));
  }

  stop(): void {
    this.#save();
    this.#stopped = true;
    this.#redial?.cancel();
  }

  /** Connects, and reports the outcome; one dial at a time to each. */
  dial(peer: PeerId): Promise<void> {
    let dial = this.#dialing.get(peer);
    if (dial === undefined) {
      dial = this.#ports.transport.dialPeer(peer, this.#addresses.get(peer)).then(
        () => this.#events.dialed(peer, 'open'),
        (error: unknown) => {
          const code = error instanceof TransportError ? error.code : 'unreachable';
          // A member that rejects this agent is alive.
          if (code === 'denied') this.#denied((error as Error).message);
          else if (!this.#stopped) this.#events.dialed(peer, code === 'refused' ? 'refused' : 'silent');
          throw error;
        },
      );
      dial = dial.finally(() => this.#dialing.delete(peer));
      this.#dialing.set(peer, dial);
    }
    return dial;
  }

  /** Logged once, not at every dial. */
  #denied(reason: string): void {
    if (reason === this.#deniedFor || this.#stopped) return;
    this.#deniedFor = reason;
    this.#events.log('warn', `rejected by a member: ${reason}`);
  }

  /** Dials wanted members every 3 s. Of two that want each other, the one with the lower id dials first: one connection is enough. */
  keepDialing(): void {
    const { transport, clock } = this.#ports;
    const connected = new Set(transport.connectedPeers());
    const absent = this.#events.wanted().filter((peer) => !connected.has(peer));
    const due = absent.filter((peer) => transport.self < peer || this.#absent.has(peer) || connected.size === 0);
    this.#absent = new Set(absent);
    for (const peer of due.slice(0, MAX_DIALS_AT_ONCE)) this.dial(peer).catch(() => undefined);
    if (connected.size === 0) this.#alone();
    else this.#turnsAlone = 0;
    if (!this.#stopped) this.#redial = clock.after(REDIAL_EVERY_MS, () => this.keepDialing());
  }

  #alone(): void {
    for (const address of this.#bootstrap) void this.#tryAddress(address);
    if (this.known > 0 && this.#turnsAlone++ % LOOK_AROUND_EVERY === 0) this.#ports.transport.lookAround();
  }

  /** The local network has a member at this address. It is dialed only while this agent has no connection; its status confirms the address. */
  found(peer: PeerId, address: string): void {
    const { transport } = this.#ports;
    const isAlone = transport.connectedPeers().length === 0;
    if (!isAlone || peer === transport.self || this.#trying.size >= MAX_DIALS_AT_ONCE || this.#trying.has(address)) return;
    this.#trying.add(address);
    transport
      .dial(`${address}/p2p/${peer}`)
      .catch(() => undefined) // answers from the local network are not authenticated
      .finally(() => this.#trying.delete(address));
  }

  async #tryAddress(address: string): Promise<void> {
    try {
      await this.#ports.transport.dial(address);
    } catch (error) {
      this.#events.log('warn', `cannot reach ${address}: ${(error as Error).message}`);
    }
  }
}
