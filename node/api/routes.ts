// The routes of the local API. Each route parses its input, and answers 400 with what is wrong with it.
import { z } from 'zod';
import { silenceRequestSchema } from '../action/silences.ts';
import type { Tool } from '../action/tool.ts';
import { describeCall, parseCall, TOOLS } from '../action/tools.ts';
import { inverseOf } from '../action/transaction.ts';
import type { Agent } from '../agent/agent.ts';
import { reaches, SCOPES } from '../agent/api-tokens.ts';
import { MAX_RULES } from '../agent/policies.ts';
import { MAX_CALLS } from '../agent/preview.ts';
import { PolicyError } from '../detection/policy-detector.ts';
import { TABLES } from '../query/catalogue/catalogue.ts';
import { describedTable } from '../query/catalogue/table.ts';
import { overview } from '../query/overview.ts';
import { DEFAULT_TIMEOUT_MS } from '../query/query.ts';
import { explanationAnswer, incidentAnswer, recordingAnswer } from './answers/incidents.ts';
import {
  type ActAnswer,
  actAnswer,
  agentLogAnswer,
  apiTokensAnswer,
  caseAnswer,
  configurationAnswer,
  overviewAnswer,
  policiesAnswer,
  queryAnswer,
  questionsAnswer,
  reloadAnswer,
  seriesAnswer,
  silenceAnswer,
  statusAnswer,
  tablesAnswer,
  toolsAnswer,
} from './answers/machine.ts';
import { apiTokenMadeAnswer } from './answers/swarm.ts';
import { AUDIT_ROUTES } from './audit-routes.ts';
import { BUDGET_ROUTES } from './budget-routes.ts';
import { BUNDLE_ROUTES } from './bundle-routes.ts';
import { DECISION_ROUTES } from './decision-routes.ts';
import { GRANT_ROUTES } from './grant-routes.ts';
import { noSuchPolicy, noSuchTarget, notLive } from './known.ts';
import { outcomeOf } from './outcome.ts';
import { listed } from './pages.ts';
import { done, type Failure, failed, get, nothing, ok, post, type Route, type Success } from './route.ts';
import { SIGNED_CHANGE_ROUTES } from './signed-change-routes.ts';
import { SWARM_ROUTES } from './swarm-routes.ts';
import { UPGRADE_ROUTES } from './upgrade-routes.ts';

const MAX_TIMEOUT_MS = 60_000;
const MAX_REASON_LENGTH = 200;

const querySchema = z
  .strictObject({
    sql: z.string().min(1).describe('SQLite; at most 10,000 characters'),
    timeoutMs: z.number().int().min(1).max(MAX_TIMEOUT_MS).default(DEFAULT_TIMEOUT_MS).describe('How long to wait for machines'),
    mode: z.enum(['local', 'live']).default('live').describe('local: only this agent’s data; live: query the machines'),
    nodes: z
      .string()
      .max(2_000)
      .optional()
      .describe('Machines to query: names, or column=value of the table nodes (default: all)'),
  })
  .meta({ examples: [{ sql: 'select node, state, cpu from nodes' }] });
const reasonSchema = z.strictObject({ reason: z.string().min(1).max(MAX_REASON_LENGTH) });
const answerSchema = z.strictObject({ answer: z.enum(['approved', 'rejected']) });
const actSchema = z
  .strictObject({
    calls: z
      .array(z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())])))
      .min(1)
      .max(MAX_CALLS),
    reason: z.string().min(1).max(MAX_REASON_LENGTH),
    dryRun: z.boolean().describe('Dry run: only returns the changes'),
  })
  .meta({ examples: [{ calls: [{ tool: 'service.restart', service: 'web' }], reason: 'a new configuration', dryRun: true }] });

export type { ActAnswer };

const apiTokenSchema = z.strictObject({
  name: z.string().max(60).default(''),
  scope: z.enum(SCOPES).default('read'),
  ttlMs: z
    .number()
    .int()
    .min(1_000)
    .max(400 * 86_400_000),
});
const policiesSchema = z.strictObject({ policies: z.array(z.unknown()).min(1).max(MAX_RULES) }).meta({
  examples: [
    { policies: [{ name: 'many-processes', when: "metrics['system.process.count'] > 2000", summary: 'too many processes' }] },
  ],
});

