// Which test files are quick: they start no process, open no socket, and run no swarm in the simulator; and which of them can share a worker. Known from what they import.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');
const SLOW =
  /from 'node:(child_process|worker_threads|net|http)'|from '[./]*\/swarm\/libp2p\/|from '[./]*\/sim\/(run|cluster|adapters\/library)\.ts'/;
const IMPORTS = /from '(\.[^']+\.ts)'/g;

/** Whether it, or what it takes from test/, imports what is slow. */
function isSlow(file: string, seen = new Set<string>()): boolean {
  if (seen.has(file) || !existsSync(file)) return false;
  seen.add(file);
  const text = readFileSync(file, 'utf8');
  if (SLOW.test(text)) return true;
  const imported = [...text.matchAll(IMPORTS)].map(([, path = '']) => join(dirname(file), path));
  return imported.some((path) => relative(ROOT, path).startsWith('test/') && isSlow(path, seen));
}

/** What changes the modules or the globals that other files in the same worker would see. */
const CHANGES = /\bvi\.(mock|doMock|hoisted|useFakeTimers)\(|\bglobalThis\.\w+ = /;

export interface TestFiles {
  /** Quick, and can share a worker with others. */
  shared: string[];
  /** Quick, each with a worker of its own. */
  own: string[];
  /** All others. */
  real: string[];
}

/** Their paths from the root. */
export function testFiles(): TestFiles {
  const files: TestFiles = { shared: [], own: [], real: [] };
  for (const path of globSync('test/**/*.test.ts', { cwd: ROOT })) {
    const whole = join(ROOT, path);
    if (isSlow(whole)) files.real.push(path);
    else if (CHANGES.test(readFileSync(whole, 'utf8'))) files.own.push(path);
    else files.shared.push(path);
  }
  return files;
}
