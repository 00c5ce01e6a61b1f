// How the network devices of this machine stand to each other: /sys/class/net (Documentation/ABI/testing/sysfs-class-net).
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { countedDevices } from '../network-totals.ts';

const ROOT = '/sys/class/net';
/** A device that is plugged in is counted from then on, at the latest. */
const FIND_EVERY_MS = 10_000;
const MAX_DEVICES = 1_024;

export class NetworkDevices {
  #counted: ReadonlySet<string> | undefined;
  #foundMs = Number.NEGATIVE_INFINITY;

  /** Those that traffic is counted of; undefined where the machine does not say. */
  counted(nowMs: number): ReadonlySet<string> | undefined {
    if (nowMs - this.#foundMs < FIND_EVERY_MS) return this.#counted;
    this.#foundMs = nowMs;
    try {
      const names = readdirSync(ROOT).slice(0, MAX_DEVICES);
      this.#counted = names.length === 0 ? undefined : countedDevices(names.map(deviceOf));
    } catch {
      this.#counted = undefined; // no sysfs here
    }
    return this.#counted;
  }
}

function deviceOf(name: string): Parameters<typeof countedDevices>[0][number] {
  const links = linksOf(join(ROOT, name));
  const named = (prefix: string): string[] =>
    links.flatMap((link) => (link.startsWith(prefix) ? [link.slice(prefix.length)] : []));
  return { name, isHardware: existsSync(join(ROOT, name, 'device')), uppers: named('upper_'), lowers: named('lower_') };
}

function linksOf(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // gone since, or a file such as bonding_masters
  }
}
