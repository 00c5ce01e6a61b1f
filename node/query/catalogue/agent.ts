// Tables about KALOS: the swarm's, from the state that every agent has, and each agent's own.
import { STATUS_CONDITIONS } from '../../../swarm/state/status.ts';
import { describeCall } from '../../action/tools.ts';
import { serviceRow } from '../../detection/detector.ts';
import type { Incident } from '../../detection/incident.ts';
import { METRICS, originOf, unknownBecause } from '../../telemetry/metrics.ts';
import { ORDER_TABLES } from './decisions.ts';
import { columns, guarded, inspected, known, type Row, type Table, type TableSources } from './table.ts';

const camelToSnake = (name: string): string =>
  name.replace(/[A-Z]/g, (letter, at) => (at === 0 ? '' : '_') + letter.toLowerCase());
const scaled = (value: number | undefined, by: number) => (value === undefined ? null : value / by);

function nodeRows({ swarm, nowMonotonicMs }: TableSources): Row[] {
  return swarm.members.map((member) => {
    const entry = swarm.statusOf(member.peer);
    const status = entry?.status;
    return {
      node: swarm.nameOf(member.peer),
      peer: member.peer,
      state: member.state,
      role: swarm.coordinator === member.peer ? 'coordinator' : 'member',
      version: status?.version,
      mode: status?.mode,
      address: status?.address,
      age_ms: entry === undefined ? null : Math.round(nowMonotonicMs() - entry.heardMs),
      term: status?.term,
      open_incidents: status?.openIncidents,
      load_1m: scaled(status?.loadCenti, 100),
      cpu: scaled(status?.cpuPermille, 1000),
      memory: scaled(status?.memoryPermille, 1000),
      psi_cpu: scaled(status?.pressureCenti[0], 100),
      psi_memory: scaled(status?.pressureCenti[1], 100),
      psi_io: scaled(status?.pressureCenti[2], 100),
      ...Object.fromEntries(STATUS_CONDITIONS.map((name) => [camelToSnake(name), status?.conditions[name] ?? 'Unknown'])),
    };
  });
}

const swarmTables: readonly Table[] = [
  {
    name: 'nodes',
    scope: 'swarm',
    description: 'Every member of the swarm, from the newest status known to this agent',
    columns: columns(`
      node TEXT name
      peer TEXT peer id
      state TEXT joining, alive, unreachable or down
      role TEXT coordinator or member
      version TEXT version of KALOS
      mode TEXT observe, advise or act
      address TEXT address to connect to
      age_ms INTEGER age of its status here
      term INTEGER newest leader term that it knows
      open_incidents INTEGER number of its open incidents
      load_1m REAL load average
      cpu REAL share of the CPUs in use, 0 to 1
      memory REAL share of the memory in use, 0 to 1
      psi_cpu REAL percent of time in which work waited for a CPU
      psi_memory REAL percent of time in which work waited for memory
      psi_io REAL percent of time in which work waited for I/O
      ${STATUS_CONDITIONS.map((name) => `${camelToSnake(name)} TEXT condition: True, False or Unknown`).join('\n')}`),
    examples: [
      "select node, state, age_ms from nodes where state <> 'alive'",
      'select node, cpu, memory from nodes order by cpu desc limit 5',
    ],
    rows: (sources) => nodeRows(sources),
  },
  {
    name: 'members',
    scope: 'swarm',
    description: 'Members of the swarm’s roster, with their certificates',
    columns: columns(`
      node TEXT name
      peer TEXT peer id
      role TEXT member or committee
      issuer INTEGER 1: it may admit members
      certificate_from INTEGER Unix time in s from which its certificate is valid
      certificate_until INTEGER Unix time in s at which it expires; renewed at half its life
      epoch INTEGER how often it was admitted`),
    examples: ['select node, role from members where issuer = 1'],
    rows: ({ swarm }) =>
      swarm.roster().map(({ certificate: { subject, name, role, fromMs, untilMs, epoch }, isIssuer }) => ({
        node: name,
        peer: subject,
        role,
        issuer: isIssuer ? 1 : 0,
        certificate_from: Math.floor(fromMs / 1_000),
        certificate_until: Math.floor(untilMs / 1_000),
        epoch,
      })),
  },
  {
    name: 'conditions',
    scope: 'swarm',
    description: 'Conditions of every member, a row each: Ready and ServicesReady should be True, all others False',
    columns: columns(`
      node TEXT member
      condition TEXT name
      status TEXT True, False or Unknown
      age_ms INTEGER age of this status here`),
    examples: ["select node, condition from conditions where status = 'True' and condition not like '%Ready'"],
    rows: ({ swarm, nowMonotonicMs }) =>
      swarm.statuses().flatMap(({ origin, status, heardMs }) =>
        STATUS_CONDITIONS.map((condition) => ({
          node: swarm.nameOf(origin),
          condition,
          status: status.conditions[condition] ?? 'Unknown',
          age_ms: Math.round(nowMonotonicMs() - heardMs),
        })),
      ),
  },
  {
    name: 'observers',
    scope: 'swarm',
    description: 'Observers and the members they cannot reach',
    columns: columns(`
      observer TEXT member that reports it
      node TEXT unreachable member`),
    examples: ['select node, group_concat(observer) from observers group by node'],
    rows: ({ swarm }) =>
      swarm.members.flatMap(({ peer }) =>
        swarm.accusersOf(peer).map((observer) => ({ observer: swarm.nameOf(observer), node: swarm.nameOf(peer) })),
      ),
  },
];

