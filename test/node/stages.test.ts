// The order in which tables are gathered, what one constrains of another, and what of peers is believed.
import { describe, expect, it } from 'vitest';
import type { SqlValue } from '../../node/ports/compute.ts';
import type { Table, TableSources } from '../../node/query/catalogue/table.ts';
import { answerTable, type Gathering, gather } from '../../node/query/gather.ts';
import type { Join } from '../../node/query/joins.ts';
import { gatherStages, stagesOf } from '../../node/query/stages.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';

const NO_REQUEST = { columns: [], equal: new Map(), compare: [], reduction: undefined };

function tableOf(name: string, given: Partial<Table> = {}): Table {
  const columns = ['node', 'path', 'size'].map((column) => ({ name: column, type: 'TEXT' as const, description: '' }));
  return { name, scope: 'machine', description: '', columns, examples: [], rows: () => [], ...given };
}
const asking = (table: Table, request: Partial<Gathering['request']> = {}, peers = ['self']): Gathering => {
  const columns = ['node', 'path'];
  return { table, columns, request: { ...NO_REQUEST, columns, ...request }, peers };
};
const join = (table: string, from: string): Join => ({ table, column: 'path', from: { table: from, column: 'path' } });

describe('tables of a statement', () => {
  const free = asking(tableOf('file'));
  const needy = (name: string, request = {}) => asking(tableOf(name, { needs: ['path', 'pid'] }), request);
  const names = (stages: ReturnType<typeof stagesOf>) =>
    typeof stages === 'string' ? stages : stages.map((all) => all.map(({ table }) => table.name));

  it('are gathered at once where they need nothing, or the statement says it', () => {
    const equal = needy('hash', { equal: new Map([['pid', [1]]]) });
    const like = needy('tree', { compare: [['path', 'like', '/etc/%']] });
    expect(names(stagesOf([free, equal, like], []))).toEqual([['file', 'hash', 'tree']]);
  });

  it('wait for those that give them theirs, one after the other', () => {
    const plan = [needy('third'), needy('second'), free];
    expect(names(stagesOf(plan, [join('third', 'second'), join('second', 'file')]))).toEqual([['file'], ['second'], ['third']]);
  });

  it('that get none are an error, which says what they need', () => {
    for (const hash of [
      needy('hash'),
      needy('hash', { equal: new Map([['size', [1]]]) }),
      needy('hash', { compare: [['path', 'like', '%x']] }),
      needy('hash', { compare: [['path', '>', '/a']] }),
      needy('hash', { compare: [['size', 'like', '/a']] }),
    ])
      expect(stagesOf([free, hash], [join('hash', 'nowhere'), { ...join('hash', 'file'), column: 'size' }])).toBe(
        "hash needs a constraint: path = '…' or path LIKE '/…%', pid = '…' or pid LIKE '/…%', or a JOIN with a table that has it (using (path)); OR and subqueries do not count",
      );
    expect(typeof stagesOf([needy('a'), needy('b')], [join('a', 'b'), join('b', 'a')])).toBe('string');
  });
});

/** This machine is `self`; others answer as they are made to. */
function sources(answers: Record<string, unknown> = {}, refusal?: string) {
  const log = { asked: [] as unknown[][], queries: [] as string[] };
  const of = {
    swarm: {
      self: 'self',
      name: 'here',
      nameOf: (peer: string) => `name of ${peer}`,
      ask: async (
        peers: string[],
        _kind: string,
        body: Uint8Array,
        options: { take(peer: string, body: Uint8Array, ms: number): void },
      ) => {
        log.asked.push(decodeCbor(body) as unknown[]);
        for (const peer of peers) if (answers[peer] !== undefined) options.take(peer, encodeCbor(answers[peer]), 12.4);
        return peers.filter((peer) => peer !== 'self' && answers[peer] === undefined).map((peer) => ({ peer, reason: 'down' }));
      },
    },
    queries: {
      add: ({ by, what, rows, error }: Record<string, unknown>) => void log.queries.push(`${by}: ${what}: ${rows} ${error}`),
    },
    nowMonotonicMs: () => 0,
    nowWallMs: () => 0,
    inspectionRefusal: () => refusal,
    inspect: async () => [],
  } as unknown as TableSources;
  return { of, log };
}

