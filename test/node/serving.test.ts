// How the API is served, on loopback and on the socket, of an agent that is not there: who may ask, what is refused before a route, and news.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { Agent as Connections, type IncomingMessage, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Agent } from '../../node/agent/agent.ts';
import { serveHttp } from '../../node/api/http.ts';
import { prometheus } from '../../node/api/prometheus.ts';
import { serveApi } from '../../node/api/server.ts';

const directory = mkdtempSync(join(tmpdir(), 'kalos-serving-'));
const socket = join(directory, 'agent.sock');

const log: string[] = [];
const its = {
  refusal: undefined as string | undefined,
  conditions: { Ready: 'True' } as Record<string, string>,
  halts: [] as string[],
  hangs: false,
};
const status = () => ({
  ...{ name: 'a"da', version: '9', swarmId: 's\\1', openIncidents: [{}, {}], samples: 7 },
  metrics: { 'system.cpu.utilization': 0.5, 'system.process.count': 3, 'system.load.1m': 1.5 },
  services: [
    { name: 'web', state: 'running' },
    { name: 'db', state: 'exited' },
  ],
});
const fake = {
  status,
  get refusal() {
    return its.refusal;
  },
  edge: { log: { log: (level: string, text: string) => log.push(`${level}: ${text}`) } },
  parts: {
    memory: { incidents: () => [] },
    watcher: { conditions: () => its.conditions },
    membershipAdmin: { members: () => [{ state: 'alive' }, { state: 'down' }, { state: 'alive' }] },
    apiTokens: {
      askerOf: (text: string) =>
        ({
          r: { level: 'read', name: 'reader' },
          o: { level: 'operate', name: 'operator' },
          a: { level: 'admin', name: 'boss' },
        })[text],
      list: () => [],
    },
    executor: {
      halt: async (reason: string) => void its.halts.push(reason),
      brakes: { resume: () => (its.hangs ? new Promise(() => undefined) : Promise.resolve()) },
    },
  },
};
const agent = fake as unknown as Agent;

let http: Server;
let local: Server;
let port = 0;
beforeAll(async () => {
  const options = { certificate: undefined, key: undefined };
  http = (await serveHttp(agent, { listen: '127.0.0.1:0', ...options })) ?? expect.fail('the port is taken');
  port = (http.address() as AddressInfo).port;
  local = await serveApi(agent, socket);
});
afterAll(() => {
  for (const server of [http, local]) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(directory, { recursive: true, force: true });
});
beforeEach(() => {
  Object.assign(its, { refusal: undefined, conditions: { Ready: 'True' }, halts: [], hangs: false });
  log.length = 0;
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
});
afterEach(() => vi.useRealTimers());

