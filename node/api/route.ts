// The parts of a route of the local API: its input, its answer and its failures. The compiler checks them,
// and openapi.ts describes them.
import { z } from 'zod';
import type { Agent } from '../agent/agent.ts';
import type { Level } from '../agent/api-tokens.ts';
import { ERROR_CODES, type ErrorCode } from '../errors.ts';
import { shortly, wordsOf } from '../issue-words.ts';

/** The body of every failure: what is wrong, the value, and what to do. */
export const problemSchema = z
  .strictObject({
    error: z.string().describe('What is wrong, with the value, what it should be, and what to do; one line'),
    code: z.enum(ERROR_CODES).optional().describe('The error, where the status is not specific enough'),
  })
  .meta({ id: 'Problem', examples: [{ error: 'no member is called web-9: see kalos members' }] });
export type Problem = z.infer<typeof problemSchema>;

export type FailureStatus = 400 | 401 | 403 | 404 | 405 | 409 | 429 | 500 | 503;
/** Failures that a route itself answers. A body or query that its schema rejects is 400 on every route. */
export type OwnFailure = 404 | 409 | 503;

export interface Failure<Status extends FailureStatus = FailureStatus> {
  status: Status;
  body: Problem;
}
export interface Success<Body> {
  status: 200;
  body: Body;
}
export type Reply = Success<unknown> | Failure;

/** The client. */
export interface Asker {
  level: Level;
  /** One name for each token, one for all clients without a token. */
  name: string;
}

/** The groups of routes in the description. */
export const TAGS = {
  agent: 'This agent: state, configuration, shutdown',
  query: 'SQL over the whole swarm, and series of this machine',
  incidents: 'Incidents, their repairs, and whether these helped',
  policies: 'Policies and silences',
  actions: 'Tools, manual plans, approvals, the kill switch',
  audit: 'The audit log and its proofs',
  members: 'Members, join tokens, operators, root keys',
  decisions: 'Decisions of the swarm: leader, log, pauses, budgets, grants',
  rollouts: 'Policies and releases for all machines',
  tokens: 'Tokens for this API over HTTP',
  watch: 'Streams of changes, and metrics for Prometheus',
} as const;
export type Tag = keyof typeof TAGS;

export interface Route {
  method: 'GET' | 'POST';
  /** With at most one parameter: `/v1/incidents/{id}/explanation`. */
  path: string;
  /** The pattern of the parameter; default: anything without a slash. */
  parameter: RegExp | undefined;
  summary: string;
  tag: Tag;
  /** The scope that a client needs. */
  scope: Level;
  /** The schema of the query after `?`, each value a string; undefined if the route ignores it. */
  query: z.ZodObject | undefined;
  /** The schema of the body; undefined if there is none. */
  body: z.ZodType | undefined;
  /** Limit of the body, if it may be larger than the default. */
  maxBytes?: number | undefined;
  /** The schema of the answer, as JSON. */
  answer: z.ZodType;
  failures: readonly OwnFailure[];
  /** @param given.parameter as in the path. */
  handle(agent: Agent, given: Given): Promise<Reply> | Reply;
}

export interface Given {
  body: unknown;
  query: Readonly<Record<string, string>>;
  parameter: string;
  by: Asker;
}

/** @param code where the status is not specific enough. */
export const failed = <Status extends FailureStatus>(status: Status, error: string, code?: ErrorCode): Failure<Status> => ({
  status,
  body: { error, ...(code !== undefined && { code }) },
});
export const ok = <Body>(body: Body): Success<Body> => ({ status: 200, body });

/** Parses the input, or answers 400 with its error. */
async function parsed<T>(schema: z.ZodType<T>, given: unknown, handle: (value: T) => Promise<Reply> | Reply): Promise<Reply> {
  const result = schema.safeParse(given);
  return result.success ? handle(result.data) : failed(400, refusalOf(schema, result.error, given));
}

/** The message for a body that is missing or not an object. */
function refusalOf(schema: z.ZodType, error: z.ZodError, given: unknown): string {
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return wordsOf(error, given, schema);
  const { error: missing } = schema.safeParse({});
  const needs = missing === undefined ? ', {} at least' : `; ${wordsOf(missing, {}, schema)}`;
  return `${given === undefined ? 'the body is missing' : `the body is ${shortly(given)}`}: it must be a JSON object${needs}`;
}

/** The values accepted as an answer `T`: readonly lists are accepted as lists. */
type Giving<T> = T extends readonly (infer Item)[]
  ? readonly Giving<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Giving<T[Key]> }
    : T;
type Answer<T, Own extends OwnFailure> =
  | Promise<Success<Giving<T>> | Failure<Own | 400>>
  | Success<Giving<T>>
  | Failure<Own | 400>;

/** The declaration of a route. */
interface Declared<T, Own extends OwnFailure> {
  tag: Tag;
  answer: z.ZodType<T>;
  /** In addition to the failures of every route. */
  failures?: readonly Own[];
  /** Default: `look` for a GET, which needs no token; `operate` for a POST. */
  scope?: Level;
  parameter?: RegExp;
  maxBytes?: number;
}

const described = <T, Own extends OwnFailure>(
  method: Route['method'],
  path: string,
  summary: string,
  declared: Declared<T, Own>,
) => {
  const { tag, answer, failures = [], scope = method === 'GET' ? 'look' : 'operate', parameter, maxBytes } = declared;
  return { method, path, summary, tag, answer, failures, scope, parameter, maxBytes, query: undefined, body: undefined };
};

export function get<T, Own extends OwnFailure = never>(
  path: string,
  summary: string,
  declared: Declared<T, Own>,
  handle: (agent: Agent, parameter: string, by: Asker) => Answer<NoInfer<T>, NoInfer<Own>>,
): Route {
  return { ...described('GET', path, summary, declared), handle: (agent, { parameter, by }) => handle(agent, parameter, by) };
}

/** A GET whose query is parsed by a schema. */
export function asked<Q, T, Own extends OwnFailure = never>(
  path: string,
  summary: string,
  query: z.ZodObject & z.ZodType<Q>,
  declared: Declared<T, Own>,
  handle: (agent: Agent, query: NoInfer<Q>) => Answer<NoInfer<T>, NoInfer<Own>>,
): Route {
  const route = described('GET', path, summary, declared);
  return { ...route, query, handle: (agent, given) => parsed<Q>(query, given.query, (value) => handle(agent, value)) };
}

/** A POST whose body is parsed by a schema. */
export function post<B, T, Own extends OwnFailure = never>(
  path: string,
  summary: string,
  body: z.ZodType<B>,
  declared: Declared<T, Own>,
  handle: (agent: Agent, body: NoInfer<B>, parameter: string, by: Asker) => Answer<NoInfer<T>, NoInfer<Own>>,
): Route {
  return {
    ...described('POST', path, summary, declared),
    body,
    handle: (agent, { body: given, parameter, by }) => parsed(body, given, (value) => handle(agent, value, parameter, by)),
  };
}

export const nothing = z.looseObject({}).optional();
/** The answer of a route that returns no data. */
export const done = z.strictObject({});
/** The index of a decision in the swarm's log. */
export const decidedSchema = z.strictObject({ index: z.number().int().describe('The decision’s index in the swarm’s log') });
