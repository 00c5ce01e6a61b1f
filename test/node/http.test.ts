// The API over HTTP: who may do what, the page, Prometheus' form, events as they come, and an agent asked from elsewhere over TLS.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, type ClientRequest, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problemSchema } from '../../node/api/route.ts';
import { ROUTES } from '../../node/api/routes.ts';
import { isLoopback } from '../../node/config/address.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { KalosClient } from '../../node/sdk/client.ts';
import { freePort, kalos, type RealAgent, RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';

const KALOS = join(import.meta.dirname, '../../bin/kalos');
const place = mkdtempSync(join(tmpdir(), 'kalos-http-'));
const [certificate, key] = [join(place, 'tls.pem'), join(place, 'tls.key')];
const hasOpenssl = ((): boolean => {
  try {
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    execFileSync('openssl', ['req', '-x509', ...kind, '-keyout', key, '-out', certificate, ...subject], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
})();

const port = await freePort();
const swarm = new RealSwarm({ KALOS_API_LISTEN: `127.0.0.1:${port}` });
let agent: RealAgent;
beforeAll(async () => {
  agent = await swarm.start('solo', '');
});
afterAll(async () => {
  await swarm.stop();
  rmSync(place, { recursive: true });
});

interface Got {
  status: number;
  text: string;
  type: string;
}

function get(
  path: string,
  { method = 'GET', headers = {}, body = '' }: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Got> {
  return new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, path, method, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text, type: response.headers['content-type'] ?? '' }));
    });
    call.on('error', reject);
    call.end(body);
  });
}

const tokenOf = async (...options: string[]) =>
  (await kalos('api-token', 'create', '--dir', agent.directory, ...options)).stdout.trim();
const bearing = (token: string) => ({ authorization: `Bearer ${token}` });
const residentBytes = ({ process: { pid } }: RealAgent): number =>
  Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4_096;
const statusOf = async (...args: Parameters<typeof get>) => (await get(...args)).status;

