// What the local API answers: each route parses what it is given, and says what is wrong with it.
import { z } from 'zod';
import { toHex } from '../../swarm/dissemination/cbor.ts';
import { counted } from '../../swarm/words.ts';
import { silenceRequestSchema } from '../action/silences.ts';
import type { Tool } from '../action/tool.ts';
import { describeCall, parseCall, TOOLS } from '../action/tools.ts';
import { reaches, SCOPES } from '../agent/api-tokens.ts';
import { MAX_CALLS } from '../agent/executor.ts';
import { MAX_RULES } from '../agent/policies.ts';
import type { Agent } from '../agent.ts';
import { conflictText, consistencyText, inclusionText } from '../audit/proof.ts';
import { PolicyError } from '../detection/policy-detector.ts';
import { TABLES } from '../query/catalogue/catalogue.ts';
import { describedTable } from '../query/catalogue/table.ts';
import { DEFAULT_TIMEOUT_MS } from '../query/query.ts';
import { BUDGET_ROUTES } from './budget-routes.ts';
import { BUNDLE_ROUTES } from './bundle-routes.ts';
import { GRANT_ROUTES } from './grant-routes.ts';
import { noSuchPolicy, noSuchTarget, notLive } from './known.ts';
import { ORDER_ROUTES } from './order-routes.ts';
import { outcomeOf } from './outcome.ts';
import { failed, get, nothing, ok, post, type Reply, type Route } from './route.ts';
import { SIGNED_ORDER_ROUTES } from './signed-order-routes.ts';
import { SWARM_ROUTES } from './swarm-routes.ts';
import { UPGRADE_ROUTES } from './upgrade-routes.ts';

const MAX_TIMEOUT_MS = 60_000;
const MAX_REASON_LENGTH = 200;

const querySchema = z.strictObject({
  sql: z.string().min(1),
  timeoutMs: z.number().int().min(1).max(MAX_TIMEOUT_MS).default(DEFAULT_TIMEOUT_MS),
  mode: z.enum(['local', 'live']).default('live'),
  nodes: z.string().max(2_000).optional(),
});
const reasonSchema = z.strictObject({ reason: z.string().min(1).max(MAX_REASON_LENGTH) });
const answerSchema = z.strictObject({ answer: z.enum(['approved', 'rejected']) });
const actSchema = z.strictObject({
  calls: z
    .array(z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())])))
    .min(1)
    .max(MAX_CALLS),
  reason: z.string().min(1).max(MAX_REASON_LENGTH),
  dryRun: z.boolean(),
});

/** What came of a person's call, as the command line shows it. */
export interface ActAnswer {
  plan: string;
  /** `confirmed`, `undone` or `failed` where it was done; `read`; `dry-run`; or the guard's verdict. */
  result: string;
  detail: string;
  diff: string[];
  risk: string;
  /** Empty where nothing does. */
  undo: string;
  /** What a tool that only reads has read. */
  value?: unknown;
}

const apiTokenSchema = z.strictObject({
  name: z.string().max(60).default(''),
  scope: z.enum(SCOPES).default('read'),
  ttlMs: z
    .number()
    .int()
    .min(1_000)
    .max(400 * 86_400_000),
});
const policiesSchema = z.strictObject({ policies: z.array(z.unknown()).min(1).max(MAX_RULES) });

/** All of them, or none: what was in force stays so where one is wrong. */
async function applyPolicies(agent: Agent, policies: readonly unknown[]): Promise<Reply> {
  try {
    return ok({ applied: await agent.applyPolicies(policies) });
  } catch (error) {
    if (error instanceof PolicyError) return failed(400, error.message);
    throw error;
  }
}

async function act(agent: Agent, { calls, reason, dryRun }: z.infer<typeof actSchema>): Promise<Reply> {
  const { executor } = agent;
  const [only] = calls;
  const { tool, call } = parseCall(only);
  if (tool.kind === 'read' && calls.length === 1) {
    const answer = await executor.read(tool, call);
    const shared = { plan: '', diff: [], risk: 'R0', undo: '' };
    return ok(
      (answer.ok
        ? { ...shared, result: 'read', detail: describeCall(call), value: answer.value }
        : { ...shared, result: 'refused', detail: answer.reason }) satisfies ActAnswer,
    );
  }
  const { diff, risk, verdict, before, calls: parsedCalls } = await executor.preview(calls, 'operator');
  const plan = executor.operatorPlan(parsedCalls, reason);
  const inverse = executor.inverseOf({ plan, before, phase: 'intent', atMs: 0, reason: '' });
  const undo = inverse.ok ? inverse.calls.map((one) => Object.values(one).join(' ')).join(', then ') : '';
  if (dryRun) {
    const detail = 'reason' in verdict ? verdict.reason : 'it may be done';
    const result = verdict.kind === 'go' ? 'dry-run' : verdict.kind;
    return ok({ plan: '', result, detail, diff, risk, undo } satisfies ActAnswer);
  }
  const quiet = async (): Promise<void> => undefined;
  const performed = await executor.perform(plan, 'operator', { asked: quiet, intended: quiet });
  return ok({ plan: plan.id, ...outcomeOf(performed), diff, risk, undo } satisfies ActAnswer);
}

