// The data of this agent that queries read (node/query/reads.ts), from its parts.
import type { Vote } from '../../consensus/vote/claim.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import type { SwarmLink } from '../link/swarm-link.ts';
import type { Memory } from '../memory/memory.ts';
import type { Ports } from '../ports/ports.ts';
import type { DecisionReads, HealingReads, MachineReads, Reads, SwarmReads, WitnessReads } from '../query/reads.ts';
import type { Executor } from './executor.ts';
import type { PolicySet } from './policies.ts';
import type { Stories } from './stories.ts';
import type { Watcher } from './watcher.ts';

export interface ReadParts {
  ports: Pick<Ports, 'clock'>;
  link: SwarmLink;
  watcher: Watcher;
  memory: Memory;
  executor: Executor;
  policies: PolicySet;
  audit: AuditLog;
  stories: Stories;
  /** The votes that this agent cast, by claim. */
  ownVotes: ReadonlyMap<string, Vote>;
  inspectionRefusal(peer: PeerId): string | undefined;
}

export function readsOf({ ports: { clock }, link, watcher, inspectionRefusal, ...parts }: ReadParts): Reads {
  const nowWallMs = (): number => clock.wallMs();
  return {
    swarm: swarmReads(link, nowWallMs),
    decided: decisionReads(link, nowWallMs),
    machine: machineReads(watcher),
    healing: healingReads(parts),
    witness: witnessReads(parts),
    nowMonotonicMs: () => clock.monotonicMs(),
    nowWallMs,
    inspectionRefusal,
  };
}

function machineReads({ samples, services, looks }: Watcher): MachineReads {
  return {
    metrics: () => samples.metrics,
    lastSample: () => samples.last,
    services: () => services.views(),
    unseen: () => looks.unseen,
    history: samples.history,
  };
}

export function swarmReads(
  { members, admission, messenger, consensus: { committee } }: SwarmLink,
  nowWallMs: () => number,
): SwarmReads {
  const { self, roster, statuses } = members;
  return {
    self,
    get name() {
      return admission.name;
    },
    get coordinator() {
      return committee.coordinator;
    },
    get term() {
      return committee.term;
    },
    get members() {
      return members.all();
    },
    nameOf: (peer) => members.nameOf(peer),
    statusOf: (peer) => statuses.get(peer),
    statuses: () => statuses.entries(),
    accusersOf: (peer) => members.accusersOf(peer),
    roster: () =>
      roster.members().map((certificate) => ({ certificate, isIssuer: roster.isIssuer(certificate.subject, nowWallMs()) })),
    roleOf: (peer) => roster.member(peer)?.role,
    ask: (peers, name, body, options) => messenger.askAll(peers, name, body, options),
  };
}

function decisionReads({ consensus: { committee, decisions } }: SwarmLink, nowWallMs: () => number): DecisionReads {
  return {
    get index() {
      return decisions.state.index;
    },
    get rosterEpoch() {
      return decisions.state.epochs.newest?.epoch ?? 0;
    },
    recent: () => decisions.state.recent(),
    paused: () => decisions.state.paused(),
    grants: () => decisions.state.grants.all(nowWallMs()),
    budgets: () => decisions.state.budgets.all(),
    leases: () => decisions.state.leases(nowWallMs()),
    placements: () => decisions.state.placements(),
    committee: () => {
      const { term, committed, applied } = committee.log.current?.state ?? {};
      return { seats: committee.seats.all(), term, committed, applied };
    },
  };
}

type HealingParts = Pick<ReadParts, 'memory' | 'executor' | 'policies' | 'audit'>;

function healingReads({ memory, executor, policies, audit }: HealingParts): HealingReads {
  return {
    policies: () => policies.all(),
    incidents: () => memory.incidents(),
    incident: (id) => memory.incident(id),
    cases: () => memory.cases.all(),
    journal: () => executor.journal.all(),
    approvals: () => executor.approvals.all(),
    silences: () => executor.brakes.silences.active(),
    audit: (limit) => audit.tail(limit),
  };
}

function witnessReads({ stories, ownVotes }: Pick<ReadParts, 'stories' | 'ownVotes'>): WitnessReads {
  return {
    incidents: () => stories.all(),
    story: (id) => stories.of(id),
    voteOn: (claimId) => ownVotes.get(claimId),
  };
}
