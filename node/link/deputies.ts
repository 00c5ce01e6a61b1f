// Several issuers. An agent with the root keys makes the longest-standing members deputies until there are enough. Deputies only admit
// members and renew certificates (swarm/identity/roster.ts). Issuers exchange their tokens, so that a token is valid while its issuer is
// down.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Admission } from '../../swarm/identity/admission.ts';
import { MEMBER_LIFE_MS } from '../../swarm/identity/lifetimes.ts';
import type { Role } from '../../swarm/identity/record.ts';
import type { Member } from '../../swarm/membership/member-table.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { PeriodicTask } from '../periodic-task.ts';
import type { Ports } from '../ports/ports.ts';

const LOOK_EVERY_MS = 10_000;
const SHARE_EVERY = 6;
/** With fewer members there are no deputies. */
const MIN_MEMBERS = 3;
/** A member is a candidate after this time. */
const THERE_FOR_MS = 10_000;
/** All issuers, also those that are down. */
const MAX_ISSUERS = 8;
const REQUEST_MS = 3_000;
const MAX_SHARE_BYTES = 60_000;
const MAX_SHARED = 100;
/** A deputy's certificate is renewed long before it expires. */
const RENEW_BEFORE_MS = 200 * MEMBER_LIFE_MS;

const bytesSchema = z.instanceof(Uint8Array);
const requestSchema = z.union([
  z.tuple([z.literal('know'), z.array(z.tuple([z.string(), z.unknown()])).max(MAX_SHARED)]),
  z.tuple([z.literal('redeem'), bytesSchema, bytesSchema, z.string()]),
]);
const roleSchema = z.enum(['member', 'committee']);

export interface DeputiesEvents {
  members(): readonly Member[];
  request(to: PeerId, body: Uint8Array, withinMs: number): Promise<Uint8Array>;
  nameOf(peer: PeerId): string;
  log(level: 'info' | 'warn', text: string): void;
}

export class Deputies {
  readonly #ports: Pick<Ports, 'clock' | 'transport'>;
  readonly #admission: Admission;
  readonly #wanted: number;
  readonly #events: DeputiesEvents;
  readonly #task: PeriodicTask;
  #last: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #nth = 0;

  /** @param wanted the number of issuers; 1: no deputies. */
  constructor(ports: Pick<Ports, 'clock' | 'transport'>, admission: Admission, wanted: number, events: DeputiesEvents) {
    this.#ports = ports;
    this.#admission = admission;
    this.#wanted = wanted;
    this.#events = events;
    const failed = (why: string): void => events.log('warn', `issuers: ${why}`);
    this.#task = new PeriodicTask({ clock: ports.clock, everyMs: LOOK_EVERY_MS, run: () => this.#turn(), failed });
  }

  start(): void {
    this.#task.start();
  }

  stop(): void {
    this.#task.stop();
  }

  async #turn(): Promise<void> {
    if (!this.#admission.issuer.mayIssue) return;
    await this.#appoint();
    if (this.#nth++ % SHARE_EVERY === 0) await this.#share();
  }

  #issuers(): Member[] {
    const nowMs = this.#ports.clock.wallMs();
    return this.#events.members().filter(({ peer }) => this.#admission.roster.isIssuer(peer, nowMs));
  }

  async #appoint(): Promise<void> {
    const { roster } = this.#admission;
    const members = this.#events.members();
    const nowMs = this.#ports.clock.wallMs();
    const issuers = this.#issuers();
    for (const { peer } of issuers) {
      const endsMs = roster.records.certificate('issuer', peer)?.untilMs ?? 0;
      if (roster.authority.isDeputy(peer) && endsMs - nowMs < RENEW_BEFORE_MS) await this.#admission.rootKeys.makeDeputy(peer);
    }
    const there = issuers.filter(({ state }) => state === 'alive').length;
    if (this.#wanted <= there || members.length < MIN_MEMBERS || issuers.length >= MAX_ISSUERS) return;
    const thereSinceMs = this.#ports.clock.monotonicMs() - THERE_FOR_MS;
    const isCandidate = ({ peer, state, sinceMs }: Member): boolean =>
      state === 'alive' &&
      sinceMs <= thereSinceMs &&
      roster.isMember(peer) &&
      roster.records.certificate('issuer', peer) === undefined;
    const isForCommittee = ({ peer }: Member): number => Number(roster.isForCommittee(peer));
    const [next] = members
      .filter(isCandidate)
      .sort((a, b) => isForCommittee(b) - isForCommittee(a) || a.sinceMs - b.sinceMs || (a.peer < b.peer ? -1 : 1));
    if (next === undefined || !(await this.#admission.rootKeys.makeDeputy(next.peer))) return;
    this.#events.log(
      'info',
      `${this.#events.nameOf(next.peer)} is now a deputy issuer: it admits members and renews certificates (issuers = 1 in the configuration turns this off)`,
    );
  }

  // Tokens

  /** Sends the tokens to the other issuers; changes that come together are sent once. */
  changed(): Promise<void> {
    this.#next ??= this.#last.then(() => {
      this.#next = undefined;
      this.#last = this.#share();
      return this.#last;
    });
    return this.#next;
  }

  async #share(): Promise<void> {
    const { self } = this.#ports.transport;
    const known = this.#admission.issuer.ledger.shared().slice(-MAX_SHARED);
    if (known.length === 0 || !this.#admission.issuer.mayIssue || this.#task.isStopped) return;
    const bodies = portions(
      known.map(({ maker, token }) => [maker ?? self, token]),
      (some) => encodeCbor(['know', some]),
    );
    const others = this.#issuers().filter(({ peer, state }) => peer !== self && state === 'alive');
    // An issuer that does not accept them now gets them again at the next turn.
    for (const body of bodies)
      await Promise.all(others.map(({ peer }) => this.#events.request(peer, body, REQUEST_MS).catch(() => undefined)));
  }

  /** Has the issuer of a token redeem it. @throws Error with the reason */
  async forward(maker: PeerId, id: Uint8Array, secret: Uint8Array, by: PeerId): Promise<Role> {
    const answer = await this.#events.request(maker, encodeCbor(['redeem', id, secret, by]), REQUEST_MS);
    return roleSchema.parse(decodeCbor(answer));
  }

  /** Answers another issuer. @throws Error with the reason of a refusal */
  async answer(from: PeerId, body: Uint8Array): Promise<Uint8Array> {
    const { roster } = this.#admission;
    const { ledger } = this.#admission.issuer;
    if (!roster.isIssuer(from, this.#ports.clock.wallMs())) throw new Error('only an issuer may ask for this');
    const asked = requestSchema.parse(decodeCbor(body));
    if (asked[0] === 'redeem') return encodeCbor(await this.#admission.issuer.redeemFor(asked[1], asked[2], asked[3]));
    // A deputy may not create committee tokens.
    const mayMakeCommittee = roster.decides(from, this.#ports.clock.wallMs());
    for (const [maker, token] of asked[1])
      await ledger.merge(maker === this.#ports.transport.self ? undefined : maker, token, mayMakeCommittee);
    return encodeCbor(true);
  }
}

/** Requests of at most 64 KiB: a token that was used often lists many members. An item that does not fit alone is left out. */
export function portions<Item>(items: readonly Item[], encode: (some: readonly Item[]) => Uint8Array): Uint8Array[] {
  if (items.length === 0) return [];
  const whole = encode(items);
  if (whole.length <= MAX_SHARE_BYTES) return [whole];
  if (items.length === 1) return [];
  const half = Math.ceil(items.length / 2);
  return [...portions(items.slice(0, half), encode), ...portions(items.slice(half), encode)];
}
