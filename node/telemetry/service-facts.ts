// Facts about a supervised service beyond the process scan: its open files and writes, its throttling, its
// recent exits, configuration files changed since it was last healthy, and the process on its port. Each is read
// only if the service declares something that needs it; an unavailable fact is undefined.
import { z } from 'zod';
import { toHex, utf8 } from '../../swarm/dissemination/cbor.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { Store } from '../../swarm/ports/store.ts';
import type { Actuator, Reading, ServiceSample, ServiceSpec } from '../ports/actuator.ts';
import type { Sensors, Throttling } from '../ports/sensors.ts';
import { grown, shareOf } from './counters.ts';
import { LogMatches } from './log-matches.ts';

export interface Facts {
  /** Number of its exits within the last two minutes. */
  exits: number;
  files: number | undefined;
  writeBytesPerS: number | undefined;
  /** Share of the CPU controller's periods since the last read in which it was throttled. */
  throttledShare: number | undefined;
  /** Its current limit. */
  limitCpus: number | undefined;
  /** A configuration file that differs from its last known good content. */
  changedConfig: { path: string; good: string } | undefined;
  /** A program that listens on its port and is not one of its processes. */
  portHolder: string | undefined;
  /** Number of recent lines of its log that matched its alert, and the newest. */
  logMatches: number;
  lastMatch: string;
}

export const NO_FACTS: Facts = {
  exits: 0,
  files: undefined,
  writeBytesPerS: undefined,
  throttledShare: undefined,
  limitCpus: undefined,
  changedConfig: undefined,
  portHolder: undefined,
  logMatches: 0,
  lastMatch: '',
};

interface Known extends Facts {
  endedMs: number[];
  /** Bytes written by each process, by pid. */
  written: { bytes: ReadonlyMap<number, number>; atMs: number } | undefined;
  throttling: Throttling | undefined;
  /** Content of its files at the first read after a start, by path. */
  loaded: { starts: number; files: Map<string, Uint8Array | undefined> };
  alerts: LogMatches;
  /** Whether its log is being read. */
  isReading: boolean;
}

export interface FactsPorts {
  actuator: Actuator;
  sensors: Sensors;
  store: Store;
  crypto: Pick<Crypto, 'hash'>;
}

/** A configuration is good after the service was healthy with it for this time. */
const GOOD_AFTER_MS = 10_000;
const RECENT_MS = 120_000;
const MAX_RECENT = 100;
const MAX_PROCESSES = 1_000;
const MAX_CONFIG_BYTES = 256 * 1024;
const CONFIG_PREFIX = 'config/';
const MILLI = 1_000;

/** path, type, size, mode, uid, gid, mtime in ms: the first part of the actuator's answer to file.stat. */
const statSchema = z.tuple([z.string(), z.string(), z.number(), z.number(), z.number(), z.number(), z.number()], z.unknown());

/** The actuator's answer to port.holder. */
const holderSchema = z.tuple([z.number(), z.number(), z.string(), z.number()]);

export class ServiceFacts {
  readonly #ports: FactsPorts;
  readonly #specs: ReadonlyMap<string, ServiceSpec>;
  readonly #known = new Map<string, Known>();

  constructor(ports: FactsPorts, services: readonly ServiceSpec[]) {
    this.#ports = ports;
    this.#specs = new Map(services.map((spec) => [spec.name, spec]));
  }

  of(service: string): Facts {
    return this.#known.get(service) ?? NO_FACTS;
  }

