// This agent as an issuer: it redeems join tokens, certifies members, renews their certificates and revokes memberships. Its own certificate
// decides which of these it may do: a deputy admits and renews, and cannot revoke.
import { toHex } from '../dissemination/cbor.ts';
import type { Clock } from '../ports/clock.ts';
import type { Crypto } from '../ports/crypto.ts';
import type { Random } from '../ports/random.ts';
import type { Store } from '../ports/store.ts';
import type { PeerId } from '../ports/transport.ts';
import type { Drafts } from './drafts.ts';
import { asBefore, encodeAnswer, type Grant, granted, type Judged, type Redeem, refused } from './hello.ts';
import { MEMBER_LIFE_MS, RENEWABLE_MS } from './lifetimes.ts';
import {
  MAX_NAME,
  MEMBER_NAME,
  type MemberCertificate,
  NETWORK_KEY_BYTES,
  type NetworkRotation,
  type RecordBody,
  type Role,
  signRecord,
} from './record.ts';
import type { RootKeys } from './root-keys.ts';
import type { Roster } from './roster.ts';
import type { RosterStore } from './roster-store.ts';
import { type JoinToken, TOKEN_SECRET_BYTES } from './token.ts';
import { type Redemption, TokenLedger } from './token-ledger.ts';

const TOKEN_ID_BYTES = 8;

export interface IssuerPorts {
  crypto: Crypto;
  /** The clock for the validity of certificates. */
  time: Pick<Clock, 'wallMs'>;
  store: Store;
  random: Random;
}

export interface IssuerEvents {
  log(level: 'info', text: string): void;
  /** Whether the issuer that created a token is alive to redeem it. */
  isAlive(peer: PeerId): boolean;
  /** Asks the issuer that created a token to redeem it. @throws Error with the reason */
  forwardToken(maker: PeerId, id: Uint8Array, secret: Uint8Array, by: PeerId): Promise<Role>;
  /** A token was created, redeemed or revoked here: resolves once the other issuers that are alive know it. */
  tokensChanged(): Promise<void>;
}

/** What an issuer works with. */
export interface IssuerParts {
  roster: Roster;
  store: RosterStore;
  drafts: Drafts;
  rootKeys: RootKeys;
}

export class Issuer {
  readonly ledger: TokenLedger;
  readonly #ports: IssuerPorts;
  readonly #parts: IssuerParts;
  readonly #events: IssuerEvents;

  constructor(ports: IssuerPorts, parts: IssuerParts, events: IssuerEvents) {
    this.#ports = ports;
    this.#parts = parts;
    this.#events = events;
    this.ledger = new TokenLedger(ports.store, ports.crypto.hash);
  }

