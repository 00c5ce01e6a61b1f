// Declared items beside services: kernel parameters, files, logs, directories to clean up. They are read
// through the actuator, which has more permissions than the agent. What it refuses is unknown, never healthy.

import { z } from 'zod';
import { toHex, utf8 } from '../../swarm/dissemination/cbor.ts';
import type { Clock } from '../../swarm/ports/clock.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { Actuator, ActuatorReading, Reading } from '../ports/actuator.ts';
import { NO_SUCH_FILE, type Sensors } from '../ports/sensors.ts';
import { LogGrowth } from './log-growth.ts';
import { LogMatches } from './log-matches.ts';
import type { DeclaredCertificate } from './served-certificate.ts';
import { ServedCertificate } from './served-certificate.ts';

export interface DeclaredSysctl {
  key: string;
  value: string;
}

export interface DeclaredFile {
  path: string;
  content: string;
  /** Octal digits; undefined: not managed. */
  mode: string | undefined;
  /** A service to reload after the file was repaired. */
  reload: string | undefined;
}

export interface DeclaredLog {
  path: string;
  maxBytes: number;
  keep: number;
  /** A regular expression: lines that match are reported. */
  alert: string | undefined;
  reload: string | undefined;
}

export interface DeclaredCleanup {
  directory: string;
  suffix: string;
  olderThanS: number;
}

/** The DNS servers to use if those of resolv.conf do not answer. */
export interface DeclaredResolver {
  path: string;
  servers: readonly string[];
  /** A name to resolve; any answer counts. */
  probe: string;
}

export interface Declared {
  certificates: readonly DeclaredCertificate[];
  resolvers: readonly DeclaredResolver[];
  sysctls: readonly DeclaredSysctl[];
  files: readonly DeclaredFile[];
  logs: readonly DeclaredLog[];
  cleanups: readonly DeclaredCleanup[];
}

/** The mode of a recreated file without a declared mode. */
const NEW_MODE = '644';

export const NOTHING_DECLARED: Declared = {
  certificates: [],
  resolvers: [],
  sysctls: [],
  files: [],
  logs: [],
  cleanups: [],
};

export const DECLARED_KINDS = ['sysctl', 'file', 'log', 'cleanup', 'certificate', 'resolver'] as const;
export type DeclaredKind = (typeof DECLARED_KINDS)[number];

/** The state of a declared item; policies see `fields` under the name of its kind. */
export interface DeclaredView {
  kind: DeclaredKind;
  /** A key or a path. */
  name: string;
  fields: Readonly<Record<string, string | number | boolean>>;
}

export interface DeclaredLook {
  views: DeclaredView[];
  /** Unavailable items, and why. */
  unknown: { name: string; reason: string }[];
}

/** path, type, size, mode: the first part of the actuator's answer to file.stat. */
const statSchema = z.tuple([z.string(), z.string(), z.number(), z.number()], z.unknown());
const INODE_AT = 8;
/** The actuator's answer to file.writers. */
const writersSchema = z.array(z.tuple([z.number(), z.number(), z.string(), z.number(), z.string(), z.number()]));

const DAY_MS = 86_400_000;
const NO_MATCH = { matches: 0, last: '' };
const NOTHING_WRITTEN = { lines: 0, matching: [] };
const RESOLVE_WITHIN_MS = 1_000;

export interface DeclaredPorts {
  actuator: Actuator;
  crypto: Pick<Crypto, 'hash' | 'certificateEndMs' | 'certificateNames'>;
  sensors: Sensors;
  clock: Pick<Clock, 'monotonicMs' | 'wallMs'>;
}

type Seen = { ok: true; view: DeclaredView } | { ok: false; name: string; reason: string };

export class DeclaredReader {
  readonly #declared: Declared;
  readonly #ports: DeclaredPorts;
  readonly #matches = new Map<string, LogMatches>();
  readonly #growth: ReadonlyMap<DeclaredLog, LogGrowth>;
  /** Bytes written by each process at the previous read. */
  readonly #writers = new Map<string, number>();
  readonly #served: ReadonlyMap<DeclaredCertificate, ServedCertificate>;

  constructor(declared: Declared, ports: DeclaredPorts) {
    this.#declared = declared;
    this.#ports = ports;
    this.#growth = new Map(declared.logs.map((one) => [one, new LogGrowth(one.maxBytes)]));
    this.#served = new Map(declared.certificates.map((one) => [one, new ServedCertificate(one, ports)]));
  }

