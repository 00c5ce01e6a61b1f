// All that a query reads of the agent that answers it: plain data, without side effects. The agent implements it
// (node/agent/reads.ts), so that tables, explanations and the overview depend on no class of the agent.

import type { Budget } from '../../consensus/decisions/budgets.ts';
import type { Grant } from '../../consensus/decisions/grants.ts';
import type { Pause } from '../../consensus/decisions/kinds.ts';
import type { Lease } from '../../consensus/decisions/leases.ts';
import type { Placement } from '../../consensus/decisions/placements.ts';
import type { Decided } from '../../consensus/decisions/state.ts';
import type { NodeId } from '../../consensus/raft/types.ts';
import type { Vote } from '../../consensus/vote/claim.ts';
import type { MemberCertificate } from '../../swarm/identity/record.ts';
import type { Member } from '../../swarm/membership/member-table.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { FanOutOptions, Missing } from '../../swarm/query/fan-out.ts';
import type { StatusEntry } from '../../swarm/state/status-table.ts';
import type { Silence } from '../action/silences.ts';
import type { JournalEntry } from '../action/transaction.ts';
import type { AuditRecord } from '../audit/audit-log.ts';
import type { Plan } from '../decision/plan.ts';
import type { Incident } from '../detection/incident.ts';
import type { Policy } from '../detection/policy.ts';
import type { ServiceView } from '../detection/targets.ts';
import type { Case } from '../memory/cases.ts';
import type { Story } from '../memory/story.ts';
import type { Sample } from '../ports/sensors.ts';
import type { Past } from '../telemetry/history.ts';

/** The members that this agent knows, and requests to them. */
export interface SwarmReads {
  readonly self: PeerId;
  /** The name of this agent. */
  readonly name: string;
  readonly coordinator: PeerId | undefined;
  readonly term: number;
  readonly members: readonly Member[];
  nameOf(peer: PeerId): string;
  /** The newest status of a member. */
  statusOf(peer: PeerId): StatusEntry | undefined;
  statuses(): readonly StatusEntry[];
  /** The observers that cannot reach a member. */
  accusersOf(peer: PeerId): readonly PeerId[];
  /** The members of the roster, and whether each is an issuer. */
  roster(): readonly { certificate: MemberCertificate; isIssuer: boolean }[];
  /** The role in its certificate; undefined without a certificate. */
  roleOf(peer: PeerId): string | undefined;
  /** Sends the same request to members. @returns the members without an answer */
  ask(peers: readonly PeerId[], name: 'table' | 'explain', body: Uint8Array, options: FanOutOptions): Promise<Missing>;
}

/** The decisions of the swarm that this agent knows, and the committee. */
export interface DecisionReads {
  /** The index of the newest decision. */
  readonly index: number;
  /** The epoch of the roster; 0 if none was decided. */
  readonly rosterEpoch: number;
  /** The newest decisions, oldest first. */
  recent(): readonly Decided[];
  paused(): readonly Pause[];
  grants(): readonly Grant[];
  budgets(): readonly Budget[];
  leases(): readonly Lease[];
  placements(): readonly Placement[];
  /** The committee as its members know it; without seats on an agent that is not in the committee. */
  committee(): Committee;
}

export interface Committee {
  seats: readonly { peer: PeerId | undefined; id: NodeId; votes: boolean; leads: boolean; behind: number | undefined }[];
  term: number | undefined;
  committed: number | undefined;
  applied: number | undefined;
}

/** The newest sample of this machine. */
export interface MachineReads {
  metrics(): ReadonlyMap<string, number>;
  lastSample(): { sample: Sample | undefined; previous: Sample | undefined };
  services(): readonly ServiceView[];
  /** Declared items that are unavailable, and why. */
  unseen(): readonly { name: string; reason: string }[];
  readonly history: {
    /** At most `count` newest values of a series, oldest first. */
    last(name: string, count: number): number[];
    fine(name: string): Past | undefined;
    coarse(name: string): { mean: Past; most: Past } | undefined;
  };
}

/** The incidents of this machine and their repairs. */
export interface HealingReads {
  policies(): readonly { policy: Policy; origin: string }[];
  /** Newest last. */
  incidents(): readonly Incident[];
  incident(id: string): Incident | undefined;
  cases(): readonly Case[];
  /** Oldest first. */
  journal(): Promise<readonly JournalEntry[]>;
  approvals(): readonly { plan: Plan; diff: readonly string[]; expiresMs: number }[];
  silences(): readonly Silence[];
  /** The newest records, oldest first. */
  audit(limit: number): Promise<readonly AuditRecord[]>;
}

/** What this agent knows as a witness of other machines. */
export interface WitnessReads {
  incidents(): readonly Incident[];
  story(id: string): Story | undefined;
  /** This agent's own vote on a claim. */
  voteOn(claimId: string): Vote | undefined;
}

export interface Reads {
  readonly swarm: SwarmReads;
  readonly decided: DecisionReads;
  readonly machine: MachineReads;
  readonly healing: HealingReads;
  readonly witness: WitnessReads;
  nowMonotonicMs(): number;
  nowWallMs(): number;
  /** Why a member may not read private tables here; undefined if it may. */
  inspectionRefusal(peer: PeerId): string | undefined;
}
