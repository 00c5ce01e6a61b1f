// The committee: who is taken in, when, and who is not; what its members are called; and what goes to one of them at what pace.
import { describe, expect, it } from 'vitest';
import {
  type AutopilotMember,
  type AutopilotSeat,
  type AutopilotView,
  autopilot,
  committeeSize,
  GONE_MS,
  PROVEN_MS,
} from '../../consensus/committee/autopilot.ts';
import { RaftIds } from '../../consensus/committee/raft-ids.ts';
import { SendQueue } from '../../consensus/committee/send-queue.ts';
import { Assembly, framesOf, packed, unpacked } from '../../consensus/raft/frames.ts';
import { NO_CONF, type NodeId } from '../../consensus/raft/types.ts';
import { makePeer } from '../support/crypto.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'];
const idOf = (name: string): NodeId => NAMES.indexOf(name) + 1;

/** A swarm that an autopilot steers, with a group that does at once what it is told. */
class World {
  readonly members = new Map<string, AutopilotMember>();
  conf = { ...NO_CONF, voters: [1] };
  readonly seats = new Map<NodeId, Partial<AutopilotSeat>>();
  isLeaving = false;
  self = 'a';
  /** What was done, for whoever wonders. */
  readonly story: string[] = [];

  constructor(names: string, upMs = PROVEN_MS) {
    for (const peer of names) this.join(peer, upMs);
  }

  join(peer: string, upMs = 0, given: Partial<AutopilotMember> = {}): void {
    this.members.set(peer, {
      peer,
      hasRole: false,
      isAlive: true,
      forMs: 0,
      known: peer === this.self ? { id: idOf(peer), upMs } : undefined,
      domain: '',
      isUnfit: false,
      ...given,
    });
    this.#upMs.set(peer, upMs);
  }
  readonly #upMs = new Map<string, number>();

  set(peer: string, given: Partial<AutopilotMember>): void {
    const member = this.members.get(peer);
    if (member !== undefined) this.members.set(peer, { ...member, ...given });
  }

  view(): AutopilotView {
    const ids = [...this.conf.voters, ...this.conf.learners];
    const seats = ids.map((id): [NodeId, AutopilotSeat] => {
      const peer = NAMES[id - 1];
      const isActive = this.members.get(peer ?? '')?.isAlive ?? false;
      return [id, { id, peer, isActive, behind: 0, stableMs: 100_000, ...this.seats.get(id) }];
    });
    const { self, isLeaving, conf } = this;
    return { self, isLeaving, members: [...this.members.values()], conf, seats: new Map(seats) };
  }

