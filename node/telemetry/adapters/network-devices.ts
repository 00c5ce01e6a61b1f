// The relations of this machine's network devices: /sys/class/net (Documentation/ABI/testing/sysfs-class-net).
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { countedDevices } from '../network-totals.ts';

const DEVICES = '/sys/class/net';
/** A new device is counted after at most this time. */
const FIND_EVERY_MS = 10_000;
const MAX_DEVICES = 1_024;

export class NetworkDevices {
  readonly #root: string;
  #counted: ReadonlySet<string> | undefined;
  #foundMs = Number.NEGATIVE_INFINITY;

  /** @param root directory with another machine's files, for tests. */
  constructor(root = '') {
    this.#root = `${root}${DEVICES}`;
  }

  /** The counted devices; undefined if the machine has no such information. */
  counted(nowMs: number): ReadonlySet<string> | undefined {
    if (nowMs - this.#foundMs < FIND_EVERY_MS) return this.#counted;
    this.#foundMs = nowMs;
    try {
      const names = readdirSync(this.#root).slice(0, MAX_DEVICES);
      this.#counted = names.length === 0 ? undefined : countedDevices(names.map((name) => deviceOf(this.#root, name)));
    } catch {
      this.#counted = undefined; // no sysfs here
    }
    return this.#counted;
  }
}

function deviceOf(root: string, name: string): Parameters<typeof countedDevices>[0][number] {
  const links = linksOf(join(root, name));
  const named = (prefix: string): string[] =>
    links.flatMap((link) => (link.startsWith(prefix) ? [link.slice(prefix.length)] : []));
  return { name, isHardware: existsSync(join(root, name, 'device')), uppers: named('upper_'), lowers: named('lower_') };
}

function linksOf(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // removed since, or a file such as bonding_masters
  }
}
