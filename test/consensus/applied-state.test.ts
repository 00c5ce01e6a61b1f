// What a member has applied, and its snapshot at any moment: also at the one at which a configuration is being changed.
import { describe, expect, it } from 'vitest';
import { AppliedState } from '../../consensus/raft/applied-state.ts';
import { encodeChanges } from '../../consensus/raft/config.ts';
import type { ConfState, Entry } from '../../consensus/raft/types.ts';

const conf = (...voters: number[]): ConfState => ({
  voters,
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
});
const machine = { parse: () => undefined, apply: () => undefined, encode: () => new Uint8Array([7]), restore: () => undefined };
const made = () => new AppliedState(machine, 100, { index: 4, term: 2, conf: conf(1, 2), data: new Uint8Array() });
const change = (data: Uint8Array): Entry => ({ type: 'EntryConfChangeV2', index: 5, term: 3, data });
const added = encodeChanges({ transition: 'ConfChangeTransitionAuto', changes: [{ type: 'ConfChangeAddNode', node: 3 }] });

describe('a change of the configuration', () => {
  it('is in a snapshot with its index only, since a leader that changes it may send one to a member that lags', () => {
    const state = made();
    let meanwhile: unknown;
    state.apply(change(added), () => {
      meanwhile = state.present;
      return conf(1, 2, 3);
    });
    expect(meanwhile).toMatchObject({ index: 4, term: 2, conf: conf(1, 2) });
    expect(state.present).toMatchObject({ index: 5, term: 3, conf: conf(1, 2, 3) });
  });

  it('that is none counts as applied, and changes nothing', () => {
    const state = made();
    state.apply(change(new Uint8Array([1, 2, 3])), () => expect.fail('it cannot be decoded'));
    expect(state.present).toMatchObject({ index: 5, term: 3, conf: conf(1, 2) });
  });
});
