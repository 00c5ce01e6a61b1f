// A build replaces dist/ under agents that run from it: what they load later is still there, and no package holds what is old.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { install, isRunning } from '../../scripts/build.mjs';

const place = mkdtempSync(join(tmpdir(), 'kalos-build-'));
const dist = join(place, 'dist');
afterAll(() => rmSync(place, { recursive: true }));

/** What a bundler leaves: entries and chunks, named by what is in them. */
function built(hash: string): string {
  const fresh = join(place, `fresh-${hash}`);
  mkdirSync(join(fresh, 'types'), { recursive: true });
  writeFileSync(join(fresh, `lazy-${hash}.mjs`), `export const build = '${hash}';\n`);
  writeFileSync(
    join(fresh, `kalos-${hash}.mjs`),
    `process.stdout.write('${hash} ');\nprocess.stdin.once('data', async () => {\n  process.stdout.write((await import('./lazy-${hash}.mjs')).build);\n  process.exit();\n});\n`,
  );
  writeFileSync(join(fresh, `client-${hash}.mjs`), `export const client = '${hash}';\n`);
  writeFileSync(join(fresh, 'types', 'client.d.ts'), `// ${hash}\n`);
  return fresh;
}

const names = (): string[] =>
  readdirSync(dist)
    .filter((name) => name.endsWith('.mjs'))
    .sort();
const of = (...hashes: string[]): string[] =>
  [
    ...hashes.flatMap((hash) => ['kalos', 'client', 'lazy'].map((name) => `${name}-${hash}.mjs`)),
    'client.mjs',
    'kalos.mjs',
  ].sort();

describe('a build', () => {
  it('leaves a program that runs from dist/ all that it may load later', async () => {
    install(built('AAAAAAAA'), dist, false);
    expect(names()).toEqual(of('AAAAAAAA'));
    const running = spawn(process.execPath, [join(dist, 'kalos.mjs')], { stdio: ['pipe', 'pipe', 'inherit'] });
    const said: string[] = [];
    running.stdout.setEncoding('utf8').on('data', (text: string) => said.push(text));
    await new Promise((resolve) => running.stdout.once('data', resolve));
    expect(isRunning()).toBe(true);
    install(built('BBBB-_BB'), dist); // as npm run build does
    running.stdin.write('now\n');
    await new Promise((resolve) => running.once('exit', resolve));
    expect(said.join('')).toBe('AAAAAAAA AAAAAAAA');
    // And who starts now has the new one.
    expect(execFileSync(process.execPath, [join(dist, 'kalos.mjs')], { input: 'now\n', encoding: 'utf8' })).toBe(
      'BBBB-_BB BBBB-_BB',
    );
    expect(readFileSync(join(dist, 'types', 'client.d.ts'), 'utf8')).toBe('// BBBB-_BB\n');
  });

  it('packs what is of the newest build alone', () => {
    writeFileSync(join(place, 'package.json'), '{ "name": "x", "version": "1.0.0", "files": ["dist/"] }');
    expect(names()).toEqual(of('AAAAAAAA', 'BBBB-_BB'));
    const packed = JSON.parse(
      execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: place, encoding: 'utf8' }),
    ) as {
      files: { path: string }[];
    }[];
    const files = packed[0]?.files.map(({ path }) => path).filter((path) => path.endsWith('.mjs'));
    expect(files?.sort()).toEqual(of('BBBB-_BB').map((name) => `dist/${name}`));
  });

  it('removes the old once nobody runs from it', () => {
    install(built('CCCCCCCC'), dist, false);
    expect(names()).toEqual(of('CCCCCCCC'));
    expect(existsSync(join(dist, 'kalos.mjs.tmp'))).toBe(false);
  });

  it('knows who runs from dist/ by the arguments of processes, and takes hidden ones for running', () => {
    const proc = join(place, 'proc');
    const process_ = (pid: number, ...words: string[]): void => {
      mkdirSync(join(proc, String(pid)), { recursive: true });
      writeFileSync(join(proc, String(pid), 'cmdline'), `${words.join('\0')}\0`);
    };
    process_(7, 'vi', '/x/dist/kalos.mjs.old');
    expect(isRunning(proc)).toBe(true); // process 1 is hidden
    process_(1, 'init');
    expect(isRunning(proc)).toBe(false);
    process_(8, 'node', '--flag', '/x/dist/kalos-CC-_CCCC.mjs', 'compute-host');
    expect(isRunning(proc)).toBe(true);
  });
});
