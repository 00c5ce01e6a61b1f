// When a Raft core ticks: by a timer where it leads or may campaign, else only once a message comes.
import { describe, expect, it } from 'vitest';
import { DEFAULT_SETTINGS } from '../../consensus/raft/log-settings.ts';
import type { RawNode } from '../../consensus/raft/raw-node.ts';
import { Ticking } from '../../consensus/raft/ticking.ts';
import { NONE } from '../../consensus/raft/types.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';

const LEADER = 2;

function setUp(rttMs = 0) {
  const scheduler = new Scheduler();
  const raft = {
    id: 1,
    state: 'StateFollower',
    promotable: false,
    lead: NONE,
    tracker: { config: { voters: { ids: () => [1, 2, 3] } } },
  };
  const ticks: { atMs: number; isSilence: boolean }[] = [];
  const tick = (isSilence: boolean): void => void ticks.push({ atMs: scheduler.nowMs, isSilence });
  const node = { raft, tick } as unknown as RawNode;
  const ticking = new Ticking(node, new ProcessClock(scheduler), DEFAULT_SETTINGS, () => rttMs, tick);
  const until = (untilMs: number): void => {
    while (scheduler.step(untilMs));
  };
  ticking.resume();
  return { scheduler, raft, ticks, ticking, until };
}

describe('a member that votes', () => {
  it('ticks by a timer, once however often it is resumed, until it stops', () => {
    const { raft, ticks, ticking, until } = setUp();
    raft.promotable = true;
    ticking.resume();
    ticking.resume();
    until(120);
    expect(ticks).toEqual([
      { atMs: 50, isSilence: true },
      { atMs: 100, isSilence: true },
    ]);
    ticking.stop();
    ticking.resume();
    until(1_000);
    expect(ticks).toHaveLength(2);
  });

  it('ticks every half round trip over long links', () => {
    const { raft, ticks, ticking, until } = setUp(300);
    raft.promotable = true;
    ticking.resume();
    until(450);
    expect(ticks.map(({ atMs }) => atMs)).toEqual([150, 300, 450]);
  });

  it('bears silence as long as the usual gaps of its leader explain it, until another leads', () => {
    const { scheduler, raft, ticks, ticking, until } = setUp();
    Object.assign(raft, { promotable: true, lead: LEADER });
    ticking.resume();
    ticking.heard(LEADER);
    until(1_600);
    ticking.heard(LEADER); // 2.5 gaps of 1,600 ms are five times the usual 800 ms
    ticks.length = 0;
    until(scheduler.nowMs + 500);
    expect(ticks.filter(({ isSilence }) => isSilence)).toHaveLength(2);
    ticking.leaderChanged();
    ticks.length = 0;
    until(scheduler.nowMs + 500);
    expect(ticks.filter(({ isSilence }) => isSilence)).toHaveLength(10);
  });
});

describe('a member that only learns', () => {
  it('has no timer, and counts what has gone by when a message comes', () => {
    const { scheduler, ticks, ticking, until } = setUp();
    expect(scheduler.waiting).toBe(0);
    until(799);
    ticking.heard(LEADER);
    expect(ticks).toHaveLength(15);
    until(801);
    ticking.heard(LEADER); // what the last time left over counts
    expect(ticks).toHaveLength(16);
    until(100_000);
    ticking.heard(LEADER);
    expect(ticks).toHaveLength(16 + 32); // a lease and a time to campaign, and no more
  });

  it('gets a timer as it is promoted, and has none once it is demoted; one that campaigns or leads keeps it', () => {
    const { raft, ticks, ticking, until } = setUp();
    until(1_000);
    raft.promotable = true;
    ticking.resume();
    until(1_100);
    expect(ticks.map(({ atMs }) => atMs)).toEqual([1_050, 1_100]);
    Object.assign(raft, { promotable: false, state: 'StateLeader' });
    until(1_200);
    raft.state = 'StateFollower';
    until(5_000);
    expect(ticks.map(({ atMs }) => atMs)).toEqual([1_050, 1_100, 1_150, 1_200, 1_250]);
    ticking.heard(LEADER);
    expect(ticks).toHaveLength(5 + 32);
  });
});
