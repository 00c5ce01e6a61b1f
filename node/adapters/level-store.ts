// The Store port on LevelDB: atomic batches, fsynced before they are answered for.
import { Level } from 'level';
import type { RangeOptions, Store, StoreOperation } from '../../swarm/ports/store.ts';

export class LevelStore implements Store {
  readonly #db: Level<string, Uint8Array>;

  private constructor(db: Level<string, Uint8Array>) {
    this.#db = db;
  }

  /** @throws where another process has it open: `cause.code` is LEVEL_LOCKED. */
  static async open(directory: string): Promise<LevelStore> {
    const db = new Level<string, Uint8Array>(directory, { valueEncoding: 'view' });
    await db.open();
    return new LevelStore(db);
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#db.get(key);
  }

  async write(operations: readonly StoreOperation[]): Promise<void> {
    const batch = operations.map((operation) =>
      operation.kind === 'put'
        ? { type: 'put' as const, key: operation.key, value: operation.value }
        : { type: 'del' as const, key: operation.key },
    );
    await this.#db.batch(batch, { sync: true } as object);
  }

  range(prefix: string, { limit, reverse = false }: RangeOptions): Promise<[string, Uint8Array][]> {
    return this.#db.iterator({ gte: prefix, lt: `${prefix}\uffff`, limit, reverse }).all();
  }

  async close(): Promise<void> {
    await this.#db.close();
  }
}
