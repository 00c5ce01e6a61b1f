// What SQL can ask: the catalogue against this very machine, which equalities may travel, and that no statement runs wild.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { SystemClock } from '../../node/adapters/clock.ts';
import { ForkedCompute } from '../../node/adapters/forked-compute.ts';
import { READERS } from '../../node/adapters/inspect/inspect.ts';
import { ipv6, socketAddress } from '../../node/adapters/inspect/processes.ts';
import { findPackage } from '../../node/adapters/package.ts';
import { sqlNeeds, sqlRun } from '../../node/adapters/sql-engine.ts';
import type { ExactValue, SqlValue } from '../../node/ports/compute.ts';
import { TABLES } from '../../node/query/catalogue/catalogue.ts';
import { LINUX_TABLES } from '../../node/query/catalogue/linux.ts';
import { PACK } from '../../node/query/pack.ts';
import { compares, predicates } from '../../node/query/predicates.ts';
import { query } from '../../node/query/query.ts';
import { QueryGate } from '../../node/query/query-gate.ts';
import { QueryLog } from '../../node/query/query-log.ts';
import { reduced, reductionOf } from '../../node/query/reduction.ts';
import { selectorOf } from '../../node/query/selector.ts';
import { type FanOutOptions, fanOut } from '../../swarm/query/fan-out.ts';
import { patient } from '../support/patience.ts';

const NOTHING = new Map();
const compute = new ForkedCompute(join(findPackage().root, 'bin', 'main.ts'), '');
afterAll(() => compute.close());

/** Runs a statement over this machine’s own tables, as an agent would. */
async function onThisMachine(sql: string): Promise<{ columns: string[]; rows: SqlValue[][] }> {
  const needs = sqlNeeds(sql, TABLES);
  if (!needs.ok) throw new Error(needs.message);
  const { of: conditions } = predicates(sql, TABLES);
  const data = await Promise.all(
    Object.entries(needs.tables).map(async ([table, columns]) => {
      const reader = READERS[table === 'processes' ? 'process_details' : table];
      if (reader === undefined) throw new Error(`no table ${table}`);
      const rows = await reader(conditions.get(table)?.equal ?? NOTHING);
      return { table, columns, rows: rows.map((row) => columns.map((name) => row[name] ?? null)) };
    }),
  );
  const ran = sqlRun(sql, TABLES, data);
  if (!ran.ok) throw new Error(ran.message);
  return ran;
}