const machineTables: readonly Table[] = [
  known(
    'metrics',
    'The newest value of every metric; NULL, with the reason, if the machine has none',
    `name TEXT name, from OpenTelemetry if it has one
    value REAL value
    unit TEXT unit
    description TEXT meaning
    unknown TEXT why there is no value
    kind TEXT gauge or rate
    source TEXT source of the value`,
    ["select node, value from metrics where name = 'system.cpu.utilization' order by value desc"],
    ({ machine }) => {
      const values = machine.metrics();
      const { sample } = machine.lastSample();
      return METRICS.map((metric) => {
        const { name, unit, description } = metric;
        const value = values.get(name);
        const unknown = value === undefined && sample !== undefined ? unknownBecause(metric, sample) : undefined;
        return { name, value, unit, description, unknown, ...originOf(metric) };
      });
    },
  ),
  known(
    'series',
    'Metric history: by second for ten minutes, by minute for six hours',
    `name TEXT series; see kalos metrics --history
    span TEXT seconds, minutes (means) or peaks (maximum of each minute)
    time INTEGER Unix time in s
    value REAL value; NULL if there was none`,
    ["select node, max(value) from series where name = 'system.cpu.utilization' and span = 'peaks' group by node"],
    ({ machine: { history } }, where) =>
      (where.get('name') ?? []).flatMap((given) => {
        const name = String(given);
        const [fine, coarse] = [history.fine(name), history.coarse(name)];
        const rows = (span: string, past: { stepS: number; atS: number; values: (number | null)[] } | undefined): Row[] =>
          (past?.values ?? []).map((value, i, all) => ({
            name,
            span,
            time: Math.round((past?.atS ?? 0) - (all.length - 1 - i) * (past?.stepS ?? 1)),
            value,
          }));
        return [...rows('seconds', fine), ...rows('minutes', coarse?.mean), ...rows('peaks', coarse?.most)];
      }),
    ['name'],
  ),
  known(
    'committee',
    'The committee (voters and learners) as each of its members sees it; empty on other machines',
    `member TEXT name
    number TEXT its Raft id
    seat TEXT voter or learner
    leads INTEGER 1: it is the leader
    behind INTEGER entries that it lacks; set only on the leader
    term INTEGER newest term known to this machine
    committed INTEGER last committed entry known to this machine
    applied INTEGER last entry applied here`,
    ['select node, member, seat, leads from committee', 'select member, behind from committee where behind > 0'],
    ({ swarm, decided }) => {
      const { seats, term, committed, applied } = decided.committee();
      return seats.map(({ peer, id, votes, leads, behind }) => ({
        member: peer === undefined ? null : swarm.nameOf(peer),
        number: id.toString(36),
        seat: votes ? 'voter' : 'learner',
        leads: leads ? 1 : 0,
        behind,
        term,
        committed,
        applied,
      }));
    },
  ),
  known(
    'services',
    'The services that each agent supervises',
    `name TEXT name
    state TEXT running, exited, stopped …
    health TEXT result of its check
    why TEXT why it is not running; else empty
    pid INTEGER process id
    port INTEGER declared port
    starts INTEGER number of starts
    age_ms INTEGER time since it was started
    memory INTEGER bytes, with all its child processes
    processes INTEGER number of processes
    cpu REAL CPUs in use; 1 is one core`,
    ["select node, name, state, health from services where state <> 'running'"],
    ({ machine }) =>
      machine.services().map((service) => ({
        ...serviceRow(service),
        pid: service.pid,
        port: service.port,
        starts: service.starts,
        age_ms: Math.round(service.ageMs),
        memory: Math.round(service.usage.memoryBytes),
        processes: service.usage.processes,
        cpu: service.usage.cpus,
      })),
  ),
  known(
    'links',
    'Connections of each agent, and when it last heard from each member',
    `peer TEXT the connected member
    state TEXT as this agent sees it
    connected INTEGER 1: a connection is open
    heard_ms INTEGER time since it was last heard; NULL if never`,
    ['select node, sum(connected) as connections from links group by node'],
    ({ swarm, nowMonotonicMs }) =>
      swarm.members
        .filter(({ peer }) => peer !== swarm.self)
        .map(({ peer, state, connected, met, heardMs }) => ({
          peer: swarm.nameOf(peer),
          state,
          connected: connected ? 1 : 0,
          heard_ms: met ? Math.round(nowMonotonicMs() - heardMs) : null,
        })),
  ),
  known(
    'sensors',
    'Unavailable metrics of an agent, and why',
    `name TEXT metric or declared item
    reason TEXT reason`,
    ['select reason, count(*) from sensors group by reason'],
    ({ machine }) => {
      const lacks = machine.lastSample().sample?.host.lacks ?? new Map<string, string>();
      return [
        ...[...lacks].map(([name, reason]) => ({ name, reason })),
        ...machine.unseen().map(({ name, reason }) => ({ name, reason })),
      ];
    },
  ),
  known(
    'policies',
    'Policies of each machine',
    `name TEXT name
    origin TEXT shipped, configuration or live
    scope TEXT machine, service, mount …
    severity TEXT severity
    enabled INTEGER 0: kept, but not evaluated
    expression TEXT condition in CEL
    summary TEXT short description`,
    ["select name, count(distinct node) from policies where origin = 'live' group by name"],
    ({ healing }) =>
      healing.policies().map(({ policy, origin }) => ({
        name: policy.name,
        origin,
        scope: policy.scope,
        severity: policy.severity,
        enabled: policy.enabled ? 1 : 0,
        expression: policy.when,
        summary: policy.summary,
      })),
  ),
];

