// Administration of the membership: tokens, members, operators. Every change is recorded in the audit.
import { fromHex, toHex } from '../../swarm/dissemination/cbor.ts';
import type { Admission } from '../../swarm/identity/admission.ts';
import {
  encodeBody,
  type IssuerCertificate,
  type MemberCertificate,
  type OperatorCertificate,
  type RecordKind,
  type Recovery,
  type Revocation,
  type Role,
  recordToSign,
} from '../../swarm/identity/record.ts';
import { encodeToken, MAX_TOKEN_ADDRESSES } from '../../swarm/identity/token.ts';
import type { IssuedToken } from '../../swarm/identity/token-ledger.ts';
import type { MemberState } from '../../swarm/membership/member-table.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { isBadCondition } from '../../swarm/state/status.ts';
import { counted } from '../../swarm/words.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import type { Committee } from '../decisions/committee.ts';
import type { Decisions } from '../decisions/decisions.ts';
import { unknownName } from '../errors.ts';
import type { Ports } from '../ports/ports.ts';
import type { MemberView } from './member-view.ts';
import type { NetworkKeys } from './network-keys.ts';

/** All reachable members have a new network key before the first one dials with it. */
const KEY_SPREADS_MS = 30_000;
/** A recovered committee starts above every index and term of the lost one. */
const INDEX_AHEAD = 1_000;
const TERMS_AHEAD = 10;

/** Of other issuers, in a token. */
const MAX_OTHER_ADDRESSES = 3;

/** Why a request cannot be carried out. */
export class MembershipError extends Error {}

export interface MemberRow {
  name: string;
  peer: PeerId;
  state: MemberState | 'removed';
  role: Role | 'unknown';
  /** It admits members and renews certificates. */
  issuer: boolean;
  /** It is an issuer that may do only that. */
  deputy: boolean;
  coordinator: boolean;
  /** Ms since the last sign of life; null if there was none. */
  heardMs: number | null;
  version: string;
  address: string;
  /** Wall clock; when its certificate expires. */
  certificateUntilMs: number | null;
  /** Names of the observers that cannot reach it. */
  accusedBy: string[];
  /** The addresses of two agents that have the same key; null if there is only one. */
  twin: string | null;
  /** Its own unhealthy conditions, such as `DiskPressure=True`; empty if it is not alive. */
  unhealthy: string[];
  /** Wall clock; null if it is not paused. */
  pausedSinceMs: number | null;
  drainedUntilMs: number | null;
}

export interface RecoveryView {
  coordinator: string | null;
  members: { node: string; state: string; voted: boolean; decided: number }[];
  /** The reachable member with the newest log. */
  suggested: string | null;
  /** Decisions in the log of an unreachable member that no reachable member has. */
  lost: number;
}

export type RootAction =
  | { kind: 'operator'; name: string; key: PeerId }
  | { kind: 'issuer'; member: string }
  | { kind: 'recovery'; member: string }
  | { kind: 'revoke'; of: 'operator' | 'issuer'; subject: string; reason: string };

export interface RootDraft {
  kind: RecordKind;
  /** Hex: the record, and what a root key signs. */
  body: string;
  toSign: string;
  needed: number;
  atHand: number;
}

const endOf = (drain: { atMs: number; forMs: number } | undefined): number | null =>
  drain === undefined ? null : drain.atMs + drain.forMs;

const badOf = (conditions: Readonly<Record<string, string>>): string[] =>
  Object.entries(conditions).flatMap(([name, status]) => (isBadCondition(name, status) ? [`${name}=${status}`] : []));

export interface MembershipParts {
  admission: Admission;
  members: MemberView;
  committee: Committee;
  decisions: Decisions;
  networkKeys: NetworkKeys;
  audit: AuditLog;
}

export class MembershipAdmin {
  readonly #ports: Ports;
  readonly #swarmId: string;
  readonly #admission: Admission;
  readonly #members: MemberView;
  readonly #committee: Committee;
  readonly #decisions: Decisions;
  readonly #networkKeys: NetworkKeys;
  readonly #audit: AuditLog;

  constructor(ports: Ports, swarmId: string, parts: MembershipParts) {
    this.#ports = ports;
    this.#swarmId = swarmId;
    this.#admission = parts.admission;
    this.#members = parts.members;
    this.#committee = parts.committee;
    this.#decisions = parts.decisions;
    this.#networkKeys = parts.networkKeys;
    this.#audit = parts.audit;
  }

