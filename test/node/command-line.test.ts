// The command line at its edges, over all of its commands as it lists them itself: forms of output that parse, exit codes as their table has
// them, mistakes that are said on one line, and what is said of members.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { findPackage } from '../../node/adapters/package.ts';
import type { Agent } from '../../node/agent/agent.ts';
import type { FeedEvent } from '../../node/api/feed.ts';
import { csvLine } from '../../node/cli/data.ts';
import { EXIT, exitsPage, exitsText, unknownExits } from '../../node/cli/exit-codes.ts';
import { FORMATS, type Format } from '../../node/cli/output.ts';
import { when } from '../../node/cli/times.ts';
import { renderChange } from '../../node/cli/watch.ts';
import { stateDirectory } from '../../node/config/adapters/state-directory.ts';
import { counted } from '../../swarm/words.ts';
import { kalos, type RealAgent, RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';

const AT_ONCE = 3;
/** A wide table is a table. */
const FORMS = FORMATS.filter((format) => format !== 'wide');
const place = mkdtempSync(join(tmpdir(), 'kalos-command-line-'));
const swarm = new RealSwarm();
let agent: RealAgent;
/** What each command can be followed by, by its path: as its own completion script has it. */
let words = new Map<string, string[]>();
const leaves = (): string[] =>
  [...words.keys()].filter((path) => path !== '' && ![...words.keys()].some((other) => other.startsWith(`${path} `)));

beforeAll(async () => {
  agent = await swarm.start('solo', '[[service]]\nname = "web"\ncommand = ["sleep", "600"]\n');
  const { stdout } = await kalos('completion', 'bash');
  words = new Map(
    [...stdout.matchAll(/^ {4}'([^']*)'\) words='([^']*)' ;;$/gm)].map(([, path = '', all = '']) => [path, all.split(' ')]),
  );
});
afterAll(async () => {
  await swarm.stop();
  rmSync(place, { recursive: true });
});

const here = (...args: string[]) => kalos(...args, '--dir', agent.directory);

/** Few at a time: each is a process. */
async function each<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const waiting = [...all];
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) await work(one);
    }),
  );
}

/** Rows of cells. @throws where it is no CSV with line feeds alone. */
function fromCsv(text: string): string[][] {
  if (text.includes('\r')) throw new Error('it has carriage returns');
  if (!text.endsWith('\n')) throw new Error('its last line has no end');
  const rows: string[][] = [[]];
  for (const [all, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n)/g)) {
    if (all === '') break;
    rows.at(-1)?.push(quoted?.replaceAll('""', '"') ?? plain ?? '');
    if (end === '\n') rows.push([]);
  }
  rows.pop();
  if (new Set(rows.map((row) => row.length)).size > 1) throw new Error('its rows are not equally long');
  if (rows.map((row) => csvLine(row)).join('') !== text) throw new Error('it is not quoted as CSV is');
  return rows;
}

