// Messages and requests to other members; one that is not connected is dialed first. A member that is known to be down gets no requests. If
// an answer is slow, the member is probed meanwhile: one that hangs is given up after two probes, whose time-outs follow the round trip
// time, and a busy one is waited for.
import type { Member, MemberState } from '../../swarm/membership/member-table.ts';
import type { ProtocolName, SwarmNames } from '../../swarm/names.ts';
import type { Clock } from '../../swarm/ports/clock.ts';
import { type PeerId, type Transport, TransportError } from '../../swarm/ports/transport.ts';
import { Allowance } from '../../swarm/query/allowance.ts';
import { type FanOutOptions, fanOut, type Missing } from '../../swarm/query/fan-out.ts';

/** A member that has not answered after this is probed. */
const DOUBTED_AFTER_MS = 500;

/** The connections to other members. */
export interface Contacts {
  /** Whether this agent is connected with only a few others. */
  readonly isSparse: boolean;
  member(peer: PeerId): Member | undefined;
  /** By the probes of this agent. */
  isSilent(peer: PeerId): boolean;
  dial(peer: PeerId): Promise<void>;
  /** Probe it now. */
  doubt(peer: PeerId): void;
}

export class Messenger {
  readonly #transport: Pick<Transport, 'self' | 'send' | 'request'>;
  readonly #clock: Clock;
  readonly #names: SwarmNames;
  readonly #allowance: Allowance;
  readonly #contacts: Contacts;
  /** Requests that wait for a member's answer. */
  readonly #waiting = new Map<PeerId, Set<(why: TransportError) => void>>();

  constructor(transport: Pick<Transport, 'self' | 'send' | 'request'>, clock: Clock, names: SwarmNames, contacts: Contacts) {
    this.#transport = transport;
    this.#clock = clock;
    this.#names = names;
    this.#allowance = new Allowance(clock);
    this.#contacts = contacts;
  }

  /** A message may be lost. */
  send(to: PeerId, name: ProtocolName, bytes: Uint8Array): void {
    const transport = this.#transport;
    const protocol = this.#names.protocol(name);
    if (!this.#contacts.isSparse || this.#contacts.member(to)?.connected === true) return transport.send(to, protocol, bytes);
    this.#contacts.dial(to).then(
      () => transport.send(to, protocol, bytes),
      () => undefined, // unreachable
    );
  }

  /** Sends several members the same request; unreachable ones get none, and are missing immediately. */
  askAll(peers: readonly PeerId[], name: ProtocolName, body: Uint8Array, options: FanOutOptions): Promise<Missing> {
    // A request to many does not wait for an unreachable member; a request to one member tries.
    const request = (peer: PeerId, _: string, bytes: Uint8Array, withinMs: number): Promise<Uint8Array> =>
      this.#contacts.member(peer)?.state === 'unreachable'
        ? Promise.reject(new TransportError('unreachable', 'the member is unreachable'))
        : this.#inTurn(peer, name, bytes, withinMs, options.asker ?? '');
    const others = peers.filter((peer) => peer !== this.#transport.self);
    return fanOut({ request }, this.#clock, others, name, body, options);
  }

  #inTurn(peer: PeerId, name: ProtocolName, bytes: Uint8Array, withinMs: number, asker: string): Promise<Uint8Array> {
    if (this.#gone(peer) !== undefined || this.#allowance.take(peer)) return this.ask(peer, name, bytes, withinMs);
    const startMs = this.#clock.monotonicMs();
    const leftMs = (): number => Math.max(1, withinMs - (this.#clock.monotonicMs() - startMs));
    return this.#allowance.turn(peer, asker, withinMs).then(() => this.ask(peer, name, bytes, leftMs()));
  }

  /** @throws TransportError */
  async ask(peer: PeerId, name: ProtocolName, bytes: Uint8Array, withinMs: number): Promise<Uint8Array> {
    const gone = this.#gone(peer);
    if (gone !== undefined) throw gone;
    const waiting = this.#waiting.get(peer) ?? new Set();
    this.#waiting.set(peer, waiting);
    return new Promise((resolve, reject) => {
      const doubt = this.#clock.after(DOUBTED_AFTER_MS, () => this.#contacts.doubt(peer));
      waiting.add(reject);
      this.#dialedAndAsked(peer, this.#names.protocol(name), bytes, withinMs)
        .then(resolve, reject)
        .finally(() => {
          doubt.cancel();
          waiting.delete(reject);
        });
    });
  }

  /** A member's state changed, or it stopped answering probes. */
  changed(peer: PeerId): void {
    const gone = this.#gone(peer);
    if (gone === undefined) return;
    for (const give of this.#waiting.get(peer) ?? []) give(gone);
    this.#waiting.delete(peer);
  }

  #gone(peer: PeerId): TransportError | undefined {
    const state: MemberState | undefined = this.#contacts.member(peer)?.state;
    if (state === 'down') return new TransportError(state, `the member is ${state}`);
    return this.#contacts.isSilent(peer) ? new TransportError('timeout', 'no answer to probes') : undefined;
  }

  /** Dials a member that it is not connected with (in a large swarm most are not); all within the time. */
  async #dialedAndAsked(peer: PeerId, protocol: string, bytes: Uint8Array, withinMs: number): Promise<Uint8Array> {
    if (!this.#contacts.isSparse || this.#contacts.member(peer)?.connected === true)
      return this.#transport.request(peer, protocol, bytes, withinMs);
    const startMs = this.#clock.monotonicMs();
    await new Promise<void>((resolve, reject) => {
      const late = this.#clock.after(withinMs, () =>
        reject(new TransportError('timeout', `no connection within ${withinMs} ms`)),
      );
      this.#contacts
        .dial(peer)
        .then(resolve, reject)
        .finally(() => late.cancel());
    });
    return this.#transport.request(peer, protocol, bytes, Math.max(1, withinMs - (this.#clock.monotonicMs() - startMs)));
  }
}