  async #audited(what: string): Promise<void> {
    await this.#audit.append('control', this.#members.self, what);
  }

  /** @param all also those that left or were removed. */
  members(all: boolean): MemberRow[] {
    const { roster } = this.#admission;
    const nowMs = this.#ports.clock.monotonicMs();
    const rows = this.#members.everyone().map(({ peer, state, met, heardMs }): MemberRow => {
      const certificate = roster.member(peer);
      const status = this.#members.statusOf(peer);
      const isSelf = peer === this.#members.self;
      return {
        name: this.#members.nameOf(peer),
        peer,
        state,
        role: certificate === undefined ? 'unknown' : roster.isForCommittee(peer) ? 'committee' : 'member',
        issuer: roster.isIssuer(peer, this.#ports.clock.wallMs()),
        deputy: roster.authority.isDeputy(peer),
        coordinator: peer === this.#committee.coordinator,
        heardMs: isSelf ? 0 : met ? Math.round(nowMs - heardMs) : null,
        version: status?.version ?? '',
        address: isSelf ? (this.#ports.transport.addresses()[0] ?? '') : (status?.address ?? ''),
        certificateUntilMs: certificate?.untilMs ?? null,
        accusedBy: this.#members.accusersOf(peer).map((observer) => this.#members.nameOf(observer)),
        twin: this.#admission.instances.conflictOf(peer) ?? null,
        unhealthy: state === 'alive' ? badOf(status?.conditions ?? {}) : [],
        pausedSinceMs: this.#decisions.state.pauseOf(peer)?.atMs ?? null,
        drainedUntilMs: endOf(this.#decisions.proven.drained().get(peer)),
      };
    });
    const shown = all ? [...rows, ...this.#removed()] : rows.filter(({ state }) => state !== 'left');
    return shown.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #removed(): MemberRow[] {
    const { roster } = this.#admission;
    return roster.records.all().flatMap(({ body }): MemberRow[] => {
      if (body.kind !== 'revocation' || body.of !== 'member' || roster.isMember(body.subject)) return [];
      const certificate = roster.member(body.subject);
      return [
        {
          name: certificate?.name ?? body.subject.slice(-8),
          peer: body.subject,
          state: 'removed',
          role: certificate?.role ?? 'unknown',
          issuer: false,
          deputy: false,
          coordinator: false,
          heardMs: null,
          version: '',
          address: '',
          certificateUntilMs: null,
          accusedBy: [],
          twin: null,
          unhealthy: [],
          pausedSinceMs: null,
          drainedUntilMs: null,
        },
      ];
    });
  }

  /** @throws MembershipError if the name is of no member, or of more than one. An empty name is of no member. */
  #one(name: string): MemberCertificate {
    const found = name === '' ? [] : this.#admission.roster.find(name);
    const [only] = found;
    if (only === undefined)
      throw new MembershipError(
        unknownName(
          'member',
          name,
          this.#admission.roster.members().map((one) => one.name),
          'kalos members',
        ),
      );
    if (found.length > 1) throw new MembershipError(`${name} is ambiguous: ${found.map((one) => one.name).join(' or ')}`);
    return only;
  }

  member(name: string): MemberRow {
    const { subject } = this.#one(name);
    const row = this.members(true).find(({ peer }) => peer === subject);
    if (row === undefined) throw new MembershipError(`no member is called ${name}`);
    return row;
  }

  #mustIssue(what: string): void {
    if (!this.#admission.issuer.mayIssue) throw this.#notIssuer(what, () => true);
  }

  /** Requires an issuer that root keys appointed: a deputy only admits members. */
  #mustDecide(what: string): void {
    const { roster } = this.#admission;
    const decides = (peer: PeerId): boolean => roster.decides(peer, this.#ports.clock.wallMs());
    if (!decides(this.#members.self)) throw this.#notIssuer(what, decides);
  }

  #notIssuer(what: string, may: (peer: PeerId) => boolean): MembershipError {
    const issuers = this.#admission.roster.issuers().filter(({ subject }) => may(subject));
    const names = issuers.map(({ subject }) => this.#members.nameOf(subject));
    const role = this.#admission.issuer.mayIssue ? 'only a deputy issuer' : 'not an issuer';
    return new MembershipError(`this agent is ${role} and cannot ${what}: use ${names.join(' or ') || 'an issuer'}`);
  }

  /** @returns the token's text. @throws MembershipError */
  async makeToken({
    role,
    ttlMs,
    uses,
  }: {
    role: Role;
    ttlMs: number;
    uses: number;
  }): Promise<{ token: string; reachable: boolean }> {
    if (role === 'committee') this.#mustDecide('create a committee token');
    this.#mustIssue('create a token');
    const addresses = this.#ports.transport.addresses().map((address) => address.replace(/\/p2p\/[^/]+$/, ''));
    if (addresses.length === 0) throw new MembershipError('this agent does not listen: start it with --listen ADDRESS:PORT');
    const isFar = (address: string): boolean => !/^\/ip4\/127\.|^\/ip6\/::1\//.test(address);
    const far = addresses.filter(isFar);
    const options = { role, ttlMs, uses, networkKey: this.#networkKeys.newest };
    const others = this.#otherIssuers();
    const own = (far.length > 0 ? far : addresses).slice(0, MAX_TOKEN_ADDRESSES - others.length);
    const token = await this.#admission.issuer.makeToken(options, [...own, ...others]);
    await this.#audited(`token ${toHex(token.id)} created: ${role}, ${counted(uses, 'use')}`);
    return { token: encodeToken(this.#ports.crypto, token), reachable: far.length > 0 };
  }

  /** Other issuers for a token, if this agent is down. */
  #otherIssuers(): string[] {
    const members = this.#members;
    const { self, roster } = members;
    return members
      .all()
      .filter(({ peer, state }) => peer !== self && state === 'alive' && roster.isIssuer(peer, this.#ports.clock.wallMs()))
      .flatMap(({ peer }) => {
        const address = members.statusOf(peer)?.address ?? '';
        return address === '' ? [] : [`${address}/p2p/${peer}`];
      })
      .slice(0, MAX_OTHER_ADDRESSES);
  }

  tokens(): IssuedToken[] {
    return this.#admission.issuer.ledger.list();
  }

  /** @throws MembershipError */
  async endToken(id: string): Promise<void> {
    if (!(await this.#admission.issuer.endToken(id))) throw new MembershipError(`there is no token ${id}`);
    await this.#audited(`token ${id} revoked`);
  }

  /** @throws MembershipError */
  async revoke(name: string, reason: string): Promise<MemberCertificate> {
    const member = this.#one(name);
    if (member.subject === this.#members.self) throw new MembershipError('an agent cannot revoke itself: use kalos leave');
    this.#mustDecide('revoke a membership');
    await this.#admission.issuer.revoke(member.subject, reason);
    await this.#audited(`membership of ${member.name} revoked: ${reason}`);
    return member;
  }

  /** @throws MembershipError */
  async rename(name: string, to: string): Promise<MemberCertificate> {
    this.#mustDecide('rename a member');
    const member = this.#one(name);
    if (this.#admission.roster.nameTaken(to, member.subject)) throw new MembershipError(`the name ${to} is already taken`);
    const renamed = await this.#admission.issuer.rename(member, to);
    await this.#audited(`${member.name} renamed to ${to}`);
    return renamed;
  }

  /** @throws MembershipError if the swarm would be without an issuer. */
  mayLeave(force: boolean): void {
    const { roster } = this.#admission;
    const nowMs = this.#ports.clock.wallMs();
    const others = roster.issuers().filter(({ subject }) => subject !== this.#members.self && roster.isIssuer(subject, nowMs));
    const isLast = this.#admission.issuer.mayIssue && others.length === 0 && roster.members().length > 1;
    const decides = (peer: PeerId): boolean => roster.decides(peer, nowMs);
    const isLastToDecide = decides(this.#members.self) && !others.some(({ subject }) => decides(subject));
    if (others.length > 0 && isLastToDecide && !force)
      throw new MembershipError(
        'this is the last full issuer: without it nobody can revoke members. First promote another: kalos members promote NAME; or use --force',
      );
    if (isLast && !force)
      throw new MembershipError(
        'this agent is the only issuer: without it no member can join or renew its certificate. First promote another: kalos members promote NAME; or use --force',
      );
  }

  /** Ends this agent's own membership. @throws MembershipError */
  async leave(force: boolean): Promise<void> {
    this.mayLeave(force);
    await this.#audited('leaves the swarm for good');
    await this.#admission.issuer.revoke(this.#members.self, 'left');
  }

  /** Gives the swarm a new network key. @param keepMs how long the older keys are accepted after that. @throws MembershipError */
  async rotateNetworkKey(keepMs: number): Promise<{ usedFromMs: number; olderUntilMs: number }> {
    this.#mustDecide('change the network key');
    if (this.#networkKeys.size === 0)
      throw new MembershipError('this swarm has no network key: it was created without kalos up --private');
    const { fromMs, untilMs } = await this.#admission.issuer.rotateNetworkKey(KEY_SPREADS_MS, keepMs);
    await this.#audited(`network key changed; older keys expire ${new Date(untilMs).toISOString()}`);
    return { usedFromMs: fromMs, olderUntilMs: untilMs };
  }

  operators(): (OperatorCertificate & { kind: 'operator' })[] {
    return this.#admission.roster.operators();
  }

  /** A record for root keys to sign. @throws MembershipError */
  draft(action: RootAction): RootDraft {
    const body = this.#bodyOf(action);
    const bytes = encodeBody(this.#ports.crypto, body);
    const toSign = toHex(recordToSign(this.#swarmId, body.kind, bytes));
    return { kind: body.kind, body: toHex(bytes), toSign, ...this.#admission.rootKeys.signatures() };
  }

  #bodyOf(action: RootAction): OperatorCertificate | IssuerCertificate | Revocation | Recovery {
    const { roster } = this.#admission;
    switch (action.kind) {
      case 'operator':
        if (this.#ports.crypto.keyOf(action.key) === undefined) throw new MembershipError(`${action.key} is not a key`);
        return this.#admission.drafts.operator(action.key, action.name);
      case 'recovery':
        return this.#recoveryOf(this.#one(action.member).subject);
      case 'issuer':
        return this.#admission.drafts.issuer(this.#one(action.member).subject);
      case 'revoke': {
        const { of, subject, reason } = action;
        const peer =
          of === 'issuer' ? this.#one(subject).subject : roster.operators().find(({ name }) => name === subject)?.subject;
        if (peer === undefined) throw new MembershipError(`no operator is called ${subject || '""'}`);
        return this.#admission.drafts.revocation(of, peer, reason);
      }
    }
  }

  /** Above every index and term that any member knows. @throws MembershipError while the swarm has a leader. */
  #recoveryOf(subject: PeerId): Recovery {
    const { coordinator } = this.#committee;
    if (coordinator !== undefined)
      throw new MembershipError(`${this.#members.nameOf(coordinator)} is leader: nothing to recover`);
    const all = this.#members.statuses.entries().map(({ status }) => status);
    const index = Math.max(this.#decisions.state.index, ...all.map(({ decided }) => decided)) + INDEX_AHEAD;
    const term = Math.max(this.#committee.term, ...all.map((status) => status.term)) + TERMS_AHEAD;
    const nowMs = this.#ports.clock.wallMs();
    const epoch = (this.#admission.roster.records.single('recovery')?.epoch ?? 0) + 1;
    return { kind: 'recovery', subject, epoch, fromMs: nowMs, untilMs: nowMs, index, term };
  }

  /** The newest decision of each member, and the voters: to choose the first voter of a recovered committee. */
  recovery(): RecoveryView {
    const [members, decisions] = [this.#members, this.#decisions];
    const { coordinator, seats } = this.#committee;
    const voters = seats.voters() ?? decisions.checkpoints.newest?.voters ?? [];
    const rows = members.all().map(({ peer, state }) => ({
      node: this.#members.nameOf(peer),
      state,
      voted: voters.includes(peer),
      decided: peer === members.self ? decisions.state.index : (members.statusOf(peer)?.decided ?? 0),
    }));
    const able = rows.filter(({ state }) => state === 'alive').sort((a, b) => b.decided - a.decided);
    const best = able.find(({ voted, decided }) => voted && decided === able[0]?.decided) ?? able[0];
    const furthest = Math.max(0, ...rows.map(({ decided }) => decided));
    const lost = best === undefined ? 0 : furthest - best.decided;
    return {
      coordinator: coordinator === undefined ? null : this.#members.nameOf(coordinator),
      members: rows,
      suggested: best?.node ?? null,
      lost,
    };
  }

  /** @throws MembershipError with too few signatures. */
  async commit(kind: RecordKind, body: string, signatures: readonly { by: PeerId; signature: string }[]): Promise<void> {
    try {
      const given = signatures.map(({ by, signature }) => ({ by, signature: fromHex(signature) }));
      await this.#admission.rootKeys.publish(kind, fromHex(body), given);
    } catch (error) {
      if (error instanceof RangeError) throw new MembershipError(error.message);
      throw error;
    }
    await this.#audited(`a record of kind ${kind} signed by root keys`);
  }
}
