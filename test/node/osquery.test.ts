// Forms that osquery's users know: patterns of paths, joins that say what to look for, its functions; and what is refused, plainly.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ForkedCompute } from '../../node/adapters/forked-compute.ts';
import { READERS } from '../../node/adapters/inspect/inspect.ts';
import type { Where } from '../../node/adapters/inspect/read.ts';
import { findPackage } from '../../node/adapters/package.ts';
import { sqlRun } from '../../node/adapters/sql-engine.ts';
import { TABLES } from '../../node/query/catalogue/catalogue.ts';
import { joinsOf } from '../../node/query/joins.ts';
import { query } from '../../node/query/query.ts';
import { QueryGate } from '../../node/query/query-gate.ts';
import { QueryLog } from '../../node/query/query-log.ts';

const compute = new ForkedCompute(join(findPackage().root, 'bin', 'main.ts'), '');
let place: string;
beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), 'kalos-osquery-'));
  for (const directory of ['deep/er', 'my_app']) mkdirSync(join(place, directory), { recursive: true });
  for (const name of ['a.conf', 'b.conf', 'c.txt', '.hidden', 'deep/d.conf', 'deep/er/e.conf', 'my_app/f.conf'])
    writeFileSync(join(place, name), name);
  symlinkSync('..', join(place, 'deep', 'loop'));
});
afterAll(async () => {
  rmSync(place, { recursive: true });
  await compute.close();
});

/** What each table was asked for, and the answer of one agent alone. */
async function asked(sql: string) {
  const told: [string, Where][] = [];
  const swarm = {
    self: 'me',
    name: 'me',
    members: [{ peer: 'me' }],
    nameOf: () => 'me',
    term: 1,
    ask: async () => [],
  };
  const inspect = async (table: string, where: Where) => {
    told.push([table, where]);
    return (await READERS[table]?.(where)) ?? [];
  };
  const machine = { lastSample: () => ({}) };
  const sources = {
    swarm,
    decided: { index: 0, rosterEpoch: 0 },
    inspect,
    machine,
    queries: new QueryLog(),
    gate: new QueryGate(),
    nowMonotonicMs: () => 0,
    nowWallMs: () => 0,
  };
  const options = { timeoutMs: 20_000, mode: 'live', nodes: undefined, isTrusted: true, asker: 'test' } as const;
  const result = await query(sql.replaceAll('$', place), options, sources as never, compute);
  if (!result.ok) throw new Error(result.message);
  return { told, rows: result.answer.rows.map((row) => row.map((value) => String(value).replace(place, '$'))) };
}
const first = async (sql: string): Promise<string[]> => (await asked(sql)).rows.map(([one = '']) => one).sort();

