// What a machine's owner declared beside services: kernel parameters, files, logs, directories that may be cleaned. Looked
// at through the actuator, which may read what the agent may not; what it does not let through is unknown, never well.
import { z } from 'zod';
import { toHex, utf8 } from '../../swarm/dissemination/cbor.ts';
import type { Actuator, ActuatorReading, Reading } from '../../swarm/ports/actuator.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';

export interface DeclaredSysctl {
  key: string;
  value: string;
}

export interface DeclaredFile {
  path: string;
  content: string;
  /** Octal digits; undefined leaves it be. */
  mode: string | undefined;
  /** A service to reload once the file is as it should be. */
  reload: string | undefined;
}

export interface DeclaredLog {
  path: string;
  maxBytes: number;
  keep: number;
  reload: string | undefined;
}

export interface DeclaredCleanup {
  directory: string;
  suffix: string;
  olderThanS: number;
}

export interface Declared {
  sysctls: readonly DeclaredSysctl[];
  files: readonly DeclaredFile[];
  logs: readonly DeclaredLog[];
  cleanups: readonly DeclaredCleanup[];
}

/** Of a file that is made anew, where none is declared. */
const NEW_MODE = '644';

export const NOTHING_DECLARED: Declared = { sysctls: [], files: [], logs: [], cleanups: [] };

export const DECLARED_KINDS = ['sysctl', 'file', 'log', 'cleanup'] as const;
export type DeclaredKind = (typeof DECLARED_KINDS)[number];

/** A declared thing as it is; policies see `fields` under the name of its kind. */
export interface DeclaredView {
  kind: DeclaredKind;
  /** A key or a path. */
  name: string;
  fields: Readonly<Record<string, string | number | boolean>>;
}

export interface DeclaredLook {
  views: DeclaredView[];
  /** What could not be seen, and why. */
  unknown: { name: string; reason: string }[];
}

/** path, type, size, mode: the front of what the actuator answers to file.stat. */
const statSchema = z.tuple([z.string(), z.string(), z.number(), z.number()], z.unknown());

type Seen = { ok: true; view: DeclaredView } | { ok: false; name: string; reason: string };

export class DeclaredReader {
  readonly #declared: Declared;
  readonly #actuator: Actuator;
  readonly #crypto: Pick<Crypto, 'hash'>;

  constructor(declared: Declared, actuator: Actuator, crypto: Pick<Crypto, 'hash'>) {
    this.#declared = declared;
    this.#actuator = actuator;
    this.#crypto = crypto;
  }

  get empty(): boolean {
    return Object.values(this.#declared).every((some) => some.length === 0);
  }

  /** @throws Error where the actuator is out of reach. */
  async look(): Promise<DeclaredLook> {
    const { sysctls, files, logs, cleanups } = this.#declared;
    const seen: Seen[] = [];
    for (const one of sysctls) seen.push(await this.#sysctl(one));
    for (const one of files) seen.push(await this.#file(one));
    for (const one of logs) seen.push(await this.#log(one));
    for (const one of cleanups) seen.push(await this.#cleanup(one));
    return {
      views: seen.flatMap((one) => (one.ok ? one.view : [])),
      unknown: seen.flatMap((one) => (one.ok ? [] : { name: one.name, reason: one.reason })),
    };
  }

  /** @throws Error where the actuator does not answer: then nothing is known anew, and what was seen last stands. */
  async #read(reading: Reading): Promise<ActuatorReading> {
    const answer = await this.#actuator.read(reading);
    if (!answer.ok && answer.code === 'unknown') throw new Error(answer.message);
    return answer;
  }

  async #sysctl({ key, value }: DeclaredSysctl): Promise<Seen> {
    const answer = await this.#read(['sysctl.read', key]);
    if (!answer.ok) return { ok: false, name: key, reason: answer.message };
    const now = normal(z.string().parse(answer.value));
    return { ok: true, view: { kind: 'sysctl', name: key, fields: { key, wanted: normal(value), value: now } } };
  }

  async #stat(path: string): Promise<{ ok: true; exists: boolean; size: number; mode: number } | { ok: false; reason: string }> {
    const answer = await this.#read(['file.stat', path]);
    if (answer.ok) {
      const [, type, size, mode] = statSchema.parse(answer.value);
      return { ok: true, exists: type === 'file', size, mode };
    }
    return answer.code === 'not-found' ? { ok: true, exists: false, size: 0, mode: 0 } : { ok: false, reason: answer.message };
  }

  async #file({ path, content, mode, reload }: DeclaredFile): Promise<Seen> {
    const stat = await this.#stat(path);
    if (!stat.ok) return { ok: false, name: path, reason: stat.reason };
    const reading: Reading = ['file.read', path];
    const read = stat.exists ? await this.#read(reading) : undefined;
    if (read?.ok === false) return { ok: false, name: path, reason: read.message };
    const wanted = toHex(this.#crypto.hash(utf8(content)));
    const now = read === undefined ? '' : toHex(this.#crypto.hash(z.instanceof(Uint8Array).parse(read.value)));
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

  async #log({ path, maxBytes, keep, reload }: DeclaredLog): Promise<Seen> {
    const stat = await this.#stat(path);
    if (!stat.ok) return { ok: false, name: path, reason: stat.reason };
    const fields = { path, exists: stat.exists, size_bytes: stat.size, max_bytes: maxBytes, keep, reload: reload ?? '' };
    return { ok: true, view: { kind: 'log', name: path, fields } };
  }

  async #cleanup({ directory, suffix, olderThanS }: DeclaredCleanup): Promise<Seen> {
    const answer = await this.#read(['file.list', directory]);
    if (!answer.ok) return { ok: false, name: directory, reason: answer.message };
    const bytes = z
      .array(statSchema)
      .parse(answer.value)
      .filter(([path, type]) => type === 'file' && path.endsWith(suffix))
      .reduce((sum, [, , size]) => sum + size, 0);
    const fields = { directory, suffix, older_than_s: olderThanS, bytes };
    return { ok: true, view: { kind: 'cleanup', name: directory, fields } };
  }
}

/** As the kernel's tabs and a person's spaces are the same. */
function normal(value: string): string {
  return value.trim().replaceAll(/\s+/g, ' ');
}
