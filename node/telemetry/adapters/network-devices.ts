// How the network devices of this machine stand to each other: /sys/class/net (Documentation/ABI/testing/sysfs-class-net).
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { countedDevices } from '../network-totals.ts';

const DEVICES = '/sys/class/net';
/** A device that is plugged in is counted from then on, at the latest. */
const FIND_EVERY_MS = 10_000;
const MAX_DEVICES = 1_024;

export class NetworkDevices {
  readonly #root: string;
  #counted: ReadonlySet<string> | undefined;
  #foundMs = Number.NEGATIVE_INFINITY;

  /** @param root where another machine's files lie, for tests. */
  constructor(root = '') {
    this.#root = `${root}${DEVICES}`;
  }

  /** Those that traffic is counted of; undefined where the machine does not say. */
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
    return []; // gone since, or a file such as bonding_masters
  }
}
