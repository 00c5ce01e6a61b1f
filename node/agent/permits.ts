// Leave for one disruptive change: a certificate of this agent's witnesses over exactly that change, and a lease of the swarm's order.
// It is asked for, checked whole before anything is done, and used once, across crashes too.

import type { Grant } from '../../consensus/decisions/grants.ts';
import { isStorm, mostLeases } from '../../consensus/decisions/leases.ts';
import { type Certificate, encodeCertificate } from '../../consensus/vote/certificate.ts';
import type { Claim, Warrant } from '../../consensus/vote/claim.ts';
import type { VoteResult } from '../../consensus/vote/voting.ts';
import { equalBytes, toHex } from '../../swarm/dissemination/cbor.ts';
import { counted, messageOf } from '../../swarm/words.ts';
import { certificateProof, certificateRefusal, digests, encodeAuthorization, MIN_WITNESSES } from '../action/authorization.ts';
import type { Snapshot } from '../action/tool.ts';
import type { Plan } from '../decision/plan.ts';
import type { Committee } from '../decisions/committee.ts';
import type { Decisions } from '../decisions/decisions.ts';
import { swarmHealth } from '../decisions/health.ts';
import type { Members } from '../decisions/members.ts';
import type { Ballots } from '../link/ballots.ts';
import type { PeerSelection } from '../link/peer-selection.ts';
import type { SwarmTime } from '../link/swarm-time.ts';
import type { Ports } from '../ports/ports.ts';
import type { ToolCall } from '../tool-call.ts';
import type { Grants } from './grants.ts';

const NONCE_BYTES = 16;
const USED_PREFIX = 'permit/';
const MAX_USED = 10_000;
/** How long the swarm's order may take to give a lease. */
const LEASE_WITHIN_MS = 5_000;
/** What the change itself may take; the certificate ends no later. */
const LEASE_MS = 240_000;
/** A certificate that ended so long ago is refused by its times already. */
const FORGET_USED_MS = 86_400_000;

/** A certificate of witnesses; or, where there are too few of them, standing approvals of each call. */
export interface Permit {
  certificate: Certificate | undefined;
  approvals: readonly Grant[];
  /** The id of the lease, and its place in the log. */
  lease: string;
  fence: number;
}

/** `later`: the swarm decides, and others come first; no person is asked for that. */
export type Leave = { ok: true; permit: Permit; votes: VoteResult | undefined } | { ok: false; reason: string; later: boolean };

export interface PermitParts {
  members: Members;
  committee: Committee;
  decisions: Decisions;
  time: SwarmTime;
  selection: PeerSelection;
  ballots: Ballots;
}

export class Permits {
  readonly #ports: Ports;
  readonly #parts: PermitParts;
  readonly #grants: Grants;

  constructor(ports: Ports, parts: PermitParts, grants: Grants) {
    this.#ports = ports;
    this.#parts = parts;
    this.#grants = grants;
  }

  /** What was used long ago needs not be remembered. */
  async open(): Promise<void> {
    const { store, clock } = this.#ports;
    const used = await store.range(USED_PREFIX, { limit: MAX_USED });
    const old = used.filter(([, value]) => Number(new TextDecoder().decode(value)) + FORGET_USED_MS < clock.wallMs());
    if (old.length > 0) await store.write(old.map(([key]) => ({ kind: 'delete', key })));
  }