describe('paths by a pattern', () => {
  it.each<[string, string[]]>([
    ["path like '$/%'", ['.hidden', 'a.conf', 'b.conf', 'c.txt', 'deep', 'my_app']],
    ["path like '$/%.conf'", ['a.conf', 'b.conf']],
    ["path like '$/_.CONF'", ['a.conf', 'b.conf']],
    ["path like '$/%/%.conf'", ['deep/d.conf', 'my_app/f.conf']],
    ["path like '$/my_app/%'", ['my_app/f.conf']],
    ["path like '$/%%.conf'", ['a.conf', 'b.conf', 'deep/d.conf', 'deep/er/e.conf', 'my_app/f.conf']],
    ["path like '$/deep/%%'", ['deep/d.conf', 'deep/er', 'deep/er/e.conf', 'deep/loop']],
    ["directory like '$/de%'", ['deep/d.conf', 'deep/er', 'deep/loop']],
    ["path like '$/%' and filename like 'a%'", ['a.conf']],
    ["path like '$/nothing/%'", []],
  ])('%s', async (where, found) => {
    expect(await first(`select path from file where ${where}`)).toEqual(found.map((name) => `$/${name}`));
  });

  it('are bounded, and have to begin with a directory', async () => {
    await expect(first("select path from file where path like '%/passwd'")).rejects.toThrow('file needs a constraint');
    await expect(first("select path from file where path like '/%%' limit 1")).resolves.toEqual([]);
    const { result } = await cut("select path from file where path like '/%%' limit 1");
    expect(result).toMatch(/more than \d+ (names|files)/);
  });

  it('name certificates, too', async () => {
    expect(await first("select path from certificates where path like '$/%'")).toEqual([]);
  });

  /** Who is missing in the answer, and why. */
  async function cut(sql: string): Promise<{ result: string }> {
    try {
      await READERS.file?.(new Map([['path like', [/'([^']*)'/.exec(sql)?.[1] ?? '']]]));
      return { result: '' };
    } catch (error) {
      return { result: (error as Error).message };
    }
  }
});

describe('joins that say what to look for', () => {
  const DIGEST = /^[0-9a-f]{64}$/;

  it.each([
    "select sha256, path from file join hash using (path) where path like '$/%.conf'",
    "select h.sha256, f.path from file f join hash h on f.path = h.path where f.directory = '$' and f.filename like '%.conf'",
    "select h.sha256, f.path from file as f, hash as h where h.path = f.path and f.path like '$/%.conf'",
    "select hash.sha256, file.path from hash join file on (file.path = hash.path) where file.path in ('$/a.conf', '$/b.conf')",
    "select h.sha256, f.path from file f left join hash h using (path) where f.path like '$/%.conf'",
    "select sha256, file.path from file natural join hash where file.path like '$/%.conf'",
  ])('%s', async (sql) => {
    const { rows } = await asked(sql);
    expect(rows.map(([, path]) => path).sort()).toEqual(['$/a.conf', '$/b.conf']);
    for (const [digest] of rows) expect(digest).toMatch(DIGEST);
  });

  it('ask only for what the other table’s rows have, over several tables', async () => {
    const { told, rows } = await asked(
      `select p.pid, h.sha256 from processes p join file f on f.path = p.path join hash h on h.path = f.path where p.pid = ${process.pid}`,
    );
    expect(rows).toHaveLength(1);
    expect(told.map(([table]) => table)).toEqual(['process_details', 'file', 'hash']);
    expect([...(told[2]?.[1].get('path') ?? [])]).toHaveLength(1);
  });

  it.each([
    ['hash left join processes using (path)', 'hash'],
    ['file', 'file'],
    ["file where path = '/a' or path = '/b'", 'file'],
    ['file where path in (select path from processes)', 'file'],
    ['hash join users on hash.path = users.uid', 'hash'],
    ['file left join processes on file.path = processes.path', 'file'],
  ])('select * from %s is refused, plainly', async (from, table) => {
    await expect(asked(`select * from ${from}`)).rejects.toThrow(
      `${table} needs a constraint: path = '…' or path LIKE '/…%', directory = '…' or directory LIKE '/…%', or a JOIN`,
    );
  });

  it('are found in plain statements alone', () => {
    const found = (sql: string) =>
      joinsOf(sql, TABLES).map(({ table, column, from }) => `${table}.${column} < ${from.table}.${from.column}`);
    expect(found('select 1 from file f join hash h on f.path = h.path')).toEqual([
      'file.path < hash.path',
      'hash.path < file.path',
    ]);
    expect(found('select 1 from file f left join hash h on f.path = h.path')).toEqual(['hash.path < file.path']);
    expect(found('select 1 from file f join hash h on f.path = h.path or f.size = 1')).toEqual([]);
    expect(found('select 1 from file f join file g on f.path = g.path')).toEqual([]);
    expect(found('select 1 from processes p join users u on p.uid = u.uid')).toEqual([]);
  });
});

describe('functions of osquery', () => {
  const value = (expression: string): unknown => {
    const ran = sqlRun(`select ${expression}`, [], []);
    return ran.ok ? ran.rows[0]?.[0] : ran.message;
  };
  it.each<[string, unknown]>([
    ["regex_match('sshd 1.2.3', '(\\d+)\\.(\\d+)', 2)", '2'],
    ["regex_match('sshd', '\\d', 0)", null],
    ["regex_match('ab', '(a)(z)?', 2)", null],
    ["regex_match(null, 'a', 0)", null],
    [`regex_match('${'a'.repeat(45)}!', '^(a+)+$', 0)`, null],
    [
      "regex_match('a', '(?=a)', 0)",
      'the pattern "(?=a)": at character 1: a lookahead is not supported: the engine does not backtrack',
    ],
    ["split('/usr//local/ bin ', '/', 2)", 'bin'],
    ["split('a:b', ':', 2)", null],
    ["regex_split('a1b22c', '\\d+', 1)", 'b'],
    ["in_cidr_block('10.0.0.0/8', '10.255.0.1')", 1],
    ["in_cidr_block('2001:db8::/32', '2001:db9::1')", 0],
    ["in_cidr_block('nonsense', '10.0.0.1')", 'in_cidr_block needs a block such as 10.0.0.0/8, not "nonsense"'],
    ["inet_aton('1.2.3.4')", 16_909_060],
    ["sha1('a')", '86f7e437faa5a7fce15d1ddcb9eaeaea377667b8'],
    ["from_base64(to_base64('ä'))", 'ä'],
    ["concat_ws('-', 'a', 'b')", 'a-b'],
    ["community_id_v1('a')", 'no such function: community_id_v1'],
  ])('%s', (expression, expected) => {
    expect(value(expression)).toBe(expected);
  });
});