  get #self(): PeerId {
    return this.#ports.crypto.self;
  }

  get #nowMs(): number {
    return this.#ports.time.wallMs();
  }

  /** Whether this agent is an issuer now. */
  get mayIssue(): boolean {
    return this.#parts.roster.isIssuer(this.#self, this.#nowMs);
  }

  /** Reads the tokens. An issuer that was off for long renews its own certificate first. */
  async open(): Promise<void> {
    await this.ledger.open();
    await this.renewOwn();
  }

  async #publish(body: RecordBody): Promise<void> {
    const { crypto } = this.#ports;
    await this.#parts.store.publish(signRecord(crypto, this.#parts.roster.swarmId, body, [crypto]));
  }

  // Tokens

  /** @throws RangeError */
  async makeToken(
    { role, ttlMs, uses, networkKey }: { role: Role; ttlMs: number; uses: number; networkKey: Uint8Array | undefined },
    addresses: readonly string[],
  ): Promise<JoinToken> {
    const id = this.#ports.random.bytes(TOKEN_ID_BYTES);
    const secret = this.#ports.random.bytes(TOKEN_SECRET_BYTES);
    const nowMs = this.#nowMs;
    await this.ledger.add({ id: toHex(id), role, expiresMs: nowMs + ttlMs, usesLeft: uses }, secret, nowMs);
    // Before the token is handed out, other issuers know it and can redeem it without this agent.
    await this.#events.tokensChanged();
    return { swarmId: this.#parts.roster.swarmId, issuer: this.#self, addresses, id, secret, networkKey };
  }

  /** False if there is no such token. */
  async endToken(id: string): Promise<boolean> {
    if (!(await this.ledger.revoke(id))) return false;
    await this.#events.tokensChanged();
    return true;
  }

  /** Admits a newcomer with a token. */
  async redeem(from: PeerId, { id, secret, name }: Redeem): Promise<Judged> {
    if (!this.mayIssue) return refused('token', 'this agent is not an issuer: dial the token’s issuer');
    const maker = this.ledger.makerOf(id);
    const forwarded = maker !== undefined && this.#events.isAlive(maker) && this.#forward(maker, id, secret, from);
    const redemption = (await forwarded) || this.ledger.redeem(id, secret, from, this.#nowMs);
    if (!redemption.ok) return refused(redemption.code, redemption.text);
    try {
      // The use is on the disk before the grant is sent.
      if (redemption.persist !== undefined) await this.#ports.store.write([redemption.persist]);
      void this.#events.tokensChanged();
      const certificate = await this.#certify(from, this.#freeName(name, from), redemption.role);
      this.#events.log('info', `${certificate.name} has joined with a token`);
      // If the root keys are at hand, a member for the committee is made an issuer at once.
      if (redemption.role === 'committee') await this.#parts.rootKeys.makeIssuer(from);
      return granted(this.#grantTo(from));
    } catch (error) {
      return refused('failed', `the issuer could not store it: ${(error as Error).message}`);
    }
  }

  /** The issuer that created a token counts its uses while it is alive. */
  async #forward(maker: PeerId, id: Uint8Array, secret: Uint8Array, by: PeerId): Promise<Redemption> {
    try {
      return { ok: true, role: await this.#events.forwardToken(maker, id, secret, by), persist: undefined };
    } catch (error) {
      return { ok: false, code: 'token', text: (error as Error).message };
    }
  }

  /** Redeems a token that this agent created, for another issuer. @throws Error with the reason why not */
  async redeemFor(id: Uint8Array, secret: Uint8Array, by: PeerId): Promise<Role> {
    const redemption = this.ledger.redeem(id, secret, by, this.#nowMs);
    if (!redemption.ok) throw new Error(redemption.text);
    if (redemption.persist !== undefined) await this.#ports.store.write([redemption.persist]);
    return redemption.role;
  }

  // Certificates

  /** A free name for a newcomer: the one that it asks for, which may be hostile, with allowed characters only. */
  #freeName(proposed: string, peer: PeerId): string {
    const wanted = MEMBER_NAME.test(proposed) ? proposed : `x${proposed.replace(/[^a-zA-Z0-9.-]/g, '-')}`.slice(0, MAX_NAME);
    let name = wanted;
    for (let n = 2; this.#parts.roster.nameTaken(name, peer); n++) name = `${wanted.slice(0, MAX_NAME - 4)}-${n}`;
    return name;
  }

  async #certify(subject: PeerId, name: string, role: Role): Promise<MemberCertificate> {
    const body = this.#parts.drafts.member(subject, name, role);
    await this.#publish(body);
    return body;
  }

  /** A member's newest certificate, renewed first if that is due. Undefined if this agent is not an issuer, or the certificate expired too long ago. */
  async renewal(peer: PeerId): Promise<Grant | undefined> {
    // A renewal would give a revoked member a new epoch: it needs a token instead.
    if (!this.mayIssue || !this.#parts.roster.isMember(peer)) return undefined;
    const certificate = this.#parts.roster.member(peer);
    if (certificate === undefined || certificate.untilMs + RENEWABLE_MS < this.#nowMs) return undefined;
    if (this.renewalDue(peer)) await this.rename(certificate, certificate.name);
    return this.#grantTo(peer);
  }

  /** An issuer that is no deputy signs the role that it knows; a deputy signs the role of the certificate before, which gives no seat. */
  #roleOf({ subject, role }: MemberCertificate): Role {
    const { roster } = this.#parts;
    const isSeated = roster.isForCommittee(subject) || this.#isOwed(subject);
    return !roster.decides(this.#self, this.#nowMs) ? role : isSeated ? 'committee' : 'member';
  }

  /** A deputy has admitted it with a token for the committee, whose secret was shown here. */
  #isOwed(peer: PeerId): boolean {
    const { roster } = this.#parts;
    if (roster.isForCommittee(peer) || roster.records.revocation('member', peer) !== undefined) return false;
    return roster.member(peer)?.role === 'committee' && this.ledger.seated(peer);
  }

  /** Its certificate is past half of its lifetime, its issuer is no longer one, or its committee role is still to be certified. */
  renewalDue(peer: PeerId): boolean {
    const { roster } = this.#parts;
    const record = roster.records.signed('member', peer);
    const [by, nowMs] = [record?.signatures[0]?.by, this.#nowMs];
    if (record === undefined || by === undefined) return false;
    if (roster.decides(this.#self, nowMs) && this.#isOwed(peer)) return true;
    return record.body.untilMs - nowMs < MEMBER_LIFE_MS / 2 || !roster.isIssuer(by, nowMs);
  }

  /** The answer to a member that asks for a renewal. Undefined if this agent is not an issuer. */
  async renew(peer: PeerId): Promise<Uint8Array | undefined> {
    const grant = await this.renewal(peer);
    return grant && asBefore(encodeAnswer({ ...granted(grant), hello: undefined }));
  }

  async renewOwn(): Promise<void> {
    if (this.mayIssue && this.renewalDue(this.#self)) await this.renewal(this.#self);
  }

  #grantTo(peer: PeerId): Grant | undefined {
    const { authority, records } = this.#parts.roster;
    const own = records.signed('member', peer);
    const by = own?.signatures[0]?.by;
    if (authority.genesis === undefined || own === undefined || by === undefined) return undefined;
    const shown = [records.signed('issuer', by), records.signed('issuer', peer), own, records.signed('member', this.#self)];
    return { genesis: authority.genesis.bytes, records: [...new Set(shown)].flatMap((record) => record?.bytes ?? []) };
  }

  rename(certificate: MemberCertificate, name: string): Promise<MemberCertificate> {
    return this.#certify(certificate.subject, name, this.#roleOf(certificate));
  }

  /** Revokes a membership: an issuer any, a member its own. */
  revoke(subject: PeerId, reason: string): Promise<void> {
    return this.#publish(this.#parts.drafts.revocation('member', subject, reason));
  }

  /** Changes the network key of the swarm. @throws RangeError if this agent is not an issuer. */
  async rotateNetworkKey(useAfterMs: number, keepMs: number): Promise<NetworkRotation> {
    const key = this.#ports.random.bytes(NETWORK_KEY_BYTES);
    const body = this.#parts.drafts.networkRotation(this.#self, key, useAfterMs, keepMs);
    await this.#publish(body);
    return body;
  }
}
