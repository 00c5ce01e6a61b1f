// Counts the messages of the kernel log, from /dev/kmsg (Documentation/ABI/testing/dev-kmsg), and how many of them are errors or
// worse. Messages from before the agent's start are not counted.
import { constants, openSync, readSync } from 'node:fs';

const FILE = '/dev/kmsg';
const MAX_RECORD_BYTES = 8_192;
/** Records read at a time; the rest waits for the next sample. */
const MAX_RECORDS = 1_000;
const MAX_OLD_RECORDS = 200_000;
/** syslog(2): emergencies, alerts, critical messages and errors. */
const ERROR_LEVEL = 3;
const LEVEL_MASK = 7;

export class KernelLog {
  readonly #buffer = Buffer.alloc(MAX_RECORD_BYTES);
  #fd: number | undefined;
  #messages = 0;
  #errors = 0;

  /** Counts since the agent's start. @throws Error if it is not readable. */
  counts(): { messages: number; errors: number } {
    if (this.#fd === undefined) {
      this.#fd = openSync(FILE, constants.O_RDONLY | constants.O_NONBLOCK);
      this.#read(this.#fd, MAX_OLD_RECORDS);
      [this.#messages, this.#errors] = [0, 0];
    }
    this.#read(this.#fd, MAX_RECORDS);
    return { messages: this.#messages, errors: this.#errors };
  }

  #read(fd: number, max: number): void {
    for (let i = 0; i < max; i++) {
      try {
        const got = readSync(fd, this.#buffer);
        const priority = Number.parseInt(this.#buffer.toString('latin1', 0, Math.min(got, 16)), 10);
        this.#messages++;
        if ((priority & LEVEL_MASK) <= ERROR_LEVEL) this.#errors++;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EPIPE') continue; // records were overwritten before they were read
        if (code === 'EAGAIN') return; // no more for now
        throw error;
      }
    }
  }
}