/** Undoes what was done under a plan's id, by the tool's inverse: a new plan of its own. */
async function rollback(agent: Agent, id: string): Promise<Reply> {
  const entry = await agent.executor.entry(id);
  if (entry === undefined) return failed(404, `nothing was done under ${id}`);
  if (entry.phase !== 'confirmed') return failed(409, `${id} is ${entry.phase}: only what was confirmed can be rolled back`);
  const inverse = agent.executor.inverseOf(entry);
  if (!inverse.ok) return failed(409, `${inverse.tool} has no inverse: it cannot be rolled back`);
  const calls = inverse.calls.map((call) => z.record(z.string(), z.any()).parse(call));
  return act(agent, { calls, reason: `rolls back ${id}`, dryRun: false });
}

/** The class of a tool whose risk depends on its target shows as a range. */
function declaration(tool: Tool) {
  const { name, version, description, capability, risks } = tool;
  const input = z.toJSONSchema(tool.input, { io: 'input', unrepresentable: 'any' });
  const base = { name, version, description, capability, risks, input, kind: tool.kind };
  if (tool.kind === 'read') return base;
  const { blastRadius, verification, timeoutMs, rate } = tool;
  return { ...base, blastRadius, verification, timeoutMs, rate };
}

const orMissing = (value: unknown, missing: string): Reply => (value === undefined ? failed(404, missing) : ok(value));
const MANY = /\d{1,12}/;