  /** Does what it says until it says nothing more. */
  run(): string {
    for (let step = autopilot(this.view()), steps = 0; step !== undefined && steps < 50; step = autopilot(this.view()), steps++) {
      if (step.kind === 'invite') {
        for (const peer of step.peers) this.set(peer, { known: { id: idOf(peer), upMs: this.#upMs.get(peer) ?? 0 } });
        continue;
      }
      let [voters, learners] = [this.conf.voters, this.conf.learners];
      for (const { type, node } of step.changes) {
        learners = learners.filter((id) => id !== node);
        voters = voters.filter((id) => id !== node);
        if (type === 'ConfChangeAddNode') voters = [...voters, node];
        if (type === 'ConfChangeAddLearnerNode') learners = [...learners, node];
      }
      this.conf = { ...this.conf, voters: voters.sort(), learners };
      this.story.push(this.voters);
    }
    return this.voters;
  }

  get voters(): string {
    return this.conf.voters.map((id) => NAMES[id - 1]).join('');
  }
}

describe('the autopilot', () => {
  it('knows how many voters a swarm wants', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 8, 9, 1_000].map((members) => committeeSize(members, 0))).toEqual([
      1, 1, 3, 3, 5, 5, 7, 7, 7, 7,
    ]);
    // Who is gone counts, but not below three.
    expect([committeeSize(7, 1), committeeSize(5, 2), committeeSize(3, 1), committeeSize(3, 2)]).toEqual([5, 3, 3, 3]);
  });

  it('goes from one voter to as many as are wanted, and never over an even number', () => {
    for (let members = 1; members <= NAMES.length; members++) {
      const world = new World(NAMES.slice(0, members).join(''));
      expect(world.run()).toHaveLength(committeeSize(members, 0));
      expect(world.story.every((voters) => voters.length % 2 === 1)).toBe(true);
    }
  });

  it('takes in anybody up to three, and beyond that who has been up for ten minutes', () => {
    const world = new World('abcde', 1_000);
    expect(world.run()).toBe('abc');
    for (const peer of 'abcde') world.set(peer, { known: { id: idOf(peer), upMs: PROVEN_MS } });
    expect(world.run()).toBe('abcde');
  });

  it('asks nobody to vote who has not caught up, or not followed for a minute, where there are voters enough', () => {
    const world = new World('abc');
    world.seats.set(2, { behind: 1_000 });
    expect(world.run()).toBe('a');
    world.seats.clear();
    expect(world.run()).toBe('abc');
    world.join('d', PROVEN_MS);
    world.join('e', PROVEN_MS);
    for (const id of [4, 5]) world.seats.set(id, { stableMs: 30_000 });
    expect([world.run(), world.conf.learners]).toEqual(['abc', [4, 5]]);
    world.seats.clear();
    expect(world.run()).toBe('abcde');
  });

  it('replaces who is gone for two minutes, where somebody can take the place', () => {
    const world = new World('abcd');
    world.run();
    world.set('b', { isAlive: false, forMs: GONE_MS - 1 });
    expect(world.run()).toBe('abc');
    world.set('b', { forMs: GONE_MS });
    expect(world.run()).toBe('acd');
    world.set('c', { isAlive: false, forMs: GONE_MS });
    expect(world.run()).toBe('acd');
    world.set('b', { isAlive: true, forMs: 0 });
    expect(world.run()).toBe('abd');
  });

  it('replaces who is unfit, where somebody fit can take the place, and takes nobody who is', () => {
    const world = new World('abcde');
    world.run();
    world.set('b', { isUnfit: true });
    expect(world.run()).toBe('abcde');
    world.join('f', PROVEN_MS, { isUnfit: true });
    expect(world.run()).toBe('abcde');
    world.join('g', PROVEN_MS);
    expect(world.run()).toBe('acdeg');
    // The leader hands over first: it does not put itself out.
    world.set('b', { isUnfit: false });
    world.set('a', { isUnfit: true });
    expect(world.run()).toBe('acdeg');
  });

  it('spreads over failure domains, one step at a time, and stays where that is as good as it gets', () => {
    const world = new World('abcdefg');
    for (const peer of 'abcd') world.set(peer, { domain: 'rack-1' });
    for (const peer of 'ef') world.set(peer, { domain: 'rack-2' });
    for (const peer of 'abc') world.set(peer, { hasRole: true });
    expect(world.run()).toBe('abc');
    for (const peer of 'defg') world.set(peer, { hasRole: true, forMs: GONE_MS, isAlive: peer === 'e' });
    // Three of seven with the role are gone: five are wanted, and two racks are all that there is.
    expect(world.run()).toBe('abe');
    world.set('g', { isAlive: true, forMs: 0, domain: 'rack-3' });
    const spread = world.run();
    expect(spread).toBe('abceg');
    world.story.length = 0;
    expect([world.run(), world.story]).toEqual([spread, []]);
  });

  it('never goes where fewer than a majority of the new voters are there', () => {
    const world = new World('abcde');
    world.run();
    for (const peer of 'bcd') world.set(peer, { isAlive: false, forMs: GONE_MS });
    // Three of five are gone, and nothing can be committed: it does not pretend.
    const before = world.voters;
    for (const id of [2, 3, 4]) world.seats.set(id, { isActive: false });
    world.seats.set(5, { isActive: false });
    expect(world.run()).toBe(before);
  });

  it('lets go of who left, and hands the log on where its only voter leaves', () => {
    const world = new World('abc');
    world.run();
    world.members.delete('c');
    expect(world.run()).toBe('a');
    world.isLeaving = true;
    expect(world.run()).toBe('b');
  });

  it('takes only those with the role once there are three of them', () => {
    const world = new World('abcde');
    for (const peer of 'ade') world.set(peer, { hasRole: true });
    expect(world.run()).toBe('ade');
  });

  it('takes a member’s new log for the one that was lost', () => {
    const world = new World('abcd');
    world.run();
    // c is there, and silent in Raft: it is asked, and goes by another number.
    world.seats.set(3, { isActive: false });
    world.set('c', { known: undefined });
    expect(autopilot(world.view())).toEqual({ kind: 'invite', peers: ['c'] });
    world.set('c', { known: { id: 9, upMs: PROVEN_MS } });
    world.set('d', { isAlive: false });
    const steps = autopilot(world.view());
    expect(steps).toEqual({ kind: 'change', changes: [{ type: 'ConfChangeAddLearnerNode', node: 9 }] });
  });
});

