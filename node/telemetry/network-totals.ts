// What enters and leaves the machine over all of its network devices, as counters that only grow: each device by what it has grown by
// itself, so that one that is plugged in, vanishes or begins again is no traffic. A packet is counted once: a bond, VLAN, bridge or
// tunnel has the traffic of the devices below it, and a pair of virtual ones shows it twice.
import { grown } from './counters.ts';

export const NETWORK_FIGURES = ['receive', 'transmit', 'errors', 'dropped'] as const;

/** How a device stands to others, as /sys/class/net shows it. */
export interface NetworkDevice {
  name: string;
  /** There is hardware behind it, or what a hypervisor gives for it. */
  isHardware: boolean;
  /** Devices that are stacked on it, and those that it is stacked on. */
  uppers: readonly string[];
  lowers: readonly string[];
}

/** Devices that traffic is counted of: hardware; where there is none, as in a container, those that are stacked on nothing. */
export function countedDevices(devices: readonly NetworkDevice[]): Set<string> {
  const hardware = new Set(devices.flatMap(({ name, isHardware }) => (isHardware ? [name] : [])));
  const counted =
    hardware.size > 0
      ? devices.filter(({ name, uppers }) => hardware.has(name) && !uppers.some((upper) => hardware.has(upper)))
      : devices.filter(({ name, lowers }) => name !== 'lo' && lowers.length === 0);
  return new Set(counted.map(({ name }) => name));
}

export class NetworkTotals {
  #before: ReadonlyMap<string, number> = new Map();
  readonly #totals = new Map<string, number>();

  /**
   * @param values of each device: `network.receive|eth0`.
   * @param counted undefined where nobody can tell: all but loopback.
   * @returns by figure: `network.receive`; without those of which no device is known.
   */
  take(values: ReadonlyMap<string, number>, counted: ReadonlySet<string> | undefined): Map<string, number> {
    const totals = new Map<string, number>();
    for (const figure of NETWORK_FIGURES) {
      const prefix = `network.${figure}|`;
      const all = [...values].filter(([name]) => name.startsWith(prefix) && (counted?.has(name.slice(prefix.length)) ?? true));
      if (all.length === 0) continue;
      const growth = all.reduce((sum, [name, value]) => sum + (grown(value, this.#before.get(name)) ?? 0), 0);
      this.#totals.set(figure, (this.#totals.get(figure) ?? 0) + growth);
      totals.set(`network.${figure}`, this.#totals.get(figure) ?? 0);
    }
    this.#before = values;
    return totals;
  }
}
