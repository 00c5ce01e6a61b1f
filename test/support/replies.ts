// Asks a route of the local API in this process, of an agent of which only a part is there; each answer is held against what the route declares.
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { Agent } from '../../node/agent/agent.ts';
import { answer } from '../../node/api/answer.ts';
import { failuresOf } from '../../node/api/openapi.ts';
import { type Asker, problemSchema } from '../../node/api/route.ts';
import { ROUTES } from '../../node/api/routes.ts';

const ADMIN: Asker = { level: 'admin', name: 'test' };

/** @param asked `GET /v1/status` @param body as JSON, a text as it is @returns what was answered; `404 why (code)` where it is a failure */
export async function reply(agent: unknown, asked: string, body?: unknown, by = ADMIN): Promise<unknown> {
  const [method = '', url = ''] = asked.split(' ');
  const sent = body === undefined ? [] : [Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))];
  const request = Object.assign(Readable.from(sent), { method, url }) as unknown as IncomingMessage;
  const { status, body: answered } = await answer(agent as Agent, request, by);
  const given: unknown = JSON.parse(JSON.stringify(answered));
  const [path = ''] = url.split('?');
  const route = ROUTES.find((one) => one.method === method && isOf(one.path, one.parameter, path));
  if (status === 200) {
    route?.answer.parse(given);
    return given;
  }
  if (route !== undefined && !failuresOf(route).some((one) => one === status))
    throw new Error(`${asked} does not declare ${status}`);
  const { error, code } = problemSchema.parse(given);
  return `${status} ${error}${code === undefined ? '' : ` (${code})`}`;
}

const isOf = (path: string, parameter: RegExp | undefined, given: string): boolean =>
  new RegExp(`^${path.replace(/\{.+\}/, parameter?.source ?? '[^/]+')}$`).test(given);
