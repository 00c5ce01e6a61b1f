// The local API: described by itself, and used as a library.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callAgent } from '../../node/api/client.ts';
import { failuresOf } from '../../node/api/openapi.ts';
import { problemSchema, type Route } from '../../node/api/route.ts';
import { ROUTES } from '../../node/api/routes.ts';
import { KalosClient } from '../../node/sdk/client.ts';
import { kalos, type RealAgent, RealSwarm } from '../support/agents.ts';
import { asked } from '../support/ask.ts';
import { eventually } from '../support/clock.ts';
import { requestsOf } from '../support/every-route.ts';

const swarm = new RealSwarm();
let agent: RealAgent;
beforeAll(async () => {
  const script = 'sleep 4; echo fine; echo ERROR: the cake is a lie; exec sleep 600';
  agent = await swarm.start(
    'solo',
    `[[question]]\nname = "mine"\nasks = "What is mine?"\nsql = "select name from services"\n[[service]]\nname = "teller"\ncommand = ["sh", "-c", "${script}"]\nalert = "ERROR|panic"\n`,
  );
});
afterAll(() => swarm.stop());

describe('a service’s log', () => {
  it('is watched for what was asked', async () => {
    const found = await eventually('the finding', async () => {
      const incidents = await new KalosClient({ directory: agent.directory }).incidents();
      return incidents.find(({ policy }) => policy === 'service-log-alert');
    });
    expect(found.target).toBe('teller');
    expect(found.steps[0]?.data).toMatchObject({ 'service.last_match': 'ERROR: the cake is a lie', 'service.log_matches': 1 });
  });
});

describe('the local API', () => {
  const client = () => new KalosClient({ directory: agent.directory });

  it('describes itself in OpenAPI: every route, its parameter and its body', async () => {
    const described = await callAgent<{
      openapi: string;
      paths: Record<
        string,
        Record<string, { parameters?: { name: string; in: string }[]; requestBody?: unknown; summary: string }>
      >;
    }>(agent.directory, 'GET', '/v1/openapi.json');
    expect(described.openapi).toBe('3.1.0');
    for (const { path, method, body } of ROUTES) {
      const operation = described.paths[path]?.[method.toLowerCase()];
      expect(operation?.summary, path).not.toBe('');
      const inPath = operation?.parameters?.filter((one) => one.in === 'path') ?? [];
      expect(
        inPath.map(({ name }) => `{${name}}`),
        path,
      ).toEqual(path.match(/\{.+\}/g) ?? []);
      expect(operation?.requestBody !== undefined, path).toBe(body !== undefined);
    }
  });

  it('takes paths that had another name in the release before', async () => {
    const draft = (path: string) => asked(agent.directory, 'POST', path, {});
    expect(await draft('/v1/orders/draft')).toEqual(await draft('/v1/changes/draft'));
    expect((await draft('/v1/orders/draft')).status).toBe(400);
  });

  it('is a library', async () => {
    expect((await client().status()).name).toBe('solo');
    expect(await client().incidents()).toEqual(expect.any(Array));
    expect((await client().query('select node from nodes')).rows).toEqual([['solo']]);
    expect((await client().query('select 1 from kernel_info', { mode: 'local', timeoutMs: 4_000 })).mode).toBe('local');
    expect((await client().members()).map(({ name, state }) => [name, state])).toEqual([['solo', 'alive']]);
    expect((await client().tables()).find(({ name }) => name === 'psi')?.columns.map(({ name }) => name)).toContain('avg10');
    expect((await client().questions()).map(({ name }) => name)).toEqual(expect.arrayContaining(['unwell', 'mine']));
    const mine = await kalos('query', '--ask', 'mine', '-o', 'csv', '--dir', agent.directory);
    expect([mine.code, mine.stdout]).toEqual([0, 'name\nteller\n']);
    expect((await kalos('query', '--ask', 'mien', '--dir', agent.directory)).stderr).toMatch(/did you mean mine/);
    expect(await client().createToken({ ttlMs: 60_000 })).toMatch(/^kalos1\./);
    expect((await client().act([{ tool: 'sysctl.get', key: 'kernel.ostype' }], { reason: 'a test' })).result).toBe('read');
    await expect(client().recording('inc-0000000000')).rejects.toMatchObject({ code: 'not-found' });
    await expect(client().applyPolicies([{ name: 'x', when: '1 +', summary: 'x' }])).rejects.toMatchObject({ code: 'usage' });
    const { fine } = await client().past('system.memory.utilization');
    expect(fine.values.at(-1)).toBeGreaterThan(0);
  });

  it('keeps series beyond the catalogue, and shows what they were', async () => {
    const series = await eventually('series', async () => {
      const all = await client().series();
      return all.includes('system.memory.utilization') ? all : undefined;
    });
    expect(series.some((name) => /^process\.memory\.usage\{.+-\d+\}$/.test(name))).toBe(true);
    const shown = await kalos('metrics', 'system.memory', '--history', '--dir', agent.directory);
    expect(shown.stdout).toMatch(/system\.memory\.utilization +[▁▂▃▄▅▆▇█]+/);
    const csv = await kalos('metrics', 'system.memory', '--history', '--dir', agent.directory, '-o', 'csv');
    expect(csv.stdout).toMatch(/^series,ten minutes/);
  });

  it('answers each route as its schema says, failures too', async () => {
    const incident = await eventually('an incident', async () => (await client().incidents())[0]?.id);
    const { name, peer } = await client().status();
    const requests = requestsOf({ name, peer, incident, series: 'system.memory.utilization' });
    expect(Object.keys(requests).sort()).toEqual(ROUTES.map(({ method, path }) => `${method} ${path}`).sort());
    const answers = new Map<string, unknown>();
    const wrong: unknown[] = [];
    for (const [route, made] of Object.entries(requests)) {
      const [method, own = ''] = route.split(' ');
      const { path = own, body, status = 200 } = typeof made === 'function' ? made((named) => answers.get(named) as never) : made;
      const declared = ROUTES.find((one) => one.method === method && one.path === own) as Route;
      const got = await asked(agent.directory, method ?? '', path, body);
      answers.set(route, got.body);
      const { error } = (got.status === 200 ? declared.answer : problemSchema).safeParse(got.body);
      if (error !== undefined) wrong.push([route, error.issues]);
      if (got.status !== status) wrong.push([route, got]);
      if (got.status !== 200 && !failuresOf(declared).includes(got.status as never))
        wrong.push([route, `${got.status} is not declared`]);
    }
    expect(wrong).toEqual([]);
    // What a list holds is looked at too, where it holds something.
    const empty = [...answers].filter(([, body]) =>
      /^(\[\]|\{"\w+":\[\]\}|\{"items":\[\],"next":null\})$/.test(JSON.stringify(body)),
    );
    expect(empty.map(([route]) => route)).toEqual(['GET /v1/cases']);
  });
});
