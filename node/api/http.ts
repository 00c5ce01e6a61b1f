// The API over HTTP: for the page, for Prometheus, for other machines. On loopback, reading needs no token. Everything else, and
// any other address, needs a token and TLS. Host and Origin of a request show if another site's page sent it (DNS rebinding).
import { createServer as createHttp, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { readRegular } from '../adapters/regular-file.ts';
import type { Agent } from '../agent/agent.ts';
import { isLoopback } from '../config/address.ts';
import { KalosError } from '../errors.ts';
import { answer, inTurn, send, sendText } from './answer.ts';
import { Feed, TOPICS, type Topic } from './feed.ts';
import { pageFile } from './page.ts';
import { PROMETHEUS_TYPE, prometheus } from './prometheus.ts';
import { keepRoom } from './room.ts';
import type { Asker } from './route.ts';
import { Rates, Shares } from './shares.ts';

const LOOK_EVERY_MS = 500;
const KEEP_ALIVE_MS = 15_000;
/** Of one token, or of all clients without a token. */
const MAX_LISTENERS = 64;
const MAX_ALL_LISTENERS = 256;
const MAX_CONNECTIONS = 512;
/** Requests of one token, or of all clients without a token, so that requests cannot stop the agent's own work. */
const A_SECOND = 40;
const AT_ONCE = 200;
const SERVER = { headersTimeout: 5_000, requestTimeout: 30_000, keepAliveTimeout: 15_000, connectionsCheckingInterval: 2_000 };
const HEADERS = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  'cache-control': 'no-store',
} as const;

export interface HttpOptions {
  /** `127.0.0.1:9090`. */
  listen: string;
  /** PEM files; required except on loopback. */
  certificate: string | undefined;
  key: string | undefined;
}

/** @returns undefined if its port on loopback is in use, such as by another agent of the machine. @throws KalosError */
export async function serveHttp(agent: Agent, { listen, certificate, key }: HttpOptions): Promise<Server | undefined> {
  const loopback = isLoopback(listen);
  const at = listen.lastIndexOf(':');
  const [host, port] = [listen.slice(0, at).replace(/^\[|\]$/g, ''), Number(listen.slice(at + 1))];
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    const handle = (): Promise<void> =>
      respond(agent, request, response, loopback).catch((error: unknown) => send(response, 500, { error: String(error) }));
    inTurn(request, response, () => void handle());
  };
  const server =
    certificate === undefined || key === undefined
      ? createHttp(SERVER, listener)
      : createHttps({ ...SERVER, ...tls(certificate, key) }, listener);
  keepRoom(server, MAX_CONNECTIONS);
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' && loopback) return resolve(undefined);
      reject(new KalosError('io', `the API cannot listen on ${listen}: ${error.message}`, 'choose another with api.listen'));
    });
    server.listen(port, host, () => resolve(server));
  });
}

function tls(certificate: string, key: string): { cert: Buffer; key: Buffer } {
  try {
    return { cert: readRegular(certificate), key: readRegular(key) };
  } catch (error) {
    throw new KalosError('config', `the API's certificate or key cannot be read: ${(error as Error).message}`);
  }
}

/** The scope of a request: that of its token; without one, `look` on loopback, unless it comes from another site's page. */
function askerOf(agent: Agent, request: IncomingMessage, loopback: boolean): Asker | undefined {
  const bearer = request.headers.authorization?.match(/^Bearer (\S+)$/)?.[1];
  if (bearer !== undefined) return agent.parts.apiTokens.askerOf(bearer, Date.now());
  return loopback && isOfThisMachine(request) ? { level: 'look', name: 'without a token' } : undefined;
}

/** A page of another site can reach loopback by a name that resolves to it (DNS rebinding): Host or Origin shows that. */
function isOfThisMachine({ headers }: IncomingMessage): boolean {
  const own = (name: string | undefined): boolean =>
    name === undefined || /^(https?:\/\/)?(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/.test(name);
  return own(headers.host) && own(headers.origin);
}

const RATES = new Rates(A_SECOND, AT_ONCE);

async function respond(agent: Agent, request: IncomingMessage, response: ServerResponse, loopback: boolean): Promise<void> {
  for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
  const path = (request.url ?? '').split('?')[0] ?? '';
  const file = request.method === 'GET' ? pageFile(path) : undefined;
  // The files of the page contain no data: the page requests what it shows.
  if (file !== undefined) {
    const policy = "default-src 'self'; style-src 'self' 'unsafe-inline'";
    return sendText(response, 200, { 'content-type': file.type, 'content-security-policy': policy }, file.content);
  }
  const by = askerOf(agent, request, loopback);
  if (by === undefined) {
    response.setHeader('www-authenticate', 'Bearer');
    return send(response, 401, { error: 'a token is required: create one on the machine with kalos api-token create' });
  }
  if (!RATES.take(by.name, performance.now())) {
    response.setHeader('retry-after', '1');
    return send(response, 429, { error: `rate limit of ${A_SECOND} requests a second exceeded: retry` });
  }
  if (path === '/metrics') return sendText(response, 200, { 'content-type': PROMETHEUS_TYPE }, prometheus(agent));
  const topic = path.match(/^\/v1\/watch\/(\w+)$/)?.[1];
  if (topic !== undefined && request.method === 'GET') return watch(agent, topic, response, by);
  const { status, body } = await answer(agent, request, by);
  send(response, status, body, by);
}

const LISTENERS = new Shares(MAX_LISTENERS, MAX_ALL_LISTENERS);

/** Server-sent events: one for each change, until the client disconnects. */
export function watch(agent: Agent, topic: string, response: ServerResponse, { level, name }: Asker): void {
  if (!TOPICS.includes(topic as Topic)) return send(response, 404, { error: `no topic ${topic}; topics: ${TOPICS.join(', ')}` });
  const gone = LISTENERS.take(name, 1, level === 'admin');
  if (gone === undefined) return send(response, 503, { error: `limit of ${MAX_LISTENERS} watch streams reached` });
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(': listening\n\n');
  const feed = new Feed(agent, topic as Topic);
  const look = setInterval(() => {
    // A client that does not read is disconnected, not waited for.
    if (response.writableNeedDrain) return void response.destroy();
    for (const event of feed.news(Date.now())) response.write(`event: ${topic}\ndata: ${JSON.stringify(event)}\n\n`);
  }, LOOK_EVERY_MS);
  const alive = setInterval(() => response.write(': still here\n\n'), KEEP_ALIVE_MS);
  response.once('close', () => {
    gone();
    clearInterval(look);
    clearInterval(alive);
  });
}