interface Asking {
  method?: string;
  body?: string;
  headers?: Record<string, string>;
  over?: 'http' | 'socket';
  connections?: Connections;
}
function ask(path: string, { method = 'GET', body, headers = {}, over = 'http', connections }: Asking = {}) {
  return new Promise<{ status: number; body: string; headers: IncomingMessage['headers'] }>((resolve, reject) => {
    const to = over === 'http' ? { host: '127.0.0.1', port } : { socketPath: socket };
    const call = request({ ...to, method, path, headers, agent: connections ?? false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text, headers: response.headers }));
    });
    call.on('error', reject);
    call.end(body);
  });
}
/** Lets intervals pass, half a second at a time, until it is so. */
async function passUntil(is: () => boolean): Promise<void> {
  for (let turn = 0; turn < 10_000 && !is(); turn++) {
    vi.advanceTimersByTime(500);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(is()).toBe(true);
}
const said = async (path: string, asking?: Asking): Promise<string> => {
  const { status: code, body } = await ask(path, asking);
  return `${code} ${(JSON.parse(body) as { error?: string }).error ?? 'ok'}`;
};
const bearing = (token: string) => ({ authorization: `Bearer ${token}` });

describe('where the API listens', () => {
  const none = { certificate: undefined, key: undefined };

  it('may be taken on loopback, as by another agent; else it is an error', async () => {
    expect(await serveHttp(agent, { listen: `127.0.0.1:${port}`, ...none })).toBeUndefined();
    // An address for documents, which no machine has.
    await expect(serveHttp(agent, { listen: '192.0.2.1:0', ...none })).rejects.toMatchObject({
      ...{ code: 'io', message: expect.stringContaining('the API cannot listen on 192.0.2.1:0: ') },
      hint: 'choose another with api.listen',
    });
    await expect(serveHttp(agent, { listen: '127.0.0.1:0', certificate: '/nowhere', key: '/nowhere' })).rejects.toMatchObject({
      ...{ code: 'config', message: expect.stringContaining("the API's certificate or key cannot be read: ") },
    });
    await expect(serveApi(agent, join(directory, 'nowhere', 'sock'))).rejects.toMatchObject({
      ...{ code: 'io', message: expect.stringContaining(`cannot create the socket ${join(directory, 'nowhere', 'sock')}: `) },
    });
    await expect(serveApi(agent, directory)).rejects.toMatchObject({
      ...{ code: 'io', message: expect.stringContaining(`cannot remove ${directory}, which blocks the agent’s socket`) },
    });
  });
});

describe('who asks over HTTP', () => {
  const BEYOND = '403 this needs a token of scope operate: kalos api-token create --scope operate';
  const WHO = '401 a token is required: create one on the machine with kalos api-token create';

  it('may look on loopback without a token, and needs one for more', async () => {
    expect(await said('/v1/config', {})).toBe('403 this needs a token of scope admin: kalos api-token create --scope admin');
    expect(await said('/v1/resume', { method: 'POST' })).toBe(BEYOND);
    expect(await said('/v1/resume', { method: 'POST', headers: bearing('r') })).toBe(BEYOND);
    for (const token of ['o', 'a']) expect(await said('/v1/resume', { method: 'POST', headers: bearing(token) })).toBe('200 ok');
    expect(log).toEqual(['debug: POST /v1/resume by operator', 'debug: POST /v1/resume by boss']);
    const unknown = await ask('/v1/tokens', { headers: bearing('x') });
    expect([unknown.status, unknown.headers['www-authenticate']]).toEqual([401, 'Bearer']);
    expect(await said('/v1/tokens', { headers: bearing('x') })).toBe(WHO);
  });

  it.each([
    [{ host: 'localhost:1' }, true],
    [{ host: '127.1.2.3' }, true],
    [{ host: '[::1]:9090' }, true],
    [{ host: 'evil.example' }, false],
    [{ host: 'localhost.evil.example' }, false],
    [{ host: 'evil-localhost' }, false],
    [{ host: '10.0.0.1:9090' }, false],
    [{ host: 'localhost', origin: 'http://localhost:9090' }, true],
    [{ host: 'localhost', origin: 'http://evil.example' }, false],
    [{ host: 'localhost', origin: 'null' }, false],
  ])('with %o is of this machine: %s', async (headers, own) => {
    expect((await ask('/metrics', { headers: headers as Record<string, string> })).status).toBe(own ? 200 : 401);
  });

  it('is told in headers what a browser may do', async () => {
    const { headers } = await ask('/metrics');
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'x-frame-options': 'DENY',
      'cache-control': 'no-store',
      'content-type': 'text/plain; version=0.0.4; charset=utf-8',
    });
    for (const [path, type] of [
      ['/', 'text/html; charset=utf-8'],
      ['/app.js?x=1', 'text/javascript; charset=utf-8'],
      ['/icon.svg', 'image/svg+xml'],
      ['/style.css', 'text/css; charset=utf-8'],
    ] as const) {
      const file = await ask(path);
      expect([
        file.status,
        file.headers['content-type'],
        file.headers['content-security-policy'],
        file.body.length > 100,
      ]).toEqual([...[200, type, "default-src 'self'; style-src 'self' 'unsafe-inline'", true]]);
    }
    expect((await ask('/', { method: 'POST' })).status).toBe(404);
  });

  it('and asks too often is told so', async () => {
    let nowMs = performance.now();
    const connections = new Connections({ keepAlive: true, maxSockets: 4 });
    const now = vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
    try {
      nowMs += 10_000;
      const many = async (count: number): Promise<number> => {
        const all = await Promise.all(
          Array.from({ length: count }, () => ask('/v1/nothing', { headers: bearing('r'), connections })),
        );
        return all.filter(({ status: code }) => code !== 429).length;
      };
      expect(await many(202)).toBe(200);
      const refused = await ask('/v1/nothing', { headers: bearing('r') });
      expect([refused.headers['retry-after'], refused.body]).toEqual([
        '1',
        '{"error":"rate limit of 40 requests a second exceeded: retry"}',
      ]);
      nowMs += 1_000;
      expect(await many(42)).toBe(40);
    } finally {
      connections.destroy();
      now.mockRestore();
    }
  });
});

