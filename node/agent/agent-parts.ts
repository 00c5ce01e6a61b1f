// The parts of an agent, and how they are connected. Closures that connect parts are only here.
import type { Claim } from '../../consensus/vote/claim.ts';
import { AuditLog } from '../audit/audit-log.ts';
import type { Change } from '../detection/detector.ts';
import { KeptStatuses } from '../link/kept-statuses.ts';
import { MembershipAdmin } from '../link/membership-admin.ts';
import { SwarmLink } from '../link/swarm-link.ts';
import { Memory } from '../memory/memory.ts';
import type { Ports } from '../ports/ports.ts';
import type { Reporter } from '../reporter.ts';
import type { AgentConfig, AgentEvents } from './agent-config.ts';
import { ApiTokens } from './api-tokens.ts';
import { AuditWatch } from './audit-watch.ts';
import { type Coordination, makeCoordination } from './coordination.ts';
import { Executor } from './executor.ts';
import { Grants } from './grants.ts';
import { Healer } from './healer.ts';
import { Permits } from './permits.ts';
import { type PolicyOwner, PolicySet } from './policies.ts';
import { Queries } from './queries.ts';
import { SignedChanges } from './signed-changes.ts';
import { StallReports } from './stalls.ts';
import { Stories } from './stories.ts';
import { Supervision } from './supervision.ts';
import { Watcher } from './watcher.ts';

export interface AgentParts extends Coordination {
  // This machine: observation, detection, repair
  watcher: Watcher;
  policies: PolicySet;
  memory: Memory;
  /** Every change on this machine goes through it. */
  executor: Executor;
  permits: Permits;
  grants: Grants;
  /** Changes that two operators sign. */
  signedChanges: SignedChanges;
  healer: Healer;
  supervision: Supervision;
  stalls: StallReports;
  // Its place in the swarm
  link: SwarmLink;
  kept: KeptStatuses;
  stories: Stories;
  // Queries and administration
  audit: AuditLog;
  auditWatch: AuditWatch;
  queries: Queries;
  membershipAdmin: MembershipAdmin;
  apiTokens: ApiTokens;
}

/** @throws PolicyError if a policy's expression is invalid. */
export function makeParts(
  config: AgentConfig,
  ports: Ports,
  events: Omit<AgentEvents, 'log'> & Pick<Reporter, 'log'>,
  onChanges: (changes: readonly Change[]) => void,
): AgentParts {
  const { swarmId, services } = config;
  const memory = new Memory(ports.store);
  const audit = new AuditLog(ports.store, ports.clock, ports.crypto);
  const noted: Reporter['noted'] = (text, subject = ports.transport.self) => audit.append('control', subject, text);
  const reporter = { ...events, noted };
  const owner: PolicyOwner = { noted, judge: (all) => watcher.setPolicies(all) };
  const policies = new PolicySet(ports.store, config.policies, owner, config.engine.maxRules);
  const watched = {
    ...config,
    ...config.engine,
    policies: policies.all().map(({ policy }) => policy),
    clockBehindMs: () => link.time.behindMs(),
    isBlind: () => link.consensus.vitals.isBlind,
    failed: reporter.failed,
  };
  const watcher = new Watcher(ports, watched, onChanges);
  const link = new SwarmLink(ports, config, {
    request: async (protocol, from, body) => {
      if (protocol === 'audit') return auditWatch.answer(from, body);
      if (protocol === 'release') return coordination.upgrades.answer(body);
      return queries.answer(protocol, from, body);
    },
    voted: (_claim, vote) => queries.voted(vote),
    measured: (claim: Claim) => coordination.gray.evidenceOn(claim),
    ...reporter,
  });
  const auditWatch = auditWatchOf(ports, link, audit, reporter);
  const { members, time, selection, ballots, admission, enrolment, consensus } = link;
  const { committee, decisions } = consensus;
  const kept = new KeptStatuses(ports, members, reporter.failed);
  const grants = new Grants(ports, swarmId, members, decisions, admission.instances);
  const permits = new Permits(ports, { members, committee, decisions, time, selection, ballots }, grants);
  const executor = new Executor({
    ports,
    audit,
    peers: () => members.alive().filter((peer) => peer !== members.self).length,
    settings: config,
    limits: grants,
    permits,
    maxConcurrent: config.engine.maxConcurrent,
    reporter,
  });
  const stories = storiesOf(ports, swarmId, link, reporter);
  const inspectionRefusal: Queries['sources']['inspectionRefusal'] = (peer) => grants.inspectionRefusal(peer, config.inspect);
  const queries = new Queries(ports, swarmId, { link, watcher, memory, executor, policies, audit, stories, inspectionRefusal });
  const { brakes } = executor;
  const shared = { ports, link, watcher, memory, reporter };
  const coordination = makeCoordination(config, { ...shared, policies, brakes, queries });
  const { placed } = coordination;
  return {
    ...{ watcher, policies, memory, executor, permits, grants, link, kept, stories, audit, auditWatch, queries },
    ...coordination,
    signedChanges: new SignedChanges(ports, { name: admission.name, swarmId, roster: members.roster, executor }),
    healer: new Healer({ ...shared, stories, executor, permits, placed, services }),
    supervision: new Supervision({ ports, services, brakes, reporter }),
    stalls: new StallReports(ports, { nameOf: () => admission.name, save: (one) => memory.save(one), ...reporter }),
    membershipAdmin: new MembershipAdmin(ports, swarmId, {
      ...{ admission, members, committee, decisions, audit },
      networkKeys: enrolment.networkKeys,
    }),
    apiTokens: new ApiTokens(ports),
  };
}

function auditWatchOf(ports: Ports, link: SwarmLink, audit: AuditLog, reporter: Reporter): AuditWatch {
  return new AuditWatch(ports, audit, {
    witnesses: () => link.selection.witnesses(),
    alive: () => link.members.alive(),
    request: (to, body, withinMs) => link.messenger.ask(to, 'audit', body, withinMs),
    nameOf: (peer) => link.members.nameOf(peer),
    ...reporter,
  });
}

function storiesOf(ports: Ports, swarmId: string, link: SwarmLink, reporter: Reporter): Stories {
  return new Stories(ports, swarmId, {
    witnesses: () => link.selection.witnesses(),
    isWitnessOf: (peer) => link.selection.subjects().includes(peer),
    tell: (peer, body, withinMs) => link.messenger.ask(peer, 'explain', body, withinMs),
    ...reporter,
  });
}
