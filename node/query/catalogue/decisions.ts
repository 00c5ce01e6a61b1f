// Tables of what the swarm has decided, from the state that every peer holds.
import { columns, type Table } from './table.ts';

export const ORDER_TABLES: readonly Table[] = [
  {
    name: 'decisions',
    scope: 'swarm',
    description: 'The newest decisions of the swarm, as far as this peer knows them',
    columns: columns(`
      log_index INTEGER place in the committee’s log
      term INTEGER term of the coordinator that took it
      time INTEGER Unix time in s, by the clock of whoever wished it
      kind TEXT leads, epoch, pause, wake, silence, unsilence, lease, release, place, unplace, displace, move, grant, revoke, budget, unbudget, drain, undrain, quarantine, pardon; bundle or upgrade, each alone or with -report, -advance or -withdraw
      node TEXT member that wished it
      id TEXT id
      details TEXT all of it, as JSON`),
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
    description: 'Agents that change nothing by themselves until they are woken',
    columns: columns(`
      node TEXT member
      time INTEGER Unix time in s since when
      decided_by TEXT member that wished it
      reason TEXT why`),
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
    description: 'What the swarm lets the policies of a machine do, or keeps from them',
    columns: columns(`
      id TEXT id
      effect TEXT deny, act or approve
      node TEXT machine
      tool TEXT tool
      target TEXT on what; null where on anything
      uses INTEGER how often, of a standing approval
      within_s INTEGER in how many seconds
      until INTEGER Unix time in s
      decided_by TEXT member that decided it
      reason TEXT why`),
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
    description: 'How many changes policies may make on a machine in a while',
    columns: columns(`
      node TEXT machine; null where it is each that has none of its own
      changes INTEGER how many
      within_s INTEGER in how many seconds
      time INTEGER Unix time in s since when
      decided_by TEXT member that decided it
      reason TEXT why`),
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
    description: 'Disruptive changes under way: each has a lease',
    columns: columns(`
      id TEXT id
      node TEXT machine that has it
      plan TEXT what it is for
      until INTEGER Unix time in s
      fence INTEGER place in the log`),
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
    description: 'Services for fail-over, and which member runs each',
    columns: columns(`
      service TEXT its name
      node TEXT member that has it; null where nobody does
      fence INTEGER higher each time that it is placed again
      time INTEGER Unix time in s since when
      reason TEXT why whoever had it before has it no longer`),
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
