// An agent's report on itself: for the command line, the web page and the HTTP API.
import type { MemberState } from '../../swarm/membership/member-table.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Mode } from '../action/guard.ts';
import type { Silence } from '../action/silences.ts';
import type { Members } from '../decisions/members.ts';
import type { Conditions } from '../detection/conditions.ts';
import type { ServiceRow } from '../detection/detector.ts';
import type { KeptLog } from '../log-levels.ts';

/** What only the process around an agent knows. */
export interface AgentEdge {
  /** URL of its web page; undefined if it has none. */
  page: string | undefined;
  configuration(): { key: string; value: unknown; origin: string }[];
  /** Reads the configuration again. */
  reload(): Promise<{ taken: boolean; lines: string[] }>;
  log: KeptLog;
}

export interface AgentStatus {
  name: string;
  peer: PeerId;
  swarmId: string;
  version: string;
  mode: Mode;
  /** Why actions are halted; null while they are not. */
  halted: string | null;
  /** The other agent with the same key, and its address; null while none is known. */
  twin: string | null;
  /** Why the disk of the state directory refuses writes; null while it accepts them. */
  refusal: string | null;
  uptimeMs: number;
  /** URL of its web page; null if it has none. */
  page: string | null;
  addresses: string[];
  coordinator: string | undefined;
  /** Why the swarm has no leader, and what to do; null while it has one. */
  uncoordinated: string | null;
  term: number;
  members: { name: string; peer: PeerId; state: MemberState; role: 'coordinator' | 'member' }[];
  conditions: Conditions;
  sensors: string;
  /** Taken since the start. */
  samples: number;
  /** Stored series, and their size. */
  series: number;
  seriesBytes: number;
  metrics: Record<string, number>;
  services: ServiceRow[];
  openIncidents: { id: string; summary: string; target: string; state: string }[];
  approvals: { id: string; incident: string; diff: string[]; expiresMs: number }[];
  silences: Silence[];
  /** Declared things that are unavailable, and why. */
  unseen: { name: string; reason: string }[];
  auditRecords: number;
}

export const membersOf = (members: Members, coordinator: PeerId | undefined): AgentStatus['members'] =>
  members.all().map(({ peer, state }) => ({
    name: members.nameOf(peer),
    peer,
    state,
    role: peer === coordinator ? 'coordinator' : 'member',
  }));
