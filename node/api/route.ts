// What a route of the local API is made of.
import { z } from 'zod';
import type { Level } from '../agent/api-tokens.ts';
import type { Agent } from '../agent.ts';
import type { ErrorCode } from '../errors.ts';
import { wordsOf } from '../issue-words.ts';

export interface Reply {
  status: number;
  body: unknown;
}

/** Who asks. */
export interface Asker {
  level: Level;
  /** One for each token, one for all who come without. */
  name: string;
}

export interface Route {
  method: 'GET' | 'POST';
  /** With one parameter at most: `/v1/incidents/{id}/explanation`. */
  path: string;
  /** What the parameter looks like; anything without a slash where it is not given. */
  parameter: RegExp | undefined;
  summary: string;
  /** What it takes to use it. */
  scope: Level;
  /** What the body must be; undefined where there is none. */
  body: z.ZodType | undefined;
  /** Of the body, where it may be larger than most. */
  mostBytes?: number | undefined;
  /** @param parameter as it was in the path. */
  handle(agent: Agent, body: unknown, parameter: string, by: Asker): Promise<Reply> | Reply;
}

/** @param code where the status alone does not say which error it is */
export const failed = (status: number, error: string, code?: ErrorCode): Reply => ({
  status,
  body: { error, ...(code !== undefined && { code }) },
});
export const ok = (body: unknown): Reply => ({ status: 200, body });

/** Parses a body, or answers 400 saying what is wrong with it. */
async function parsed<T>(schema: z.ZodType<T>, body: unknown, handle: (value: T) => Promise<Reply> | Reply): Promise<Reply> {
  const result = schema.safeParse(body);
  return result.success ? handle(result.data) : failed(400, wordsOf(result.error, body ?? {}, schema));
}

type Answer = Promise<Reply> | Reply;

export function get(
  path: string,
  summary: string,
  handle: (agent: Agent, parameter: string, by: Asker) => Answer,
  parameter?: RegExp,
): Route {
  return {
    method: 'GET',
    path,
    parameter,
    summary,
    scope: 'look',
    body: undefined,
    handle: (agent, _body, given, by) => handle(agent, given, by),
  };
}

/** Its body is parsed by the schema, or what is wrong with it is said. */
export function post<T>(
  path: string,
  summary: string,
  body: z.ZodType<T>,
  handle: (agent: Agent, body: T, parameter: string, by: Asker) => Answer,
  scope: Level = 'operate',
): Route {
  return {
    method: 'POST',
    path,
    parameter: undefined,
    summary,
    scope,
    body,
    handle: (agent, given, parameter, by) => parsed(body, given, (value) => handle(agent, value, parameter, by)),
  };
}

export const nothing = z.looseObject({}).optional();
