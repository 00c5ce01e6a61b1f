// All that a question reads of the agent that answers it: plain data, and nothing changes by reading it. The agent implements it
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

/** The members, as this agent knows them, and how they are asked. */
export interface SwarmReads {
  readonly self: PeerId;
  /** What this agent is called. */
  readonly name: string;
  readonly coordinator: PeerId | undefined;
  readonly term: number;
  readonly members: readonly Member[];
  nameOf(peer: PeerId): string;
  /** The newest that was heard of a member. */
  statusOf(peer: PeerId): StatusEntry | undefined;
  statuses(): readonly StatusEntry[];
  /** Who of its observers cannot reach a member. */
  accusersOf(peer: PeerId): readonly PeerId[];
  /** Who belongs to the swarm by its roster, and whether it may let others in. */
  roster(): readonly { certificate: MemberCertificate; isIssuer: boolean }[];
  /** By its certificate; undefined where it has none. */
  roleOf(peer: PeerId): string | undefined;
  /** Asks members the same thing. @returns who gave no answer */
  ask(peers: readonly PeerId[], name: 'table' | 'explain', body: Uint8Array, options: FanOutOptions): Promise<Missing>;
}

/** What the swarm has decided, as far as this agent knows it, and who decides. */
export interface DecisionReads {
  /** The place of the newest decision in the log. */
  readonly index: number;
  /** Of the roster; 0 where none was decided. */
  readonly rosterEpoch: number;
  /** The newest, the oldest first. */
  recent(): readonly Decided[];
  paused(): readonly Pause[];
  grants(): readonly Grant[];
  budgets(): readonly Budget[];
  leases(): readonly Lease[];
  placements(): readonly Placement[];
  /** As its members know it; without seats on an agent that does not belong to it. */
  committee(): Committee;
}

export interface Committee {
  seats: readonly { peer: PeerId | undefined; id: NodeId; votes: boolean; leads: boolean; behind: number | undefined }[];
  term: number | undefined;
  committed: number | undefined;
  applied: number | undefined;
}

/** This machine, as it was sampled last. */
export interface MachineReads {
  metrics(): ReadonlyMap<string, number>;
  lastSample(): { sample: Sample | undefined; previous: Sample | undefined };
  services(): readonly ServiceView[];
  /** Declared things that cannot be seen, and why. */
  unseen(): readonly { name: string; reason: string }[];
  readonly history: {
    /** Up to `count` newest values of a series, the oldest first. */
    last(name: string, count: number): number[];
    fine(name: string): Past | undefined;
    coarse(name: string): { mean: Past; most: Past } | undefined;
  };
}

/** What this agent found wrong with its machine, and what was done about it. */
export interface HealingReads {
  policies(): readonly { policy: Policy; origin: string }[];
  /** The newest last. */
  incidents(): readonly Incident[];
  incident(id: string): Incident | undefined;
  cases(): readonly Case[];
  /** The oldest first. */
  journal(): Promise<readonly JournalEntry[]>;
  approvals(): readonly { plan: Plan; diff: readonly string[]; expiresMs: number }[];
  silences(): readonly Silence[];
  /** The newest records, the oldest first. */
  audit(limit: number): Promise<readonly AuditRecord[]>;
}

/** What this agent knows of other machines as their witness. */
export interface WitnessReads {
  incidents(): readonly Incident[];
  story(id: string): Story | undefined;
  /** What this agent itself voted on a claim. */
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
  /** Why a member may not see here what is private; undefined where it may. */
  inspectionRefusal(peer: PeerId): string | undefined;
}