describe('the catalogue', () => {
  it('says of each table what it is, and each column what it means, in statements that hold', () => {
    expect(new Set(TABLES.map(({ name }) => name)).size).toBe(TABLES.length);
    for (const { name, description, columns, examples } of TABLES) {
      expect(description.length, name).toBeGreaterThan(5);
      expect(new Set(columns.map((column) => column.name)).size, name).toBe(columns.length);
      expect(examples.length, name).toBeGreaterThan(0);
    }
    for (const sql of [...TABLES.flatMap(({ examples }) => examples), ...PACK.map((question) => question.sql)])
      expect([sql, sqlNeeds(sql, TABLES).ok]).toEqual([sql, true]);
    expect(PACK.length).toBeGreaterThanOrEqual(25);
  });

  it.each(LINUX_TABLES.map((table) => [table.name, table] as const))('reads %s of this machine', async (name, table) => {
    const reader = READERS[name === 'processes' ? 'process_details' : name];
    const rows = (await reader?.(table.needs === undefined ? NOTHING : new Map([['path', ['/etc/passwd']]]))) ?? [];
    const types = new Map(table.columns.map(({ name: column, type }) => [column, type]));
    for (const row of rows.slice(0, 200))
      for (const [column, value] of Object.entries(row)) {
        if (value === undefined || value === null) continue;
        expect([column, typeof value]).toEqual([column, types.get(column) === 'TEXT' ? 'string' : 'number']);
      }
  });

  it('tells what others tell: processes, ports, files, memory and the kernel', async () => {
    const [mine] = (await onThisMachine(`select cmdline, parent, path from processes where pid = ${process.pid}`)).rows;
    expect(mine).toEqual([
      readFileSync('/proc/self/cmdline', 'utf8').replace(/\0+$/, '').replaceAll('\0', ' '),
      process.ppid,
      realpathSync('/proc/self/exe'),
    ]);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const listening = await onThisMachine(
      `select pid, address, protocol from listening_ports where port = ${port} and pid = ${process.pid}`,
    );
    expect(listening.rows).toEqual([[process.pid, '127.0.0.1', 6]]);
    server.close();
    expect((await onThisMachine('select version from kernel_info')).rows).toEqual([
      [execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim()],
    ]);
    expect((await onThisMachine('select name, intact from models')).rows).toEqual([['incident', 1]]);
    const place = mkdtempSync(join(tmpdir(), 'kalos-query-'));
    const path = join(place, 'a file');
    writeFileSync(path, 'abc', { mode: 0o640 });
    const found = await onThisMachine(`select path, size, mode, type from file where directory = '${place}'`);
    expect(found.rows).toEqual([[path, 3, '0640', 'regular']]);
    const [digests] = (await onThisMachine(`select md5, sha256 from hash where path = '${path}'`)).rows;
    expect(digests).toEqual([
      '900150983cd24fb0d6963f7d28e17f72',
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    ]);
    writeFileSync(path, '');
    const [empty] = (await onThisMachine(`select md5 from hash where directory = '${place}'`)).rows;
    expect(empty).toEqual(['d41d8cd98f00b204e9800998ecf8427e']);
    rmSync(place, { recursive: true });
  });

  it('reads no device to its end, and nothing through a path that is none', async () => {
    for (const path of ['/dev/zero', '/dev/stdin', 'etc/passwd', '', '/proc/self/mem'])
      for (const table of ['certificates', 'hash'])
        expect((await onThisMachine(`select path from ${table} where path = '${path}'`)).rows).toEqual([]);
    for (const name of ['../../etc/passwd', 'kernel/../../etc/passwd', 'kernel..ostype'])
      expect((await onThisMachine(`select current_value from system_controls where name = '${name}'`)).rows).toEqual([]);
  });

  it('reads addresses as the kernel writes them', () => {
    expect(socketAddress('0100007F:1F90')).toEqual({ address: '127.0.0.1', port: 8080 });
    expect(socketAddress('00000000000000000000000001000000:0016')).toEqual({ address: '::1', port: 22 });
    expect(ipv6([0x20, 1, 0xd, 0xb8, ...Array(11).fill(0), 1])).toBe('2001:db8::1');
    expect(ipv6([...Array(10).fill(0), 0xff, 0xff, 192, 0, 2, 1])).toBe('::ffff:192.0.2.1');
    expect(ipv6(Array(16).fill(0))).toBe('::');
    expect(ipv6([0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 3, 0, 4, 0, 5])).toBe('1:0:2::3:4:5');
  });
});

/** From osquery’s documentation and packs, and Fleet’s standard query library: those that concern Linux, unchanged. */
const PUBLIC_QUERIES = [
  'SELECT name, path, pid FROM processes WHERE on_disk = 0;',
  "SELECT DISTINCT processes.name, listening_ports.port, processes.pid FROM listening_ports JOIN processes USING (pid) WHERE listening_ports.address = '0.0.0.0';",
  'SELECT pid, name, ROUND((total_size * 10e-7), 2) AS used FROM processes ORDER BY total_size DESC LIMIT 10;',
  'select * from crontab;',
  'select * from kernel_modules;',
  'select liu.*, p.name, p.cmdline, p.cwd, p.root from logged_in_users liu, processes p where liu.pid = p.pid;',
  'select * from etc_hosts;',
  'select * from mounts;',
  'select * from listening_ports;',
  "select distinct pid, family, protocol, local_address, local_port, remote_address, remote_port, path from process_open_sockets where path <> '' or remote_address <> '';",
  "select distinct pid, path from process_open_files where path not like '/private/var/folders%' and path not like '/System/Library/%' and path not in ('/dev/null', '/dev/urandom', '/dev/random');",
  'select * from arp_cache;',
  'select * from os_version;',
  'select * from kernel_info;',
  'select * from system_info;',
  'select * from deb_packages;',
  'select * from users;',
  'SELECT * FROM uptime;',
  "SELECT (blocks_available * blocks_size * 10e-10) AS gigs_disk_space_available, ROUND((blocks_available * 1.0 / blocks * 1.0), 2) AS percent_disk_space_available FROM mounts WHERE path = '/';",
  "SELECT * FROM interface_addresses WHERE interface NOT LIKE '%lo%';",
  'SELECT u.username, p.name, p.pid FROM processes p JOIN users u ON u.uid = p.uid LIMIT 5;',
  "SELECT * FROM file WHERE directory = '/etc/';",
  "SELECT sha256, path FROM hash WHERE path = '/etc/passwd';",
  "SELECT * FROM system_controls WHERE name = 'kernel.randomize_va_space';",
  'SELECT * FROM load_average;',
];

