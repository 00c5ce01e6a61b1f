// Runs the declared health check of a service: by TCP, HTTP, a program, or its log.
import { closeSync, fstatSync, readSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { probeHttp } from '../../../swarm/adapters/http-probe.ts';
import { probeTcp } from '../../../swarm/adapters/tcp-probe.ts';
import type { HttpState } from '../../../swarm/ports/transport.ts';
import { monotonicMs } from '../../adapters/clock.ts';
import { openRegular } from '../../adapters/regular-file.ts';
import type { ServiceCheck, ServiceSample, ServiceSpec } from '../../ports/actuator.ts';

const HOST = '127.0.0.1';
/** Read of a log at a time; the rest waits for the next check. */
const MAX_READ_BYTES = 1024 * 1024;
const MAX_REMAINDER_LENGTH = 4_096;

interface Followed {
  /** The start that the log is followed from. */
  starts: number;
  offset: number;
  remainder: string;
  seen: boolean;
}

export class ServiceChecks {
  readonly #logs: string;
  readonly #run: (name: string, command: readonly string[]) => Promise<ServiceCheck>;
  readonly #followed = new Map<string, Followed>();

  /** @param logs the directory of the services' logs. @param run runs a program as the service: healthy if it exits with 0. */
  constructor(logs: string, run: (name: string, command: readonly string[]) => Promise<ServiceCheck>) {
    this.#logs = logs;
    this.#run = run;
  }

  /** Each log's state at its last change, and when that was; monotonic. */
  readonly #changed = new Map<string, { key: string; sinceMs: number }>();

  async look(spec: ServiceSpec, sample: ServiceSample, timeoutMs: number): Promise<ServiceCheck> {
    const { check, port, name } = spec;
    switch (check?.kind) {
      case 'exec':
        return this.#run(name, check.command);
      case 'log':
        return (await this.#logged(name, sample, check.text)) ? 'open' : 'failed';
      case 'silence':
        return this.#silence(name, sample, check.withinMs);
      case 'http':
        return port === undefined ? 'undeclared' : HTTP_CHECK[await probeHttp(HOST, port, check.path, timeoutMs)];
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

  /** The file does not show where this start's lines begin: if it has changed since, all of it counts. */
  async #sizeBefore(name: string, sinceMs: number): Promise<number> {
    const at = await stat(this.#path(name)).catch(() => undefined);
    return at === undefined || at.mtimeMs >= sinceMs ? 0 : at.size;
  }

  /** A service may write to the directory of its log, so the path may be something else. */
  #follow(name: string, followed: Followed, text: string): void {
    let fd: number;
    try {
      fd = openRegular(this.#path(name), { noFollow: true });
    } catch {
      return; // does not exist yet, or is not a log
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

  /** By when its log was seen to change: file dates follow the wall clock, which can be set. */
  async #silence(name: string, { starts }: ServiceSample, withinMs: number): Promise<ServiceCheck> {
    const at = await stat(this.#path(name)).catch(() => undefined);
    const key = `${starts} ${at?.ino} ${at?.size} ${at?.mtimeMs}`;
    const nowMs = monotonicMs();
    let changed = this.#changed.get(name);
    if (changed?.key !== key) {
      changed = { key, sinceMs: nowMs };
      this.#changed.set(name, changed);
    }
    return nowMs - changed.sinceMs <= withinMs ? 'open' : 'silent';
  }

  #path(name: string): string {
    return join(this.#logs, `${name}.log`);
  }
}

/** An HTTP result as a check result: connected without an answer is silence too. */
const HTTP_CHECK: Record<HttpState, ServiceCheck> = {
  passed: 'open',
  failed: 'failed',
  mute: 'silent',
  refused: 'refused',
  silent: 'silent',
  unknown: 'unknown',
};