describe('rows of several machines', () => {
  const rows = (...paths: string[]) => paths.map((path) => ({ node: 'here', path }));
  const file = tableOf('file', { rows: () => rows('/a', '/b') });

  it('come together, each with the machine that gave it, whatever it says itself', async () => {
    const { of, log } = sources({
      p: [[['liar', '/c'], ['liar'], ['liar', '/d', 'x']], false],
      q: [[['x', '/e']], true],
      r: 'nonsense',
    });
    const gathered = await gather([asking(file, {}, ['self', 'p', 'q', 'r', 's'])], 1_000, of, 'me');
    expect(gathered.data).toEqual([
      {
        table: 'file',
        columns: ['node', 'path'],
        rows: [
          ['name of p', '/c'],
          ['name of q', '/e'],
          ['here', '/a'],
          ['here', '/b'],
        ],
      },
    ]);
    expect([...gathered.expected]).toEqual(['self', 'p', 'q', 'r', 's']);
    expect([...gathered.missing]).toEqual([
      ['r', 'malformed answer'],
      ['s', 'down'],
    ]);
    expect(gathered.truncated).toEqual([{ node: 'name of q', table: 'file' }]);
    expect(gathered.ages).toEqual({ 'name of p': 12, 'name of q': 12, 'name of self': 0 });
    expect(log.asked).toEqual([['file', ['node', 'path'], [], [], null]]);
  });

  it('are not asked for where every peer holds all of them, and an error of that is the statement’s', async () => {
    const { of, log } = sources({ p: [[], false] });
    const swarm = tableOf('nodes', { scope: 'swarm', rows: () => rows('/a') });
    const gathered = await gather([asking(swarm, {}, [])], 1_000, of, 'me');
    expect([gathered.data[0]?.rows, gathered.expected.size, gathered.ages, log.asked]).toEqual([[['here', '/a']], 0, {}, []]);
    const fails = (): never => {
      throw new Error('no such thing');
    };
    await expect(gather([asking(tableOf('nodes', { scope: 'swarm', rows: fails }))], 1_000, of, 'me')).rejects.toThrow(
      'no such thing',
    );
    const missing = (await gather([asking(tableOf('file', { rows: fails }))], 1_000, of, 'me')).missing;
    expect([...missing]).toEqual([['self', 'no such thing']]);
  });

  it('of one that needs values are asked for with those that the others gave, each once', async () => {
    const wanted: SqlValue[][] = [];
    const hash = tableOf('hash', {
      needs: ['path'],
      rows: (_sources, _columns, where) => {
        wanted.push([...(where.get('path') ?? [])]);
        return [];
      },
    });
    const { of } = sources();
    const given = tableOf('file', { rows: () => rows('/a', '/b', '/a', '') });
    const gathered = await gatherStages([[asking(given)], [asking(hash)]], [join('hash', 'file')], 1_000, of, 'me');
    expect([wanted, typeof gathered !== 'string' && gathered.data.map(({ table }) => table)]).toEqual([
      [['/a', '/b']],
      ['file', 'hash'],
    ]);
    wanted.length = 0;
    const many = tableOf('file', { rows: () => rows(...Array.from({ length: 1_001 }, (_, nth) => `/${nth}`)) });
    await gatherStages([[asking(many)], [asking(hash)]], [join('hash', 'file')], 1_000, of, 'me');
    expect(wanted.map((values) => values.length)).toEqual([1_000, 1]);
    wanted.length = 0;
    await gatherStages([[asking(tableOf('file'))], [asking(hash)]], [join('hash', 'file')], 1_000, of, 'me');
    expect(wanted).toEqual([]);
    const tooMany = tableOf('file', { rows: () => rows(...Array.from({ length: 5_001 }, (_, nth) => `/${nth}`)) });
    expect(await gatherStages([[asking(tooMany)], [asking(hash)]], [join('hash', 'file')], 1_000, of, 'me')).toBe(
      'hash would get 5001 values of path, limit 5000: narrow file',
    );
  });
});

describe('a member that is asked for rows', () => {
  const ask = (...question: unknown[]) => encodeCbor(question);

  it('answers for tables and columns that there are, and keeps who asked', async () => {
    const { of, log } = sources();
    const inspect = async () => [{ path: '/etc/hosts', size: 7 }];
    const answer = await answerTable('p', ask('file', ['path', 'size'], [['path', ['/etc/hosts']]], [], null), {
      ...of,
      inspect,
    });
    expect(decodeCbor(answer)).toEqual([[['/etc/hosts', 7]], false]);
    expect(log.queries).toEqual(['name of p: file (path, size): 1 ']);
  });

  it.each([
    ['no table', ['nothing', ['path'], [], [], null]],
    ['no column', ['file', ['nothing'], [], [], null]],
    ['no column of a condition', ['file', ['path'], [['nothing', ['x']]], [], null]],
    ['no column of a comparison', ['file', ['path'], [], [['nothing', '>', 1]], null]],
    ['no column of a group', ['file', ['path'], [], [], ['groups', ['nothing'], []]]],
    ['no operator', ['file', ['path'], [], [['path', 'matches', 'x']], null]],
    ['what every peer holds', ['nodes', ['name'], [], [], null]],
    ['nonsense', [1]],
  ])('answers nothing of %s', async (_what, question) => {
    await expect(answerTable('p', ask(...question), sources().of)).rejects.toThrow('no such table');
  });

  it('refuses what is private to who may not see it, and keeps that too', async () => {
    const { of, log } = sources({}, 'it takes the right to inspect');
    await expect(answerTable('p', ask('audit', ['text'], [], [], null), of)).rejects.toThrow('it takes the right to inspect');
    expect(log.queries).toEqual(['name of p: audit (text): 0 it takes the right to inspect']);
  });

  it('sends no more than its share', async () => {
    const many = async () => Array.from({ length: 20_001 }, () => ({ path: '/x' }));
    const { of } = sources();
    const [few, isCut] = decodeCbor(await answerTable('p', ask('file', ['path'], [], [], null), { ...of, inspect: many })) as [
      unknown[],
      boolean,
    ];
    expect([few.length, isCut]).toEqual([20_000, true]);
    const large = async () => Array.from({ length: 5 }, () => ({ path: 'x'.repeat(1_000_000) }));
    const [some] = decodeCbor(await answerTable('p', ask('file', ['path'], [], [], null), { ...of, inspect: large })) as [
      unknown[],
    ];
    expect(some.length).toBe(3);
  });
});