/** Applies all policies, or none if one is invalid. */
async function applyPolicies(agent: Agent, policies: readonly unknown[]) {
  try {
    const applied = await agent.parts.policies.apply(policies);
    return ok({ applied: applied.map(({ name }) => name) });
  } catch (error) {
    if (error instanceof PolicyError) return failed(400, error.message);
    throw error;
  }
}

async function act(agent: Agent, { calls, reason, dryRun }: z.infer<typeof actSchema>) {
  const { executor } = agent.parts;
  const [only] = calls;
  const { tool, call } = parseCall(only);
  if (tool.kind === 'read' && calls.length === 1) {
    const answer = await tool.read(call, executor.machine);
    const shared = { plan: '', diff: [], risk: 'R0', undo: '' };
    return ok(
      (answer.ok
        ? { ...shared, result: 'read', detail: describeCall(call), value: answer.value }
        : { ...shared, result: 'refused', detail: answer.reason }) satisfies ActAnswer,
    );
  }
  const { diff, risk, verdict, before, calls: parsedCalls } = await executor.preview(calls, 'operator');
  const plan = executor.operatorPlan(parsedCalls, reason);
  const inverse = inverseOf({ plan, before, phase: 'intent', atMs: 0, reason: '' });
  const undo = inverse.ok ? inverse.calls.map((one) => Object.values(one).join(' ')).join(', then ') : '';
  if (dryRun) {
    const detail = 'reason' in verdict ? verdict.reason : 'it is allowed';
    const result = verdict.kind === 'go' ? 'dry-run' : verdict.kind;
    return ok({ plan: '', result, detail, diff, risk, undo } satisfies ActAnswer);
  }
  const performed = await executor.perform(plan, 'operator');
  return ok({ plan: plan.id, ...outcomeOf(performed), diff, risk, undo } satisfies ActAnswer);
}

/** Rolls back a plan with a new plan, by the undo of its tools. */
async function rollback(agent: Agent, id: string) {
  const entry = await agent.parts.executor.journal.entry(id);
  if (entry === undefined) return failed(404, `no plan ${id} exists`);
  if (entry.phase !== 'confirmed') return failed(409, `${id} is ${entry.phase}: only confirmed plans can be rolled back`);
  const inverse = inverseOf(entry);
  if (!inverse.ok) return failed(409, `${inverse.tool} has no undo and cannot be rolled back`);
  const calls = inverse.calls.map((call) => z.record(z.string(), z.any()).parse(call));
  return act(agent, { calls, reason: `rolls back ${id}`, dryRun: false });
}

/** A tool whose risk depends on its target lists all classes that it can have. */
export function declaration(tool: Tool) {
  const { name, version, description, capability, risks } = tool;
  const input = z.toJSONSchema(tool.input, { io: 'input', unrepresentable: 'any' });
  const base = { name, version, description, capability, risks, input, kind: tool.kind };
  if (tool.kind === 'read') return base;
  const { blastRadius, verification, timeoutMs, rate } = tool;
  return { ...base, blastRadius, verification, timeoutMs, rate };
}

const orMissing = <Body>(value: Body | undefined, missing: string): Success<Body> | Failure<404> =>
  value === undefined ? failed(404, missing) : ok(value);
/** Padded, so that the strings sort by time. */
const dated = (wallMs: number): string => String(Math.round(wallMs)).padStart(16, '0');
const named = z.strictObject({ name: z.string() });
const haltedAnswer = z.strictObject({ halted: z.string().nullable().describe('Why actions are halted; null if they are not') });