describe('the API over HTTP', () => {
  it('has so many listeners and no more, and room again when one has gone', async () => {
    const listening: ClientRequest[] = [];
    const listen = (): Promise<number> =>
      new Promise((resolve, reject) => {
        const call = request({ host: '127.0.0.1', port, path: '/v1/watch/members' }, ({ statusCode = 0 }) => resolve(statusCode));
        call.on('error', reject).end();
        listening.push(call);
      });
    const codes = await Promise.all(Array.from({ length: 64 }, listen));
    expect(new Set(codes)).toEqual(new Set([200]));
    expect(await statusOf('/v1/watch/members')).toBe(503);
    // Who has a token is not kept out by those who come without.
    const withToken = request({ host: '127.0.0.1', port, path: '/v1/watch/members', headers: bearing(await tokenOf()) });
    expect(await new Promise((resolve) => withToken.on('response', ({ statusCode }) => resolve(statusCode)).end())).toBe(200);
    withToken.on('error', () => undefined).destroy();
    for (const call of listening.splice(0)) call.on('error', () => undefined).destroy();
    await eventually('there to be room', async () => (await listen()) === 200 || undefined);
    for (const call of listening) call.on('error', () => undefined).destroy();
  });

  it('closes connections of which nothing is heard, or not all', async () => {
    const started = ['', 'GET /v1/status HT', 'POST /v1/query HTTP/1.1\r\nhost: localhost\r\n'];
    const ends = started.map(
      (text) =>
        new Promise((resolve) => {
          const socket = connect(port, '127.0.0.1', () => void socket.write(text));
          socket
            .on('error', () => undefined)
            .on('close', resolve)
            .resume();
        }),
    );
    await Promise.all(ends);
    expect(await statusOf('/v1/status')).toBe(200);
  });

  it('holds no more answers that nobody reads than one share each, and others are answered meanwhile', async () => {
    const sql =
      'with recursive n(i) as (select 1 union all select i + 1 from n where i < 7) select hex(zeroblob(1000000)) from n';
    const body = JSON.stringify({ sql, timeoutMs: 20_000 });
    const before = residentBytes(agent);
    const unread: ClientRequest[] = [];
    const codes = await Promise.all(
      Array.from(
        { length: 8 },
        () =>
          new Promise<number>((resolve, reject) => {
            const call = request({ host: '127.0.0.1', port, path: '/v1/query', method: 'POST' }, (response) => {
              response.pause();
              resolve(response.statusCode ?? 0);
            });
            unread.push(call.on('error', reject));
            call.end(body);
          }),
      ),
    );
    expect(codes.filter((code) => code === 200)).toHaveLength(2);
    expect(codes.filter((code) => code === 503)).toHaveLength(6);
    const small = {
      method: 'POST',
      body: JSON.stringify({ sql: 'select 1', timeoutMs: 5_000 }),
      headers: bearing(await tokenOf()),
    };
    expect(await statusOf('/v1/query', small)).toBe(200);
    // Two of 14 MB that are not read, and three that are made at a time, in a few forms each; each of the eight was 14 MB once.
    expect(residentBytes(agent) - before).toBeLessThan(400_000_000);
    for (const call of unread) call.on('error', () => undefined).destroy();
    await eventually(
      'there to be room',
      async () => (await statusOf('/v1/query', { method: 'POST', body })) === 200 || undefined,
    );
  });

  it('gives back the share of who hung up before the answer came', async () => {
    const sql =
      'with recursive n(i) as (select 1 union all select i + 1 from n where i < 7) select hex(zeroblob(1000000)) from n';
    const body = JSON.stringify({ sql, timeoutMs: 20_000 });
    const impatient = (): Promise<void> =>
      new Promise((resolve) => {
        const call = request({ host: '127.0.0.1', port, path: '/v1/query', method: 'POST' });
        call.on('error', () => resolve());
        call.end(body, () => setTimeout(() => call.destroy(), 10));
      });
    for (let i = 0; i < 5; i++) await impatient();
    // It comes after theirs, which are large enough to leave nothing.
    expect(await statusOf('/v1/query', { method: 'POST', body })).toBe(200);
    expect(await statusOf('/v1/query', { method: 'POST', body })).toBe(200);
  });

  it('answers what comes together on a connection one by one, so often a second, and hangs up on who takes none of it', async () => {
    const asked = (times: number): Promise<string> =>
      new Promise((resolve) => {
        let text = '';
        const socket = connect(port, '127.0.0.1', () =>
          socket.write('GET /v1/tables HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(times)),
        );
        socket.setTimeout(2_000, () => socket.destroy());
        socket.on('error', () => undefined).on('close', () => resolve(text));
        socket.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
      });
    const count = (text: string, status: number): number => text.split(`HTTP/1.1 ${status} `).length - 1;
    expect(count(await asked(30), 200)).toBe(30);
    // More than may wait.
    expect(count(await asked(1_000), 200)).toBeLessThanOrEqual(33);
    const many = await Promise.all(Array.from({ length: 20 }, () => asked(30)));
    expect(many.reduce((sum, text) => sum + count(text, 429), 0)).toBeGreaterThan(100);
    // Others have a share of their own.
    expect(await statusOf('/v1/status', { headers: bearing(await tokenOf()) })).toBe(200);
    await eventually('there to be room', async () => (await statusOf('/v1/status')) === 200 || undefined);
  });

  it('says no more than it answers of a connection that is kept, and takes no large body without a token', async () => {
    const agentOfMany = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 15; i++)
      await new Promise((resolve, reject) =>
        request({ host: '127.0.0.1', port, path: '/v1/members', agent: agentOfMany }, (response) =>
          response.resume().on('end', resolve),
        )
          .on('error', reject)
          .end(),
      );
    agentOfMany.destroy();
    expect(RealSwarm.outputOf(agent)).not.toContain('MaxListenersExceededWarning');
    expect(await statusOf('/v1/query', { method: 'POST', body: JSON.stringify({ sql: ' '.repeat(70_000) }) })).toBe(400);
  });

  it('has room for one who asks where others only hold connections', async () => {
    const held = await Promise.all(
      Array.from(
        { length: 520 },
        () =>
          new Promise<Socket>((resolve) => {
            const socket = connect(port, '127.0.0.1', () => resolve(socket));
            socket.on('error', () => undefined);
          }),
      ),
    );
    expect(await statusOf('/v1/status')).toBe(200);
    for (const socket of held) socket.destroy();
  });

  it('ends a statement that runs wild after five seconds, whatever time it was given: the others wait for that', async () => {
    const sql = 'with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n';
    const { status, text } = await get('/v1/query', { method: 'POST', body: JSON.stringify({ sql, timeoutMs: 60_000 }) });
    expect([status, text]).toEqual([400, expect.stringContaining('took longer than 5000 ms')]);
  });

  it('can be read on loopback; for more it needs a token that reaches so far', async () => {
    expect(await statusOf('/v1/status')).toBe(200);
    const halt = { method: 'POST', body: JSON.stringify({ reason: 'a test' }) };
    expect([await statusOf('/v1/halt', halt), await statusOf('/v1/leave', { method: 'POST', body: '{}' })]).toEqual([403, 403]);
    const [read, operate] = [await tokenOf(), await tokenOf('--scope', 'operate', '--name', 'ops')];
    expect(await statusOf('/v1/halt', { ...halt, headers: bearing(read) })).toBe(403);
    expect(await statusOf('/v1/halt', { ...halt, headers: bearing(operate) })).toBe(200);
    expect(await statusOf('/v1/resume', { method: 'POST', headers: bearing(operate) })).toBe(200);
    expect(await statusOf('/v1/members/solo/revocation', { method: 'POST', body: '{}', headers: bearing(operate) })).toBe(403);
    expect(await statusOf('/v1/status', { headers: bearing(operate.slice(0, -1) + (operate.endsWith('0') ? '1' : '0')) })).toBe(
      401,
    );
    const listed = await kalos('api-token', 'list', '--dir', agent.directory, '-o', 'json');
    expect(listed.stdout).not.toContain(operate.split('_')[2]);
    const { tokens } = JSON.parse(listed.stdout) as { tokens: { id: string; name: string }[] };
    await kalos('api-token', 'revoke', tokens.find(({ name }) => name === 'ops')?.id ?? '', '--dir', agent.directory);
    expect(await statusOf('/v1/halt', { ...halt, headers: bearing(operate) })).toBe(401);
    const short = await tokenOf('--ttl', '1s');
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect(await statusOf('/v1/status', { headers: bearing(short) })).toBe(401);
  });

  it('shows without a token what every user of the machine may see, and no more', async () => {
    const ask = (sql: string, headers: Record<string, string> = {}) =>
      get('/v1/query', { method: 'POST', headers, body: JSON.stringify({ sql }) });
    for (const sql of [
      'select node, state from nodes',
      'select pid, name, cpu from processes',
      'select name, value from metrics',
    ])
      expect((await ask(sql)).status).toBe(200);
    for (const sql of [
      "select sha256 from hash where path = '/etc/shadow'",
      'select cmdline from processes',
      'select * from crontab',
    ]) {
      expect([(await ask(sql)).status, (await ask(sql)).text]).toEqual([400, expect.stringContaining('needs an API token')]);
      expect((await ask(sql, bearing(await tokenOf()))).status).toBe(200);
    }
    expect([await statusOf('/v1/tokens'), await statusOf('/v1/audit/records/last/5')]).toEqual([403, 403]);
  });

  it('asks more than to look of every route that changes something', () => {
    const open = ROUTES.filter(({ method, scope }) => method === 'POST' && scope === 'look').map(({ path }) => path);
    expect(open.sort()).toEqual(['/v1/log', '/v1/log/{index}', '/v1/nova/read', '/v1/query']);
    const admin = ROUTES.filter(({ scope }) => scope === 'admin').map(({ path }) => path);
    for (const path of ['/v1/tokens', '/v1/leave', '/v1/root/commit', '/v1/stop', '/v1/api-tokens', '/v1/network-key'])
      expect(admin).toContain(path);
  });

  it('does not answer pages of other sites, whatever name they gave it', async () => {
    const foreign: Record<string, string>[] = [
      { host: 'evil.example' },
      { origin: 'https://evil.example' },
      { host: '127.0.0.1.evil.example' },
      { origin: 'null' },
    ];
    for (const headers of foreign) expect(await statusOf('/v1/status', { headers })).toBe(401);
    expect(await statusOf('/v1/status', { headers: { host: `localhost:${port}`, origin: `http://localhost:${port}` } })).toBe(
      200,
    );
  });

  it('serves a small page that needs nothing from elsewhere', async () => {
    const [page, script, style] = await Promise.all(['/', '/app.js', '/style.css'].map((path) => get(path)));
    expect([page?.type, script?.type, style?.type]).toEqual([
      expect.stringContaining('text/html'),
      expect.stringContaining('text/javascript'),
      expect.stringContaining('text/css'),
    ]);
    for (const { text } of [page, script, style] as Got[])
      expect(text.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:\/\//);
    expect(await statusOf('/../package.json')).toBe(404);
    expect(RealSwarm.outputOf(agent)).toContain(`web UI     http://127.0.0.1:${port}\n`);
  });

  it('tells Prometheus, line by line as it reads them', async () => {
    const { text, type } = await get('/metrics');
    expect(type).toContain('version=0.0.4');
    const lines = text.trimEnd().split('\n');
    const families = new Set<string>();
    for (const line of lines) {
      const typed = line.match(/^# TYPE ([a-zA-Z_:][\w:]*) gauge$/)?.[1];
      if (typed !== undefined) {
        expect(families.has(typed)).toBe(false);
        families.add(typed);
        continue;
      }
      if (line.startsWith('# HELP ')) continue;
      const name = line.match(
        /^([a-zA-Z_:][\w:]*)(?:\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\.)*",?)*\})? -?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/,
      )?.[1];
      expect([line, families.has(name ?? '')]).toEqual([line, true]);
    }
    expect(text).toMatch(/^kalos_members\{state="alive"\} 1$/m);
    expect(text).toMatch(/^system_memory_utilization_ratio 0\.\d+$/m);
  });

  it.runIf(existsSync('/usr/bin/promtool'))('pleases promtool', async () => {
    const { text } = await get('/metrics');
    execFileSync('/usr/bin/promtool', ['check', 'metrics'], { input: text, stdio: 'pipe' }); // throws with what it says
  });

  it('tells of changes as they come, over the socket too', async () => {
    const events: string[] = [];
    const call = request({ host: '127.0.0.1', port, path: '/v1/watch/members' }, (response) =>
      response.setEncoding('utf8').on('data', (text: string) => events.push(text)),
    );
    call.on('error', () => undefined).end();
    const watching = spawn(KALOS, ['watch', 'members', '--dir', agent.directory, '-o', 'json']);
    const printed: string[] = [];
    watching.stdout.setEncoding('utf8').on('data', (text: string) => printed.push(text));
    await eventually('it to listen', () => events.join('').includes(': listening') || undefined);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await swarm.start('other', '');
    await eventually(
      'both to be told',
      () =>
        (/"subject":"other","text":"alive"/.test(events.join('')) && /"subject":"other","text":"alive"/.test(printed.join(''))) ||
        undefined,
    );
    call.destroy();
    watching.kill('SIGINT');
    expect(await statusOf('/v1/watch/nothing')).toBe(404);
  });
});

describe('the library, at an address', () => {
  it('does what docs/API.md shows, word by word', async () => {
    const text = readFileSync(join(import.meta.dirname, '../../docs/API.md'), 'utf8');
    const [, example = ''] = text.match(/```js\n(.+?)```/s) ?? [];
    const code = example.replaceAll('127.0.0.1:9090', `127.0.0.1:${port}`).replaceAll('/var/lib/kalos', agent.directory);
    const env = { ...process.env, KALOS_API_TOKEN: await tokenOf() };
    const options = { cwd: join(import.meta.dirname, '../..'), env, encoding: 'utf8' } as const;
    const printed = await new Promise<string>((resolve, reject) =>
      execFile(process.execPath, ['--input-type=module', '-e', code], options, (error, out) =>
        error === null ? resolve(out) : reject(error),
      ),
    );
    expect(printed).toMatch(/^solo is in mode observe; ready: (True|Unknown)$/m);
    expect(printed).toMatch(/\[ 'solo', 'alive' \]/);
    expect(printed).toMatch(/^\d+ incidents$/m);
    expect(printed).toMatch(/^refused this needs a token of scope operate/m);
  });

  it('says what is wrong with an address, a token, or both ways at once', async () => {
    const calls: [ConstructorParameters<typeof KalosClient>[0], string, RegExp][] = [
      [{ address: 'web-1' }, 'usage', /^address web-1 is not a URL/],
      [{ address: `http://127.0.0.1:${port}`, token: 'a b' }, 'usage', /^token is not a valid token/],
      [{ address: 'http://192.0.2.1:9090', token: 'x' }, 'usage', /others could read the token/],
      [{ address: 'https://127.0.0.1:1', ca: '/nowhere' }, 'usage', /^ca \/nowhere cannot be read/],
      [{ address: `http://127.0.0.1:${port}`, token: 'kapi_none' }, 'refused', /^a token is required/],
      [{ address: 'http://127.0.0.1:1' }, 'not-running', /no agent runs on http:\/\/127.0.0.1:1/],
    ];
    for (const [options, code, message] of calls)
      await expect(new KalosClient(options).status()).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(() => new KalosClient({ directory: '/d', address: 'http://a' })).toThrow(/both directory \/d and address http:\/\/a/);
  });

  it('answers every failure before a route as the description has it', async () => {
    const failures: [number, Got][] = [
      [401, await get('/v1/status', { headers: bearing('kapi_none') })],
      [403, await get('/v1/halt', { method: 'POST', body: '{}' })],
      [404, await get('/v1/nothing')],
      [405, await get('/v1/status', { method: 'DELETE' })],
      [400, await get('/v1/members/%zz')],
      [400, await get('/v1/incidents?limit=none')],
      [400, await get('/v1/query', { method: 'POST', body: '{' })],
      [404, await get('/v1/watch/nothing')],
    ];
    for (const [status, got] of failures) {
      expect([got.status, got.type]).toEqual([status, 'application/json']);
      expect(problemSchema.safeParse(JSON.parse(got.text)).error).toBeUndefined();
    }
  });
});

describe('an agent at an address', () => {
  it.runIf(hasOpenssl)('is asked from elsewhere, over TLS, with a token (openssl)', async () => {
    const there = await freePort();
    const tls = { KALOS_API_LISTEN: `127.0.0.1:${there}`, KALOS_API_CERTIFICATE: certificate, KALOS_API_KEY: key };
    const remote = new RealSwarm(tls);
    try {
      const far = await remote.start('far', '');
      const token = (await kalos('api-token', 'create', '--scope', 'operate', '--dir', far.directory)).stdout.trim();
      const ask = (environment: Record<string, string>, ...args: string[]) =>
        new Promise<{ code: number; out: string }>((resolve) => {
          const env = { ...process.env, KALOS_ADDRESS: `https://127.0.0.1:${there}`, ...environment };
          const child = spawn(KALOS, args, { env });
          let out = '';
          for (const stream of [child.stdout, child.stderr])
            stream.setEncoding('utf8').on('data', (text: string) => {
              out += text;
            });
          child.on('exit', (code) => resolve({ code: code ?? 1, out }));
        });
      const sql = ['query', 'select node from nodes', '-o', 'csv'];
      expect(await ask({ KALOS_CA: certificate, KALOS_API_TOKEN: token }, ...sql)).toEqual({
        code: 0,
        out: expect.stringContaining('node\nfar\n'),
      });
      const tokenFile = join(far.directory, 'token-for-others');
      writeFileSync(tokenFile, `${token}\n`);
      const flags = ['--address', `https://127.0.0.1:${there}`, '--ca', certificate, '--token-file', tokenFile];
      expect((await ask({ KALOS_ADDRESS: 'http://192.0.2.1:9090' }, ...sql, ...flags)).code).toBe(0);
      expect(await ask({}, ...sql, '--token-file', '/nowhere')).toEqual({
        code: 2,
        out: expect.stringContaining('--token-file /nowhere cannot be read: No such file'),
      });
      expect(await ask({ KALOS_CA: certificate }, 'stop-all')).toMatchObject({
        code: 5,
        out: expect.stringContaining('token of scope operate'),
      });
      expect((await ask({ KALOS_API_TOKEN: token }, ...sql)).out).toContain('has an untrusted certificate');
      const plain = await ask({ KALOS_ADDRESS: 'http://192.0.2.1:9090', KALOS_API_TOKEN: token }, ...sql);
      expect(plain).toEqual({ code: 2, out: expect.stringContaining('others could read the token') });
    } finally {
      await remote.stop();
    }
  });

  it('does not listen for others without TLS', () => {
    const names = [
      '127.0.0.1:9090',
      '[::1]:9090',
      'localhost',
      '127.evil.example:9090',
      'localhost.evil.example',
      '0.0.0.0:9090',
    ];
    expect(names.map(isLoopback)).toEqual([true, true, true, false, false, false]);
    const given = { origin: '/etc/kalos/kalos.toml', document: { api: { listen: '0.0.0.0:9090' } } };
    expect(() => resolveConfig([given])).toThrow(
      /api.listen = "0.0.0.0:9090": listening on a non-loopback address needs certificate and key/,
    );
  });
});