  get empty(): boolean {
    return Object.values(this.#declared).every((some) => some.length === 0);
  }

  /** @throws Error if the actuator is unreachable. */
  async look(): Promise<DeclaredLook> {
    const { sysctls, files, logs, cleanups, certificates, resolvers } = this.#declared;
    const seen: Seen[] = [];
    for (const one of sysctls) seen.push(await this.#sysctl(one));
    for (const one of files) seen.push(await this.#file(one));
    for (const one of logs) seen.push(await this.#log(one));
    for (const one of cleanups) seen.push(await this.#cleanup(one));
    for (const one of certificates) seen.push(await this.#certificate(one));
    for (const one of resolvers) seen.push(await this.#resolver(one));
    return {
      views: seen.flatMap((one) => (one.ok ? one.view : [])),
      unknown: seen.flatMap((one) => (one.ok ? [] : { name: one.name, reason: one.reason })),
    };
  }

  /** @throws Error if the actuator does not answer: then the last known state stays. */
  async #read(reading: Reading): Promise<ActuatorReading> {
    const answer = await this.#ports.actuator.read(reading);
    if (!answer.ok && answer.code === 'unknown') throw new Error(answer.message);
    return answer;
  }

  async #sysctl({ key, value }: DeclaredSysctl): Promise<Seen> {
    const answer = await this.#read(['sysctl.read', key]);
    if (!answer.ok) return { ok: false, name: key, reason: answer.message };
    const now = normal(z.string().parse(answer.value));
    return { ok: true, view: { kind: 'sysctl', name: key, fields: { key, wanted: normal(value), value: now } } };
  }

  async #stat(
    path: string,
  ): Promise<{ ok: true; exists: boolean; size: number; mode: number; inode: number } | { ok: false; reason: string }> {
    const answer = await this.#read(['file.stat', path]);
    if (answer.ok) {
      const [, type, size, mode, ...more] = statSchema.parse(answer.value);
      return { ok: true, exists: type === 'file', size, mode, inode: Number(more[INODE_AT - 4]) };
    }
    return answer.code === 'not-found'
      ? { ok: true, exists: false, size: 0, mode: 0, inode: 0 }
      : { ok: false, reason: answer.message };
  }

  async #file({ path, content, mode, reload }: DeclaredFile): Promise<Seen> {
    const stat = await this.#stat(path);
    if (!stat.ok) return { ok: false, name: path, reason: stat.reason };
    const reading: Reading = ['file.read', path];
    const read = stat.exists ? await this.#read(reading) : undefined;
    if (read?.ok === false) return { ok: false, name: path, reason: read.message };
    const { hash } = this.#ports.crypto;
    const wanted = toHex(hash(utf8(content)));
    const now = read === undefined ? '' : toHex(hash(z.instanceof(Uint8Array).parse(read.value)));
    const octal = stat.exists ? stat.mode.toString(8).padStart(3, '0') : (mode ?? NEW_MODE);
    const fields = {
      path,
      exists: stat.exists,
      content: now,
      wanted,
      mode: octal,
      wanted_mode: mode ?? octal,
      text: content,
      reload: reload ?? '',
    };
    return { ok: true, view: { kind: 'file', name: path, fields } };
  }

  async #log(declared: DeclaredLog): Promise<Seen> {
    const { path, maxBytes, keep, reload, alert } = declared;
    // First, because it notices a hung file system, for which the actuator must not wait.
    const written = alert === undefined ? undefined : await this.#ports.sensors.newLines(path, alert);
    if (written?.ok === false && written.reason !== NO_SUCH_FILE) return { ok: false, name: path, reason: written.reason };
    const stat = await this.#stat(path);
    if (!stat.ok) return { ok: false, name: path, reason: stat.reason };
    if (written?.ok === false && stat.exists) return { ok: false, name: path, reason: written.reason };
    const growth = await this.#grown(declared, stat);
    const base = { path, exists: stat.exists, ...growth, max_bytes: maxBytes, keep, reload: reload ?? '' };
    const { lines, matching } = written?.ok === true ? written : NOTHING_WRITTEN;
    const { matches, last } =
      alert === undefined ? NO_MATCH : this.#matchesOf(path).take(matching, this.#ports.clock.monotonicMs());
    const fields = { ...base, lines, matches, last_match: last };
    return { ok: true, view: { kind: 'log', name: path, fields } };
  }

  async #grown(declared: DeclaredLog, { inode, size }: { inode: number; size: number }) {
    const rotated = await this.#stat(`${declared.path}.1`);
    const before = rotated.ok && rotated.exists ? { inode: rotated.inode, sizeBytes: rotated.size } : undefined;
    const nowMs = this.#ports.clock.monotonicMs();
    const growth = this.#growth.get(declared)?.look({ inode, sizeBytes: size }, before, nowMs);
    const fields = {
      size_bytes: growth?.sizeBytes ?? size,
      growth_bytes_s: Math.round(growth?.bytesPerS ?? 0),
      floods: growth?.floods ?? 0,
    };
    if (growth?.flooding !== true) return { ...fields, flooding: false, writer: '', writer_pid: 0, writer_program: '' };
    return { ...fields, flooding: true, ...(await this.#writerOf(declared.path)) };
  }

  /** The process with the most bytes written since the last read, of those that have the log or its rotated file open. */
  async #writerOf(path: string) {
    const found: z.infer<typeof writersSchema> = [];
    for (const file of [path, `${path}.1`]) {
      const answer = await this.#read(['file.writers', file]);
      if (answer.ok) found.push(...writersSchema.parse(answer.value));
    }
    const rated = found.map(([pid, ticks, program, , service, written]) => {
      const key = `${pid} ${ticks}`;
      const rate = written - (this.#writers.get(key) ?? 0);
      return { key, pid, program, service, written, rate };
    });
    this.#writers.clear();
    for (const { key, written } of rated) this.#writers.set(key, written);
    const most = rated.toSorted((a, b) => b.rate - a.rate)[0];
    const unit = this.#ports.actuator.services().find(({ pid }) => pid !== undefined && pid === most?.pid)?.name;
    return { writer: most?.service || (unit ?? ''), writer_pid: most?.pid ?? 0, writer_program: most?.program ?? '' };
  }

  #matchesOf(path: string): LogMatches {
    const matches = this.#matches.get(path) ?? new LogMatches();
    this.#matches.set(path, matches);
    return matches;
  }

  async #cleanup({ directory, suffix, olderThanS }: DeclaredCleanup): Promise<Seen> {
    const answer = await this.#read(['file.list', directory]);
    if (!answer.ok) return { ok: false, name: directory, reason: answer.message };
    const files = z
      .array(statSchema)
      .parse(answer.value)
      .filter(([path, type]) => type === 'file' && path.endsWith(suffix));
    const bytes = files.reduce((sum, [, , size]) => sum + size, 0);
    const fields = { directory, suffix, older_than_s: olderThanS, bytes, files: files.length };
    return { ok: true, view: { kind: 'cleanup', name: directory, fields } };
  }

  async #certificate(declared: DeclaredCertificate): Promise<Seen> {
    const { path, renewDays, renew, reload } = declared;
    const answer = await this.#read(['file.read', path]);
    if (!answer.ok && answer.code !== 'not-found') return { ok: false, name: path, reason: answer.message };
    const { crypto, clock } = this.#ports;
    const file = answer.ok ? z.instanceof(Uint8Array).parse(answer.value) : undefined;
    const endMs = file && crypto.certificateEndMs(file);
    const minMs = clock.wallMs() + renewDays * DAY_MS;
    const servedMs = file && endMs !== undefined ? await this.#served.get(declared)?.endMs(file, minMs) : undefined;
    const fields = {
      path,
      exists: answer.ok,
      readable: endMs !== undefined,
      renew_days: renewDays,
      renew: renew ?? '',
      reload: renew === undefined ? '' : (reload ?? ''),
      server: reload ?? '',
      ...(endMs === undefined ? {} : { days_left: (endMs - clock.wallMs()) / DAY_MS }),
      ...(servedMs === undefined ? {} : { served_days_left: (servedMs - clock.wallMs()) / DAY_MS }),
    };
    return { ok: true, view: { kind: 'certificate', name: path, fields } };
  }

