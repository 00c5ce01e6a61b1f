// What the log is about, for now: registers by key. Commands are applied in the log's order, so all members hold the same.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';

const MAX_KEY = 256;
const MAX_VALUE = 16_384;
const key = z.string().min(1).max(MAX_KEY);
const value = z.string().max(MAX_VALUE);

/** `cas`: set where it still is `from`. */
export const commandSchema = z.discriminatedUnion('op', [
  z.strictObject({ op: z.literal('put'), key, value }),
  z.strictObject({ op: z.literal('cas'), key, from: value.nullable(), value }),
  z.strictObject({ op: z.literal('delete'), key }),
]);
export type Command = z.infer<typeof commandSchema>;
const snapshotSchema = z.array(z.tuple([z.string(), z.string()]));

export class Registers {
  #values = new Map<string, string>();

  get(key: string): string | null {
    return this.#values.get(key) ?? null;
  }

  keys(): string[] {
    return [...this.#values.keys()].sort();
  }

  /** @returns whether it took effect */
  apply(command: Command): boolean {
    switch (command.op) {
      case 'put':
        this.#values.set(command.key, command.value);
        return true;
      case 'cas':
        if (this.get(command.key) !== command.from) return false;
        this.#values.set(command.key, command.value);
        return true;
      case 'delete':
        return this.#values.delete(command.key);
    }
  }

  encode(): Uint8Array {
    return encodeCbor(this.keys().map((one) => [one, this.#values.get(one)]));
  }

  /** @throws RangeError where it is no snapshot of registers */
  restore(data: Uint8Array): void {
    const parsed = snapshotSchema.safeParse(data.length === 0 ? [] : decodeCbor(data));
    if (!parsed.success) throw new RangeError('no snapshot of registers');
    this.#values = new Map(parsed.data);
  }
}
