// What README and docs/ name is there: files, commands, scripts, benchmarks, protocols, sections of each other.
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ProtocolName, swarmNames } from '../swarm/names.ts';
import { documents, documentText } from './support/structure.ts';

const ROOT = dirname(import.meta.dirname);
const texts = documents().map((path) => ({ path, text: documentText(path) }));
/** What stands between backticks on one line or in a block of code, by the document that it is in. */
const code = texts.flatMap(({ path, text }) =>
  [...text.matchAll(/```\w*\n([\s\S]*?)```|`([^`\n]+)`/g)].flatMap(([, block, inline]) =>
    (block ?? inline ?? '').split('\n').map((said) => ({ path, said })),
  ),
);
const FOLDERS = /^(?:\.ci|bin|consensus|docs|kmod|models|native|node|scripts|sim|swarm|test)\//;
/** A hidden command: the actuator starts it. */
const HIDDEN = ['leave-check'];
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
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
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
  });
});

describe('the faults that `npm run bench -- mutants` plants', () => {
  it.each(globSync('test/bench/mutants/*.patch', { cwd: ROOT }))('%s fits the sources as they are', (patch) => {
    execFileSync('git', ['apply', '--check', '--unidiff-zero', patch], { cwd: ROOT, stdio: 'pipe' });
  });
});