const INCIDENT_COLUMNS = `
      id TEXT incident
      node TEXT machine
      policy TEXT policy that fired
      target TEXT affected target
      severity TEXT severity
      state TEXT open, watching, acting, waiting, escalated or resolved
      outcome TEXT result; empty while it is open
      tool TEXT tools used
      cause TEXT id of the root incident; empty if none
      summary TEXT short description
      opened_ms INTEGER Unix time in ms
      closed_ms INTEGER Unix time in ms; NULL while it is open
      certified INTEGER 1: certified by witnesses`;

const incidentRow = (incident: Incident): Row => ({
  id: incident.id,
  node: incident.nodeName,
  policy: incident.policy,
  target: incident.target,
  severity: incident.severity,
  state: incident.state,
  outcome: incident.outcome,
  tool: incident.tool,
  cause: incident.cause,
  summary: incident.summary,
  opened_ms: Math.round(incident.openedMs),
  closed_ms: incident.closedMs === 0 ? null : Math.round(incident.closedMs),
  certified: incident.certificate === '' ? 0 : 1,
});

const historyTables: readonly Table[] = [
  {
    name: 'incidents',
    scope: 'machine',
    description: 'Incidents known to each agent, newest last; details: kalos explain ID',
    columns: columns(INCIDENT_COLUMNS),
    examples: ["select node, policy, target, summary from incidents where outcome = ''"],
    rows: ({ healing }) => healing.incidents().map(incidentRow),
  },
  {
    name: 'witnessed_incidents',
    scope: 'machine',
    description: 'Incidents of other members, reported to this agent as their witness: available even if that member is down',
    columns: columns(`${INCIDENT_COLUMNS.replace('node TEXT machine', 'node TEXT machine of the witness')}
      member TEXT machine of the incident`),
    examples: ["select distinct id, member, policy, target, outcome from witnessed_incidents where member = 'web-3'"],
    rows: ({ swarm, witness }) =>
      witness.incidents().map((incident) => ({ ...incidentRow(incident), node: swarm.name, member: incident.nodeName })),
  },
  known(
    'cases',
    'Past repairs, and whether they helped',
    `id TEXT plan
    incident TEXT incident
    policy TEXT policy that fired
    target TEXT affected target
    tools TEXT tools used
    plan TEXT description of the plan
    worked INTEGER 1: it helped
    time INTEGER Unix time in s`,
    ['select policy, tools, avg(worked) as rate, count(*) from cases group by policy, tools'],
    ({ healing }) =>
      healing.cases().map(({ id, incident, policy, target, tools, plan, worked, atMs }) => ({
        id,
        incident,
        policy,
        target,
        tools,
        plan,
        worked: worked ? 1 : 0,
        time: Math.floor(atMs / 1_000),
      })),
  ),
  known(
    'actions',
    'The journal of each agent’s changes',
    `id TEXT plan; kalos rollback ID undoes it
    incident TEXT incident; operator for a manual plan
    tier TEXT deciding tier: reactive, operational, tactical, strategic or operator
    change TEXT the change
    phase TEXT intent, applied, confirming, undoing, confirmed, undone or failed
    time INTEGER Unix time in s of the intent
    reason TEXT reason of the change, or of its failure`,
    ["select node, change, phase, datetime(time, 'unixepoch') as at from actions order by time desc limit 20"],
    async ({ healing }) =>
      (await healing.journal()).map(({ plan, phase, atMs, reason }) => ({
        id: plan.id,
        incident: plan.incident,
        tier: plan.tier,
        change: plan.calls.map(describeCall).join(', then '),
        phase,
        time: Math.floor(atMs / 1_000),
        reason: reason === '' ? plan.reason : reason,
      })),
  ),
  known(
    'plans',
    'The steps of each plan, in order; its result is in the table actions',
    `id TEXT plan
    incident TEXT incident; operator for a manual plan
    tier TEXT deciding tier: reactive, operational, tactical, strategic or operator
    step INTEGER from 1
    tool TEXT tool
    target TEXT target of the step
    arguments TEXT as JSON
    time INTEGER Unix time in s of the intent
    reason TEXT reason`,
    ['select node, id, step, tool, target from plans order by time desc, step limit 20'],
    async ({ healing }) =>
      (await healing.journal()).flatMap(({ plan: { id, incident, tier, calls, reason }, atMs }) =>
        calls.map(({ tool, ...args }, i) => ({
          id,
          incident,
          tier,
          step: i + 1,
          tool,
          target: describeCall({ tool, ...args } as (typeof calls)[number]).slice(tool.length + 1),
          arguments: JSON.stringify(args),
          time: Math.floor(atMs / 1_000),
          reason,
        })),
      ),
  ),
  inspected(
    'models',
    'The models shipped with each agent',
    `name TEXT model
    version INTEGER version
    purpose TEXT what it predicts
    classes TEXT its output classes
    network TEXT its layers
    limits TEXT known limitations
    path TEXT file
    size INTEGER bytes
    sha256 TEXT digest of the file
    intact INTEGER 1: the file matches its model card`,
    ['select sha256, intact, group_concat(node) from models group by sha256, intact'],
  ),
  known(
    'approvals',
    'Pending approvals',
    `id TEXT plan; kalos approve ID
    incident TEXT incident
    change TEXT the proposed change
    expires INTEGER Unix time in s at which it expires`,
    ['select node, id, change from approvals'],
    ({ healing }) =>
      healing.approvals().map(({ plan, diff, expiresMs }) => ({
        id: plan.id,
        incident: plan.incident,
        change: diff.join('; '),
        expires: Math.floor(expiresMs / 1_000),
      })),
  ),
  guarded(
    'audit',
    'The newest thousand records of each agent’s audit',
    `index_ INTEGER index in the log
    time INTEGER Unix time in s
    kind TEXT start, intent, outcome, refused or control
    subject TEXT incident, plan or agent
    text TEXT description`,
    ["select node, time, subject, text from audit where kind = 'intent' order by time desc limit 20"],
    async ({ healing }) =>
      (await healing.audit(1_000)).map(({ index, atMs, kind, subject, text }) => ({
        index_: index,
        time: Math.floor(atMs / 1_000),
        kind,
        subject,
        text,
      })),
  ),
  known(
    'silences',
    'Silences of policies and targets',
    `id TEXT silence
    policy TEXT policy; empty for all of a target
    target TEXT target
    until INTEGER Unix time in s at which it ends
    reason TEXT reason`,
    ['select node, policy, target, reason from silences'],
    ({ healing }) =>
      healing.silences().map(({ id, policy, target, untilMs, reason }) => ({
        id,
        policy: policy ?? '',
        target: target ?? '',
        until: Math.floor(untilMs / 1_000),
        reason,
      })),
  ),
  guarded(
    'query_log',
    'Recent queries to each agent, by local users and other members',
    `time INTEGER Unix time in s
    asked_by TEXT the member that asked; empty for this agent's own users
    what TEXT the statement, or the table and columns
    took_ms INTEGER duration
    rows INTEGER rows returned
    error TEXT error, if it failed`,
    ['select node, asked_by, count(*) from query_log group by node, asked_by'],
    ({ queries }) => queries.all(),
  ),
];

export const AGENT_TABLES: readonly Table[] = [...swarmTables, ...ORDER_TABLES, ...machineTables, ...historyTables];
