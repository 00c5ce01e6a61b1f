// Usage of each control group, two levels deep: cgroup v2, or the controllers' hierarchies of v1 (cgroups(7)). A system's
// slices and services, containers, and the groups of limited services are included.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = '/sys/fs/cgroup';
const MAX_DEPTH = 2;
const MAX_GROUPS = 128;
/** The groups are searched less often than read, because it costs more. */
const FIND_EVERY_MS = 10_000;
const NANOSECONDS = 1e9;
const MICROSECONDS = 1e6;

interface Hierarchy {
  mount: string;
  file: string;
  /** `cgroup.cpu` in seconds since the group was created, `cgroup.memory` in bytes. */
  figure: 'cgroup.cpu' | 'cgroup.memory';
  parse(text: string): number;
}

/** Undefined if it is not a number: an empty file is not 0. */
const number = (text = ''): number => (/^\s*\d/.test(text) ? Number(text) : Number.NaN);

const unified = (root: string): readonly Hierarchy[] => [
  {
    mount: root,
    file: 'cpu.stat',
    figure: 'cgroup.cpu',
    parse: (text) => number(text.match(/^usage_usec (\d+)/m)?.[1]) / MICROSECONDS,
  },
  { mount: root, file: 'memory.current', figure: 'cgroup.memory', parse: number },
];
const separate = (root: string): readonly Hierarchy[] => [
  {
    mount: hierarchy(root, 'cpuacct'),
    file: 'cpuacct.usage',
    figure: 'cgroup.cpu',
    parse: (text) => number(text) / NANOSECONDS,
  },
  { mount: hierarchy(root, 'memory'), file: 'memory.usage_in_bytes', figure: 'cgroup.memory', parse: number },
];

/** The directory of a v1 controller: alone, or with others under joined names; links for each do not exist everywhere. */
export function hierarchy(root: string, controller: string): string {
  const name = directoriesOf(root).find((one) => one.split(',').includes(controller));
  return join(root, name ?? controller);
}

export class CgroupReader {
  readonly #hierarchies: readonly Hierarchy[];
  #groups = new Map<string, string[]>();
  #foundMs = Number.NEGATIVE_INFINITY;

  /** @param root directory with another machine's files, for tests. */
  constructor(root = '') {
    const at = join(root, ROOT);
    this.#hierarchies = existsSync(join(at, 'cgroup.controllers')) ? unified(at) : separate(at);
  }

  /** By figure and group: `cgroup.memory|/kalos/web`; empty if this machine has no control groups. */
  read(nowMs: number): Map<string, number> {
    if (nowMs - this.#foundMs >= FIND_EVERY_MS) {
      this.#foundMs = nowMs;
      this.#groups = new Map(this.#hierarchies.map(({ mount }) => [mount, groupsOf(mount)]));
    }
    const values = new Map<string, number>();
    for (const { mount, file, figure, parse } of this.#hierarchies) {
      for (const group of this.#groups.get(mount) ?? []) {
        const value = parse(readOr(join(mount, group, file)));
        if (Number.isFinite(value)) values.set(`${figure}|${group}`, value);
      }
    }
    return values;
  }
}

function groupsOf(mount: string): string[] {
  const groups: string[] = [];
  const visit = (group: string, depth: number): void => {
    for (const name of directoriesOf(join(mount, group))) {
      if (groups.length >= MAX_GROUPS) return;
      groups.push(`${group}/${name}`);
      if (depth < MAX_DEPTH) visit(`${group}/${name}`, depth + 1);
    }
  };
  visit('', 1);
  return groups;
}

function directoriesOf(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? entry.name : []));
  } catch {
    return []; // not mounted, or removed since
  }
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // removed since, or without that controller
  }
}
