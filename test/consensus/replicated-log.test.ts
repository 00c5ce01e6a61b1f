// A Raft member on a real LevelDB, and on disks that lie: what was acknowledged is there after a restart, what is damaged is found.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { CorruptLog, DurableLog } from '../../consensus/raft/durable-log.ts';
import { framesOf } from '../../consensus/raft/frames.ts';
import { DEFAULT_SETTINGS } from '../../consensus/raft/log-settings.ts';
import { type LogEvents, type LogState, ReplicatedLog } from '../../consensus/raft/replicated-log.ts';
import { LogUnavailable } from '../../consensus/raft/requests.ts';
import type { Entry, NodeId } from '../../consensus/raft/types.ts';
import { message } from '../../consensus/raft/types.ts';
import { decodeMessage, encodeMessage } from '../../consensus/raft/wire.ts';
import { SystemClock } from '../../node/adapters/clock.ts';
import { LevelStore } from '../../node/adapters/level-store.ts';
import { SystemRandom } from '../../node/adapters/random.ts';
import { Registers } from '../../sim/raft/registers.ts';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Store } from '../../swarm/ports/store.ts';
import { eventually } from '../support/clock.ts';
import { makePeers } from '../support/crypto.ts';

const [crypto] = await makePeers(1);
const hash = (bytes: Uint8Array): Uint8Array => crypto?.hash(bytes) ?? bytes;
const SETTINGS = { ...DEFAULT_SETTINGS, tickMs: 10, electionTicks: 10 };
const places: string[] = [];
const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0)) await end();
  for (const place of places.splice(0)) rmSync(place, { recursive: true });
});

const place = (): string => {
  const made = mkdtempSync(join(tmpdir(), 'kalos-raft-'));
  places.push(made);
  return made;
};
async function storeAt(directory: string): Promise<LevelStore> {
  const store = await LevelStore.open(directory);
  ending.push(() => store.close());
  return store;
}

/** Of a group of two, of which the second one only learns. */
const LEARNING = { voters: [1], votersOutgoing: [], learners: [2], learnersNext: [], autoLeave: false };

/** Members in one process that reach each other at once. */
class Group {
  readonly members = new Map<NodeId, ReplicatedLog<Registers>>();
  readonly fails: (string | undefined)[] = [];

  async add(id: NodeId, voters: readonly NodeId[] | undefined, store: Store): Promise<ReplicatedLog<Registers>> {
    const events: LogEvents = {
      send: (to, bytes) => void setImmediate(() => this.members.get(to)?.receive(id, bytes)),
      changed: (_state: LogState) => undefined,
      applied: (_entry: Entry) => undefined,
      diskFails: (why) => void this.fails.push(why),
      failed: (error) => {
        throw error;
      },
    };
    const ports = { clock: new SystemClock(), store, random: new SystemRandom(), crypto: { hash } };
    const log = await ReplicatedLog.open(id, voters, new Registers(), ports, events, SETTINGS);
    ending.unshift(() => log.stop());
    this.members.set(id, log);
    return log;
  }

  leader(): Promise<ReplicatedLog<Registers>> {
    return eventually('a leader', () => [...this.members.values()].find(({ state }) => state.state === 'StateLeader'));
  }
}

const entry = (index: number, term = 2): Entry => ({ index, term, type: 'EntryNormal', data: Uint8Array.of(index) });

