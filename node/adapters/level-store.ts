// The Store port on LevelDB: atomic batches, fsynced before they resolve. A disk that is full, read-only or broken is treated as a
// slow one: writes wait until the disk accepts them again; reads continue.
import { Level } from 'level';
import type { RangeOptions, Store, StoreOperation } from '../../swarm/ports/store.ts';
import { reasonOf } from '../errors.ts';
import { DiskReserve, tryDisk } from './disk-reserve.ts';

const TRY_EVERY_MS = 2_000;
const RESERVE_EVERY_MS = 60_000;
/** Limit of queued values, the newest of each key. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;

type Database = Level<string, Uint8Array>;

export interface LevelStoreOptions {
  /** A directory for reserved space, released when the disk is full. */
  reserve?: string | undefined;
  /** Called with the reason if the disk refuses writes, and with undefined once it accepts them again. */
  refused?(reason: string | undefined): void;
}

/** Operations that are written as one batch. */
class Group {
  readonly operations = new Map<string, StoreOperation>();
  readonly #waiting: { resolve(): void; reject(error: unknown): void }[] = [];
  bytes = 0;

  add(operations: readonly StoreOperation[]): Promise<void> {
    for (const one of operations) {
      this.bytes += sizeOf(one) - sizeOf(this.operations.get(one.key));
      this.operations.set(one.key, one);
    }
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  end(failure: Error | undefined): void {
    for (const { resolve, reject } of this.#waiting) failure === undefined ? resolve() : reject(failure);
  }
}

export class LevelStore implements Store {
  readonly #directory: string;
  readonly #reserve: DiskReserve | undefined;
  readonly #refused: (reason: string | undefined) => void;
  /** Pending while the database is being opened again: reads wait for it. */
  #database: Promise<Database>;
  /** Operations that wait for the batch being written. */
  #next = new Group();
  #writing = false;
  #closed = false;
  #refusal: string | undefined;
  #reserving: NodeJS.Timeout | undefined;
  #reserved: Promise<void> = Promise.resolve();
  /** Whether refused writes wait; else they fail, as during the start of an agent. */
  waits = false;

  private constructor(directory: string, database: Database, { reserve, refused }: LevelStoreOptions) {
    this.#directory = directory;
    this.#database = Promise.resolve(database);
    this.#refused = refused ?? (() => undefined);
    if (reserve === undefined) return;
    const kept = new DiskReserve(reserve);
    this.#reserve = kept;
    this.#reserved = kept.make();
    this.#reserving = setInterval(() => {
      this.#reserved = kept.make();
    }, RESERVE_EVERY_MS).unref();
  }

  /** @throws if another process has it open: `cause.code` is LEVEL_LOCKED. */
  static async open(directory: string, options: LevelStoreOptions = {}): Promise<LevelStore> {
    const database = await openDatabase(directory).catch((error: unknown) => {
      const isFull = refusalOf(error) !== undefined && options.reserve !== undefined;
      if (!isFull || !new DiskReserve(options.reserve ?? '').release()) throw error;
      return openDatabase(directory);
    });
    return new LevelStore(directory, database, options);
  }

  get refusal(): string | undefined {
    return this.#refusal;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return (await this.#database).get(key);
  }

