// Which test files are quick: they start no process, open no socket, and run no swarm in the simulator. Told from what they import.
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

/** Their paths from the root. */
export function quickTests(): string[] {
  return globSync('test/**/*.test.ts', { cwd: ROOT }).filter((path) => !isSlow(join(ROOT, path)));
}