describe('a durable log', () => {
  it('is as it was left, whatever replaced what', async () => {
    const store = await storeAt(place());
    const log = await DurableLog.open(store, { hash }, [1, 2, 3]);
    await log.save({ term: 2, vote: 3, commit: 1 }, [entry(2), entry(3), entry(4)], undefined);
    await log.save({ term: 3, vote: 0, commit: 2 }, [entry(3, 3)], undefined);
    const again = await DurableLog.open(store, { hash }, [9]);
    expect(again.initialState()).toEqual({
      state: { term: 3, vote: 0, commit: 2 },
      conf: { voters: [1, 2, 3], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false },
    });
    expect([again.firstIndex, again.lastIndex, again.term(1), again.term(3)]).toEqual([2, 3, 1, 3]);
    await again.snapshotAt(2, again.initialState().conf, Uint8Array.of(7), 3);
    const third = await DurableLog.open(store, { hash }, undefined);
    expect([third.firstIndex, third.lastIndex, third.snapshot().data, third.term(2)]).toEqual([3, 3, Uint8Array.of(7), 2]);
  });

  it('of which any bit of any record is wrong, or that misses one, is not used', async () => {
    const store = await storeAt(place());
    const log = await DurableLog.open(store, { hash }, [1]);
    await log.save({ term: 2, vote: 1, commit: 3 }, [entry(2), entry(3), entry(4)], undefined);
    const records = await store.range('raft/', { limit: 100 });
    expect(records.length).toBe(6);
    for (const [key, value] of records) {
      for (const at of [0, 8, value.length - 1]) {
        const broken = Uint8Array.from(value);
        broken[at] = (broken[at] ?? 0) ^ 4;
        await store.write([{ kind: 'put', key, value: broken }]);
        await expect(DurableLog.open(store, { hash }, [1]), `${key} at ${at}`).rejects.toThrow(CorruptLog);
      }
      await store.write([{ kind: 'put', key, value }]);
    }
    // One record in the place of another is whole by itself.
    const [[, first] = ['', new Uint8Array()], [, second] = ['', new Uint8Array()]] = records.slice(1);
    await store.write([{ kind: 'put', key: records[2]?.[0] ?? '', value: first }]);
    await expect(DurableLog.open(store, { hash }, [1])).rejects.toThrow(CorruptLog);
    await store.write([{ kind: 'put', key: records[2]?.[0] ?? '', value: second }]);
    expect((await DurableLog.open(store, { hash }, [1])).lastIndex).toBe(4);
    await store.write([{ kind: 'delete', key: records[2]?.[0] ?? '' }]);
    await expect(DurableLog.open(store, { hash }, [1])).rejects.toThrow(/revoke this member, then join it with a new token/);
  });
});

