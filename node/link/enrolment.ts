// The members of the swarm, by records that root keys and issuers have signed: what follows from each new record, how this agent gets its
// own certificate, and, if it is an issuer, its deputies. A rotation of the network key is such a record too.
import { Admission } from '../../swarm/identity/admission.ts';
import type { SignedRecord } from '../../swarm/identity/record.ts';
import type { MemberTable } from '../../swarm/membership/member-table.ts';
import type { SwarmNames } from '../../swarm/names.ts';
import type { Clock } from '../../swarm/ports/clock.ts';
import type { PeerId, Verdict } from '../../swarm/ports/transport.ts';
import type { Members } from '../decisions/members.ts';
import type { Ports } from '../ports/ports.ts';
import { Certificates } from './certificates.ts';
import { Deputies } from './deputies.ts';
import type { Messenger } from './messenger.ts';
import { type HeldKeys, NetworkKeys } from './network-keys.ts';
import type { Peers } from './peers.ts';
import type { SwarmLinkConfig } from './swarm-link-config.ts';

/** For the answer of another agent with the same key. */
const INSTANCE_WITHIN_MS = 2_000;

const NO_KEYS: HeldKeys = { keys: [], keep: () => undefined };

export interface EnrolmentParts {
  ports: Ports;
  names: SwarmNames;
  /** The swarm's time. */
  time: Clock;
  table: MemberTable;
  messenger: Messenger;
  peers: Peers;
  members(): Members;
}

export interface EnrolmentEvents {
  added(peer: PeerId): void;
  removed(peer: PeerId, reason: string): void;
  /** Root keys recover the committee. */
  recovered(): void;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

export class Enrolment {
  readonly #parts: EnrolmentParts;
  readonly #config: SwarmLinkConfig;
  readonly #events: EnrolmentEvents;
  readonly admission: Admission;
  readonly networkKeys: NetworkKeys;
  readonly #certificates: Certificates;
  readonly #deputies: Deputies;
  #stopped = false;

  constructor(parts: EnrolmentParts, config: SwarmLinkConfig, events: EnrolmentEvents) {
    const { ports, names, time, table, messenger, peers } = parts;
    this.#parts = parts;
    this.#config = config;
    this.#events = events;
    this.admission = new Admission({ ...ports, time }, config, {
      log: events.log,
      learned: (record, own) => this.#learned(record, own),
      issuerWithinReach: () => this.#issuerWithinReach(),
      isAlive: (peer) => table.get(peer)?.state === 'alive',
      forwardToken: (maker, id, secret, by) => this.#deputies.forward(maker, id, secret, by),
      tokensChanged: () => this.#deputies.changed(),
      askInstance: (peer, bytes) => ports.transport.request(peer, names.protocol('twin'), bytes, INSTANCE_WITHIN_MS),
    });
    this.#deputies = new Deputies(ports, this.admission, config.issuers ?? 1, {
      members: () => parts.members().all(),
      request: (to, body, withinMs) => messenger.ask(to, 'token', body, withinMs),
      nameOf: (peer) => parts.members().nameOf(peer),
      log: events.log,
    });
    this.networkKeys = new NetworkKeys(ports.transport, ports.clock, config.networkKeys ?? NO_KEYS);
    this.#certificates = new Certificates(ports, this.admission, names.protocol('renew'), {
      looking: () => this.networkKeys.follow(this.admission.roster.records.single('network')),
      admitted: (by, address) => peers.rememberNow(by, address),
      dial: (peer) => peers.dial(peer),
      log: events.log,
      failed: events.failed,
    });
  }

  /** Joins, if this agent is not a member yet. @throws JoinRefused */
  async enrol(): Promise<void> {
    this.networkKeys.follow(this.admission.roster.records.single('network'));
    if (!this.admission.isMember) await this.#certificates.join(this.#config.token);
  }

  start(): void {
    this.#certificates.watch();
    this.#deputies.start();
  }

  stop(): void {
    this.#stopped = true;
    this.#certificates.stop();
    this.#deputies.stop();
  }

  // Records

  /** A record that was broadcast. */
  receive(bytes: Uint8Array): Verdict {
    const offer = this.admission.roster.offer(bytes, this.#parts.time.wallMs());
    if (offer.verdict === 'accept') this.#keep([offer.record]);
    return offer.verdict;
  }

  /** Records from a pull. @returns how many were new */
  take(records: readonly Uint8Array[]): number {
    const wallMs = this.#parts.time.wallMs();
    const accepted = records.flatMap((bytes) => {
      const offer = this.admission.roster.offer(bytes, wallMs);
      return offer.verdict === 'accept' ? [offer.record] : [];
    });
    if (accepted.length > 0) this.#keep(accepted);
    return accepted.length;
  }

  /** Records from other members. */
  #keep(records: readonly SignedRecord[]): void {
    for (const record of records) this.#learned(record, false);
    if (!this.#stopped) this.admission.store.keep(records).catch((error: unknown) => this.#events.failed(error));
  }

  #learned(record: SignedRecord, own: boolean): void {
    const { body } = record;
    const { ports, names } = this.#parts;
    const { roster } = this.admission;
    if (own && !this.#stopped) ports.transport.publish(names.rosterTopic, record.bytes, true);
    if (body.kind === 'member' && roster.isMember(body.subject)) this.#events.added(body.subject);
    if (body.kind === 'network') this.networkKeys.follow(body);
    if (body.kind === 'recovery') this.#events.recovered();
    if (body.kind === 'revocation' && !roster.isMember(body.subject)) this.#events.removed(body.subject, body.reason);
  }

  #issuerWithinReach(): boolean {
    const { roster } = this.admission;
    const { time, table } = this.#parts;
    const nowMs = time.wallMs();
    return roster.issuers().some(({ subject }) => roster.isIssuer(subject, nowMs) && table.get(subject)?.state === 'alive');
  }

  // Requests of others

  /** The local network has a peer at this address. */
  found(peer: PeerId, address: string): void {
    if (!this.admission.isMember) this.#certificates.found(peer, address);
    else if (this.admission.roster.isMember(peer)) this.#parts.peers.found(peer, address);
  }

  /** @throws where this agent is not an issuer, or must not answer */
  async answer(name: 'renew' | 'twin' | 'token', from: PeerId, body: Uint8Array): Promise<Uint8Array> {
    if (name === 'twin') return this.admission.instances.answer(body);
    if (name === 'token') return this.#deputies.answer(from, body);
    const grant = await this.admission.issuer.renew(from);
    if (grant === undefined) throw new Error('this agent is not an issuer');
    return grant;
  }
}
