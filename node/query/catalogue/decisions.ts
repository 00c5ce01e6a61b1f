// Tables of the swarm's decisions, from the state that every agent has.
import { columns, type Table } from './table.ts';

export const ORDER_TABLES: readonly Table[] = [
  {
    name: 'decisions',
    scope: 'swarm',
    description: 'The newest decisions of the swarm, known to this agent',
    columns: columns(`
      log_index INTEGER index in the committee’s log
      term INTEGER term of the leader that appended it
      time INTEGER Unix time in s, by the clock of the proposer
      kind TEXT leads, epoch, pause, wake, silence, unsilence, lease, release, place, unplace, displace, move, grant, revoke, budget, unbudget, drain, undrain, quarantine, pardon; bundle or upgrade, each alone or with -report, -advance or -withdraw
      node TEXT member that proposed it
      id TEXT id
      details TEXT the whole decision, as JSON`),
    examples: ['select log_index, node, kind from decisions order by log_index desc limit 10'],
    rows: ({ swarm, decided }) =>
      decided.recent().map(({ index, term, decision }) => ({
        log_index: index,
        term,
        time: Math.floor(decision.atMs / 1_000),
        kind: decision.kind,
        node: swarm.nameOf(decision.by),
        id: decision.id,
        details: JSON.stringify(decision),
      })),
  },
  {
    name: 'paused',
    scope: 'swarm',
    description: 'Paused agents: they make no automatic changes',
    columns: columns(`
      node TEXT member
      time INTEGER Unix time in s of the decision
      decided_by TEXT member that proposed it
      reason TEXT reason`),
    examples: ['select node, reason from paused'],
    rows: ({ swarm, decided }) =>
      decided.paused().map(({ peer, by, atMs, reason }) => ({
        node: swarm.nameOf(peer),
        time: Math.floor(atMs / 1_000),
        decided_by: swarm.nameOf(by),
        reason,
      })),
  },
  {
    name: 'grants',
    scope: 'swarm',
    description: 'Grants: tools that policies may or may not use',
    columns: columns(`
      id TEXT id
      effect TEXT deny, act or approve
      node TEXT machine
      tool TEXT tool
      target TEXT target; null for any target
      uses INTEGER number of uses, for a standing approval
      within_s INTEGER time window in seconds
      until INTEGER Unix time in s
      decided_by TEXT member that proposed it
      reason TEXT reason`),
    examples: ['select node, effect, tool, target from grants'],
    rows: ({ swarm, decided }) =>
      decided.grants().map(({ id, effect, peer, tool, target, uses, withinMs, untilMs, by, reason }) => ({
        id,
        effect,
        node: swarm.nameOf(peer),
        tool,
        target,
        uses,
        within_s: withinMs / 1_000,
        until: Math.floor(untilMs / 1_000),
        decided_by: swarm.nameOf(by),
        reason,
      })),
  },
  {
    name: 'budgets',
    scope: 'swarm',
    description: 'Budgets: how many changes policies may make',
    columns: columns(`
      node TEXT machine; null: all without their own budget
      changes INTEGER number of changes
      within_s INTEGER time window in seconds
      time INTEGER Unix time in s of the decision
      decided_by TEXT member that proposed it
      reason TEXT reason`),
    examples: ['select node, changes, within_s from budgets'],
    rows: ({ swarm, decided }) =>
      decided.budgets().map(({ peer, changes, withinMs, atMs, by, reason }) => ({
        node: peer === null ? null : swarm.nameOf(peer),
        changes,
        within_s: withinMs / 1_000,
        time: Math.floor(atMs / 1_000),
        decided_by: swarm.nameOf(by),
        reason,
      })),
  },
  {
    name: 'leases',
    scope: 'swarm',
    description: 'Leases of running disruptive changes',
    columns: columns(`
      id TEXT id
      node TEXT machine that holds the lease
      plan TEXT plan that it allows
      until INTEGER Unix time in s
      fence INTEGER fencing token: its index in the log`),
    examples: ['select node, plan from leases'],
    rows: ({ swarm, decided }) =>
      decided.leases().map(({ id, peer, plan, untilMs, fence }) => ({
        id,
        node: swarm.nameOf(peer),
        plan,
        until: Math.floor(untilMs / 1_000),
        fence,
      })),
  },
  {
    name: 'placements',
    scope: 'swarm',
    description: 'Fail-over services and the member that runs each',
    columns: columns(`
      service TEXT name of the service
      node TEXT member that runs it; null: none
      fence INTEGER fencing token, higher with each placement
      time INTEGER Unix time in s of the decision
      reason TEXT why it left the previous member`),
    examples: ['select service, node, fence from placements'],
    rows: ({ swarm, decided }) =>
      decided.placements().map(({ service, peer, fence, sinceMs, reason }) => ({
        service,
        node: peer === null ? null : swarm.nameOf(peer),
        fence,
        time: Math.floor(sinceMs / 1_000),
        reason,
      })),
  },
];