const ALL: readonly Route[] = [
  ...SWARM_ROUTES,
  ...ORDER_ROUTES,
  ...BUNDLE_ROUTES,
  ...UPGRADE_ROUTES,
  ...GRANT_ROUTES,
  ...BUDGET_ROUTES,
  ...SIGNED_ORDER_ROUTES,
  get('/v1/status', 'The agent, its swarm, its conditions and services', (agent) => ok(agent.status())),
  get('/v1/overview', 'What the live view shows: series, processes, incidents', (agent) => ok(agent.overview())),
  post(
    '/v1/stop',
    'Stops the agent and its services, in order; it stays a member',
    nothing,
    () => {
      process.kill(process.pid, 'SIGTERM'); // as from anybody else: it stops in order
      return ok({});
    },
    'admin',
  ),
  {
    ...get('/v1/config', 'The configuration in force, and where each key comes from', (agent) =>
      orMissing(agent.edge?.configuration(), 'this agent has no configuration of its own'),
    ),
    scope: 'admin',
  },
  get(
    '/v1/agent-log/{after}',
    'The newest lines of the agent’s own log, after one by its number; all that are kept after 0',
    (agent, after) => orMissing(agent.edge?.log.after(Number(after)), 'this agent keeps no log of its own'),
    MANY,
  ),
  post(
    '/v1/config/reload',
    'Reads the configuration again, and applies what can change without a restart',
    nothing,
    async (agent) => orMissing(await agent.edge?.reload(), 'this agent has no configuration of its own'),
    'admin',
  ),
  post(
    '/v1/api-tokens',
    'Makes a token for the API over HTTP',
    apiTokenSchema,
    async (agent, { name, scope, ttlMs }) => {
      const untilMs = Date.now() + ttlMs;
      return ok({ token: await agent.apiTokens.make(name, scope, untilMs), untilMs });
    },
    'admin',
  ),
  get('/v1/api-tokens', 'The tokens for the API over HTTP', (agent) => ok(agent.apiTokens.list())),
  post(
    '/v1/api-tokens/{id}/removal',
    'Ends such a token',
    nothing,
    async (agent, _body, id) => ((await agent.apiTokens.end(id)) ? ok({ id }) : failed(404, `there is no token ${id}`)),
    'admin',
  ),
  post(
    '/v1/query',
    'SQL over the whole swarm',
    querySchema,
    async (agent, { sql, timeoutMs, mode, nodes }, _parameter, { level, name }) => {
      const result = await agent.query(sql, { timeoutMs, mode, nodes, isTrusted: reaches(level, 'read'), asker: name });
      return result.ok ? ok(result.answer) : failed(400, result.message);
    },
    'look',
  ),
  get('/v1/questions', 'Questions that operators ask, as SQL', (agent) => ok(agent.questions())),
  get('/v1/tables', 'The tables that SQL can ask', () => ok(TABLES.map(describedTable))),
  get('/v1/series', 'The names of all series', (agent) => ok(agent.series())),
  get('/v1/series/{name}', 'What a series was: ten minutes by the second, six hours by the minute', (agent, name) =>
    orMissing(agent.past(name), `no series ${name}`),
  ),
  get('/v1/cases', 'What was tried, and whether it helped', (agent) => ok(agent.cases())),
  get('/v1/incidents', 'The incidents that this agent remembers, oldest first', (agent) => ok(agent.incidents())),
  get('/v1/incidents/{id}/recording', 'The minute before an incident of this machine', async (agent, id) =>
    orMissing(await agent.recording(id), `no recording of ${id} is kept on this machine`),
  ),
  get('/v1/incidents/{id}/explanation', 'An incident of any member, from sample to outcome', async (agent, id, { name }) => {
    const result = await agent.explain(id, name);
    return result.ok ? ok(result.explanation) : failed(404, result.message);
  }),
  get('/v1/policies', 'All policies, their origin, and what their thresholds are now', (agent) => ok(agent.policies())),
  post('/v1/policies', 'Adds or replaces live policies: all of them, or none', policiesSchema, (agent, { policies }) =>
    applyPolicies(agent, policies),
  ),
  post('/v1/policies/{name}/removal', 'Takes a live policy away', nothing, async (agent, _body, name) =>
    (await agent.removePolicy(name)) ? ok({ name }) : notLive(agent, name),
  ),
  post('/v1/policies/{name}/reset', 'Has a policy’s thresholds learn anew', nothing, (agent, _body, name) => {
    const unknown = noSuchPolicy(agent, name);
    if (unknown === undefined) agent.resetPolicy(name);
    return unknown ?? ok({ name });
  }),
  get('/v1/tools', 'The tools, as they declare themselves', () => ok(TOOLS.map(declaration))),
  post('/v1/actions', 'Carries out a plan of a person’s, or shows what it would do', actSchema, (agent, request) =>
    act(agent, request),
  ),
  post('/v1/actions/{id}/rollback', 'Undoes what was confirmed under an id', nothing, (agent, _body, id) => rollback(agent, id)),
  post('/v1/approvals/{id}', 'Answers what waits for approval', answerSchema, async (agent, { answer }, id) =>
    (await agent.executor.answer(id, answer)) ? ok({ id, answer }) : failed(404, `nothing waits for approval under ${id}`),
  ),
  post(
    '/v1/silences',
    'Leaves a policy or a target alone for a while',
    silenceRequestSchema,
    async (agent, request) =>
      noSuchPolicy(agent, request.policy) ?? noSuchTarget(agent, request.target) ?? ok(await agent.executor.silence(request)),
  ),
  post('/v1/silences/{id}/lift', 'Ends a silence early', nothing, async (agent, _body, id) =>
    (await agent.executor.unsilence(id)) ? ok({ id }) : failed(404, `there is no silence ${id}`),
  ),
  post(
    '/v1/halt',
    'Halts all acting on this machine; it stays halted over a restart',
    reasonSchema,
    async (agent, { reason }) => {
      await agent.executor.halt(reason);
      return ok({ halted: reason });
    },
  ),
  post('/v1/resume', 'Allows acting again', nothing, async (agent) => {
    await agent.executor.resume();
    return ok({ halted: null });
  }),
  get('/v1/audit/standing', 'Who has signed this audit, and whose cannot be believed', (agent) => {
    const { signed, conflicts } = agent.auditWatch.standing;
    return ok({
      signed: signed.map(({ witness, size }) => ({ node: agent.swarm.nameOf(witness), size })),
      conflicts: conflicts.map(({ peer, why, conflict }) => ({
        node: agent.swarm.nameOf(peer),
        peer,
        why,
        proof: conflictText(conflict),
      })),
    });
  }),
  get('/v1/audit/verification', 'Reads the whole audit log again', async (agent) => {
    const check = await agent.audit.verify();
    return ok(check.ok ? { ...check, root: check.root === undefined ? '' : toHex(check.root) } : check);
  }),
  get(
    '/v1/audit/records/last/{count}',
    'The newest records of the audit log',
    async (agent, count) => ok(await agent.audit.tail(Number(count))),
    /\d{1,4}/,
  ),
  get(
    '/v1/audit/records/{index}/proof',
    'A proof that a record is in the log',
    async (agent, index) => {
      const proof = await agent.audit.prove(Number(index));
      return proof === undefined
        ? failed(404, `the log has no record ${index}; it has ${agent.audit.records}`)
        : ok(inclusionText(proof));
    },
    MANY,
  ),
  get(
    '/v1/audit/consistency/{size}',
    'A proof that the log of now begins with what it was',
    async (agent, size) => {
      const proof = await agent.audit.proveConsistency(Number(size));
      return proof === undefined
        ? failed(404, `the log was never of size ${size}; it has ${counted(agent.audit.records, 'record')}`)
        : ok(consistencyText(proof));
    },
    MANY,
  ),
];

/** What was done, and who may come in, is not for everybody's eyes. */
const NOT_FOR_ALL = /^\/v1\/(agent-log|audit|tokens|api-tokens|incidents\/\{id\}\/recording)/;

export const ROUTES: readonly Route[] = ALL.map((route) =>
  route.scope === 'look' && NOT_FOR_ALL.test(route.path) ? { ...route, scope: 'read' } : route,
);
