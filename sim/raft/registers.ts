// The smallest state machine of a log: registers by key. For the simulator, tests and benchmarks.
import { z } from 'zod';
import type { StateMachine } from '../../consensus/raft/machine.ts';
import type { ReplicatedLog } from '../../consensus/raft/replicated-log.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { RegisterInput, RegisterOutput } from '../check/linearizability.ts';

const MAX_KEY = 256;
const MAX_VALUE = 16_384;
const key = z.string().min(1).max(MAX_KEY);
const value = z.string().max(MAX_VALUE);

/** `cas`: sets it if it is still `from`. */
const commandSchema = z.discriminatedUnion('op', [
  z.strictObject({ op: z.literal('put'), key, value }),
  z.strictObject({ op: z.literal('cas'), key, from: value.nullable(), value }),
  z.strictObject({ op: z.literal('delete'), key }),
]);
export type RegisterCommand = z.infer<typeof commandSchema>;
const snapshotSchema = z.array(z.tuple([z.string(), z.string()]));

export class Registers implements StateMachine<RegisterCommand, boolean> {
  #values = new Map<string, string>();

  get(key: string): string | null {
    return this.#values.get(key) ?? null;
  }

  parse(decoded: unknown): RegisterCommand | undefined {
    return commandSchema.safeParse(decoded).data;
  }

  /** @returns whether it took effect */
  apply(command: RegisterCommand): boolean {
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
    return encodeCbor([...this.#values].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  restore(data: Uint8Array): void {
    const parsed = snapshotSchema.safeParse(data.length === 0 ? [] : decodeCbor(data));
    if (!parsed.success) throw new RangeError('not a snapshot of registers');
    this.#values = new Map(parsed.data);
  }
}

/** Executes a client's request on a log. @throws LogUnavailable */
export async function carryOut(log: ReplicatedLog<Registers>, input: RegisterInput, timeoutMs: number): Promise<RegisterOutput> {
  switch (input.kind) {
    case 'read':
      await log.readable(timeoutMs);
      return log.machine.get(input.key);
    case 'write':
      return log.propose({ op: 'put', key: input.key, value: input.value }, timeoutMs);
    case 'cas':
      return log.propose({ op: 'cas', key: input.key, from: input.from, value: input.to }, timeoutMs);
    case 'append':
      throw new RangeError('registers do not append');
  }
}
