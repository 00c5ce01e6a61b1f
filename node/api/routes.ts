// What the local API answers: each route parses what it is given, and says what is wrong with it.
import { z } from 'zod';
import { toHex } from '../../swarm/dissemination/cbor.ts';
import { silenceRequestSchema } from '../action/silences.ts';
import type { Tool } from '../action/tool.ts';
import { describeCall, parseCall, TOOLS } from '../action/tools.ts';
import { MAX_CALLS, type Performed } from '../agent/executor.ts';
import { MAX_RULES } from '../agent/policies.ts';
import type { Agent } from '../agent.ts';
import { consistencyText, inclusionText } from '../audit/proof.ts';
import { PolicyError } from '../detection/policy-detector.ts';
import { DEFAULT_TIMEOUT_MS } from '../query/query.ts';

const MAX_TIMEOUT_MS = 60_000;
const MAX_REASON_LENGTH = 200;

export interface Reply {
  status: number;
  body: unknown;
}

interface Route {
  method: 'GET' | 'POST';
  path: RegExp;
  /** @param parameter the first group of `path`. */
  handle(agent: Agent, body: unknown, parameter: string): Promise<Reply> | Reply;
}

export const failed = (status: number, error: string): Reply => ({ status, body: { error } });
const ok = (body: unknown): Reply => ({ status: 200, body });

/** Parses a body, or answers 400 saying what is wrong with it. */
async function parsed<T>(schema: z.ZodType<T>, body: unknown, handle: (value: T) => Promise<Reply> | Reply): Promise<Reply> {
  const result = schema.safeParse(body);
  return result.success ? handle(result.data) : failed(400, z.prettifyError(result.error));
}

