// Paths by a pattern of LIKE, as in osquery: `%` and `_` within one part of the path, `%%` for everything below. Bounded: a
// statement must not search a machine's disks forever, nor leave the file system on which it begins.
import { type Dirent, lstatSync, readdirSync } from 'node:fs';
import { isLike } from '../../query/predicates.ts';
import { below } from './read.ts';

const MAX_FOUND = 20_000;
const MAX_SEEN = 200_000;
const MAX_DEPTH = 40;

interface Walk {
  found: string[];
  seen: number;
}

/** @throws Error if it would take too long. */
export function matching(pattern: string): string[] {
  const walk: Walk = { found: [], seen: 0 };
  step('', pattern.split('/').slice(1), walk);
  return walk.found;
}

function step(directory: string, [part = '', ...rest]: readonly string[], walk: Walk): void {
  if (part.includes('%%')) return everything(directory, [part, ...rest].join('/'), walk);
  for (const name of namesIn(directory, part, walk)) {
    const path = `${directory}/${name}`;
    if (rest.length > 0) step(path, rest, walk);
    else if (exists(path)) add(path, walk);
  }
}

/** The names that a part of a pattern matches; a plain name matches itself, even if the directory is not readable. */
function namesIn(directory: string, part: string, walk: Walk): string[] {
  if (!/[%_]/.test(part)) return part === '' || part === '.' || part === '..' ? [] : [part];
  const letters = [...part];
  const names = entries(directory, walk).map(({ name }) => name);
  const like = names.filter((name) => isLike([...name], letters));
  return names.includes(part) || !part.includes('_') || part.includes('%') ? like : [...like, part];
}

/** All matches below a directory; links are returned but not followed, and mounts are not entered. */
function everything(directory: string, pattern: string, walk: Walk): void {
  const letters = [...pattern];
  const device = deviceOf(directory === '' ? '/' : directory);
  const visit = (path: string, relative: string, depth: number): void => {
    for (const entry of entries(path, walk)) {
      const [inner, name] = [`${path}/${entry.name}`, relative === '' ? entry.name : `${relative}/${entry.name}`];
      if (isLike([...name], letters)) add(inner, walk);
      if (entry.isDirectory() && depth < MAX_DEPTH && deviceOf(inner) === device) visit(inner, name, depth + 1);
    }
  };
  visit(directory, '', 0);
}

function entries(directory: string, walk: Walk): Dirent[] {
  try {
    const found = readdirSync(below(directory === '' ? '/' : directory), { withFileTypes: true });
    walk.seen += found.length;
    if (walk.seen > MAX_SEEN) throw new RangeError();
    return found;
  } catch (error) {
    if (error instanceof RangeError)
      throw new Error(`more than ${MAX_SEEN} names to search: begin the pattern with a deeper directory`);
    return []; // removed, not a directory, or not readable
  }
}

function deviceOf(path: string): number | undefined {
  try {
    return lstatSync(below(path)).dev;
  } catch {
    return undefined;
  }
}

const exists = (path: string): boolean => deviceOf(path) !== undefined;

function add(path: string, walk: Walk): void {
  if (walk.found.length >= MAX_FOUND) throw new Error(`more than ${MAX_FOUND} files: narrow the pattern`);
  walk.found.push(path);
}
