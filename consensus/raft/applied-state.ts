// A member's state as of the last applied entry: the state machine and the configuration, and when a snapshot of them is due.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { ConfChangeError, type ConfChanges, changesOf } from './config.ts';
import type { CommandOf, ResultOf, StateMachine } from './machine.ts';
import type { ConfState, Entry, EntryId, Snapshot } from './types.ts';

const proposalSchema = z.tuple([z.string(), z.unknown()]);

/** The data of an entry for a command. @param id of the request, by which the proposer recognises it */
export const encodeProposal = (id: string, command: unknown): Uint8Array => encodeCbor([id, command]);

export class AppliedState<Machine extends StateMachine<unknown, unknown>> {
  readonly machine: Machine;
  readonly #snapshotEvery: number;
  #conf: ConfState;
  /** The index of the last entry whose effect is in the state. */
  #at: EntryId;
  /** The index of the last snapshot. */
  #snapshotted: number;

  /** @param snapshotEvery entries between two snapshots */
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

  /** The current state. */
  get present(): Snapshot {
    return { ...this.#at, conf: this.#conf, data: this.machine.encode() };
  }

  /** Replaces the state by a snapshot of the leader. */
  restore({ index, term, conf, data }: Snapshot): void {
    this.machine.restore(data);
    this.#conf = conf;
    this.#at = { index, term };
    this.#snapshotted = index;
  }

  /** @param configure changes the configuration. @returns the id and the result of the proposal in the entry */
  apply(entry: Entry, configure: (changes: ConfChanges) => ConfState): { id: string; result: ResultOf<Machine> } | undefined {
    const { index, term, type, data } = entry;
    let applied: { id: string; result: ResultOf<Machine> } | undefined;
    if (type !== 'EntryNormal') this.#configure(entry, configure);
    else if (data.length > 0) applied = this.#applyCommand(entry);
    this.#at = { index, term }; // last: `configure` may send the present state to a member that lags
    return applied;
  }

  #configure(entry: Entry, configure: (changes: ConfChanges) => ConfState): void {
    try {
      this.#conf = configure(changesOf(entry));
    } catch (error) {
      // Not a command here, nor on any other member.
      if (!(error instanceof ConfChangeError || error instanceof RangeError)) throw error;
    }
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

  /** The snapshot to store after these entries; undefined if none is due. */
  snapshotAfter(entries: readonly Entry[]): Snapshot | undefined {
    // The commit of a configuration change must be on disk: else a member that restarts would wait for one that is no longer a voter.
    const isChanged = entries.some(({ type }) => type !== 'EntryNormal');
    if (!isChanged && this.#at.index - this.#snapshotted < this.#snapshotEvery) return undefined;
    this.#snapshotted = this.#at.index;
    return this.present;
  }
}