describe('a request', () => {
  const owner = (path: string, method = 'GET', body?: string) =>
    said(path, { over: 'socket', method, ...(body !== undefined && { body }) });

  it('on the socket may do anything, and the socket is its owner’s alone', async () => {
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    expect(await owner('/v1/halt', 'POST', '{"reason":"fire"}')).toBe('200 ok');
    expect(its.halts).toEqual(['fire']);
  });

  it('is refused in words where there is no such route, method, path or body', async () => {
    expect(await owner('/v1/nothing')).toBe('404 no route /v1/nothing');
    expect(await owner('/v1/halt')).toBe('405 GET is not possible on /v1/halt');
    expect(await owner('/v1/series/%zz')).toBe('400 /v1/series/%zz is not a valid path: write a literal % as %25');
    expect(await owner('/v1/halt', 'POST', 'no JSON')).toBe('400 the body must be JSON of at most 2097152 bytes');
    expect(await owner('/v1/halt', 'POST', '{"reason":5}')).toBe('400 reason = 5: must be a quoted string');
    const object = 'it must be a JSON object';
    expect(await owner('/v1/halt', 'POST')).toBe(`400 the body is missing: ${object}; reason: is missing: a quoted string`);
    expect(await owner('/v1/halt', 'POST', '[5]')).toBe(`400 the body is [5]: ${object}; reason: is missing: a quoted string`);
    expect(await owner('/v1/log', 'POST')).toBe(`400 the body is missing: ${object}, {} at least`);
    expect(await owner('/v1/log', 'POST', 'null')).toBe(`400 the body is null: ${object}, {} at least`);
    const large = `"${'x'.repeat(64 * 1_024 - 2)}"`;
    expect(await owner('/v1/query', 'POST', large)).not.toContain('must be JSON of at most');
    expect(await owner('/v1/query', 'POST', `${large} `)).toBe('400 the body must be JSON of at most 65536 bytes');
    expect(its.halts).toEqual([]);
  });

  it('that changes something is refused where the disk takes nothing; to halt, and to look, is not', async () => {
    its.refusal = 'No space left on device';
    const why = 'the disk of the state directory refuses writes (No space left on device): the request';
    expect(await owner('/v1/resume', 'POST')).toBe(
      `503 ${why} was rejected because it cannot be recorded; free space there (df DIR; df -i DIR)`,
    );
    expect(await owner('/v1/halt', 'POST', '{"reason":"fire"}')).toBe('200 ok');
    expect(await owner('/v1/api-tokens')).toBe('200 ok');
    Object.assign(its, { refusal: undefined, hangs: true });
    const waiting = owner('/v1/resume', 'POST');
    let answered = false;
    void waiting.then(() => {
      answered = true;
    });
    await passUntil(() => log.some((line) => line.includes('/v1/resume')));
    its.refusal = 'No space left on device';
    await passUntil(() => answered);
    expect(await waiting).toBe(`503 ${why} runs when writes succeed again; free space there (df DIR; df -i DIR)`);
  });

  it('for the description of the API is answered with it', async () => {
    const { status: code, body } = await ask('/v1/openapi.json?x=1');
    const { openapi, info } = JSON.parse(body) as { openapi: string; info: { version: string } };
    expect([code, openapi, info.version]).toEqual([200, '3.1.0', '9']);
  });

  it('whose route fails is answered as a mistake of the agent', async () => {
    expect(await owner('/v1/overview')).toMatch(/^500 .*reading 'sources'/);
    expect(await said('/v1/overview')).toMatch(/^500 TypeError: .*reading 'sources'/);
  });
});

describe('news', () => {
  const listen = (path: string, over: 'http' | 'socket') =>
    new Promise<{ response: IncomingMessage; heard: () => string }>((resolve, reject) => {
      const to = over === 'http' ? { host: '127.0.0.1', port } : { socketPath: socket };
      const call = request({ ...to, path, agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', () => undefined);
        resolve({ response, heard: () => text });
      });
      call.on('error', reject);
      call.end();
    });

  it.each(['http', 'socket'] as const)('comes as it happens, over %s', async (over) => {
    const { response, heard } = await listen('/v1/watch/conditions', over);
    expect(response.headers['content-type']).toBe('text/event-stream');
    await passUntil(() => heard().startsWith(': listening\n\n'));
    its.conditions = { Ready: 'False', New: 'True' };
    const events = (): unknown[] =>
      [...heard().matchAll(/^event: conditions\ndata: (.*)\n\n/gm)].map(([, data = '']) => JSON.parse(data));
    await passUntil(() => events().length === 2);
    expect(events()).toEqual([
      { atMs: expect.any(Number), topic: 'conditions', subject: 'Ready', text: 'False', data: {} },
      { atMs: expect.any(Number), topic: 'conditions', subject: 'New', text: 'True', data: {} },
    ]);
    response.destroy();
  });

  it('says now and then that it is still there, and nothing is left once nobody listens', async () => {
    const { response, heard } = await listen('/v1/watch/conditions', 'http');
    await passUntil(() => heard().startsWith(': listening\n\n'));
    const timers = vi.getTimerCount();
    await passUntil(() => heard().includes(': still here\n\n'));
    response.destroy();
    await passUntil(() => vi.getTimerCount() === timers - 2);
  });

  it('is of a topic that there is', async () => {
    const none = '404 no topic nothing; topics: members, conditions, incidents, decisions, actions';
    expect([await said('/v1/watch/nothing'), await said('/v1/watch/nothing', { over: 'socket' })]).toEqual([none, none]);
  });
});

it('figures for Prometheus are those of the machine and of the swarm, with their units', () => {
  const lines = prometheus(agent).split('\n');
  expect(lines.filter((line) => !line.startsWith('#'))).toEqual([
    'kalos_info{node="a\\"da",version="9",swarm="s\\\\1"} 1',
    'kalos_members{state="alive"} 2',
    'kalos_members{state="down"} 1',
    'kalos_open_incidents 2',
    'kalos_condition{condition="Ready",status="True"} 1',
    'kalos_service_running{service="web"} 1',
    'kalos_service_running{service="db"} 0',
    'kalos_samples 7',
    'system_cpu_utilization_ratio 0.5',
    'system_load_1m_ratio 1.5',
    'system_process_number 3',
    '',
  ]);
  expect(lines.slice(0, 2)).toEqual(['# HELP kalos_info The agent', '# TYPE kalos_info gauge']);
});
