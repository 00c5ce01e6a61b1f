// What the local API answers: each route parses what it is given, and says what is wrong with it.
import { z } from 'zod';
import { toHex } from '../../swarm/dissemination/cbor.ts';
import { silenceRequestSchema } from '../action/silences.ts';
import { TOOLS, toolOf } from '../action/tool.ts';
import type { Performed } from '../agent/executor.ts';
import type { Agent } from '../agent.ts';
import { consistencyText, inclusionText } from '../audit/proof.ts';
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
  call: z.record(z.string(), z.string()),
  reason: z.string().min(1).max(MAX_REASON_LENGTH),
  dryRun: z.boolean(),
});

/** What came of a person's call, as the command line shows it. */
export interface ActAnswer {
  plan: string;
  /** `confirmed`, `undone` or `failed` where it was done; `dry-run`; or the guard's verdict. */
  result: string;
  detail: string;
  diff: string[];
  risk: string;
  undo: string;
}

async function act(agent: Agent, { call, reason, dryRun }: z.infer<typeof actSchema>): Promise<Reply> {
  try {
    const preview = agent.executor.preview(call, 'operator');
    const { diff, risk, verdict, inverse } = preview;
    const undo = inverse === undefined ? 'nothing undoes it' : Object.values(inverse).join(' ');
    if (dryRun) {
      const detail = 'reason' in verdict ? verdict.reason : 'it may be done';
      return ok({
        plan: '',
        result: verdict.kind === 'go' ? 'dry-run' : verdict.kind,
        detail,
        diff,
        risk,
        undo,
      } satisfies ActAnswer);
    }
    const plan = agent.executor.operatorPlan(preview.call, reason);
    const quiet = async (): Promise<void> => undefined;
    const performed = await agent.executor.perform(plan, 'operator', { asked: quiet, intended: quiet });
    return ok({ plan: plan.id, ...outcomeOf(performed), diff, risk, undo } satisfies ActAnswer);
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
  const inverse = toolOf(entry.plan.call).inverse(entry.plan.call, entry.before);
  if (inverse === undefined) return failed(409, `${entry.plan.call.tool} has no inverse: it cannot be rolled back`);
  return act(agent, { call: { ...inverse }, reason: `rolls back ${id}`, dryRun: false });
}

export const ROUTES: readonly Route[] = [
  { method: 'GET', path: /^\/v1\/status$/, handle: (agent) => ok(agent.status()) },
  {
    method: 'POST',
    path: /^\/v1\/query$/,
    handle: (agent, body) =>
      parsed(querySchema, body, async ({ sql, timeoutMs }) => {
        const result = await agent.query(sql, timeoutMs);
        return result.ok ? ok(result.answer) : failed(400, result.message);
      }),
  },
  {
    method: 'GET',
    path: /^\/v1\/incidents\/([^/]+)\/explanation$/,
    handle: async (agent, _body, id) => {
      const result = await agent.explain(id);
      return result.ok ? ok(result.explanation) : failed(404, result.message);
    },
  },
  {
    method: 'GET',
    path: /^\/v1\/tools$/,
    handle: () =>
      ok(
        TOOLS.map(({ name, version, description, input, verification, timeoutMs, rate }) => {
          return { name, version, description, risk: 'R1', input: z.toJSONSchema(input), verification, timeoutMs, rate };
        }),
      ),
  },
  { method: 'POST', path: /^\/v1\/actions$/, handle: (agent, body) => parsed(actSchema, body, (request) => act(agent, request)) },
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
