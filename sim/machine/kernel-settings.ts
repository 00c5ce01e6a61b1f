// The settings of a simulated machine's kernel: its parameters (sysctl), and the limits of services (cgroups).
import type { ActuatorReading, Reading } from '../../node/ports/actuator.ts';

/** Defaults of the kernel. */
const SYSCTLS = { 'vm.swappiness': '60', 'vm.dirty_ratio': '20', 'net.core.somaxconn': '4096' };

export class KernelSettings {
  readonly #sysctls = new Map<string, string>(Object.entries(SYSCTLS));
  readonly #limits = new Map<string, number>();

  hasSysctl(key: string): boolean {
    return this.#sysctls.has(key);
  }

  setSysctl(key: string, value: string): void {
    this.#sysctls.set(key, value);
  }

  /** @param file of the service's group */
  setLimit(service: string, file: string, value: number): void {
    this.#limits.set(`${service} ${file}`, value);
  }

  read(reading: Extract<Reading, readonly ['sysctl.read' | 'cgroup.read', ...unknown[]]>): ActuatorReading {
    if (reading[0] === 'cgroup.read') return { ok: true, value: this.#limits.get(`${reading[1]} ${reading[2]}`) ?? 0 };
    const value = this.#sysctls.get(reading[1]);
    return value === undefined ? { ok: false, code: 'not-found', message: `no ${reading[1]}` } : { ok: true, value };
  }
}
