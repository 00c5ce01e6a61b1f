// The authorization of one disruptive change: a certificate of this agent's witnesses over exactly that change, and a lease that the
// committee granted. It is requested, checked completely before anything is done, and used once, across crashes too.

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
/** How long the committee may take to grant a lease. */
const LEASE_WITHIN_MS = 5_000;
/** How long the change may take; the certificate expires no later. */
const LEASE_MS = 240_000;
/** A certificate that expired so long ago is refused by its times already. */
const FORGET_USED_MS = 86_400_000;

/** A certificate of witnesses; or, with too few witnesses, a standing approval of each call. */
export interface Permit {
  certificate: Certificate | undefined;
  approvals: readonly Grant[];
  /** The id of the lease, and its place in the log. */
  lease: string;
  fence: number;
}

/** `later`: the committee lets other changes go first; no approval is requested for that. */
export type Authorization =
  | { ok: true; permit: Permit; votes: VoteResult | undefined }
  | { ok: false; reason: string; later: boolean };

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

  /** Forgets certificates that were used long ago. */
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

  /** Asks the witnesses, then the committee. @param claim what is wrong, for witnesses to check */
  async obtain(plan: Plan, calls: readonly ToolCall[], before: readonly Snapshot[], claim: Claim): Promise<Authorization> {
    const { selection, ballots, decisions } = this.#parts;
    const witnesses = selection.witnesses().length;
    const refused = (reason: string, later = false): Authorization => ({ ok: false, reason, later });
    if (this.#parts.time.isFarOff)
      return refused('this machine’s clock is wrong by 30 minutes or more, so certificates cannot be checked: set the clock');
    const approvals = witnesses < MIN_WITNESSES ? this.#grants.approvals(calls) : [];
    if (approvals === undefined)
      return refused(
        `${counted(witnesses, 'witness')} cannot certify a change: ${MIN_WITNESSES} are needed, or a standing approval`,
      );
    const isVoted = approvals.length === 0;
    const warranted = (): Claim => ({ ...claim, warrant: this.#warrant(plan, calls, before) });
    const votes = isVoted ? await ballots.vote(warranted(), selection.witnesses()) : undefined;
    if (isVoted && votes?.certificate === undefined) return refused(`the witnesses do not certify the change: ${votes?.outcome}`);
    try {
      const untilMs = Math.round(this.#parts.time.wallMs() + LEASE_MS);
      const proposal = { kind: 'lease', plan: plan.id, members: 1, sick: 0, untilMs } as const; // the leader sets how many there are
      const outcome = await decisions.decide(proposal, LEASE_WITHIN_MS);
      if (!outcome.ok) return refused(outcome.reason, outcome.busy);
      await decisions.reads.caughtUp(outcome.index, LEASE_WITHIN_MS);
    } catch (error) {
      return refused(`no lease was granted: ${messageOf(error)}`);
    }
    const lease = this.#leaseFor(plan.id);
    if (lease === undefined) return refused('the lease has expired already', true);
    return { ok: true, permit: { certificate: votes?.certificate, approvals, lease: lease.id, fence: lease.fence }, votes };
  }

  /** Changes with the leader, the term and the number of witnesses: then a refused change may be allowed. */
  leadership(): string {
    return `${this.#parts.committee.coordinator ?? ''} ${this.#parts.committee.term} ${this.#parts.selection.witnesses().length}`;
  }

  /** Whether a lease is available now, as far as this agent knows. */
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

  /** Checks everything again at the moment of use; why it must not be used, or undefined. */
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
    if (lease?.id !== permit.lease || lease.fence !== permit.fence) return 'the lease has expired';
    // By this agent's own data: the leader's count is not trusted.
    const { members, sick } = swarmHealth(this.#parts.members);
    if (isStorm(members, sick))
      return `${sick} of ${counted(members, 'member')} ${sick === 1 ? 'looks' : 'look'} unhealthy: no disruptive changes`;
    const out = this.#parts.decisions.state.leases(this.#parts.time.wallMs()).length;
    return out > mostLeases(members) ? `${out} leases are in use, at most ${mostLeases(members)} allowed` : undefined;
  }

  #approvalRefusal(calls: readonly ToolCall[]): string | undefined {
    const left = this.#parts.selection.witnesses().length < MIN_WITNESSES ? this.#grants.approvals(calls) : undefined;
    return left === undefined ? 'the standing approval is no longer valid' : undefined;
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
    // The steps depend on the target's state: check this first.
    if (warrant !== undefined && !equalBytes(warrant.precondition, is.precondition))
      return 'the target has changed since certification';
    const refused = certificateRefusal(certificate, question);
    if (refused !== undefined || warrant === undefined) return refused;
    if (warrant.term !== this.#parts.committee.term) return 'the certificate is of an earlier term';
    const quarantined = this.#parts.decisions.proven.quarantined();
    if (certificate.witnesses.some((peer) => quarantined.has(peer))) return 'one of its witnesses is in quarantine';
    return (await store.get(this.#usedKey(warrant))) === undefined ? undefined : 'the certificate was used already';
  }

  #usedKey({ nonce }: Warrant): string {
    return `${USED_PREFIX}${toHex(nonce)}`;
  }

  /** Marks it as used in any case; durable once it resolves. */
  async use({ certificate, approvals }: Permit): Promise<void> {
    if (certificate === undefined) return this.#grants.use(approvals);
    const { warrant, expiresAtMs } = certificate.claim;
    if (warrant === undefined) throw new RangeError('a permit without a warrant');
    const value = new TextEncoder().encode(String(Math.round(expiresAtMs)));
    await this.#ports.store.write([{ kind: 'put', key: this.#usedKey(warrant), value }]);
  }

  /** Releases the lease for other changes; if that fails, it expires by itself. */
  giveBack({ lease }: Permit): void {
    this.#parts.decisions.decide({ kind: 'release', lease }, LEASE_WITHIN_MS).catch(() => undefined);
  }

  /** As sent to the actuator; undefined with only a standing approval. */
  authorization({ certificate }: Permit, calls: readonly ToolCall[], before: readonly Snapshot[]): Uint8Array | undefined {
    const { crypto, clock } = this.#ports;
    if (certificate === undefined) return undefined;
    const { tools } = digests(crypto, calls, before);
    const shown = { roster: this.#parts.members.roster, peer: crypto.self, tools, nowMs: clock.wallMs() };
    return encodeAuthorization(shown, certificateProof(encodeCertificate(certificate)), certificate.witnesses);
  }

  /** As stored in an incident; empty if there is none. */
  encoded({ certificate }: Permit): string {
    return certificate === undefined ? '' : btoa(String.fromCharCode(...encodeCertificate(certificate)));
  }
}
