// The state of a member as of the last entry that it applied: the machine and the configuration, and when a snapshot of them is due.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { ConfChangeError, type ConfChanges, changesOf } from './config.ts';
import type { CommandOf, ResultOf, StateMachine } from './machine.ts';
import type { ConfState, Entry, EntryId, Snapshot } from './types.ts';

const proposalSchema = z.tuple([z.string(), z.unknown()]);

/** A command as an entry holds it. @param id the request's, by which the proposer knows it again */
export const encodeProposal = (id: string, command: unknown): Uint8Array => encodeCbor([id, command]);

export class AppliedState<Machine extends StateMachine<unknown, unknown>> {
  readonly machine: Machine;
  readonly #snapshotEvery: number;
  #conf: ConfState;
  /** The last entry whose effect is in the state. */
  #at: EntryId;
  /** The last entry that a snapshot was taken at. */
  #snapshotted: number;

  /** @param snapshotEvery a snapshot is due after so many entries */
  constructor(machine: Machine, snapshotEvery: number, { index, term, conf, data }: Snapshot) {
    this.machine = machine;
    this.#snapshotEvery = snapshotEvery;
    this.#conf = conf;
    this.#at = { index, term };
    this.#snapshotted = index;
    machine.restore(data);
  }

  get conf(): ConfState {
    return this.#conf;
  }

  /** The state of now. */
  get present(): Snapshot {
    return { ...this.#at, conf: this.#conf, data: this.machine.encode() };
  }

  /** A leader's snapshot takes the place of the state. */
  restore({ index, term, conf, data }: Snapshot): void {
    this.machine.restore(data);
    this.#conf = conf;
    this.#at = { index, term };
    this.#snapshotted = index;
  }

  /** @param configure changes the configuration. @returns the proposal that the entry was, and its result */
  apply(entry: Entry, configure: (changes: ConfChanges) => ConfState): { id: string; result: ResultOf<Machine> } | undefined {
    const { index, term, type, data } = entry;
    this.#at = { index, term };
    if (type === 'EntryNormal') return data.length > 0 ? this.#applyCommand(entry) : undefined;
    try {
      this.#conf = configure(changesOf(entry));
    } catch (error) {
      // It is none, and it is none for all members.
      if (!(error instanceof ConfChangeError || error instanceof RangeError)) throw error;
    }
    return undefined;
  }

  #applyCommand({ data, index, term }: Entry): { id: string; result: ResultOf<Machine> } | undefined {
    const parsed = proposalSchema.safeParse(decodeCbor(data));
    const command = parsed.success ? this.machine.parse(parsed.data[1]) : undefined;
    if (!parsed.success || command === undefined) return undefined;
    return {
      id: parsed.data[0],
      result: this.machine.apply(command as CommandOf<Machine>, { index, term }) as ResultOf<Machine>,
    };
  }

  /** The snapshot that is to be kept after these entries, where it is time for one. */
  snapshotAfter(entries: readonly Entry[]): Snapshot | undefined {
    // Who votes is known by what is known to be committed: on disk, or those that restart would wait for one that is no voter any more.
    const isChanged = entries.some(({ type }) => type !== 'EntryNormal');
    if (!isChanged && this.#at.index - this.#snapshotted < this.#snapshotEvery) return undefined;
    this.#snapshotted = this.#at.index;
    return this.present;
  }
}
