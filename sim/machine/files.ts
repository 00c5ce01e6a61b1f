// A file system of plain files for the fake Linux: enough for the file tools and their undos. Directories exist only in paths.
import { compilePattern } from '../../node/patterns.ts';
import type { ActuatorOutcome, ActuatorReading, Primitive, Reading } from '../../node/ports/actuator.ts';
import type { NewLines } from '../../node/ports/sensors.ts';
import { utf8 } from '../../swarm/dissemination/cbor.ts';

interface FakeFile {
  content: Uint8Array;
  mode: number;
  inode: number;
  mtimeMs: number;
}

const NEW_MODE = 0o644;
const FILE: ActuatorOutcome = { ok: true };
const missing = (path: string): ActuatorOutcome & { ok: false } => ({
  ok: false,
  code: 'not-found',
  message: `${path}: no such file`,
});

const hiddenName = (directory: string, key: string, index: number): string => `${directory}/.kalos-${key}-${index}`;

export class FakeFiles {
  readonly #files = new Map<string, FakeFile>();
  /** The content that a change replaced, by its key, until it is final; null if there was no file. */
  readonly #kept = new Map<string, FakeFile | null>();
  readonly #archive = new Map<string, FakeFile>();
  readonly #unread = new Map<string, string[]>();
  readonly #nowMs: () => number;
  #nextInode = 1;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** A write from outside KALOS. */
  put(path: string, content: Uint8Array, mode = NEW_MODE): void {
    this.#files.set(path, { content, mode, inode: this.#nextInode++, mtimeMs: this.#nowMs() });
  }

  delete(path: string): void {
    this.#files.delete(path);
  }

  /** A line at the end of a log. */
  log(path: string, line: string): void {
    const { content = new Uint8Array(), mode = NEW_MODE } = this.#files.get(path) ?? {};
    this.put(path, new Uint8Array([...content, ...utf8(`${line}\n`)]), mode);
    this.#unread.set(path, [...(this.#unread.get(path) ?? []), line]);
  }

  /** Lines written to a log since the last read. */
  newLines(path: string, pattern: string): NewLines {
    const lines = this.#unread.get(path) ?? [];
    this.#unread.delete(path);
    const compiled = compilePattern(pattern);
    const matching = lines.filter((line) => compiled.ok && compiled.pattern.test(line));
    return { ok: true, lines: lines.length, matching, skippedBytes: 0 };
  }

  content(path: string): Uint8Array | undefined {
    return this.#files.get(path)?.content;
  }

  paths(): string[] {
    return [...this.#files.keys()].sort();
  }

  run(primitive: Extract<Primitive, readonly [`file${string}`, ...unknown[]]>, key: string): ActuatorOutcome {
    const path = primitive[1];
    const old = this.#files.get(path);
    switch (primitive[0]) {
      case 'file.replace':
        this.#kept.set(key, old ?? null);
        this.put(path, primitive[2], primitive[3] >= 0 ? primitive[3] : (old?.mode ?? NEW_MODE));
        return FILE;
      case 'file.recall': {
        const archived = this.#archive.get(primitive[2]);
        if (archived === undefined) return missing(primitive[2]);
        this.#kept.set(key, old ?? null);
        this.put(path, archived.content, archived.mode);
        return FILE;
      }
      case 'file.remove':
        if (old === undefined) return missing(path);
        this.#kept.set(key, old);
        this.#files.delete(path);
        return FILE;
      case 'file.rotate':
        return this.#rotate(path, primitive[2], key);
      case 'file.restore':
      case 'file.return':
        return this.#restore(path, key);
      case 'file.unrotate':
        return this.#unrotate(path, primitive[2], key);
      case 'files.hide':
      case 'files.show':
        for (const [i, name] of primitive[2].entries()) {
          const [from, to] = [`${path}/${name}`, hiddenName(path, key, i)];
          if (primitive[0] === 'files.hide') this.#move(from, to);
          else this.#move(to, from);
        }
        return FILE;
    }
  }

  #restore(path: string, key: string): ActuatorOutcome {
    const kept = this.#kept.get(key);
    this.#kept.delete(key);
    if (kept === null) this.#files.delete(path);
    else if (kept !== undefined) this.#files.set(path, kept);
    return FILE;
  }

  #move(from: string, to: string): void {
    const file = this.#files.get(from);
    if (file === undefined) return;
    this.#files.delete(from);
    this.#files.set(to, file);
  }

  #rotate(path: string, keep: number, key: string): ActuatorOutcome {
    const current = this.#files.get(path);
    if (current === undefined) return missing(path);
    this.#kept.set(key, this.#files.get(`${path}.${keep}`) ?? null);
    this.#files.delete(`${path}.${keep}`);
    for (let i = keep - 1; i >= 1; i--) this.#move(`${path}.${i}`, `${path}.${i + 1}`);
    this.#move(path, `${path}.1`);
    this.put(path, new Uint8Array(), current.mode);
    return FILE;
  }

  #unrotate(path: string, keep: number, key: string): ActuatorOutcome {
    const last = this.#kept.get(key);
    if (last === undefined) return FILE;
    this.#kept.delete(key);
    this.#files.delete(path);
    this.#move(`${path}.1`, path);
    for (let i = 1; i < keep; i++) this.#move(`${path}.${i + 1}`, `${path}.${i}`);
    if (last !== null) this.#files.set(`${path}.${keep}`, last);
    return FILE;
  }

  archived(key: string): ActuatorReading {
    const file = this.#archive.get(key);
    return file === undefined ? missing(key) : { ok: true, value: file.content };
  }

  settle(key: string): void {
    const kept = this.#kept.get(key);
    this.#kept.delete(key);
    if (kept !== undefined && kept !== null) this.#archive.set(key, kept);
    for (const path of this.paths()) if (path.includes(`/.kalos-${key}-`)) this.#files.delete(path);
  }

  read([what, path]: Extract<Reading, readonly [`file.${string}`, string]>): ActuatorReading {
    const file = this.#files.get(path);
    if (what === 'file.list') {
      const inside = this.paths().filter(
        (other) => !other.includes('/.kalos-') && other.startsWith(`${path}/`) && !other.slice(path.length + 1).includes('/'),
      );
      return { ok: true, value: inside.map((other) => this.#stat(other)) };
    }
    if (file === undefined) return missing(path);
    return { ok: true, value: what === 'file.stat' ? this.#stat(path) : file.content };
  }

  #stat(path: string): unknown[] {
    const file = this.#files.get(path);
    return [path, 'file', file?.content.length ?? 0, file?.mode ?? 0, 0, 0, file?.mtimeMs ?? 0, 1, file?.inode ?? 0];
  }
}