const ALL: readonly Route[] = [
  ...SWARM_ROUTES,
  ...DECISION_ROUTES,
  ...BUNDLE_ROUTES,
  ...UPGRADE_ROUTES,
  ...GRANT_ROUTES,
  ...BUDGET_ROUTES,
  ...SIGNED_CHANGE_ROUTES,
  get('/v1/status', 'The agent, its swarm, its conditions and services', { tag: 'agent', answer: statusAnswer }, (agent) =>
    ok(agent.status()),
  ),
  get('/v1/overview', 'Data of the live view: series, processes, incidents', { tag: 'agent', answer: overviewAnswer }, (agent) =>
    ok(overview(agent.parts.queries.sources)),
  ),
  post(
    '/v1/stop',
    'Stops the agent and its services cleanly; it stays a member',
    nothing,
    { tag: 'agent', answer: done, scope: 'admin' },
    () => {
      process.kill(process.pid, 'SIGTERM'); // as from systemd: the agent stops cleanly
      return ok({});
    },
  ),
  get(
    '/v1/config',
    'The configuration in force, and the origin of each key',
    { tag: 'agent', answer: configurationAnswer, failures: [404], scope: 'admin' },
    (agent) => orMissing(agent.edge?.configuration(), 'this agent runs without a configuration'),
  ),
  get(
    '/v1/agent-log/{after}',
    'The newest lines of the agent’s own log, after a line number; 0 returns all that are kept',
    { tag: 'agent', answer: agentLogAnswer, failures: [404], scope: 'admin', parameter: /\d{1,12}/ },
    (agent, after) => orMissing(agent.edge?.log.after(Number(after)), 'this agent keeps no log'),
  ),
  post(
    '/v1/config/reload',
    'Reloads the configuration, and applies what can change without a restart',
    nothing,
    { tag: 'agent', answer: reloadAnswer, failures: [404], scope: 'admin' },
    async (agent) => orMissing(await agent.edge?.reload(), 'this agent runs without a configuration'),
  ),
  post(
    '/v1/api-tokens',
    'Creates an API token',
    apiTokenSchema,
    { tag: 'tokens', answer: apiTokenMadeAnswer, scope: 'admin' },
    async (agent, { name, scope, ttlMs }) => {
      const untilMs = Date.now() + ttlMs;
      return ok({ token: await agent.parts.apiTokens.make(name, scope, untilMs), untilMs });
    },
  ),
  get('/v1/api-tokens', 'The API tokens', { tag: 'tokens', answer: apiTokensAnswer }, (agent) =>
    ok(agent.parts.apiTokens.list()),
  ),
  post(
    '/v1/api-tokens/{id}/removal',
    'Revokes an API token',
    nothing,
    { tag: 'tokens', answer: z.strictObject({ id: z.string() }), failures: [404], scope: 'admin' },
    async (agent, _body, id) => ((await agent.parts.apiTokens.end(id)) ? ok({ id }) : failed(404, `no API token ${id}`)),
  ),
  post(
    '/v1/query',
    'SQL over the whole swarm',
    querySchema,
    { tag: 'query', answer: queryAnswer, scope: 'look' },
    async (agent, { sql, timeoutMs, mode, nodes }, _parameter, { level, name }) => {
      const result = await agent.parts.queries.query(sql, {
        timeoutMs,
        mode,
        nodes,
        isTrusted: reaches(level, 'read'),
        asker: name,
      });
      return result.ok ? ok(result.answer) : failed(400, result.message);
    },
  ),
  get('/v1/questions', 'Saved queries for operators', { tag: 'query', answer: questionsAnswer }, (agent) =>
    ok(agent.questions()),
  ),
  get('/v1/tables', 'The tables of the query language', { tag: 'query', answer: tablesAnswer }, () =>
    ok(TABLES.map(describedTable)),
  ),
  listed('/v1/series', 'The names of all series', {
    tag: 'query',
    item: z.string(),
    read: (agent) => agent.parts.watcher.samples.history.names().toSorted(),
    keyOf: (name) => name,
  }),
  get(
    '/v1/series/{name}',
    'History of a series: ten minutes by second, six hours by minute',
    { tag: 'query', answer: seriesAnswer, failures: [404] },
    (agent, name) => orMissing(agent.parts.watcher.samples.history.past(name), `no series ${name}`),
  ),
  listed('/v1/cases', 'Past repairs and whether they helped, oldest first', {
    tag: 'incidents',
    item: caseAnswer,
    read: (agent) => agent.parts.memory.cases.all(),
    keyOf: ({ atMs, id }) => `${dated(atMs)} ${id}`,
  }),
  listed('/v1/incidents', 'The incidents known to this agent, oldest first', {
    tag: 'incidents',
    item: incidentAnswer,
    read: (agent) => agent.parts.memory.incidents(),
    keyOf: ({ openedMs, id }) => `${dated(openedMs)} ${id}`,
  }),
  get(
    '/v1/incidents/{id}/recording',
    'The minute before an incident of this machine',
    { tag: 'incidents', answer: recordingAnswer, failures: [404] },
    async (agent, id) => orMissing(await agent.parts.memory.recording(id), `no recording of ${id} is kept on this machine`),
  ),
  get(
    '/v1/incidents/{id}/explanation',
    'An incident of any member, from sample to outcome',
    { tag: 'incidents', answer: explanationAnswer, failures: [404] },
    async (agent, id, { name }) => {
      const result = await agent.parts.queries.explain(id, name);
      return result.ok ? ok(result.explanation) : failed(404, result.message);
    },
  ),
  get(
    '/v1/policies',
    'All policies, their origin and current thresholds',
    { tag: 'policies', answer: policiesAnswer },
    ({ parts: { policies, watcher } }) =>
      ok(policies.all().map((known) => ({ ...known, thresholds: watcher.detectors.thresholds(known.policy.name) }))),
  ),
  post(
    '/v1/policies',
    'Adds or replaces live policies; if one is invalid, none is changed',
    policiesSchema,
    { tag: 'policies', answer: z.strictObject({ applied: z.array(z.string()).describe('Their names') }) },
    (agent, { policies }) => applyPolicies(agent, policies),
  ),
  post(
    '/v1/policies/{name}/removal',
    'Deletes a live policy',
    nothing,
    { tag: 'policies', answer: named, failures: [404, 409] },
    async (agent, _body, name) => ((await agent.parts.policies.remove(name)) ? ok({ name }) : notLive(agent, name)),
  ),
  post(
    '/v1/policies/{name}/reset',
    'Resets a policy’s learned thresholds',
    nothing,
    { tag: 'policies', answer: named, failures: [404] },
    (agent, _body, name) => {
      const unknown = noSuchPolicy(agent, name);
      if (unknown === undefined) agent.parts.watcher.detectors.resetThresholds(name);
      return unknown ?? ok({ name });
    },
  ),
  get('/v1/tools', 'The tools: their input, risk and undo', { tag: 'actions', answer: toolsAnswer }, () =>
    ok(TOOLS.map(declaration)),
  ),
  post(
    '/v1/actions',
    'Runs a manual plan, or shows what it would do',
    actSchema,
    { tag: 'actions', answer: actAnswer },
    (agent, request) => act(agent, request),
  ),
  post(
    '/v1/actions/{id}/rollback',
    'Undoes a confirmed plan',
    nothing,
    { tag: 'actions', answer: actAnswer, failures: [404, 409] },
    (agent, _body, id) => rollback(agent, id),
  ),
  post(
    '/v1/approvals/{id}',
    'Approves or rejects a pending plan',
    answerSchema,
    { tag: 'actions', answer: answerSchema.extend({ id: z.string() }), failures: [404] },
    async (agent, { answer }, id) =>
      (await agent.parts.executor.approvals.answerAsOperator(id, answer))
        ? ok({ id, answer })
        : failed(404, `no pending approval ${id}`),
  ),
  post(
    '/v1/silences',
    'Silences a policy or a target for a while',
    silenceRequestSchema,
    { tag: 'policies', answer: silenceAnswer, failures: [404] },
    async (agent, request) =>
      noSuchPolicy(agent, request.policy) ??
      noSuchTarget(agent, request.target) ??
      ok(await agent.parts.executor.brakes.silences.add(request)),
  ),
  post(
    '/v1/silences/{id}/lift',
    'Removes a silence',
    nothing,
    { tag: 'policies', answer: z.strictObject({ id: z.string() }), failures: [404] },
    async (agent, _body, id) =>
      (await agent.parts.executor.brakes.silences.remove(id)) ? ok({ id }) : failed(404, `there is no silence ${id}`),
  ),
  post(
    '/v1/halt',
    'Halts all actions on this machine, also after a restart',
    reasonSchema,
    { tag: 'actions', answer: haltedAnswer },
    async (agent, { reason }) => {
      await agent.parts.executor.halt(reason);
      return ok({ halted: reason });
    },
  ),
  post('/v1/resume', 'Resumes actions', nothing, { tag: 'actions', answer: haltedAnswer }, async (agent) => {
    await agent.parts.executor.brakes.resume();
    return ok({ halted: null });
  }),
  ...AUDIT_ROUTES,
];

/** Routes about past actions and about admission need a token even for reading. */
const NOT_FOR_ALL = /^\/v1\/(audit|tokens|api-tokens|incidents\/\{id\}\/recording)/;

export const ROUTES: readonly Route[] = ALL.map((route) =>
  route.scope === 'look' && NOT_FOR_ALL.test(route.path) ? { ...route, scope: 'read' } : route,
);
