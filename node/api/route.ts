// What a route of the local API is made of: what it takes, what it answers, and which failures it has. All of it is checked by the compiler,
// and described in OpenAPI (openapi.ts).
import { z } from 'zod';
import type { Agent } from '../agent/agent.ts';
import type { Level } from '../agent/api-tokens.ts';
import { ERROR_CODES, type ErrorCode } from '../errors.ts';
import { shortly, wordsOf } from '../issue-words.ts';

/** The body of every answer that is none: what is wrong, the value, and what to do. */
export const problemSchema = z
  .strictObject({
    error: z.string().describe('What is wrong, with the value, what it should be, and what to do; one line'),
    code: z.enum(ERROR_CODES).optional().describe('Where the status alone does not say which error it is'),
  })
  .meta({ id: 'Problem', examples: [{ error: 'no member is called web-9: see kalos members' }] });
export type Problem = z.infer<typeof problemSchema>;

export type FailureStatus = 400 | 401 | 403 | 404 | 405 | 409 | 429 | 500 | 503;
/** Those that a route itself decides on; a body or query that its schema refuses is 400 everywhere. */
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

/** Who asks. */
export interface Asker {
  level: Level;
  /** One for each token, one for all who come without. */
  name: string;
}

/** What belongs together in the description. */
export const TAGS = {
  agent: 'This agent: its state, its configuration, its end',
  query: 'SQL over the whole swarm, and series of this machine',
  incidents: 'What was wrong, what was done about it, and whether it helped',
  policies: 'What is judged, and silences',
  actions: 'Tools, plans of people, approvals, the kill switch',
  audit: 'What was done, provably',
  members: 'Who belongs: members, join tokens, operators, root keys',
  decisions: 'What the swarm decides: coordinator, log, pauses, budgets, grants',
  rollouts: 'Policies and releases for all machines',
  tokens: 'Tokens for this API over HTTP',
  watch: 'Changes as they come, and figures for Prometheus',
} as const;
export type Tag = keyof typeof TAGS;

export interface Route {
  method: 'GET' | 'POST';
  /** With one parameter at most: `/v1/incidents/{id}/explanation`. */
  path: string;
  /** What the parameter looks like; anything without a slash where it is not given. */
  parameter: RegExp | undefined;
  summary: string;
  tag: Tag;
  /** What it takes to use it. */
  scope: Level;
  /** What the query after `?` must be, each value a text; undefined where it is not looked at. */
  query: z.ZodObject | undefined;
  /** What the body must be; undefined where there is none. */
  body: z.ZodType | undefined;
  /** Of the body, where it may be larger than most. */
  mostBytes?: number | undefined;
  /** What it answers, as JSON has it. */
  answer: z.ZodType;
  failures: readonly OwnFailure[];
  /** @param given.parameter as it was in the path. */
  handle(agent: Agent, given: Given): Promise<Reply> | Reply;
}

export interface Given {
  body: unknown;
  query: Readonly<Record<string, string>>;
  parameter: string;
  by: Asker;
}

/** @param code where the status alone does not say which error it is */
export const failed = <Status extends FailureStatus>(status: Status, error: string, code?: ErrorCode): Failure<Status> => ({
  status,
  body: { error, ...(code !== undefined && { code }) },
});
export const ok = <Body>(body: Body): Success<Body> => ({ status: 200, body });

/** Parses what is given, or answers 400 saying what is wrong with it. */
async function parsed<T>(schema: z.ZodType<T>, given: unknown, handle: (value: T) => Promise<Reply> | Reply): Promise<Reply> {
  const result = schema.safeParse(given);
  return result.success ? handle(result.data) : failed(400, refusalOf(schema, result.error, given));
}

/** A body that is missing, or is no object at all, is said to be that, and what it should be. */
function refusalOf(schema: z.ZodType, error: z.ZodError, given: unknown): string {
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return wordsOf(error, given, schema);
  const { error: lacking } = schema.safeParse({});
  const needs = lacking === undefined ? ', {} at least' : `; ${wordsOf(lacking, {}, schema)}`;
  return `${given === undefined ? 'the body is missing' : `the body is ${shortly(given)}`}: it must be a JSON object${needs}`;
}

/** What may be given where `T` is answered: lists that nobody else changes are lists too. */
type Giving<T> = T extends readonly (infer Item)[]
  ? readonly Giving<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Giving<T[Key]> }
    : T;
type Answer<T, Own extends OwnFailure> =
  | Promise<Success<Giving<T>> | Failure<Own | 400>>
  | Success<Giving<T>>
  | Failure<Own | 400>;

/** What a route says of itself. */
interface Declared<T, Own extends OwnFailure> {
  tag: Tag;
  answer: z.ZodType<T>;
  /** Beside those that any route can have. */
  failures?: readonly Own[];
  /** `look` where it is not given: to look is anybody's; for a POST `operate`. */
  scope?: Level;
  parameter?: RegExp;
  mostBytes?: number;
}

const described = <T, Own extends OwnFailure>(
  method: Route['method'],
  path: string,
  summary: string,
  declared: Declared<T, Own>,
) => {
  const { tag, answer, failures = [], scope = method === 'GET' ? 'look' : 'operate', parameter, mostBytes } = declared;
  return { method, path, summary, tag, answer, failures, scope, parameter, mostBytes, query: undefined, body: undefined };
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

/** Its body is parsed by the schema, or what is wrong with it is said. */
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
/** Where it was done, and there is nothing to say of it. */
export const done = z.strictObject({});
/** The place in the swarm's log of what was decided. */
export const decidedSchema = z.strictObject({ index: z.number().int().describe('The decision’s place in the swarm’s log') });