const querySchema = z.strictObject({
  sql: z.string().min(1),
  timeoutMs: z.number().int().min(1).max(MAX_TIMEOUT_MS).default(DEFAULT_TIMEOUT_MS),
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
  undo: string;
  /** What a tool that only reads has read. */
  value?: unknown;
}

const policiesSchema = z.strictObject({ policies: z.array(z.unknown()).min(1).max(MAX_RULES) });

/** All of them, or none: what was in force stays so where one is wrong. */
async function applyPolicies(agent: Agent, policies: readonly unknown[]): Promise<Reply> {
  try {
    return ok({ applied: await agent.applyPolicies(policies) });
  } catch (error) {
    if (error instanceof PolicyError) return failed(400, error.message);
    if (error instanceof z.ZodError) return failed(400, z.prettifyError(error));
    throw error;
  }
}

async function act(agent: Agent, { calls, reason, dryRun }: z.infer<typeof actSchema>): Promise<Reply> {
  const { executor } = agent;
  const [only] = calls;
  const { tool, call } = parseCall(only);
  if (tool.kind === 'read' && calls.length === 1) {
    const answer = await executor.read(tool, call);
    const shared = { plan: '', diff: [], risk: 'R0', undo: 'nothing was changed' };
    return ok(
      (answer.ok
        ? { ...shared, result: 'read', detail: describeCall(call), value: answer.value }
        : { ...shared, result: 'refused', detail: answer.reason }) satisfies ActAnswer,
    );
  }
  const { diff, risk, verdict, before, calls: parsedCalls } = await executor.preview(calls, 'operator');
  const plan = executor.operatorPlan(parsedCalls, reason);
  const inverse = executor.inverseOf({ plan, before, phase: 'intent', atMs: 0, reason: '' });
  const undo = inverse.ok ? inverse.calls.map((one) => Object.values(one).join(' ')).join(', then ') : 'nothing undoes it';
  if (dryRun) {
    const detail = 'reason' in verdict ? verdict.reason : 'it may be done';
    const result = verdict.kind === 'go' ? 'dry-run' : verdict.kind;
    return ok({ plan: '', result, detail, diff, risk, undo } satisfies ActAnswer);
  }
  const quiet = async (): Promise<void> => undefined;
  const performed = await executor.perform(plan, 'operator', { asked: quiet, intended: quiet });
  return ok({ plan: plan.id, ...outcomeOf(performed), diff, risk, undo } satisfies ActAnswer);
}

/** What a person asked for in a shape that no tool takes is theirs to mend. */
async function actOrExplain(agent: Agent, request: z.infer<typeof actSchema>): Promise<Reply> {
  try {
    return await act(agent, request);
  } catch (error) {
    if (error instanceof z.ZodError) return failed(400, z.prettifyError(error));
    throw error;
  }
}

function outcomeOf(performed: Performed): Pick<ActAnswer, 'result' | 'detail'> {
  if (performed.kind === 'held') return { result: performed.verdict.kind, detail: performed.verdict.reason };
  return { result: performed.entry.phase, detail: performed.entry.reason };
}

/** Undoes what was done under a plan's id, by the tool's inverse: a new plan of its own. */
async function rollback(agent: Agent, id: string): Promise<Reply> {
  const entry = await agent.executor.entry(id);
  if (entry === undefined) return failed(404, `nothing was done under ${id}`);
  if (entry.phase !== 'confirmed') return failed(409, `${id} is ${entry.phase}: only what was confirmed can be rolled back`);
  const inverse = agent.executor.inverseOf(entry);
  if (!inverse.ok) return failed(409, `${inverse.tool} has no inverse: it cannot be rolled back`);
  const calls = inverse.calls.map((call) => z.record(z.string(), z.any()).parse(call));
  return actOrExplain(agent, { calls, reason: `rolls back ${id}`, dryRun: false });
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

export const ROUTES: readonly Route[] = [
  { method: 'GET', path: /^\/v1\/status$/, handle: (agent) => ok(agent.status()) },
  { method: 'GET', path: /^\/v1\/overview$/, handle: (agent) => ok(agent.overview()) },
  { method: 'GET', path: /^\/v1\/incidents$/, handle: (agent) => ok(agent.incidents()) },
  {
    method: 'POST',
    path: /^\/v1\/stop$/,
    handle: () => {
      process.kill(process.pid, 'SIGTERM'); // as from anybody else: it leaves in order
      return ok({});
    },
  },
  {
    method: 'POST',
    path: /^\/v1\/query$/,
    handle: (agent, body) =>
      parsed(querySchema, body, async ({ sql, timeoutMs }) => {
        const result = await agent.query(sql, timeoutMs);
        return result.ok ? ok(result.answer) : failed(400, result.message);
      }),
  },
  { method: 'GET', path: /^\/v1\/series$/, handle: (agent) => ok(agent.series()) },
  {
    method: 'GET',
    path: /^\/v1\/series\/([^/]+)$/,
    handle: (agent, _body, name) => {
      const past = agent.past(name);
      return past === undefined ? failed(404, `no series ${name}`) : ok(past);
    },
  },
  { method: 'GET', path: /^\/v1\/cases$/, handle: (agent) => ok(agent.cases()) },
  {
    method: 'GET',
    path: /^\/v1\/incidents\/([^/]+)\/recording$/,
    handle: async (agent, _body, id) => {
      const recording = await agent.recording(id);
      return recording === undefined ? failed(404, `no recording of ${id} is kept on this machine`) : ok(recording);
    },
  },
  {
    method: 'GET',
    path: /^\/v1\/incidents\/([^/]+)\/explanation$/,
    handle: async (agent, _body, id) => {
      const result = await agent.explain(id);
      return result.ok ? ok(result.explanation) : failed(404, result.message);
    },
  },
  { method: 'GET', path: /^\/v1\/policies$/, handle: (agent) => ok(agent.policies()) },
  {
    method: 'POST',
    path: /^\/v1\/policies$/,
    handle: (agent, body) => parsed(policiesSchema, body, ({ policies }) => applyPolicies(agent, policies)),
  },
  {
    method: 'POST',
    path: /^\/v1\/policies\/([^/]+)\/removal$/,
    handle: async (agent, _body, name) =>
      (await agent.removePolicy(name)) ? ok({ name }) : failed(404, `there is no live policy ${name}`),
  },
  {
    method: 'POST',
    path: /^\/v1\/policies\/([^/]+)\/reset$/,
    handle: (agent, _body, name) => {
      agent.resetPolicy(name);
      return ok({ name });
    },
  },
  {
    method: 'GET',
    path: /^\/v1\/tools$/,
    handle: () => ok(TOOLS.map(declaration)),
  },
  {
    method: 'POST',
    path: /^\/v1\/actions$/,
    handle: (agent, body) => parsed(actSchema, body, (request) => actOrExplain(agent, request)),
  },
  { method: 'POST', path: /^\/v1\/actions\/([^/]+)\/rollback$/, handle: (agent, _body, id) => rollback(agent, id) },
  {
    method: 'POST',
    path: /^\/v1\/approvals\/([^/]+)$/,
    handle: (agent, body, id) =>
      parsed(answerSchema, body, async ({ answer }) =>
        (await agent.executor.answer(id, answer)) ? ok({ id, answer }) : failed(404, `nothing waits for approval under ${id}`),
      ),
  },
  {
    method: 'POST',
    path: /^\/v1\/silences$/,
    handle: (agent, body) => parsed(silenceRequestSchema, body, async (request) => ok(await agent.executor.silence(request))),
  },
  {
    method: 'POST',
    path: /^\/v1\/silences\/([^/]+)\/lift$/,
    handle: async (agent, _body, id) =>
      (await agent.executor.unsilence(id)) ? ok({ id }) : failed(404, `there is no silence ${id}`),
  },
  {
    method: 'POST',
    path: /^\/v1\/halt$/,
    handle: (agent, body) =>
      parsed(reasonSchema, body, ({ reason }) => agent.executor.halt(reason).then(() => ok({ halted: reason }))),
  },
  { method: 'POST', path: /^\/v1\/resume$/, handle: (agent) => agent.executor.resume().then(() => ok({ halted: null })) },
  {
    method: 'GET',
    path: /^\/v1\/audit\/verification$/,
    handle: async (agent) => {
      const check = await agent.audit.verify();
      return ok(check.ok ? { ...check, root: check.root === undefined ? '' : toHex(check.root) } : check);
    },
  },
  {
    method: 'GET',
    path: /^\/v1\/audit\/records\/last\/(\d{1,4})$/,
    handle: async (agent, _body, count) => ok(await agent.audit.tail(Number(count))),
  },
  {
    method: 'GET',
    path: /^\/v1\/audit\/records\/(\d{1,12})\/proof$/,
    handle: async (agent, _body, index) => {
      const proof = await agent.audit.prove(Number(index));
      return proof === undefined
        ? failed(404, `the log has no record ${index}; it has ${agent.audit.records}`)
        : ok(inclusionText(proof));
    },
  },
  {
    method: 'GET',
    path: /^\/v1\/audit\/consistency\/(\d{1,12})$/,
    handle: async (agent, _body, size) => {
      const proof = await agent.audit.proveConsistency(Number(size));
      return proof === undefined
        ? failed(404, `the log was never of size ${size}; it has ${agent.audit.records} records`)
        : ok(consistencyText(proof));
    },
  },
];
