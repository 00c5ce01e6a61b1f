// Fifty secrets are planted in a real agent: values of services' environments, join tokens, tokens of the API, keys. Then it is looked for each of them
// in what an agent says and leaves: every route, every table, what commands print, logs, processes' arguments, files that others may read.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROUTES } from '../../node/api/routes.ts';
import type { Incident } from '../../node/detection/incident.ts';
import { TABLES } from '../../node/query/catalogue/catalogue.ts';
import { freePort, kalos, type RealAgent, RealSwarm } from '../support/agents.ts';
import { ask } from '../support/ask.ts';
import { eventually } from '../support/clock.ts';

const port = await freePort();
const swarm = new RealSwarm({ KALOS_API_LISTEN: `127.0.0.1:${port}` }, undefined, ['--private']);
const secrets = new Map<string, string>();
let agent: RealAgent;
let incident: Incident;

const plant = (what: string, text: string): string => {
  secrets.set(text, what);
  return text;
};

/** Ends with its value in its environment: there is an incident, a plan, and a story. */
function service(nth: number): string {
  const values = Array.from(
    { length: 7 },
    (_, i) => `S${i} = "${plant(`service ${nth}, S${i}`, `planted-${nth}-${i}-${'x9q'.repeat(4)}`)}"`,
  );
  return `[[service]]\nname = "app${nth}"\ncommand = ["sleep", "600"]\nenvironment = { ${values.join(', ')} }\n`;
}

beforeAll(async () => {
  agent = await swarm.start('vault', `mode = "act"\n${Array.from({ length: 5 }, (_, nth) => service(nth)).join('')}`);
  for (let i = 0; i < 6; i++) plant(`join token ${i}`, await swarm.token(agent));
  for (let i = 0; i < 5; i++)
    plant(`API token ${i}`, (await kalos('api-token', 'create', '--dir', agent.directory)).stdout.trim().split('_')[2] ?? '');
  plant('network key', readFileSync(join(agent.directory, 'network.key'), 'utf8').trim());
  const roots = readdirSync(join(agent.directory, 'root')).map((name) => join('root', name));
  for (const name of ['agent.key', ...roots]) {
    // A header of four bytes, the private half, the public one.
    const half = readFileSync(join(agent.directory, name)).subarray(4, 36);
    for (const form of ['hex', 'base64url', 'latin1'] as const) plant(`${name}, ${form}`, half.toString(form));
  }
  const [{ pid } = { pid: 0 }] = (await swarm.status(agent)).services;
  if (typeof pid === 'number' && pid > 1) process.kill(pid, 'SIGKILL');
  incident = await eventually('a story', async () =>
    (await ask<Incident[]>(agent.directory, '/v1/incidents')).find(({ outcome }) => outcome !== ''),
  );
});
afterAll(() => swarm.stop());

/** Which secrets are in a text. */
const told = (text: string): string[] => [...secrets].filter(([secret]) => text.includes(secret)).map(([, what]) => what);

describe('fifty secrets', () => {
  it('are planted', () => {
    expect(secrets.size).toBeGreaterThanOrEqual(50);
    expect(told(`before ${[...secrets.keys()][3]} after`)).toHaveLength(1);
  });

  it('are in no answer of any route that is read', async () => {
    const found: string[] = [];
    for (const { method, path } of ROUTES.filter((route) => route.method === 'GET')) {
      const whole = path.replace(/\{(id|node|name)\}/, path.includes('members') ? 'vault' : incident.id).replace(/\{\w+\}/, '5');
      found.push(...told(JSON.stringify(await ask(agent.directory, whole))).map((what) => `${method} ${path}: ${what}`));
    }
    found.push(...told(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()).map((what) => `/metrics: ${what}`));
    expect(found).toEqual([]);
  });

  it('are in no row of any table', async () => {
    const found: string[] = [];
    for (const { name, needs } of TABLES) {
      const where = needs === undefined ? '' : ` where directory = '${agent.directory}'`;
      const answer = await ask(agent.directory, '/v1/query', {
        sql: `select * from ${name}${where}`,
        timeoutMs: 20_000,
        mode: 'local',
      });
      found.push(...told(JSON.stringify(answer)).map((what) => `${name}: ${what}`));
    }
    expect(found).toEqual([]);
  });

  it.each([
    ['status'],
    ['config', 'show', '--origin'],
    ['incidents'],
    ['explain', 'INCIDENT'],
    ['audit', 'list'],
    ['token', 'list'],
    ['api-token', 'list'],
    ['members'],
    ['tools'],
    ['doctor'],
    ['logs', 'app0'],
    ['act', 'service.restart', 'service=app1', '--dry-run'],
  ])('are not printed by kalos %s', async (...words) => {
    const args = words.map((word) => (word === 'INCIDENT' ? incident.id : word));
    for (const form of [[], ['-o', 'json']]) {
      const { stdout, stderr } = await kalos(...args, ...form, '--dir', agent.directory);
      expect([args, told(stdout + stderr)]).toEqual([args, []]);
    }
  });

  it('are in no log, in no arguments, and in no file that others may read', () => {
    const found = told(agent.output.join('')).map((what) => `its output: ${what}`);
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
      try {
        found.push(...told(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).map((what) => `arguments of ${pid}: ${what}`));
      } catch {
        // it has ended
      }
    for (const path of readdirSync(agent.directory, { recursive: true, encoding: 'utf8' })) {
      const whole = join(agent.directory, path);
      const at = statSync(whole, { throwIfNoEntry: false });
      if (at?.isFile() === true && (at.mode & 0o044) !== 0)
        found.push(...told(readFileSync(whole, 'latin1')).map((what) => `${path}: ${what}`));
    }
    expect(found).toEqual([]);
  });
});
