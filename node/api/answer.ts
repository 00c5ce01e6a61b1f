// Answers a request of the Unix socket or of HTTP: finds its route, and checks that the sender's scope allows it.
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { ZodError } from 'zod';
import type { Agent } from '../agent/agent.ts';
import { reaches } from '../agent/api-tokens.ts';
import { remedyFor } from '../errors.ts';
import { wordsOf } from '../issue-words.ts';
import { openApi } from './openapi.ts';
import { type Asker, failed, type Reply, type Route } from './route.ts';
import { ROUTES } from './routes.ts';
import { Shares } from './shares.ts';

/** Paths of the previous release, accepted for one more release. */
const FORMER_PATHS: readonly [former: string, path: string][] = [['/v1/orders/', '/v1/changes/']];

/** Room for a file of 256 KiB, escaped as JSON. */
const MAX_BODY_BYTES = 2 * 1024 * 1024;
/** For routes without a token: room for a statement of 10,000 characters, escaped. */
const MAX_LOOK_BODY_BYTES = 64 * 1024;

const PATTERNS = ROUTES.map((route) => ({
  route,
  pattern: new RegExp(`^${route.path.replace(/\{.+\}/, `(${route.parameter?.source ?? '[^/]+'})`)}$`),
}));

let description: Record<string, unknown> | undefined;

/** Built once, because it is large. */
function described(agent: Agent): Record<string, unknown> {
  description ??= openApi(ROUTES, agent.status().version);
  return description;
}

export async function answer(agent: Agent, request: IncomingMessage, by: Asker): Promise<Reply> {
  const [asked = '', query = ''] = (request.url ?? '').split('?', 2);
  const path = FORMER_PATHS.reduce(
    (now, [former, next]) => (now.startsWith(former) ? next + now.slice(former.length) : now),
    asked,
  );
  if (path === '/v1/openapi.json') return { status: 200, body: described(agent) };
  const matching = PATTERNS.filter(({ pattern }) => pattern.test(path));
  const found = matching.find(({ route: { method } }) => method === request.method);
  if (found === undefined)
    return matching.length > 0 ? failed(405, `${request.method} is not possible on ${path}`) : failed(404, `no route ${path}`);
  if (!reaches(by.level, found.route.scope))
    return failed(403, `this needs a token of scope ${found.route.scope}: kalos api-token create --scope ${found.route.scope}`);
  const refusal = changesState(found.route) ? agent.refusal : undefined;
  if (refusal !== undefined)
    return failed(
      503,
      `the disk of the state directory refuses writes (${refusal}): the request was rejected because it cannot be recorded; ${remedyFor(refusal)}`,
    );
  const { scope, maxBytes = scope === 'look' ? MAX_LOOK_BODY_BYTES : MAX_BODY_BYTES } = found.route;
  const body = request.method === 'POST' ? await readBody(request, maxBytes) : undefined;
  if (body === 'invalid') return failed(400, `the body must be JSON of at most ${maxBytes} bytes`);
  const parameter = parameterIn(found.pattern, path);
  if (parameter === undefined) return failed(400, `${path} is not a valid path: write a literal % as %25`);
  // A client that follows the log would add two lines a second to it.
  if (!path.startsWith('/v1/agent-log/')) agent.edge?.log.log('debug', `${request.method} ${path} by ${by.name}`);
  const given = { body, query: Object.fromEntries(new URLSearchParams(query)), parameter, by };
  const reply = inWords(() => found.route.handle(agent, given));
  return changesState(found.route) ? unlessRefused(agent, reply) : reply;
}

/** Empty if the path has no parameter; undefined if its encoding is invalid. */
function parameterIn(pattern: RegExp, path: string): string | undefined {
  try {
    return decodeURIComponent(pattern.exec(path)?.[1] ?? '');
  } catch {
    return undefined;
  }
}

/** A schema inside the agent may reject a value that the route let pass: that is an error of the client too, answered with 400. */
async function inWords(handle: () => Promise<Reply> | Reply): Promise<Reply> {
  try {
    return await handle();
  } catch (error) {
    if (error instanceof ZodError) return failed(400, wordsOf(error, undefined));
    throw error;
  }
}

/** Must work without a disk: shutdown, and the halt of all actions, which is in force before it is recorded. */
const WITHOUT_DISK = ['/v1/stop', '/v1/halt'];

const changesState = ({ method, path, scope }: Route): boolean =>
  method === 'POST' && reaches(scope, 'operate') && !WITHOUT_DISK.includes(path);

const REFUSAL_LOOK_MS = 200;

/** A client does not wait for a disk that refuses writes. */
async function unlessRefused(agent: Agent, reply: Promise<Reply> | Reply): Promise<Reply> {
  let look: NodeJS.Timeout | undefined;
  const refused = new Promise<Reply>((resolve) => {
    look = setInterval(() => {
      const { refusal } = agent;
      if (refusal === undefined) return;
      resolve(
        failed(
          503,
          `the disk of the state directory refuses writes (${refusal}): the request runs when writes succeed again; ${remedyFor(refusal)}`,
        ),
      );
    }, REFUSAL_LOOK_MS);
  });
  return Promise.race([reply, refused]).finally(() => clearInterval(look));
}

async function readBody(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) return 'invalid';
    chunks.push(chunk);
  }
  if (size === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return 'invalid';
  }
}

const MAX_UNREAD_BYTES = 32 * 1024 * 1024;
const MAX_ALL_UNREAD_BYTES = 128 * 1024 * 1024;
const UNREAD = new Shares(MAX_UNREAD_BYTES, MAX_ALL_UNREAD_BYTES);
/** A client that reads nothing of an answer for this long is disconnected. */
const READ_WITHIN_MS = 30_000;

/** @param by the client whose share of unread answers it counts towards. */
export function send(response: ServerResponse, status: number, body: unknown, by?: Asker): void {
  // A response that is closed already emits no second 'close': its share would never be released.
  if (response.closed) return;
  const text = JSON.stringify(body);
  const given = by === undefined ? () => undefined : UNREAD.take(by.name, text.length, by.level === 'admin');
  if (given === undefined) return send(response, 503, { error: 'earlier answers are still unread: read them, then retry' });
  response.once('close', given);
  sendText(response, status, { 'content-type': 'application/json' }, text);
}

export function sendText(response: ServerResponse, status: number, headers: OutgoingHttpHeaders, text: string | Buffer): void {
  response.socket?.setTimeout(READ_WITHIN_MS); // Node closes a connection at its timeout
  response.writeHead(status, headers);
  response.end(text);
}

/** Requests of a connection that wait for the previous answer. */
const MAX_PIPELINED = 32;
const PIPELINED = new WeakMap<Socket, number>();

/** Answers pipelined requests of a connection one by one; other work of the agent runs in between. */
export function inTurn({ socket }: IncomingMessage, response: ServerResponse, handle: () => void): void {
  if (response.socket !== null) return handle();
  const waiting = PIPELINED.get(socket) ?? 0;
  if (waiting >= MAX_PIPELINED) return void socket.destroy();
  PIPELINED.set(socket, waiting + 1);
  response.once('socket', () => {
    PIPELINED.set(socket, (PIPELINED.get(socket) ?? 1) - 1);
    socket.setTimeout(0); // the timeout was for the previous answer
    setImmediate(() => (response.closed ? undefined : handle()));
  });
}