  #warrant(plan: Plan, calls: readonly ToolCall[], before: readonly Snapshot[]): Warrant {
    const { crypto, random } = this.#ports;
    const epoch = this.#parts.members.roster.member(crypto.self)?.epoch ?? 0;
    const { calls: asked, precondition } = digests(crypto, calls, before);
    return {
      plan: plan.id,
      calls: asked,
      precondition,
      nonce: random.bytes(NONCE_BYTES),
      epoch,
      term: this.#parts.committee.term,
    };
  }

  /** Asks the witnesses, then the swarm's order. @param claim what is wrong, as its witnesses are to judge it */
  async obtain(plan: Plan, calls: readonly ToolCall[], before: readonly Snapshot[], claim: Claim): Promise<Leave> {
    const { selection, ballots, decisions } = this.#parts;
    const witnesses = selection.witnesses().length;
    const refused = (reason: string, later = false): Leave => ({ ok: false, reason, later });
    if (this.#parts.time.isFarOff)
      return refused(
        'this machine’s clock is wrong by half an hour or more, and its actuator judges certificates by it: set the clock',
      );
    const approvals = witnesses < MIN_WITNESSES ? this.#grants.approvals(calls) : [];
    if (approvals === undefined)
      return refused(`${witnesses} witnesses are too few to certify it: it takes ${MIN_WITNESSES}, or a standing approval`);
    const isVoted = approvals.length === 0;
    const warranted = (): Claim => ({ ...claim, warrant: this.#warrant(plan, calls, before) });
    const votes = isVoted ? await ballots.vote(warranted(), selection.witnesses()) : undefined;
    if (isVoted && votes?.certificate === undefined) return refused(`its witnesses do not certify it: ${votes?.outcome}`);
    try {
      const untilMs = Math.round(this.#parts.time.wallMs() + LEASE_MS);
      const wish = { kind: 'lease', plan: plan.id, members: 1, sick: 0, untilMs } as const; // the coordinator says how many there are
      const outcome = await decisions.decide(wish, LEASE_WITHIN_MS);
      if (!outcome.ok) return refused(outcome.reason, outcome.busy);
      await decisions.reads.caughtUp(outcome.index, LEASE_WITHIN_MS);
    } catch (error) {
      return refused(`there is no lease: ${messageOf(error)}`);
    }
    const lease = this.#leaseFor(plan.id);
    if (lease === undefined) return refused('its lease has ended already', true);
    return { ok: true, permit: { certificate: votes?.certificate, approvals, lease: lease.id, fence: lease.fence }, votes };
  }

  /** Changes with the coordinator and the number of witnesses: then what was refused may be allowed. */
  order(): string {
    return `${this.#parts.committee.coordinator ?? ''} ${this.#parts.committee.term} ${this.#parts.selection.witnesses().length}`;
  }

  /** Whether a lease could be had now, as far as this agent knows. */
  mayLease(): boolean {
    const { coordinator } = this.#parts.committee;
    const { members, sick } = swarmHealth(this.#parts.members);
    const out = this.#parts.decisions.state.leases(this.#parts.time.wallMs()).length;
    return coordinator !== undefined && !isStorm(members, sick) && out < mostLeases(members);
  }

  #leaseFor(plan: string) {
    const { crypto } = this.#ports;
    return this.#parts.decisions.state
      .leases(this.#parts.time.wallMs())
      .find((one) => one.plan === plan && one.peer === crypto.self);
  }

  /** All that must hold, judged by this agent itself, at the moment of use; why not, or undefined. */
  async refusal(
    permit: Permit,
    plan: Plan,
    calls: readonly ToolCall[],
    before: readonly Snapshot[],
  ): Promise<string | undefined> {
    const { certificate } = permit;
    const refused =
      certificate === undefined ? this.#approvalRefusal(calls) : await this.#certificateRefusal(certificate, plan, calls, before);
    if (refused !== undefined) return refused;
    const lease = this.#leaseFor(plan.id);
    if (lease?.id !== permit.lease || lease.fence !== permit.fence) return 'its lease has ended';
    // As this agent sees it: a coordinator that counts others is not believed.
    const { members, sick } = swarmHealth(this.#parts.members);
    if (isStorm(members, sick))
      return `${sick} of ${counted(members, 'member')} ${sick === 1 ? 'looks' : 'look'} sick: nothing disruptive is done`;
    const out = this.#parts.decisions.state.leases(this.#parts.time.wallMs()).length;
    return out > mostLeases(members) ? `${out} leases are out, and ${mostLeases(members)} may be` : undefined;
  }

  #approvalRefusal(calls: readonly ToolCall[]): string | undefined {
    const left = this.#parts.selection.witnesses().length < MIN_WITNESSES ? this.#grants.approvals(calls) : undefined;
    return left === undefined ? 'its standing approval does not hold any more' : undefined;
  }

  async #certificateRefusal(
    certificate: Certificate,
    plan: Plan,
    calls: readonly ToolCall[],
    before: readonly Snapshot[],
  ): Promise<string | undefined> {
    const { crypto, store } = this.#ports;
    const { warrant } = certificate.claim;
    const { roster } = this.#parts.members;
    const is = digests(crypto, calls, before);
    const question = { crypto, roster, peer: crypto.self, plan: plan.id, calls: is.calls, nowMs: this.#parts.time.claimMs() };
    // The steps go by how it was: this first.
    if (warrant !== undefined && !equalBytes(warrant.precondition, is.precondition))
      return 'what it is on has changed since it was certified';
    const refused = certificateRefusal(certificate, question);
    if (refused !== undefined || warrant === undefined) return refused;
    if (warrant.term !== this.#parts.committee.term) return 'the certificate is of an earlier term';
    const liars = this.#parts.decisions.proven.quarantined();
    if (certificate.witnesses.some((peer) => liars.has(peer))) return 'one of its witnesses has lied';
    return (await store.get(this.#usedKey(warrant))) === undefined ? undefined : 'the certificate was used already';
  }

  #usedKey({ nonce }: Warrant): string {
    return `${USED_PREFIX}${toHex(nonce)}`;
  }

  /** From here on it is used, whatever comes: durable once it resolves. */
  async use({ certificate, approvals }: Permit): Promise<void> {
    if (certificate === undefined) return this.#grants.use(approvals);
    const { warrant, expiresAtMs } = certificate.claim;
    if (warrant === undefined) throw new RangeError('a permit without a warrant');
    const value = new TextEncoder().encode(String(Math.round(expiresAtMs)));
    await this.#ports.store.write([{ kind: 'put', key: this.#usedKey(warrant), value }]);
  }

  /** What is over makes room for others; where that cannot be said, the lease ends by itself. */
  giveBack({ lease }: Permit): void {
    this.#parts.decisions.decide({ kind: 'release', lease }, LEASE_WITHIN_MS).catch(() => undefined);
  }

  /** As the actuator is shown it; undefined where a standing approval is all there is. */
  leave({ certificate }: Permit, calls: readonly ToolCall[], before: readonly Snapshot[]): Uint8Array | undefined {
    const { crypto, clock } = this.#ports;
    if (certificate === undefined) return undefined;
    const { tools } = digests(crypto, calls, before);
    const shown = { roster: this.#parts.members.roster, peer: crypto.self, tools, nowMs: clock.wallMs() };
    return encodeAuthorization(shown, certificateProof(encodeCertificate(certificate)), certificate.witnesses);
  }

  /** As an incident keeps it; empty where there is none. */
  encoded({ certificate }: Permit): string {
    return certificate === undefined ? '' : btoa(String.fromCharCode(...encodeCertificate(certificate)));
  }
}