const PARSED: Record<Format, (text: string) => unknown> = {
  json: (text) => expect(JSON.parse(text)).toMatchObject({ outputVersion: 1 }),
  yaml: (text) => expect(parse(text)).toMatchObject({ outputVersion: 1 }),
  csv: (text) => expect(fromCsv(text)[0]?.length).toBeGreaterThan(1),
  table: (text) => expect(text).not.toMatch(/^(\{|outputVersion)/),
  wide: (text) => expect(text).not.toMatch(/^(\{|outputVersion)/),
};

/** Times in another form than that of who reads it: for people `2026-11-30 13:04:05`, for programs ISO 8601 in UTC with ms. */
function otherTimes(text: string, format: Format): string[] {
  const forPeople = format === 'table' || format === 'wide';
  const good = forPeople ? /\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b/g : /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g;
  const rest = text.replaceAll(good, 'TIME');
  const bare = forPeople ? (rest.match(/.*\b1[78]\d{11}\b.*/g) ?? []) : []; // ms since 1970
  return [...(rest.match(/.*(\d{4}-\d\d-\d\d|\b\d\d:\d\d:\d\d\b|\bUTC\b).*/g) ?? []), ...bare];
}

/** What those with arguments are asked with. */
const ARGUMENTS: Record<
  string,
  (known: { incident: string; plan: string; proof: string; decision: string; scenario: string }) => string[]
> = {
  query: () => ['select node, name from services'],
  explain: ({ incident }) => [incident],
  'members show': () => ['solo'],
  'log show': ({ decision }) => [decision],
  'policy show': () => ['disk-full'],
  'policy test': () => ['disk-full'],
  act: () => ['service.restart', 'service=web', '--dry-run'],
  rollback: ({ plan }) => [plan],
  'audit check': ({ proof }) => [proof],
  'audit list': () => ['--last', '3'],
  'sim run': ({ scenario }) => [scenario],
  'sim replay': ({ scenario }) => ['1@50', '--scenario', scenario],
};
/** Which starts agents of its own, one that does not end, whose lines are looked at below, and one that lists what `approve` does. */
const ELSEWHERE = ['sim real', 'watch', 'reject'];

describe('forms of output', () => {
  it('are the same for every command that has them, and parse', async () => {
    await here('policy', 'add', 'always', "metrics['system.process.count'] > 0.0", 'alert');
    const incident = await eventually('an incident', async () => (await swarm.status(agent)).openIncidents[0]?.id);
    const acted = JSON.parse((await here('act', 'service.restart', 'service=web', '-o', 'json')).stdout) as { plan: string };
    const proof = join(place, 'proof.json');
    writeFileSync(proof, (await here('audit', 'prove', '0')).stdout);
    const scenario = join(place, 'short.toml');
    writeFileSync(scenario, 'name = "short"\ndescription = "d"\nnodes = 2\nmin_nodes = 2\nduration = "10s"\ncalm = "5s"\n');
    const log = JSON.parse((await here('log', '-o', 'json')).stdout) as { decisions: { index: number }[] };
    const decision = String(log.decisions[0]?.index);
    const asked = leaves().filter((path) => words.get(path)?.includes('--output') && !ELSEWHERE.includes(path));
    expect(asked.length).toBeGreaterThan(30);
    const wrong: string[] = [];
    const cells = asked.flatMap((path) => FORMS.map((format) => [path, format] as const));
    await each(cells, async ([path, format]) => {
      const given = [
        ...path.split(' '),
        ...(ARGUMENTS[path]?.({ incident, plan: acted.plan, proof, decision, scenario }) ?? []),
        '-o',
        format,
      ];
      const hasAgent = words.get(path)?.includes('--dir') === true;
      const { code, stdout, stderr } = await (hasAgent ? here(...given) : kalos(...given));
      try {
        // A plan is rolled back once; after that its refusal is no answer in any form.
        if (path === 'rollback' && code === EXIT.usage) return;
        expect([EXIT.ok, EXIT.degraded]).toContain(code);
        PARSED[format](stdout);
        // It describes times, and shows none.
        if (path !== 'tables') expect(otherTimes(stdout, format)).toEqual([]);
      } catch (error) {
        wrong.push(
          `${path} -o ${format}: ${code} ${stderr.slice(0, 100)} ${(error as Error).message.split('\n')[0]}: ${stdout.slice(0, 80)}`,
        );
      }
    });
    expect(wrong).toEqual([]);
  });

  it('a change that is watched has them too', () => {
    const event: FeedEvent = {
      atMs: 0,
      topic: 'incidents',
      subject: 'inc-1',
      text: 'open, "now"',
      data: { policy: 'p', summary: 's' },
    };
    expect(JSON.parse(renderChange(event, 'json'))).toEqual(event);
    expect(parse(renderChange(event, 'yaml'))).toEqual(event);
    expect(fromCsv(renderChange(event, 'csv'))).toEqual([
      ['1970-01-01T00:00:00.000Z', 'incidents', 'inc-1', 'open, "now"', '', 'p', '', 's'],
    ]);
    expect(renderChange(event, 'table')).toBe(`${when(0)}  inc-1  open, "now"  p s\n`);
  });

  it('incidents show when, and how bad', async () => {
    const [head = '', first = ''] = (await here('incidents')).stdout.split('\n');
    expect(head.split(/ {2,}/).slice(0, 3)).toEqual(['ID', 'OPENED', 'SEVERITY']);
    expect(first).toMatch(/^inc-\w+ +20\d\d-\d\d-\d\d \d\d:\d\d:\d\d +warning/);
  });
});

describe('exit codes', () => {
  it('are those of one table, in the help of every command and in the documentation', async () => {
    const all = leaves();
    expect(unknownExits(all)).toEqual([]);
    expect(readFileSync(join(findPackage().root, 'docs', 'EXIT-CODES.md'), 'utf8')).toBe(exitsPage(all));
    const without: string[] = [];
    await each(all, async (path) => {
      const { stdout } = await kalos(...path.split(' '), '--help');
      const help = stdout.replace(/\s+/g, ' ');
      if (!help.includes(exitsText(path).trim().replace(/\s+/g, ' '))) without.push(path);
      // A time has its unit, in what is given and in what is there without it.
      const unitless = help.match(/<(hours|minutes|seconds|ms)>|[<[]time[>\]] [^<[]*?\(default: \d+\)/)?.[0];
      if (unitless !== undefined) without.push(`${path}: ${unitless}`);
    });
    expect(without).toEqual([]);
  });

  it('2, on one line that says what is wrong and what to do, for every mistake of who asks', async () => {
    const scenario = join(place, 'bad.toml');
    writeFileSync(scenario, 'name = 3\nnodse = 5\n');
    const config = join(place, 'kalos.toml');
    writeFileSync(config, 'moed = "act"\n');
    const toml = join(place, 'toml.toml');
    writeFileSync(toml, 'name = = 3\n');
    const proof = join(place, 'none.json');
    writeFileSync(proof, '{"type": "inclusion", "size": "many"}');
    const cases: [string[], RegExp][] = [
      [['statsu'], /unknown command 'statsu'; did you mean status\?/],
      [['members', '--al'], /unknown option '--al'; did you mean --all\? see: kalos members list --help/],
      [['members', 'show'], /the argument <member> is missing; see: kalos members show --help/],
      [['status', '-o', 'xml'], /--output <format> = "xml": must be one of table, wide, json, yaml, csv/],
      [['log', '-n', '0'], /-n, --lines <n> = "0": must be a whole number from 1 to 256/],
      [['grant', 'act', '--node', 'solo'], /--tool <tool> is missing/],
      [['watch', 'nope'], /no topic nope; topics: members/],
      [['pause', 'nope'], /no member is called nope; see: kalos members/],
      [['query', '--ask', 'xyzzy-nope'], /no prepared query is called xyzzy-nope; see: kalos tables --questions/],
      [['query', 'selct 1'], /selct/],
      [['tables', 'node'], /no table is called node; did you mean nodes\? see: kalos tables/],
      [['metrics', 'nope'], /no metric name contains nope; see: kalos metrics/],
      [['cases', 'service-exitd'], /did you mean service-exited\?/],
      [['explain', 'inc-nope'], /inc-nope/],
      [['logs', 'wbe'], /no service is called wbe; did you mean web\? see: kalos status/],
      [['sim', 'run', 'clam'], /no scenario "clam"; did you mean calm\?/],
      [['sim', 'run', scenario], /bad\.toml: .*name = 3: must be a quoted string.*nodse: unknown key; did you mean "nodes"\?/],
      [['sim', 'run', 'storm', '--nodes', '1'], /--nodes 1 is too few: storm needs at least \d nodes/],
      [['config', 'show', '--config', config], /kalos\.toml:1: moed: unknown key; did you mean "mode"\? see docs/],
      [
        ['policy', 'delete', 'service-exited'],
        /is built in and cannot be deleted; turn it off with: kalos policy disable service-exited/,
      ],
      [['policy', 'delete', 'service-exitd'], /no policy is called service-exitd; did you mean service-exited\?/],
      [['policy', 'show', 'nope'], /no policy is called nope; see: kalos policy list/],
      [['policy', 'test', 'disk-ful'], /did you mean disk-full\?/],
      [
        ['silence', '--policy', 'service-exitd', '--for', '1h'],
        /no policy is called service-exitd; did you mean service-exited\?/,
      ],
      [['silence', '--policy', 'nope', '--for', '1h', '--everywhere'], /no policy is called nope; see: kalos policy list/],
      [['pause', 'sloo'], /no member is called sloo; did you mean solo\? see: kalos members/],
      [['members', 'show', 'slo'], /no member is called slo; did you mean solo\? see: kalos members/],
      [['grant', 'deny', '--node', 'solo', '--tool', 'service.restrat'], /did you mean service\.restart\? see: kalos tools/],
      [
        ['silence', '--target', 'wbe', '--for', '1h'],
        /no service, mount, metric or other target is called wbe; did you mean web\? see: kalos status, kalos incidents/,
      ],
      [['silence', '--target', 'wbe', '--for', '1h', '--everywhere'], /called wbe; did you mean web\?/],
      [['failover', 'nope'], /no service for fail-over is called nope; see: kalos nova status/],
      [['policy', 'add', 'x', 'metrics['], /policy x: Unexpected token: EOF, in column 9 of metrics\[/],
      [['query', 'select 1', '--timeout', '5 parsecs'], /must be a time from 1 ms to 1 min, such as 90s, 1h30m or 2d/],
      [['silence', '--target', '*', '--for', '1h'], /target = "\*": must be one target/],
      [
        ['act', 'service.restart'],
        /service\.restart: the argument service=… is missing: a quoted string; see: kalos tools service\.restart/,
      ],
      [
        ['act', 'service.restrat', 'service=web'],
        /no tool is called service\.restrat; did you mean service\.restart\? see: kalos tools/,
      ],
      [
        ['act', 'service.restart', 'service=web', 'sevice=x'],
        /service\.restart: sevice is not an argument of this tool; did you mean "service"\? see: kalos tools service\.restart/,
      ],
      [['act', 'process.renice', 'pid=x', 'nice=3'], /process\.renice: pid="x" must be a (whole )?number/],
      [['audit', 'check', proof], /is not a proof: .*; create one with: kalos audit prove/],
      [['audit', 'check', '/nonexistent'], /\/nonexistent is not a proof: No such file/],
      [['change', 'commit', proof], /is not a change: .*is missing.*; create one with: kalos change draft/],
      [['change', 'draft', 'service.restart', '--out', join(place, 'order.json')], /the argument service=… is missing/],
      [['sim', 'run', toml], /toml\.toml:1:\d+: /],
      [['budget', 'set', '--changes', '3'], /name one machine, or give --each/],
      [['man', 'nope'], /nope/],
    ];
    const wrong: string[] = [];
    await each(cases, async ([args, says]) => {
      const offline = ['sim', 'man', 'statsu'].includes(args[0] ?? '') || (args[0] === 'audit' && args[1] === 'check');
      const { code, stdout, stderr } = await (offline ? kalos(...args) : here(...args));
      const isLine = stdout === '' && stderr.startsWith('kalos: ') && stderr.trim().split('\n').length === 1;
      const isForeign = /Invalid (input|option|type)|✖|expected \w+, received|^error:|Error:/m.test(stderr);
      if (code !== EXIT.usage || !isLine || isForeign || !says.test(stderr))
        wrong.push(`${args.join(' ')}: ${code} ${stdout}${stderr}`);
    });
    expect(wrong).toEqual([]);
  });

  it('7 where the swarm has no leader, whatever is to be decided', async () => {
    const directory = join(place, 'minority');
    const { makeStateDirectory } = await import('../../node/config/adapters/state-directory.ts');
    const { deciding } = await import('../../node/api/decision-routes.ts');
    const { LogUnavailable } = await import('../../consensus/raft/requests.ts');
    makeStateDirectory(stateDirectory(directory));
    const { status, body } = await deciding(() => Promise.reject(new LogUnavailable('1 of 3 voters is reachable', false)));
    const minority = createServer((_request, response) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
    await new Promise<void>((resolve) => minority.listen(stateDirectory(directory).socket, resolve));
    for (const args of [
      ['pause', 'two'],
      ['drain', 'two'],
      ['wake', 'two'],
      ['budget', 'set', '--each', '--changes', '1'],
    ]) {
      const { code, stderr } = await kalos(...args, '--dir', directory);
      expect([args[0], code, stderr]).toEqual([args[0], EXIT.noQuorum, expect.stringContaining('the swarm cannot decide now')]);
    }
    minority.close();
    const { DECISION_ROUTES } = await import('../../node/api/decision-routes.ts');
    const transfer = DECISION_ROUTES.find(({ path }) => path === '/v1/nova/transfer');
    const alone = {
      swarm: { admission: { roster: { find: () => [{ subject: 'two' }] } } },
      committee: { coordinator: undefined },
    };
    const by = { level: 'admin', name: 'test' } as const;
    expect(
      await transfer?.handle(alone as unknown as Agent, { body: { node: 'two' }, query: {}, parameter: '', by }),
    ).toMatchObject({
      body: { code: 'no-quorum' },
    });
  });
});

describe('a policy of one line', () => {
  it('is added from the command line, with what it does; one that is there is not replaced', async () => {
    const added = await here(
      'policy',
      'add',
      'web-exited',
      "service.state == 'exited'",
      'service.restart',
      '--scope',
      'service',
      '--for',
      '5s',
    );
    expect([added.code, added.stdout]).toEqual([EXIT.ok, 'web-exited is active\n']);
    expect(JSON.parse((await here('policy', 'show', 'web-exited', '-o', 'json')).stdout)).toMatchObject({
      origin: 'live',
      scope: 'service',
      for_s: 5,
      remedy: [{ do: [{ tool: 'service.restart' }] }],
    });
    for (const [args, says] of [
      [['web-exited', 'true'], /policy "web-exited" exists already \(live\); choose another name/],
      [['Web', 'true'], /policy Web: name = "Web": must be|lower-case letters/],
      [['x', "service.stat == 'exited'", '--scope', 'service'], /did you mean "state"/],
      [['x', 'true', 'service.restrat'], /did you mean service.restart\?/],
    ] as const) {
      const { code, stderr } = await here('policy', 'add', ...args);
      expect([args, code, stderr]).toEqual([args, EXIT.usage, expect.stringMatching(says)]);
    }
  });
});

describe('members', () => {
  it('says who is paused, drained and unhealthy, and who stopped cleanly', async () => {
    const two = await swarm.start('two', '');
    await eventually('two to be alive', async () =>
      (await swarm.members(agent)).find(({ name, state }) => name === 'two' && state === 'alive'),
    );
    const row = async (): Promise<string> =>
      (await here('members')).stdout.split('\n').find((line) => line.startsWith('two ')) ?? '';
    for (const command of ['pause', 'drain'])
      await eventually(`two: ${command}`, async () => (await here(command, 'two')).code === EXIT.ok || undefined);
    expect(await row()).toMatch(/^two +alive, paused, drained +member/);
    expect((await here('members', 'show', 'two')).stdout).toMatch(
      /^two {2}alive, paused, drained\n {2}paused +since 20\d\d-\S+ \S+\n {2}drained +until 20\d\d-\S+ \S+\n/,
    );
    for (const command of ['wake', 'undrain']) expect((await here(command, 'two')).code).toBe(EXIT.ok);
    expect(await row()).toMatch(/^two +alive +member/);

    const unwell = '[[policy]]\nname = "unwell"\nwhen = "true"\nsummary = "s"\ncondition = "DiskPressure"\n';
    const file = join(place, 'unwell.toml');
    writeFileSync(file, unwell);
    expect((await kalos('policy', 'apply', file, '--dir', two.directory)).code).toBe(EXIT.ok);
    await eventually('two to be unhealthy', async () => /^two +alive, unhealthy +member/.test(await row()) || undefined);
    expect((await here('members', 'show', 'two')).stdout).toMatch(/\n {2}unhealthy +DiskPressure=True\n/);

    const down = await kalos('down', '--dir', two.directory);
    expect([down.code, down.stdout]).toEqual([EXIT.ok, 'two has stopped\n']);
    expect(RealSwarm.outputOf(two)).not.toContain('leaving the swarm');
    await eventually('two to be seen as stopped', async () => /^two +stopped +member/.test(await row()) || undefined);
    expect((await here('members')).code).toBe(EXIT.ok);
    expect((await here('members', 'show', 'two')).stdout).toMatch(
      /^two {2}stopped\n {2}stopped +cleanly, .*; it stays a member\n/,
    );
  });
});

describe('counts', () => {
  it('have the right plural', () => {
    expect([counted(1, 'member'), counted(0, 'member'), counted(2, 'policy'), counted(3, 'class')]).toEqual([
      '1 member',
      '0 members',
      '2 policies',
      '3 classes',
    ]);
  });

  it('and so has what commands say', async () => {
    const said = await Promise.all([
      here('status'),
      here('nova'),
      here('doctor'),
      here('audit', 'verify'),
      here('query', 'select node from nodes limit 1'),
    ]);
    for (const { stdout, stderr } of said)
      expect(`${stdout}${stderr}`).not.toMatch(
        /(?<![\d.,])\b1 (members|records|rows|voters|nodes|classes|processes|audit records)\b/,
      );
    expect((await here('nova')).stdout).toMatch(/is signed by \d of \d voters?: \w+/);
  });

  it('are made by one helper: no text puts a plural after a number by itself', () => {
    const { root } = findPackage();
    const wrong = ['cli', 'api', 'agent', 'query', 'action'].flatMap((room) =>
      readdirSync(join(root, 'node', room), { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.ts'))
        .flatMap(
          (file) => readFileSync(join(root, 'node', room, file), 'utf8').match(/\$\{[^}]*\.(length|size)\} [a-z]+s\b.*/g) ?? [],
        ),
    );
    expect(wrong).toEqual([]);
  });

  it('what cannot be undone is said as such', async () => {
    expect((await here('act', 'service.restart', 'service=web', '--dry-run')).stdout).toMatch(
      /\n {2}risk R1; cannot be undone\n$/,
    );
    expect((await here('act', 'service.stop', 'service=web', '--dry-run')).stdout).toMatch(/; undone by: service\.start web\n$/);
  });
});
