// Total traffic of the machine over all its network devices, as counters that only grow: the sum of the growth of each device,
// so a device that appears, vanishes or resets does not count as traffic. A packet is counted once: a bond, VLAN, bridge or
// tunnel has the traffic of its lower devices, and a pair of virtual devices shows it twice.
import { grown } from './counters.ts';

export const NETWORK_FIGURES = ['receive', 'transmit', 'errors', 'dropped'] as const;

/** The relations of a device to others, from /sys/class/net. */
export interface NetworkDevice {
  name: string;
  /** It is hardware, or virtual hardware of a hypervisor. */
  isHardware: boolean;
  /** Its upper and lower devices. */
  uppers: readonly string[];
  lowers: readonly string[];
}

/** The counted devices: hardware; or, without hardware as in a container, devices without lower ones. */
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
   * @param counted undefined if unknown: all except loopback.
   * @returns by name: `network.receive`; without names for which no device is known.
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