  async range(prefix: string, { limit, reverse = false }: RangeOptions): Promise<[string, Uint8Array][]> {
    return (await this.#database).iterator({ gte: prefix, lt: `${prefix}\uffff`, limit, reverse }).all();
  }

  write(operations: readonly StoreOperation[]): Promise<void> {
    if (this.#refusal !== undefined && this.#next.bytes > MAX_WAITING_BYTES)
      return Promise.reject(
        new Error(`${this.#directory}: ${this.#refusal}; more than ${MAX_WAITING_BYTES} bytes are queued for the disk`),
      );
    const written = this.#next.add(operations);
    if (!this.#writing) void this.#writeAll();
    return written;
  }

  /** Writes one batch at a time, with all operations that came meanwhile: after a failed batch LevelDB's log is torn, and later records would be lost. */
  async #writeAll(): Promise<void> {
    this.#writing = true;
    while (!this.#next.isEmpty && !this.#closed) {
      const group = this.#next;
      this.#next = new Group();
      group.end(await this.#writeGroup(group));
    }
    this.#writing = false;
  }

  /** @returns why it cannot be written. Never settles if the store is closed while the disk refuses the write, so that no caller believes in it. */
  async #writeGroup({ operations }: Group): Promise<Error | undefined> {
    const batch = [...operations.values()].map((one) =>
      one.kind === 'put' ? { type: 'put' as const, key: one.key, value: one.value } : { type: 'del' as const, key: one.key },
    );
    for (;;) {
      try {
        await (await this.#database).batch(batch, { sync: true } as object);
        this.#say(undefined);
        return undefined;
      } catch (error) {
        const refusal = refusalOf(error);
        if (refusal === undefined || !(await this.#recover(refusal))) return error as Error;
      }
    }
  }

  /** Waits until the database is open again, intact and with space to write. @returns false if refused writes do not wait. */
  async #recover(refusal: string): Promise<boolean> {
    const released = this.#reserve?.release() ?? false;
    if (this.waits) this.#say(refusal);
    for (let first = released; ; first = false) {
      if (!first && !this.waits) return false;
      if (!first) await new Promise((resolve) => setTimeout(resolve, TRY_EVERY_MS));
      if (this.#closed) return new Promise(() => undefined);
      const failure = await tryDisk(this.#directory);
      if (failure === undefined) return this.#openAgain();
      if (this.waits) this.#say(refusalOf(failure) ?? refusal);
    }
  }

  async #openAgain(): Promise<boolean> {
    const old = await this.#database;
    const opened = Promise.withResolvers<Database>();
    this.#database = opened.promise;
    this.#database.catch(() => undefined); // reported to readers
    await old.close();
    for (;;) {
      try {
        opened.resolve(await openDatabase(this.#directory));
        return true;
      } catch (error) {
        if (refusalOf(error) === undefined || !this.waits) {
          opened.reject(error);
          return false;
        }
        await new Promise((resolve) => setTimeout(resolve, TRY_EVERY_MS));
        if (this.#closed) return new Promise(() => undefined);
      }
    }
  }

  #say(refusal: string | undefined): void {
    if (refusal === this.#refusal) return;
    this.#refusal = refusal;
    this.#refused(refusal);
  }

  /** Drops queued operations: their callers have no confirmation of the write. */
  async close(): Promise<void> {
    clearInterval(this.#reserving);
    await this.#reserved;
    while (this.#writing && this.#refusal === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
    this.#closed = true;
    if (this.#refusal === undefined) await (await this.#database).close();
  }
}

async function openDatabase(directory: string): Promise<Database> {
  const database: Database = new Level(directory, { valueEncoding: 'view' });
  await database.open();
  return database;
}

function sizeOf(operation: StoreOperation | undefined): number {
  if (operation === undefined) return 0;
  return operation.key.length + (operation.kind === 'put' ? operation.value.length : 0);
}

/** Node's codes for LevelDB's I/O errors. */
const REFUSALS: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'EMFILE', 'ENFILE', 'EACCES', 'EPERM']);

/** The disk's error if the disk refused a write, such as "No space left on device"; undefined for other errors. */
export function refusalOf(error: unknown): string | undefined {
  for (let one = error; one instanceof Error; one = one.cause) {
    const { code = '' } = one as NodeJS.ErrnoException;
    if (code === 'LEVEL_LOCKED') return undefined;
    const said = one.message.match(/^IO error: .*: (.+)$/)?.[1];
    if (said !== undefined) return said;
    if (REFUSALS.has(code)) return reasonOf(one);
  }
  return undefined;
}