describe('a replicated log', () => {
  it('of a learner has what was committed when it starts again, though nobody says anything', async () => {
    const store = await storeAt(place());
    const kept = await DurableLog.open(store, { hash }, undefined);
    await kept.save({ term: 2, vote: 0, commit: 5 }, [], {
      ...{ index: 5, term: 2, conf: LEARNING, data: new Registers().encode() },
    });
    const data = encodeCbor(['a-1', { op: 'put', key: 'x', value: 'y' }]);
    await kept.save({ term: 2, vote: 0, commit: 6 }, [{ index: 6, term: 2, type: 'EntryNormal', data }], undefined);
    const learner = await new Group().add(2, undefined, store);
    await eventually('what was committed', () => learner.machine.get('x') ?? undefined);
    expect(learner.state.state).toBe('StateFollower');
  });

  it('of three on LevelDB takes writes, reads what was written, and has all of it after a restart', async () => {
    const directories = [place(), place(), place()];
    const stores = await Promise.all(directories.map(storeAt));
    const group = new Group();
    for (const id of [1, 2, 3]) await group.add(id, [1, 2, 3], stores[id - 1] as LevelStore);
    const leader = await group.leader();
    expect(await leader.propose({ op: 'put', key: 'k', value: 'one' }, 2_000)).toBe(true);
    const follower = [...group.members.values()].find((one) => one !== leader) as ReplicatedLog<Registers>;
    expect(await follower.propose({ op: 'cas', key: 'k', from: 'one', value: 'two' }, 2_000)).toBe(true);
    expect(await follower.propose({ op: 'cas', key: 'k', from: 'one', value: 'three' }, 2_000)).toBe(false);
    for (const member of group.members.values()) {
      await member.readable(2_000);
      expect(member.machine.get('k')).toBe('two');
    }
    for (const member of group.members.values()) member.stop();
    group.members.clear();
    for (const id of [1, 2, 3]) await group.add(id, undefined, stores[id - 1] as LevelStore);
    const next = await group.leader();
    await next.readable(2_000);
    expect(next.machine.get('k')).toBe('two');
    expect(next.state.term).toBeGreaterThan(leader.state.term);
  });

  it('knows who votes after a restart of all, though nothing was written since, and goes on without one that was lost', async () => {
    const stores = await Promise.all([place(), place(), place()].map(storeAt));
    const group = new Group();
    for (const id of [1, 2]) await group.add(id, [1, 2], stores[id - 1] as LevelStore);
    await group.add(3, undefined, stores[2] as LevelStore);
    const leader = await group.leader();
    await leader.propose({ op: 'put', key: 'k', value: 'one' }, 2_000);
    leader.changeConf({ transition: 'ConfChangeTransitionAuto', changes: [{ type: 'ConfChangeAddNode', node: 3 }] });
    await eventually('all to know', () => [...group.members.values()].every(({ conf }) => conf.voters.length === 3) || undefined);
    const isKept = async (store: LevelStore) => (await DurableLog.open(store, { hash }, undefined)).kept.conf.voters.length === 3;
    for (const store of stores) await eventually('it to be on disk', async () => (await isKept(store)) || undefined);
    for (const member of group.members.values()) member.stop();
    group.members.clear();
    for (const id of [2, 3]) await group.add(id, undefined, stores[id - 1] as LevelStore);
    const next = await group.leader();
    await next.readable(2_000);
    expect([next.machine.get('k'), next.conf.voters]).toEqual(['one', [1, 2, 3]]);
  });

  it('brings who comes late what it needs by a snapshot', async () => {
    const group = new Group();
    const first = await group.add(1, [1], await storeAt(place()));
    await group.leader();
    const writes = Array.from({ length: 3_000 }, (_, i) =>
      first.propose({ op: 'put', key: `k${i % 50}`, value: String(i) }, 10_000),
    );
    await Promise.all(writes);
    await eventually('it to be compacted', () => (first.entries()[0]?.index ?? 0) > 100 || undefined);
    const second = await group.add(2, undefined, await storeAt(place()));
    first.changeConf({ transition: 'ConfChangeTransitionAuto', changes: [{ type: 'ConfChangeAddNode', node: 2 }] });
    await eventually('the second to have all', () => second.state.applied === first.state.applied || undefined);
    expect(second.machine.encode()).toEqual(first.machine.encode());
    expect(second.conf.voters).toEqual([1, 2]);
  });

  it('brings a snapshot that no message could hold, though parts of it are lost at first', async () => {
    const group = new Group();
    const first = await group.add(1, [1], await storeAt(place()));
    await group.leader();
    const value = 'x'.repeat(10_000);
    const write = (i: number) => first.propose({ op: 'put', key: `k${i % 40}`, value: `${i} ${value}` }, 10_000);
    for (let i = 0; i < 40; i++) await write(i);
    await Promise.all(
      Array.from({ length: 3_000 }, (_, i) => first.propose({ op: 'put', key: 'more', value: String(i) }, 10_000)),
    );
    await eventually('it to be compacted', () => (first.entries()[0]?.index ?? 0) > 100 || undefined);
    const second = await group.add(2, undefined, await storeAt(place()));
    let dropped = 0;
    const { receive } = second;
    second.receive = (from, bytes) => {
      if (bytes.length > 40_000 && dropped++ === 2) return;
      receive.call(second, from, bytes);
    };
    first.changeConf({ transition: 'ConfChangeTransitionAuto', changes: [{ type: 'ConfChangeAddNode', node: 2 }] });
    await eventually('the second to have all', () => second.state.applied === first.state.applied || undefined);
    expect(second.machine.encode()).toEqual(first.machine.encode());
    expect([second.machine.encode().length > 400_000, dropped > 3]).toEqual([true, true]);
  });

  it('whose disk is full says nothing until it can keep what it says', async () => {
    const group = new Group();
    const real = await storeAt(place());
    let isFull = false;
    const store: Store = {
      get: (key) => real.get(key),
      range: (prefix, options) => real.range(prefix, options),
      close: () => real.close(),
      write: async (operations) => {
        if (isFull) throw new Error('ENOSPC: no space left on device');
        await real.write(operations);
      },
    };
    await group.add(1, [1, 2, 3], store);
    for (const id of [2, 3]) await group.add(id, [1, 2, 3], await storeAt(place()));
    await (await group.leader()).propose({ op: 'put', key: 'k', value: 'a' }, 2_000);
    isFull = true;
    await (await group.leader()).propose({ op: 'put', key: 'k', value: 'b' }, 3_000).catch(() => undefined);
    await eventually('it to be told', () => group.fails[0]);
    expect(group.fails).toEqual(['ENOSPC: no space left on device']);
    const others = [2, 3].map((id) => group.members.get(id) as ReplicatedLog<Registers>);
    await eventually('another to lead', () => others.find(({ state }) => state.state === 'StateLeader'));
    const [full] = [group.members.get(1) as ReplicatedLog<Registers>];
    await expect(full.propose({ op: 'put', key: 'k', value: 'c' }, 500)).rejects.toThrow(LogUnavailable);
    isFull = false;
    await eventually('its disk to work', () => group.fails.length === 2 || undefined);
    expect(group.fails[1]).toBeUndefined();
    await eventually('it to be back', () => full.state.applied === others[0]?.state.applied || undefined);
  });

  it('lets nobody speak for another, but for what a follower passes on', async () => {
    const group = new Group();
    const log = await group.add(1, [1, 2, 3], await storeAt(place()));
    const bring = (sender: NodeId, one: Parameters<typeof encodeMessage>[0]): void => {
      for (const frame of framesOf(encodeMessage(one), 1)) log.receive(sender, frame);
    };
    const { term } = log.state;
    bring(3, message('MsgHeartbeat', { to: 1, from: 2, term: term + 50 }));
    expect([log.state.term < term + 50, log.state.lead]).toEqual([true, 0]);
    bring(2, message('MsgHeartbeat', { to: 3, from: 2, term: term + 50 })); // not to it
    expect(log.state.term < term + 50).toBe(true);
    bring(2, message('MsgHeartbeat', { to: 1, from: 2, term: term + 50 }));
    expect(log.state).toMatchObject({ term: term + 50, lead: 2 });

    const alone = await group.add(4, [4], await storeAt(place()));
    await eventually('it to lead', () => alone.state.state === 'StateLeader' || undefined);
    const before = alone.entries().length;
    const asked = message('MsgProp', { to: 4, from: 9, entries: [{ ...entry(0, 0), data: new Uint8Array() }] });
    for (const frame of framesOf(encodeMessage(asked), 1)) alone.receive(8, frame);
    expect(alone.entries().length).toBe(before + 1);
  });

  it('takes nothing that is no message, or that another says for somebody', () => {
    const one = message('MsgApp', { to: 1, from: 2, term: 3, index: 4, logTerm: 2, entries: [entry(5)], commit: 4 });
    expect(decodeMessage(encodeMessage(one))).toEqual(one);
    const nonsense = { ...entry(5), type: 'EntryConfChangeV2' as const, data: Uint8Array.of(1, 2, 3) };
    const unsound = [
      message('MsgApp', { to: 1, from: 2, term: 3, index: 4, entries: [entry(6)] }),
      message('MsgProp', { to: 1, from: 2 }),
      message('MsgProp', { to: 1, from: 2, entries: [nonsense] }),
      message('MsgSnap', { to: 1, from: 2, term: 3 }),
    ];
    for (const lie of unsound) expect(decodeMessage(encodeMessage(lie))).toBeUndefined();
    for (const bytes of [new Uint8Array(), Uint8Array.of(1, 2, 3), encodeMessage(one).subarray(1)])
      expect(decodeMessage(bytes)).toBeUndefined();
  });
});
