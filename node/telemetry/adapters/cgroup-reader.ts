// What each control group uses, two levels deep: cgroup v2, or the controllers' hierarchies of v1 (cgroups(7)). A system's
// slices and services, containers, and the groups of limited services are there.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = '/sys/fs/cgroup';
const MAX_DEPTH = 2;
const MAX_GROUPS = 128;
/** Finding the groups costs more than reading them. */
const FIND_EVERY_MS = 10_000;
const NANOSECONDS = 1e9;
const MICROSECONDS = 1e6;

interface Hierarchy {
  mount: string;
  file: string;
  /** `cgroup.cpu` in seconds since the group was made, `cgroup.memory` in bytes. */
  figure: 'cgroup.cpu' | 'cgroup.memory';
  parse(text: string): number;
}

const UNIFIED: readonly Hierarchy[] = [
  {
    mount: ROOT,
    file: 'cpu.stat',
    figure: 'cgroup.cpu',
    parse: (text) => Number(text.match(/^usage_usec (\d+)/m)?.[1]) / MICROSECONDS,
  },
  { mount: ROOT, file: 'memory.current', figure: 'cgroup.memory', parse: Number },
];
const SEPARATE: readonly Hierarchy[] = [
  { mount: join(ROOT, 'cpuacct'), file: 'cpuacct.usage', figure: 'cgroup.cpu', parse: (text) => Number(text) / NANOSECONDS },
  { mount: join(ROOT, 'memory'), file: 'memory.usage_in_bytes', figure: 'cgroup.memory', parse: Number },
];

export class CgroupReader {
  readonly #hierarchies = existsSync(join(ROOT, 'cgroup.controllers')) ? UNIFIED : SEPARATE;
  #groups = new Map<string, string[]>();
  #foundMs = Number.NEGATIVE_INFINITY;

  /** By figure and group: `cgroup.memory|/kalos/web`; empty where this machine has no control groups. */
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
    return []; // not mounted, or gone since
  }
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // gone since, or without that controller
  }
}
