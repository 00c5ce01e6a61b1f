// Reads the kernel's text files for both readers of /proc. A missing file is not tried again for some time.
import { readFileSync } from 'node:fs';
import { HOST_SOURCES, type HostFigures, readFigures } from '../host-figures.ts';
import { NetworkTotals } from '../network-totals.ts';
import { CgroupReader } from './cgroup-reader.ts';
import { KernelLog } from './kernel-log.ts';
import { NetworkDevices } from './network-devices.ts';

const ASK_AGAIN_MS = 60_000;

const KERNEL_LOG = 'the kernel’s log';

export class HostReader {
  readonly #missing = new Map<string, { reason: string; untilMs: number }>();

  readonly #kernel = new KernelLog();
  readonly #cgroups: CgroupReader;
  readonly #devices: NetworkDevices;
  readonly #network = new NetworkTotals();
  readonly #root: string;

  /** @param root directory with another machine's files, for tests. */
  constructor(root = '') {
    this.#root = root;
    this.#cgroups = new CgroupReader(root);
    this.#devices = new NetworkDevices(root);
  }

  /** @param nowMs monotonic. */
  read(nowMs: number): HostFigures {
    const figures = this.#files(nowMs);
    const lacks = new Map(figures.lacks);
    const values = new Map([...figures.values, ...this.#cgroups.read(nowMs)]);
    for (const [name, total] of this.#network.take(figures.values, this.#devices.counted(nowMs))) values.set(name, total);
    try {
      const { messages, errors } = this.#kernelCounts(nowMs);
      values.set('kernel.messages', messages).set('kernel.errors', errors);
    } catch (error) {
      for (const name of ['kernel.messages', 'kernel.errors']) lacks.set(name, (error as Error).message);
    }
    return { values, lacks };
  }

  #files(nowMs: number): HostFigures {
    return readFigures(HOST_SOURCES, (file) => {
      const missing = this.#missing.get(file);
      if (missing !== undefined && nowMs < missing.untilMs) throw new Error(missing.reason);
      try {
        return readFileSync(`${this.#root}${file}`, 'utf8');
      } catch (error) {
        const reason = `this machine has no ${file} (${(error as NodeJS.ErrnoException).code ?? 'error'})`;
        this.#missing.set(file, { reason, untilMs: nowMs + ASK_AGAIN_MS });
        throw new Error(reason);
      }
    });
  }

  #kernelCounts(nowMs: number): { messages: number; errors: number } {
    const missing = this.#missing.get(KERNEL_LOG);
    if (missing !== undefined && nowMs < missing.untilMs) throw new Error(missing.reason);
    try {
      return this.#kernel.counts();
    } catch (error) {
      const reason = `the agent has no permission to read ${KERNEL_LOG} (${(error as NodeJS.ErrnoException).code ?? 'error'})`;
      this.#missing.set(KERNEL_LOG, { reason, untilMs: nowMs + ASK_AGAIN_MS });
      throw new Error(reason);
    }
  }
}
