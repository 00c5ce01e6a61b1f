// How an agent is talked to: the way to it, what its answers and failures become, and the paths and bodies of the library's methods.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { callAgent, callForAll, follow, pagesOf, type Whom } from '../../node/api/client.ts';
import { KalosClient } from '../../node/sdk/client.ts';

let respond: (request: IncomingMessage, response: ServerResponse) => void;
const asked: { route: string; body: unknown; headers: IncomingMessage['headers'] }[] = [];
const server = createServer((request, response) => {
  let text = '';
  request.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  request.on('end', () => {
    const body = text === '' ? undefined : JSON.parse(text);
    asked.push({ route: `${request.method} ${request.url}`, body, headers: request.headers });
    respond(request, response);
  });
});
let address = '';
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  asked.length = 0;
  answering(200, {});
});
const answering = (status: number, body: unknown): void => {
  respond = (_, response) => response.writeHead(status).end(JSON.stringify(body));
};
const failing = (whom: Whom) =>
  callAgent(whom, 'GET', '/v1/status').then(
    () => 'answered',
    (error: unknown) => error,
  );

describe('an agent at an address', () => {
  it('is sent the token and JSON', async () => {
    answering(200, { name: 'ada' });
    expect(await callAgent({ address, token: 'kapi_x' }, 'POST', '/v1/x', { a: 1 })).toEqual({ name: 'ada' });
    expect(asked[0]).toMatchObject({
      route: 'POST /v1/x',
      body: { a: 1 },
      headers: { authorization: 'Bearer kapi_x', 'content-type': 'application/json' },
    });
    await callAgent({ address }, 'GET', '/v1/x');
    expect([asked[1]?.headers.authorization, asked[1]?.body]).toEqual([undefined, undefined]);
  });

  it.each([
    [299, {}, 'answered'],
    [400, { error: 'wrong' }, { code: 'usage', message: 'wrong' }],
    [401, { error: 'who?' }, { code: 'refused' }],
    [403, { error: 'no' }, { code: 'refused' }],
    [404, { error: 'gone' }, { code: 'not-found' }],
    [409, { error: 'not now' }, { code: 'usage' }],
    [429, { error: 'later' }, { code: 'io' }],
    [503, { error: 'full' }, { code: 'io' }],
    [503, { error: 'nobody', code: 'no-quorum' }, { code: 'no-quorum', message: 'nobody' }],
    [500, {}, { code: 'usage', message: 'the agent answered 500' }],
    [300, {}, { message: 'the agent answered 300' }],
  ])('that answers %i with %o gives %o', async (status, body, expected) => {
    answering(status, body);
    const got = await failing({ address });
    if (typeof expected === 'string') expect(got).toBe(expected);
    else expect(got).toMatchObject(expected);
  });

  it('whose answer is no JSON is an error, not silence', async () => {
    respond = (_, response) => response.end('<html>');
    expect(await failing({ address })).toBeInstanceOf(SyntaxError);
  });

  it('that hangs up, or is not there, is said so', async () => {
    respond = (_, response) => response.destroy();
    expect(await failing({ address })).toMatchObject({
      code: 'io',
      message: `cannot talk to the agent on ${address}: socket hang up`,
    });
    expect(await failing('/nowhere/at/all')).toMatchObject({
      code: 'not-running',
      message: 'no agent runs on /nowhere/at/all',
      hint: 'start one with: kalos up; or give another state directory with --dir or KALOS_DIR',
    });
  });

  it.each([
    [{ address: 'http://10.0.0.1:9090', token: 'kapi_x' }, 'over http://10.0.0.1:9090 others could read the token'],
    [{ address: 'web-1:9090' }, 'address web-1:9090 is not a URL'],
    [{ address: 'nothing' }, 'address nothing is not a URL'],
    [{ address: 'http://127.0.0.1:1', token: '' }, 'token is not a valid token: it is empty'],
    [{ address: 'http://127.0.0.1:1', token: 'a b' }, 'token is not a valid token: it contains a space, a line break or another'],
    [{ address: 'https://web-1', ca: '/nowhere/ca.pem' }, 'ca /nowhere/ca.pem cannot be read: No such file or directory'],
  ])('is not asked as %o', async (whom, message) => {
    expect(await failing(whom)).toMatchObject({ code: 'usage', message: expect.stringContaining(message) });
  });

  it('is what the environment says, unless a directory is named', async () => {
    vi.stubEnv('KALOS_ADDRESS', address);
    vi.stubEnv('KALOS_API_TOKEN', 'kapi_y');
    try {
      await callAgent(undefined, 'GET', '/v1/x');
      expect(asked[0]?.headers.authorization).toBe('Bearer kapi_y');
      expect(await failing('/nowhere/at/all')).toMatchObject({ code: 'not-running' });
      vi.stubEnv('KALOS_ADDRESS', 'nothing');
      expect(await failing(undefined)).toMatchObject({ message: 'KALOS_ADDRESS nothing is not a URL' });
      vi.stubEnv('KALOS_API_TOKEN', '');
      expect(await failing(undefined)).toMatchObject({ message: 'KALOS_API_TOKEN is not a valid token: it is empty' });
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

describe('a list', () => {
  it('is asked page by page, of so many items, to the end', async () => {
    respond = ({ url }, response) =>
      response.end(JSON.stringify(url?.includes('cursor') ? { items: [3], next: null } : { items: [1, 2], next: 'a/b' }));
    const pages: unknown[] = [];
    for await (const page of pagesOf({ address }, '/v1/x')) pages.push(page);
    expect(pages).toEqual([[1, 2], [3]]);
    expect(await callForAll({ address }, '/v1/y')).toEqual([1, 2, 3]);
    expect(asked.slice(0, 2).map(({ route }) => route)).toEqual(['GET /v1/x?limit=500', 'GET /v1/x?limit=500&cursor=a%2Fb']);
  });
});

describe('an answer', () => {
  it('is whole where a letter comes in two parts', async () => {
    const bytes = Buffer.from(JSON.stringify({ name: 'ü' }));
    const half = bytes.indexOf(0xc3) + 1;
    respond = (_, response) => {
      response.write(bytes.subarray(0, half));
      setImmediate(() => response.end(bytes.subarray(half)));
    };
    expect(await callAgent({ address }, 'GET', '/v1/x')).toEqual({ name: 'ü' });
  });
});

describe('what changes', () => {
  const events = (...chunks: string[]): void => {
    respond = (_, response) => {
      response.writeHead(200);
      for (const chunk of chunks) response.write(chunk);
      response.end();
    };
  };

  it('is heard event by event, however it is cut, until the agent hangs up', async () => {
    const heard: unknown[] = [];
    events(': listening\n\nevent: x\ndata: {"a', '":1}\n\n: still here\n\nevent: x\nda', 'ta: 2\n\ndata: 3');
    await follow({ address }, '/v1/watch/x', (data) => heard.push(data));
    expect(heard).toEqual([{ a: 1 }, 2]);
    heard.length = 0;
    events('data: 1\n\ndata: 2\n\n');
    await follow({ address }, '/v1/watch/x', (data) => heard.push(data));
    expect(heard).toEqual([1, 2]);
  });

  it('ends where the signal says so, and fails where it is refused', async () => {
    const stop = new AbortController();
    respond = (_, response) => void response.writeHead(200).write('data: 1\n\n');
    await follow({ address }, '/v1/watch/x', () => stop.abort(), stop.signal);
    answering(404, { error: 'no topic x', ignored: 'data: 1\n\n' });
    const heard: unknown[] = [];
    await expect(follow({ address }, '/v1/watch/x', (data) => heard.push(data))).rejects.toMatchObject({
      code: 'not-found',
      message: 'no topic x',
    });
    respond = (_, response) => void response.writeHead(404).end('data: 1\n\n');
    await expect(follow({ address }, '/v1/watch/x', (data) => heard.push(data))).rejects.toBeInstanceOf(SyntaxError);
    expect(heard).toEqual([]);
    respond = (_, response) => void response.destroy();
    await expect(follow({ address }, '/v1/watch/x', () => undefined)).rejects.toMatchObject({ code: 'io' });
  });
});

describe('the library', () => {
  it.each<[string, unknown, (agent: KalosClient) => Promise<unknown>]>([
    ['GET /v1/status', undefined, (agent) => agent.status()],
    ['POST /v1/query', { sql: 's', timeoutMs: 1 }, (agent) => agent.query('s', { timeoutMs: 1 })],
    ['GET /v1/tables', undefined, (agent) => agent.tables()],
    ['GET /v1/questions', undefined, (agent) => agent.questions()],
    ['GET /v1/members?limit=500', undefined, (agent) => agent.members()],
    ['POST /v1/tokens', {}, (agent) => agent.createToken()],
    ['POST /v1/tokens', { uses: 2 }, (agent) => agent.createToken({ uses: 2 })],
    ['GET /v1/watch/members', undefined, (agent) => agent.watch('members', () => undefined)],
    ['GET /v1/incidents?limit=500', undefined, (agent) => agent.incidents()],
    ['GET /v1/incidents?limit=5', undefined, (agent) => agent.incidentPages(5).next()],
    ['GET /v1/incidents/a%2Fb/explanation', undefined, (agent) => agent.explain('a/b')],
    ['GET /v1/incidents/a%2Fb/recording', undefined, (agent) => agent.recording('a/b')],
    ['GET /v1/cases?limit=500', undefined, (agent) => agent.cases()],
    ['GET /v1/series?limit=500', undefined, (agent) => agent.series()],
    ['GET /v1/series/a%2Fb', undefined, (agent) => agent.past('a/b')],
    ['POST /v1/policies', { policies: [] }, (agent) => agent.applyPolicies([])],
    ['POST /v1/policies/a%2Fb/removal', {}, (agent) => agent.removePolicy('a/b')],
    ['POST /v1/actions', { calls: [], reason: 'r', dryRun: false }, (agent) => agent.act([], { reason: 'r' })],
    ['POST /v1/actions', { calls: [], reason: 'r', dryRun: true }, (agent) => agent.act([], { reason: 'r', dryRun: true })],
    ['POST /v1/actions/a%2Fb/rollback', {}, (agent) => agent.rollback('a/b')],
    ['POST /v1/approvals/a%2Fb', { answer: 'approved' }, (agent) => agent.approve('a/b')],
    ['POST /v1/approvals/a%2Fb', { answer: 'rejected' }, (agent) => agent.reject('a/b')],
    ['POST /v1/halt', { reason: 'r' }, (agent) => agent.stopAll('r')],
    ['POST /v1/resume', {}, (agent) => agent.resume()],
  ])('asks %s with %o', async (route, body, call) => {
    answering(200, []);
    await call(new KalosClient({ address }));
    expect(asked.map((one) => [one.route, one.body])).toEqual([[route, body]]);
  });

  it('gives what is in the answer', async () => {
    answering(200, { token: 'kalos1.x', applied: ['p'] });
    const agent = new KalosClient({ address });
    expect([await agent.createToken(), await agent.applyPolicies([])]).toEqual(['kalos1.x', ['p']]);
    answering(200, { items: [1, 2], next: null });
    expect([await agent.members(), await agent.incidents(), (await agent.incidentPages().next()).value]).toEqual([
      [1, 2],
      [1, 2],
      [1, 2],
    ]);
    expect(() => new KalosClient({ address, directory: '/d' })).toThrow(`both directory /d and address ${address} are given`);
    await expect(new KalosClient({ directory: '/nowhere/at/all' }).status()).rejects.toMatchObject({ code: 'not-running' });
    respond = (_, response) => void response.writeHead(200).end('data: {"a":1}\n\n');
    const heard: unknown[] = [];
    await agent.watch('members', (event) => heard.push(event));
    expect(heard).toEqual([{ a: 1 }]);
  });
});
