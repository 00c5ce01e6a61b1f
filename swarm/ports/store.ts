// Durable storage as a port: an ordered key-value store with atomic, synced writes.

export type StoreOperation = { kind: 'put'; key: string; value: Uint8Array } | { kind: 'delete'; key: string };

export interface RangeOptions {
  limit: number;
  /** Newest (largest key) first. */
  reverse?: boolean;
}

export interface Store {
  /**
   * Why the disk refuses writes now, such as "No space left on device"; undefined while it accepts them. Writes wait until it accepts
   * them again, so that nothing which follows a write happens without it; reads continue.
   */
  readonly refusal?: string | undefined;
  get(key: string): Promise<Uint8Array | undefined>;
  /** Applies all operations or none. Durable (fsync) once it resolves. */
  write(operations: readonly StoreOperation[]): Promise<void>;
  /** Entries whose key starts with `prefix`, in key order. */
  range(prefix: string, options: RangeOptions): Promise<[key: string, value: Uint8Array][]>;
  close(): Promise<void>;
}
