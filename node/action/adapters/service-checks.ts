// Looks whether a service is well, as it is declared: by TCP, by HTTP, by a program, by its log.
import { closeSync, fstatSync, readSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import { probeTcp } from '../../../swarm/adapters/tcp-probe.ts';
import type { ServiceCheck, ServiceSample, ServiceSpec } from '../../../swarm/ports/actuator.ts';
import { openRegular } from '../../adapters/regular-file.ts';

const HOST = '127.0.0.1';
/** Read of a log at a time; a longer stretch waits for the next look. */
const MAX_READ_BYTES = 1024 * 1024;
const MAX_REMAINDER_LENGTH = 4_096;

interface Followed {
  /** The start that the log is followed from. */
  starts: number;
  offset: number;
  remainder: string;
  seen: boolean;
}

/** What this machine or this process lacks: no fault of the service's. */
const OURS = new Set(['EADDRNOTAVAIL', 'EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EAGAIN']);

export class ServiceChecks {
  readonly #logs: string;
  readonly #run: (name: string, command: readonly string[]) => Promise<boolean>;
  readonly #followed = new Map<string, Followed>();

  /** @param logs the directory of the services' logs. @param run whether a program, run as the service, ends with 0. */
  constructor(logs: string, run: (name: string, command: readonly string[]) => Promise<boolean>) {
    this.#logs = logs;
    this.#run = run;
  }

  async look(spec: ServiceSpec, sample: ServiceSample, timeoutMs: number): Promise<ServiceCheck> {
    const { check, port, name } = spec;
    switch (check?.kind) {
      case 'exec':
        return (await this.#run(name, check.command)) ? 'open' : 'failed';
      case 'log':
        return (await this.#logged(name, sample, check.text)) ? 'open' : 'failed';
      case 'silence':
        return this.#silence(name, sample, check.withinMs);
      case 'http':
        return port === undefined ? 'undeclared' : probeHttp(port, check.path, timeoutMs);
      default:
        return port === undefined ? 'undeclared' : probeTcp(HOST, port, timeoutMs);
    }
  }

  /** Whether the text was written since the service was started. */
  async #logged(name: string, { starts, sinceMs }: ServiceSample, text: string): Promise<boolean> {
    let followed = this.#followed.get(name);
    if (followed?.starts !== starts) {
      followed = { starts, offset: await this.#sizeBefore(name, sinceMs), remainder: '', seen: false };
      this.#followed.set(name, followed);
    }
    if (!followed.seen) this.#follow(name, followed, text);
    return followed.seen;
  }

  /** Where this start's lines begin cannot be told from the file: all of it, where it has changed since. */
  async #sizeBefore(name: string, sinceMs: number): Promise<number> {
    const at = await stat(this.#path(name)).catch(() => undefined);
    return at === undefined || at.mtimeMs >= sinceMs ? 0 : at.size;
  }

  /** A service may write to the directory of its log, and put something else there. */
  #follow(name: string, followed: Followed, text: string): void {
    let fd: number;
    try {
      fd = openRegular(this.#path(name), { noFollow: true });
    } catch {
      return; // not there yet, or no log
    }
    try {
      const { size } = fstatSync(fd);
      if (size < followed.offset) followed.offset = 0; // it was rotated
      const buffer = Buffer.alloc(MAX_READ_BYTES);
      const got = readSync(fd, buffer, 0, MAX_READ_BYTES, followed.offset);
      followed.offset += got;
      const content = followed.remainder + buffer.toString('utf8', 0, got);
      followed.seen = content.includes(text);
      followed.remainder = content.slice(-Math.min(MAX_REMAINDER_LENGTH, text.length));
    } finally {
      closeSync(fd);
    }
  }

  async #silence(name: string, { sinceMs }: ServiceSample, withinMs: number): Promise<ServiceCheck> {
    const at = await stat(this.#path(name)).catch(() => undefined);
    const lastMs = Math.max(sinceMs, at?.mtimeMs ?? 0);
    return Date.now() - lastMs <= withinMs ? 'open' : 'silent';
  }

  #path(name: string): string {
    return join(this.#logs, `${name}.log`);
  }
}

function probeHttp(port: number, path: string, timeoutMs: number): Promise<ServiceCheck> {
  return new Promise((resolve) => {
    const request = get({ host: HOST, port, path, timeout: timeoutMs, agent: false }, (response) => {
      response.resume();
      const status = response.statusCode ?? 0;
      resolve(status >= 200 && status < 400 ? 'open' : 'failed');
    });
    request.on('timeout', () => {
      resolve('silent');
      request.destroy();
    });
    request.on('error', ({ code = '' }: NodeJS.ErrnoException) => {
      if (OURS.has(code)) resolve('unknown');
      else resolve(code === 'ECONNREFUSED' ? 'refused' : 'failed');
    });
  });
}