describe('osquery’s and Fleet’s own queries', () => {
  it.each(PUBLIC_QUERIES)('%s', async (sql) => {
    const { columns } = await onThisMachine(sql);
    expect(columns.length).toBeGreaterThan(0);
  });
});

describe('joins', () => {
  it('by USING and NATURAL have the columns that they compare', async () => {
    const { rows } = await onThisMachine(
      `select uid, username from processes p join users u using (uid) where p.pid = ${process.pid}`,
    );
    expect(rows).toEqual([[process.getuid?.(), userInfo().username]]);
    const needs = sqlNeeds('select count(*) from users natural join logged_in_users', TABLES);
    expect(needs).toMatchObject({ ok: true, tables: { users: ['node'], logged_in_users: ['node'] } });
  });
});

describe('conditions that travel', () => {
  const shapes = [
    {
      name: 'a',
      columns: [
        { name: 'node', type: 'TEXT' },
        { name: 'x', type: 'INTEGER' },
        { name: 'only', type: 'TEXT' },
      ],
    },
    {
      name: 'b',
      columns: [
        { name: 'node', type: 'TEXT' },
        { name: 'x', type: 'INTEGER' },
      ],
    },
  ] as const;
  const of = (sql: string) =>
    Object.fromEntries(
      [...predicates(sql, shapes).of].map(([table, { equal, compare }]) => [
        table,
        { ...Object.fromEntries(equal), ...(compare.length > 0 && { compare }) },
      ]),
    );

  it.each([
    ["select * from a where node = 'n' and x = 5", { a: { node: ['n'], x: [5] } }],
    ["select * from a where 'n' = node", { a: { node: ['n'] } }],
    ["select * from a where node in ('n', 'it''s') order by x", { a: { node: ['n', "it's"] } }],
    ['select * from a as t where t.x = 1 and t.x = 2', { a: { x: [] } }],
    ["select * from a join b using (node, x) where a.x = 3 and only = 'o'", { a: { x: [3], only: ['o'] } }],
    ["select * from a, b where a.node = b.node and b.node = 'n'", { b: { node: ['n'] } }],
    ["select * from a where x between 1 and 5 and node = 'n' limit 3", { a: { node: ['n'] } }],
    ["select count(*) from a -- where x = 1\nwhere /* or */ node = 'or'", { a: { node: ['or'] } }],
    [
      "select * from a where x > 1 and only not like 'o%' and 3 >= x",
      {
        a: {
          compare: [
            ['x', '>', 1],
            ['only', 'not like', 'o%'],
            ['x', '<=', 3],
          ],
        },
      },
    ],
    ["select * from a where node != 'n' order by x limit 3", { a: { compare: [['node', '<>', 'n']] } }],
    // What is not plain travels not at all.
    ["select * from a where node > 'n' and x <> 'n' and x like '1'", {}],
    ["select * from a where only like 'o' escape '!'", {}],
    ["select * from a where node = 'n' or x = 5", {}],
    ["select * from a where node = 'n' union select * from b", {}],
    ["select * from a where x in (select x from b where node = 'n')", {}],
    ["select * from a, a as c where a.node = 'n'", {}],
    ["select * from a where not node = 'n'", {}],
    ["select * from a where (node = 'n')", {}],
    ["select * from a where x = '5'", {}],
    ['select * from a where node = 5', {}],
    ["select * from a where node = 'n' collate nocase", {}],
    ["select * from a, b where node = 'n'", {}],
    ['select * from a where x = -1', {}],
    ['select * from a having x = 1', {}],
    ['with a as (select 1 as x) select * from a where x = 1', {}],
  ])('of %s', (sql, expected) => {
    expect(of(sql)).toEqual(expected);
  });

  const node = fc.constantFrom('n', 'm', 'o');
  const x = fc.integer({ min: 0, max: 3 });
  const atom = fc.oneof(
    node.map((name) => `a.node = '${name}'`),
    x.map((value) => `b.x = ${value}`),
    fc.array(x, { minLength: 1, maxLength: 3 }).map((xs) => `a.x in (${xs.join(', ')})`),
    fc.constantFrom(
      'a.x = b.x',
      'a.x > 1',
      '2 >= b.x',
      "a.node <> 'n'",
      "b.node not like 'N%'",
      "a.node like '_'",
      "not a.node = 'm'",
      'b.x is null',
      "(a.node = 'n' or b.x = 2)",
      "a.node = 'm' or b.x = 1",
    ),
  );

  it('change nothing: rows that they leave out SQL would have left out', () => {
    const row = fc.tuple(node, fc.option(x));
    const joins = fc.constantFrom('a, b', 'a join b on a.node = b.node', 'a left join b on a.x = b.x', 'a cross join b');
    fc.assert(
      fc.property(
        fc.array(row, { maxLength: 8 }),
        fc.array(row, { maxLength: 8 }),
        joins,
        fc.array(atom, { minLength: 1, maxLength: 4 }),
        (a, b, from, atoms) => {
          const sql = `select a.node, a.x, b.node, b.x, count(*) from ${from} where ${atoms.join(' and ')} group by 1, 2, 3, 4 order by 1, 2, 3, 4`;
          const { of: conditions } = predicates(sql, shapes);
          const columns = ['node', 'x'];
          const kept = (table: string, rows: SqlValue[][]) =>
            rows.filter((one) => {
              const { equal, compare } = conditions.get(table) ?? { equal: NOTHING, compare: [] };
              const value = (name: string) => one[columns.indexOf(name)] ?? null;
              return (
                [...equal].every(([name, values]) => values.includes(value(name))) &&
                compare.every(([name, operator, other]) => compares(value(name), operator, other))
              );
            });
          const data = (aRows: SqlValue[][], bRows: SqlValue[][]) => [
            { table: 'a', columns, rows: aRows },
            { table: 'b', columns, rows: bRows },
          ];
          expect(sqlRun(sql, shapes as never, data(kept('a', a), kept('b', b)))).toEqual(
            sqlRun(sql, shapes as never, data(a, b)),
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  it('compare as SQLite does', () => {
    const texts = fc.string({ unit: fc.constantFrom('a', 'A', 'b', 'é', 'É', '%', '_', '😀'), maxLength: 6 });
    fc.assert(
      fc.property(texts, texts, fc.constantFrom('like', 'not like', '<>'), (value, pattern, operator) => {
        const ran = sqlRun(`select count(*) from a where only ${operator} '${pattern}'`, shapes as never, [
          { table: 'a', columns: ['only'], rows: [[value]] },
        ]);
        expect([value, pattern, ran.ok && ran.rows[0]?.[0]]).toEqual([
          value,
          pattern,
          compares(value, operator, pattern) ? 1 : 0,
        ]);
      }),
      { numRuns: 300 },
    );
    expect(compares('a'.repeat(5_000), 'like', `${'%a'.repeat(500)}b`)).toBe(false);
  });
});

describe('rows that machines reduce', () => {
  const table = {
    name: 'a',
    columns: [
      { name: 'node', type: 'TEXT' },
      { name: 'x', type: 'INTEGER' },
      { name: 'y', type: 'REAL' },
      { name: 'name', type: 'TEXT' },
    ],
  } as const;
  const COLUMNS = table.columns.map(({ name }) => name);
  type Machine = Record<string, ExactValue>[];

  /** As a peer does it: each machine reduces its own, SQL runs over what comes of it. */
  function apart(sql: string, machines: readonly Machine[]) {
    const needs = sqlNeeds(sql, [table]);
    const plan = predicates(sql, [table]).isAll ? reductionOf(sql, table) : undefined;
    if (plan === undefined || !needs.ok || (plan.reduction[0] === 'groups' && !sqlNeeds(plan.sql, [plan.table]).ok))
      return undefined;
    const columns = plan.reduction[0] === 'groups' ? plan.table.columns.map(({ name }) => name) : (needs.tables.a ?? []);
    const { equal, compare } = predicates(sql, [table]).of.get('a') ?? { equal: NOTHING, compare: [] };
    const meets = (row: Machine[number]): boolean =>
      [...equal].every(([name, values]) => values.includes(row[name] ?? null)) &&
      compare.every(([name, operator, value]) => compares(row[name], operator, value));
    const rows = machines.flatMap((machine) => reduced(machine.filter(meets), columns, plan.reduction));
    return { sent: rows.length, ran: sqlRun(plan.sql, [plan.table], [{ table: 'a', columns, rows }]) };
  }
  const together = (sql: string, machines: readonly Machine[]) =>
    sqlRun(
      sql,
      [table],
      [{ table: 'a', columns: COLUMNS, rows: machines.flat().map((row) => COLUMNS.map((name) => row[name] ?? null)) }],
    );

  const row = fc.record({
    node: fc.constantFrom('n', 'm'),
    x: fc.option(fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom(2n ** 53n + 1n, 2n ** 55n + 3n, -(2n ** 54n) - 1n))),
    y: fc.option(fc.constantFrom(0.5, 1, 2.25, -4)),
    name: fc.option(fc.constantFrom('a', 'B', 'é', '😀', '\uffff', '')),
  });
  const machines = fc.array(fc.array(row, { maxLength: 8 }), { maxLength: 3 });
  const condition = fc.constantFrom('', " where node = 'n'", ' where x > 0', " where name not like 'b%' and x in (1, 2)");

  it('by groups answer as all rows would', () => {
    const item = fc.constantFrom(
      'count(*)',
      'count(x)',
      'COUNT(name) as c',
      'sum(x)',
      'sum(a.y) * 2 as s',
      'total(x)',
      'avg(y)',
      'min(name)',
      'max(x) - min(x)',
      'max(y)',
      'round(avg(x), 1)',
      'min(sum(x), 3)',
    );
    const by = fc.constantFrom(
      '',
      ' group by node',
      ' group by name, node',
      ' group by x > 0',
      ' group by 1',
      ' group by node having count(*) > 1',
    );
    let sent = 0;
    fc.assert(
      fc.property(machines, fc.array(item, { minLength: 1, maxLength: 3 }), by, condition, (all, items, group, where) => {
        const keys = group.startsWith(' group by node')
          ? ['node']
          : group.includes('name')
            ? ['node', 'name']
            : group.includes('> 0')
              ? ['x > 0']
              : group === ''
                ? []
                : ['x + 1'];
        const sql = `select ${[...keys, ...items].join(', ')} from a${where}${group} order by ${[...keys, ...items].map((_, i) => i + 1).join(', ')}`;
        const answer = apart(sql, all);
        expect([sql, answer === undefined]).toEqual([sql, false]);
        const [whole, ran] = [together(sql, all), answer?.ran];
        expect([sql, ran?.ok, ran?.ok && ran.rows]).toEqual([sql, whole.ok, whole.ok && whole.rows]);
        sent += answer?.sent ?? 0;
      }),
      { numRuns: 500 },
    );
    expect(sent).toBeGreaterThan(0);
  });

  it('to the first few answer as all rows would', () => {
    const order = fc.constantFrom(
      '',
      ' order by x',
      ' order by name desc, x',
      ' order by y desc',
      ' order by 2, 1 desc',
      ' order by r desc',
      ' order by k',
    );
    const limit = fc.constantFrom(' limit 2', ' limit 0', ' limit 1 offset 2', ' limit 1, 2;', ' limit 50');
    fc.assert(
      fc.property(machines, order, limit, condition, (all, ordered, limited, where) => {
        const sql = `select name, x, round(y) as r, y as k from a${where}${ordered}${limited}`;
        const [answer, whole] = [apart(sql, all), together(sql, all)];
        if (answer === undefined || !answer.ran.ok || !whole.ok) throw new Error(sql);
        // Which of those that are equal come is anybody's choice: what they are ordered by is the same.
        const at: Record<string, number[]> = {
          '': [],
          ' order by x': [1],
          ' order by y desc': [3],
          ' order by r desc': [2],
          ' order by k': [3],
        };
        const keys = (rows: SqlValue[][]) => rows.map((one) => (at[ordered] ?? [0, 1]).map((i) => one[i]));
        expect([sql, keys(answer.ran.rows)]).toEqual([sql, keys(whole.rows)]);
        expect(answer.sent).toBeLessThanOrEqual(3 * 50);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    'select * from a',
    'select *, count(*) from a',
    'select name from a order by x',
    'select group_concat(name) from a',
    'select count(distinct name) from a',
    'select sum(x + 1) from a',
    'select max(x + y) from a',
    'select sum(name) from a',
    'select count(*) filter (where x > 1) from a',
    'select rowid, count(*) from a',
    'select row_number() over (order by x) from a limit 3',
    'select x from a order by x + 1 limit 3',
    'select -x as x from a order by x limit 3',
    'select x from a order by x collate nocase limit 3',
    'select x from a order by x nulls last limit 3',
    'select x from a limit 3 + 1',
    'select name, count(*) from a where x is null group by name',
    'select count(*) from a, a as b',
    'select distinct * from a limit 3',
    'select json_group_array(x) from a',
    'select random() as r from a order by r limit 2',
  ])('never for %s', (sql) => {
    expect(apart(sql, [])).toBeUndefined();
  });

  it('are few: one for each group and machine, or as many as the limit', () => {
    const machine = Array.from({ length: 100 }, (_, i) => ({ node: 'n', x: i, y: i / 2, name: `p${i % 4}` }));
    expect(apart('select name, count(*), avg(y) from a group by name', [machine, machine])?.sent).toBe(8);
    expect(apart('select node, x, name from a order by x desc limit 5', [machine, machine])?.sent).toBe(10);
    expect(apart("select distinct name from a where name <> 'p1'", [machine, machine])?.sent).toBe(6);
  });
});

describe('a statement that runs wild', () => {
  const rows = Array.from({ length: 10_000 }, (_, pid) => [pid]);
  const data = [{ table: 'processes', columns: ['pid'], rows }];

  it('as a cross join of 10^12 rows is ended, and the next one answered', async () => {
    const startMs = performance.now();
    const wild = await compute.sqlRun('select count(*) from processes a, processes b, processes c', TABLES, data, 500, 'test');
    expect([wild.ok, performance.now() - startMs < patient(8_000)]).toEqual([false, true]);
    const next = await compute.sqlRun('select count(*) from processes', TABLES, data, 5_000, 'test');
    expect(next).toEqual({ ok: true, columns: ['count(*)'], rows: [[10_000]] });
  });
});

describe('a question that would take too much', () => {
  const peers = Array.from({ length: 2_000 }, (_, i) => `peer-${i}`);
  /** As much of an agent as a question to others needs; each of them answers with so many bytes. */
  const asked = async (sql: string, answer = new Uint8Array()) => {
    const told: string[] = [];
    const request = async (peer: string): Promise<Uint8Array> => {
      told.push(peer);
      return answer;
    };
    const swarm = {
      self: 'peer-0',
      members: peers.map((peer) => ({ peer })),
      nameOf: (peer: string) => peer,
      term: 1,
      ask: (to: string[], name: string, body: Uint8Array, options: FanOutOptions) =>
        fanOut({ request }, new SystemClock(), to, name, body, options),
    };
    const sources = {
      swarm,
      decided: { index: 0, rosterEpoch: 0 },
      queries: new QueryLog(),
      gate: new QueryGate(),
      nowMonotonicMs: () => 0,
      nowWallMs: () => 0,
      inspect: async () => [],
    };
    const options = { timeoutMs: 5_000, mode: 'live', nodes: undefined, isTrusted: true, asker: 'test' } as const;
    return { told, result: await query(sql, options, sources as never, compute) };
  };

  it('is refused by name before anybody is asked, unless machines count or few rows are wanted', async () => {
    const all = await asked('select node, path from process_open_files');
    expect(all).toMatchObject({
      told: [],
      result: { ok: false, message: expect.stringMatching(/^process_open_files has about 5000 rows per machine/) },
    });
    for (const sql of [
      'select node, count(*) from process_open_files group by node',
      'select node, path from process_open_files limit 10',
      'select node, path from process_open_files where pid = 1',
    ])
      expect((await asked(sql)).told.length).toBe(peers.length);
    expect((await asked("select path from process_open_files where node in ('peer-7', 'peer-8')")).told).toEqual([
      'peer-7',
      'peer-8',
    ]);
  });

  it('asks nobody else once the answers are too much together', async () => {
    const { told, result } = await asked('select node, count(*) from kernel_modules group by node', new Uint8Array(1_000_000));
    expect(told.length).toBeLessThan(200);
    expect(result.ok && result.answer.missing.filter(({ reason }) => /answer size limit/.test(reason)).length).toBeGreaterThan(
      1_700,
    );
  });
});

describe('a selector of nodes', () => {
  it('that names nobody is a mistake, and never all', () => {
    for (const text of ['', '*', 'a,', ' , ', 'colour=red']) expect(typeof selectorOf(text)).toBe('string');
    expect(selectorOf(undefined)).toBeUndefined();
    expect(typeof selectorOf('a,role=coordinator')).toBe('function');
  });
});