describe('numbers of members', () => {
  it('are a peer’s own, other for each of its logs, and lead back to it', async () => {
    const [one, other] = [await makePeer(), await makePeer()];
    const numbers = new RaftIds(one);
    const [first, second] = [numbers.idOf(one.self, 1), numbers.idOf(one.self, 2)];
    expect(new Set([first, second, numbers.idOf(other.self, 1)]).size).toBe(3);
    expect(Number.isSafeInteger(numbers.idOf(one.self, 8_191))).toBe(true);
    expect([numbers.isOf(first, one.self), numbers.isOf(first, other.self)]).toEqual([true, false]);
    const fresh = new RaftIds(one);
    expect(fresh.peerOf(second, () => [other.self])).toBeUndefined();
    expect(fresh.peerOf(second, () => [other.self, one.self])).toBe(one.self);
  });
});

describe('a send queue', () => {
  /** Time stands still until it is moved. */
  function queueWithClock() {
    let nowMs = 0;
    let due: { atMs: number; run: () => void }[] = [];
    const sent: Uint8Array[] = [];
    const clock = {
      wallMs: () => nowMs,
      monotonicMs: () => nowMs,
      after: (ms: number, run: () => void) => {
        const timer = { atMs: nowMs + ms, run };
        due.push(timer);
        const cancel = (): void => {
          due = due.filter((one) => one !== timer);
        };
        return { cancel };
      },
    };
    const advance = (toMs: number): void => {
      for (;;) {
        const next = due.filter(({ atMs }) => atMs <= toMs).sort((a, b) => a.atMs - b.atMs)[0];
        if (next === undefined) break;
        due = due.filter((one) => one !== next);
        nowMs = next.atMs;
        next.run();
      }
      nowMs = toMs;
    };
    return { queue: new SendQueue(clock, (bytes) => sent.push(bytes)), sent, advance };
  }
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const small = (id: number): Uint8Array => [...framesOf(new Uint8Array(20).fill(id), id)][0] as Uint8Array;

  it('sends what is said in one turn together, and no more than a member may send', async () => {
    const { queue, sent, advance } = queueWithClock();
    for (let i = 0; i < 100; i++) queue.push(small(i));
    await settle();
    expect(sent).toHaveLength(1);
    expect([...unpacked(sent[0] as Uint8Array)].map((frame) => frame[12])).toEqual(Array.from({ length: 100 }, (_, i) => i));
    // A busy log for ten seconds: nobody is asked to read more than 250 messages a second for long.
    sent.length = 0;
    for (let ms = 0; ms < 10_000; ms++) {
      queue.push(small(1));
      await Promise.resolve();
      await Promise.resolve();
      advance(ms + 1);
    }
    advance(20_000);
    expect(sent.length).toBeLessThan(500 + 250 * 10 + 10);
    expect(sent.reduce((sum, bytes) => sum + [...unpacked(bytes)].length, 0)).toBe(10_000);
  });

  it('lets small messages pass a large one, whose parts come in order', async () => {
    const { queue, sent, advance } = queueWithClock();
    const snapshot = new Uint8Array(10_000_000).map((_, i) => i % 251);
    for (const frame of framesOf(snapshot, 7)) queue.push(frame);
    await settle();
    const early = sent.length;
    queue.push(small(9));
    advance(30_000);
    const frames = sent.flatMap((bytes) => [...unpacked(bytes)]);
    expect(frames.findIndex((frame) => frame.length === 32)).toBeLessThan(early + 2);
    const assembly = new Assembly();
    const whole = frames.flatMap((frame) => assembly.take(frame) ?? []).find((bytes) => bytes.length > 1_000);
    expect(whole && Buffer.compare(whole, snapshot)).toBe(0);
    // At half a million bytes a second.
    expect(Math.max(...sent.map(({ length }) => length))).toBeLessThanOrEqual(60_000);
  });

  it('refuses what nobody could still send', () => {
    const { queue } = queueWithClock();
    const frames = [...framesOf(new Uint8Array(48 * 1024 * 1024), 1)];
    expect([frames.every((frame) => queue.push(frame)), frames.every((frame) => queue.push(frame))]).toEqual([true, false]);
  });

  it('ignores what is cut off in the middle', () => {
    const both = packed([small(1), small(2)]) as Uint8Array;
    expect([...unpacked(both.subarray(0, -3))]).toHaveLength(1);
  });
});
