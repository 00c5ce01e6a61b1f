// Reads the kernel's text files for both readers of /proc. A file that is not there is not asked for again for a while.
import { readFileSync } from 'node:fs';
import { HOST_SOURCES, type HostFigures, readFigures } from '../host-figures.ts';

const ASK_AGAIN_MS = 60_000;

export class HostReader {
  readonly #missing = new Map<string, { reason: string; untilMs: number }>();

  read(nowMs: number): HostFigures {
    return readFigures(HOST_SOURCES, (file) => {
      const missing = this.#missing.get(file);
      if (missing !== undefined && nowMs < missing.untilMs) throw new Error(missing.reason);
      try {
        return readFileSync(file, 'latin1');
      } catch (error) {
        const reason = `this machine has no ${file} (${(error as NodeJS.ErrnoException).code ?? 'error'})`;
        this.#missing.set(file, { reason, untilMs: nowMs + ASK_AGAIN_MS });
        throw new Error(reason);
      }
    });
  }
}
