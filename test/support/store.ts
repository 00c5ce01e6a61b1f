// A store in memory, for tests that reach behind it.
import type { Store, StoreOperation } from '../../swarm/ports/store.ts';

export class PlainStore implements Store {
  readonly content = new Map<string, Uint8Array>();
  async get(key: string) {
    return this.content.get(key);
  }
  async write(operations: readonly StoreOperation[]) {
    for (const operation of operations) {
      if (operation.kind === 'put') this.content.set(operation.key, operation.value);
      else this.content.delete(operation.key);
    }
  }
  async range(prefix: string, { limit, reverse = false }: { limit: number; reverse?: boolean }) {
    const found = [...this.content].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1));
    return (reverse ? found.reverse() : found).slice(0, limit);
  }
  async close() {}
}