  async #resolver({ path, servers, probe }: DeclaredResolver): Promise<Seen> {
    const answer = await this.#read(['file.read', path]);
    if (!answer.ok && answer.code !== 'not-found') return { ok: false, name: path, reason: answer.message };
    const now = answer.ok ? new TextDecoder().decode(z.instanceof(Uint8Array).parse(answer.value)) : '';
    const lines = now.split('\n').filter((line) => line.trim() !== '');
    const used = lines.flatMap((line) => serverOf(line) ?? []);
    const rest = lines.filter((line) => serverOf(line) === undefined);
    const answers = await this.#anyAnswers(used, probe);
    const fields = {
      path,
      servers: used.join(' '),
      declared: servers.join(' '),
      answers,
      // Asked only if needed, to cause no traffic to a server that is not in use.
      declared_answers: !answers && (await this.#anyAnswers(servers, probe)),
      text: [...rest, ...servers.map((server) => `nameserver ${server}`), ''].join('\n'),
    };
    return { ok: true, view: { kind: 'resolver', name: path, fields } };
  }

  async #anyAnswers(servers: readonly string[], probe: string): Promise<boolean> {
    const asked = servers.map((server) => this.#ports.sensors.resolves(server, probe, RESOLVE_WITHIN_MS));
    return (await Promise.all(asked)).includes(true);
  }
}

/** resolv.conf(5): the keyword begins the line, and text after the value is ignored. */
function serverOf(line: string): string | undefined {
  const [keyword, server] = line.split(/\s+/, 2);
  return keyword === 'nameserver' ? server : undefined;
}

/** The kernel's tabs and a person's spaces are equal. */
function normal(value: string): string {
  return value.trim().replaceAll(/\s+/g, ' ');
}
