// Records before they are signed: the body of the next record about a peer, with its epoch and its lifetime.
import type { Clock } from '../ports/clock.ts';
import type { PeerId } from '../ports/transport.ts';
import { ISSUER_LIFE_MS, MEMBER_LIFE_MS, OPERATOR_LIFE_MS } from './lifetimes.ts';
import type { IssuerCertificate, MemberCertificate, NetworkRotation, OperatorCertificate, Revocation, Role } from './record.ts';
import type { Roster } from './roster.ts';

export class Drafts {
  readonly #roster: Roster;
  readonly #time: Pick<Clock, 'wallMs'>;

  /** @param time the clock for the validity of certificates */
  constructor(roster: Roster, time: Pick<Clock, 'wallMs'>) {
    this.#roster = roster;
    this.#time = time;
  }

  /** @param lifeMs the lifetime: short for a deputy, else long */
  issuer(subject: PeerId, lifeMs = ISSUER_LIFE_MS): IssuerCertificate {
    const [fromMs, epoch] = [this.#time.wallMs(), this.#roster.records.nextEpoch('issuer', subject)];
    return { kind: 'issuer', subject, epoch, fromMs, untilMs: fromMs + lifeMs };
  }

  operator(subject: PeerId, name: string): OperatorCertificate {
    const [fromMs, epoch] = [this.#time.wallMs(), this.#roster.records.nextEpoch('operator', subject)];
    return { kind: 'operator', subject, epoch, fromMs, untilMs: fromMs + OPERATOR_LIFE_MS, name };
  }

  member(subject: PeerId, name: string, role: Role): MemberCertificate {
    const known = this.#roster.member(subject);
    // Later than the previous record, whatever the clock shows: the record with the larger version counts.
    const fromMs = Math.max(this.#time.wallMs(), known === undefined ? 0 : known.fromMs + 1_000);
    const epoch = this.#roster.records.nextEpoch('member', subject);
    return { kind: 'member', subject, epoch, fromMs, untilMs: fromMs + MEMBER_LIFE_MS, name, role, capabilities: [] };
  }

  revocation(of: Revocation['of'], subject: PeerId, reason: string): Revocation {
    const [nowMs, epoch] = [this.#time.wallMs(), this.#roster.records.nextEpoch(of, subject)];
    return { kind: 'revocation', subject, epoch, fromMs: nowMs, untilMs: nowMs, of, reason };
  }

  /** @param by the issuer that changes the key */
  networkRotation(by: PeerId, key: Uint8Array, useAfterMs: number, keepMs: number): NetworkRotation {
    const fromMs = this.#time.wallMs() + useAfterMs;
    const epoch = (this.#roster.records.single('network')?.epoch ?? 0) + 1;
    return { kind: 'network', subject: by, epoch, fromMs, untilMs: fromMs + keepMs, key };
  }
}