  #knownOf(service: string): Known {
    const known = this.#known.get(service) ?? {
      ...NO_FACTS,
      endedMs: [],
      written: undefined,
      throttling: undefined,
      loaded: { starts: -1, files: new Map() },
      alerts: new LogMatches(),
      isReading: false,
    };
    this.#known.set(service, known);
    return known;
  }

  /** Called when a service exits by itself. */
  ended(service: string, nowMs: number): void {
    const known = this.#knownOf(service);
    known.endedMs = [...known.endedMs.slice(1 - MAX_RECENT), nowMs];
    known.exits = known.endedMs.length;
  }

  /** Once per sample: facts that the kernel has immediately. @param pids of the service and all its descendants. */
  sample(service: ServiceSample, pids: readonly number[], nowMs: number): void {
    const known = this.#knownOf(service.name);
    known.endedMs = known.endedMs.filter((atMs) => nowMs - atMs < RECENT_MS);
    known.exits = known.endedMs.length;
    const { files, writeBytesPerS } = service.bounds;
    if (files !== undefined || writeBytesPerS !== undefined) this.#details(known, pids.slice(0, MAX_PROCESSES), nowMs);
    if (service.limitCpus !== undefined) this.#throttling(known, service.pid);
    void this.#log(known, service.name, nowMs); // never fails; its result is used by a later sample
  }

  async #log(known: Known, name: string, nowMs: number): Promise<void> {
    const { alert } = this.#specs.get(name) ?? {};
    const path = alert === undefined ? undefined : this.#ports.actuator.logOf(name);
    if (alert === undefined || path === undefined || known.isReading) return;
    known.isReading = true;
    const written = await this.#ports.sensors.newLines(path, alert);
    known.isReading = false;
    const { matches, last } = known.alerts.take(written.ok ? written.matching : [], nowMs);
    Object.assign(known, { logMatches: matches, lastMatch: last });
  }

  #details(known: Known, pids: readonly number[], nowMs: number): void {
    const details = pids.flatMap((pid) => {
      const detail = this.#ports.sensors.detail(pid);
      return detail === undefined ? [] : { pid, ...detail };
    });
    const isKnown = details.length > 0;
    known.files =
      isKnown && details.every(({ files }) => files !== undefined)
        ? details.reduce((sum, { files }) => sum + (files ?? 0), 0)
        : undefined;
    const bytes = new Map(details.flatMap(({ pid, writtenBytes }) => (writtenBytes === undefined ? [] : [[pid, writtenBytes]])));
    const before = known.written;
    known.written = isKnown && bytes.size === details.length ? { bytes, atMs: nowMs } : undefined;
    const seconds = before === undefined ? 0 : (nowMs - before.atMs) / 1_000;
    known.writeBytesPerS =
      known.written === undefined || before === undefined || seconds <= 0 ? undefined : growthOf(bytes, before.bytes) / seconds;
  }

  #throttling(known: Known, pid: number | undefined): void {
    const now = pid === undefined ? undefined : this.#ports.sensors.throttling(pid);
    const before = known.throttling;
    known.throttling = now;
    known.throttledShare = shareOf(grown(now?.throttled, before?.throttled), grown(now?.periods, before?.periods));
  }

  /**
   * Every few seconds: facts that need the actuator.
   * @param wellMs how long it has been healthy; undefined if it is not.
   * @throws Error if the actuator is unreachable.
   */
  async look(service: ServiceSample, wellMs: number | undefined): Promise<void> {
    const known = this.#knownOf(service.name);
    known.limitCpus = service.limitCpus === undefined ? undefined : await this.#limit(service);
    known.portHolder = service.state === 'exited' && service.port !== undefined ? await this.#holder(service.port) : undefined;
    const { config = [] } = this.#specs.get(service.name) ?? {};
    if (known.loaded.starts !== service.starts) known.loaded = { starts: service.starts, files: new Map() };
    let changed: Facts['changedConfig'];
    for (const path of config) {
      const differs = await this.#config(service, known, path, wellMs);
      changed ??= differs;
    }
    known.changedConfig = changed;
  }

  async #limit({ name, state, limitCpus }: ServiceSample): Promise<number | undefined> {
    if (state !== 'running') return limitCpus;
    const milli = await this.#read(['cgroup.read', name, 'cpu'], z.number());
    return milli === undefined ? undefined : milli / MILLI;
  }

  async #holder(port: number): Promise<string | undefined> {
    const holder = await this.#read(['port.holder', port], holderSchema);
    return holder === undefined ? undefined : `${holder[2]} (pid ${holder[0]})`;
  }

  /**
   * The good content, if the file has another. The content with which a service was started and is healthy is good; content
   * written since its start may not have been read.
   */
  async #config(
    { name, sinceMs }: ServiceSample,
    { loaded }: Known,
    path: string,
    wellMs: number | undefined,
  ): Promise<Facts['changedConfig']> {
    const now = await this.#read(['file.read', path], z.instanceof(Uint8Array));
    if (!loaded.files.has(path)) loaded.files.set(path, now);
    const key = `${CONFIG_PREFIX}${name}/${toHex(this.#ports.crypto.hash(utf8(path)))}`;
    const good = await this.#ports.store.get(key);
    if (now === good || (good !== undefined && now !== undefined && sameBytes(good, now))) return undefined;
    if (now !== undefined && now.length <= MAX_CONFIG_BYTES && (wellMs ?? 0) >= GOOD_AFTER_MS) {
      const atStart = loaded.files.get(path);
      const written = await this.#read(['file.stat', path], statSchema);
      if (written !== undefined && written[6] <= sinceMs && atStart !== undefined && sameBytes(atStart, now)) {
        await this.#ports.store.write([{ kind: 'put', key, value: now }]);
        return undefined;
      }
    }
    const text = good && asText(good);
    return text === undefined ? undefined : { path, good: text };
  }

  /** Undefined if there is no such thing. @throws Error if the actuator does not answer. */
  async #read<T>(reading: Reading, schema: z.ZodType<T>): Promise<T | undefined> {
    const answer = await this.#ports.actuator.read(reading);
    if (!answer.ok && answer.code === 'unknown') throw new Error(answer.message);
    return answer.ok ? schema.parse(answer.value) : undefined;
  }
}

/** Undefined if it is not UTF-8: content that cannot be written back byte by byte is not restored. */
function asText(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** The total growth of all; a new process, or one with a reused pid, counts from the next read. */
function growthOf(now: ReadonlyMap<number, number>, before: ReadonlyMap<number, number>): number {
  let sum = 0;
  for (const [pid, bytes] of now) sum += grown(bytes, before.get(pid)) ?? 0;
  return sum;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
