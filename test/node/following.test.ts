// Who is not of the committee follows what it attests: which checkpoints it believes, of whom, and how it comes back to where it was.
import { describe, expect, it } from 'vitest';
import { Attestations } from '../../consensus/decisions/checkpoint.ts';
import { wished } from '../../consensus/decisions/decision.ts';
import { DecisionState } from '../../consensus/decisions/state.ts';
import type { Committee } from '../../node/decisions/committee.ts';
import { Decisions, type DecisionsEvents } from '../../node/decisions/decisions.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Disk, SimulatedStore } from '../../sim/machine/disk.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { Status } from '../../swarm/state/status.ts';
import { makePeers } from '../support/crypto.ts';
import { fakeMembers } from '../support/members.ts';
import { pass, settleIn } from '../support/virtual.ts';

const SWARM = 'd'.repeat(32);
const [self, a, b, c, d, e, f] = (await makePeers(7)) as Crypto[] as [Crypto, Crypto, Crypto, Crypto, Crypto, Crypto, Crypto];

/** What was decided: as many pauses, the last at `index`. */
function stateAt(index: number): DecisionState {
  const state = new DecisionState();
  for (let nth = 1; nth <= index; nth++) {
    const wish = { kind: 'pause', peer: `peer-${nth}`, reason: 'x' } as const;
    state.apply(wished(wish, 'by', nth.toString(16).padStart(32, '0'), 1_000), { index: nth, term: 1 });
  }
  return state;
}

/** A checkpoint of it, signed by some of its voters. */
function certified(state: DecisionState, voters: readonly Crypto[], signers = voters, index = state.index) {
  const checkpoint = { index, digest: self.hash(state.encode()), voters: voters.map((one) => one.self).sort() };
  const gathering = new Attestations(voters[0] as Crypto, SWARM);
  for (const signer of signers) gathering.receive(signer.self, new Attestations(signer, SWARM).attest(checkpoint));
  return gathering.newest;
}

/** What a member answers to whoever follows: a checkpoint, and the whole state. */
const answerOf = (state: DecisionState, voters: readonly Crypto[], signers = voters) =>
  encodeCbor([certified(state, voters, signers), null, state.encode()]);

function world(disk = new Disk(), given: { recovery?: { index: number; subject: string }; strangers?: Crypto[] } = {}) {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler);
  const answers = new Map<string, Uint8Array>();
  let decided = 0;
  const asked: string[] = [];
  const ports = {
    clock,
    store: new SimulatedStore(disk, scheduler),
    random: new SeededRandom(5, 'follow'),
    crypto: self,
  } as unknown as Ports;
  const events = {
    request: async (to: string) => {
      asked.push(to);
      return answers.get(to) ?? Promise.reject(new Error('gone'));
    },
    log: () => undefined,
    failed: (error: unknown) => {
      throw error;
    },
  } as unknown as DecisionsEvents;
  const members = fakeMembers({
    self: self.self,
    alive: () => [self.self, ...answers.keys()],
    statusOf: () => ({ decided }) as Status,
    roster: {
      isMember: (peer: string) => given.strangers?.every((one) => one.self !== peer) ?? true,
      records: { single: () => given.recovery },
    },
  });
  const decisions = new Decisions(
    ports,
    SWARM,
    members,
    { log: {}, coordinator: undefined, seats: { voters: () => undefined } } as unknown as Committee,
    events,
  );
  const open = (): Promise<void> => settleIn(scheduler, decisions.checkpoints.open());
  /** Each of them answers so. @returns how far it is then */
  const hear = async (given: [Crypto, Uint8Array][], index = 99): Promise<number> => {
    answers.clear();
    for (const [peer, answer] of given) answers.set(peer.self, answer);
    decided = index;
    decisions.follower.lookFor(index);
    await pass(scheduler, 3_000); // it asks again after two seconds
    decided = 0;
    await pass(scheduler, 5_000);
    return decisions.state.index;
  };
  return { decisions, hear, open, asked, disk, pump: (ms: number) => pass(scheduler, ms) };
}

/** One that knows the voters a, b and c, and is at decision 5. */
async function follower(given: Parameters<typeof world>[1] = {}) {
  const made = world(new Disk(), given);
  const known = answerOf(stateAt(5), [a, b, c]);
  expect(
    await made.hear(
      [
        [a, known],
        [b, known],
      ],
      5,
    ),
  ).toBe(5);
  return made;
}

describe('a follower that knows nothing yet', () => {
  it('believes two that name the same voters, or the only other one that is there', async () => {
    const answer = answerOf(stateAt(3), [a, b, c]);
    expect(await world().hear([[a, answer]])).toBe(3);
    const other = answerOf(stateAt(3), [d, e, f]);
    expect(
      await world().hear([
        [a, answer],
        [d, other],
      ]),
    ).toBe(0);
    expect(
      await world().hear([
        [a, answer],
        [d, other],
        [b, answer],
      ]),
    ).toBe(3);
  });

  it('believes nothing that no majority signed, whose voters are no members, or that is another state', async () => {
    const state = stateAt(3);
    const few = { ...(certified(state, [a, b, c]) ?? expect.fail()) };
    const unsigned = { ...few, signatures: few.signatures.slice(0, 1) };
    expect(await world().hear([[a, encodeCbor([unsigned, null, state.encode()])]])).toBe(0);
    expect(await world(new Disk(), { strangers: [c] }).hear([[a, answerOf(state, [a, b, c])]])).toBe(0);
    expect(await world().hear([[a, encodeCbor([few, null, stateAt(4).encode()])]])).toBe(0);
    expect(await world().hear([[a, encodeCbor([few, null, new Uint8Array([1])])]])).toBe(0);
    expect(await world().hear([[a, encodeCbor('nonsense')]])).toBe(0);
  });
});

describe('a follower that knows who votes', () => {
  it('believes one answer that a majority of them signed, and no older one', async () => {
    const { hear, decisions } = await follower();
    expect(await hear([[d, answerOf(stateAt(8), [a, b, c], [a, b])]])).toBe(8);
    expect(decisions.checkpoints.newest?.index).toBe(8);
    expect(await hear([[d, answerOf(stateAt(6), [a, b, c])]])).toBe(8);
    expect(await hear([[d, answerOf(stateAt(8), [a, b, c])]])).toBe(8);
  });

  it('believes a committee that has changed where most of whom it knew signed, else only what two name', async () => {
    expect(await (await follower()).hear([[d, answerOf(stateAt(8), [a, b, d, e, f], [a, b, d])]])).toBe(8);
    const foreign = answerOf(stateAt(8), [d, e, f]);
    expect(await (await follower()).hear([[d, foreign]])).toBe(5);
    expect(await (await follower()).hear([[d, answerOf(stateAt(8), [a, d, e])]])).toBe(5);
    const twice = await follower();
    expect(
      await twice.hear([
        [d, foreign],
        [e, foreign],
      ]),
    ).toBe(8);
  });

  it('counts of whom it knew only those that are members still', async () => {
    const strangers: Crypto[] = [];
    const made = await follower({ strangers });
    strangers.push(b, c);
    expect(await made.hear([[d, answerOf(stateAt(8), [a, d, e])]])).toBe(8);
  });

  it('takes what was decided since for the whole', async () => {
    const { hear } = await follower();
    const next = stateAt(8);
    const news = next.since(5)?.map(({ index, term, decision }) => [index, term, decision]);
    expect(await hear([[d, encodeCbor([certified(next, [a, b, c]), news, null])]])).toBe(8);
    const gap = stateAt(10)
      .since(9)
      ?.map(({ index, term, decision }) => [index, term, decision]);
    expect(await hear([[d, encodeCbor([certified(stateAt(10), [a, b, c]), gap, null])]])).toBe(8);
  });

  it('is where it was after a restart, and knows who votes', async () => {
    const { disk, pump } = await follower();
    await pump(1_000);
    const again = world(disk);
    await again.open();
    expect([again.decisions.state.index, again.decisions.checkpoints.newest?.index]).toEqual([5, 5]);
    expect(await again.hear([[d, answerOf(stateAt(8), [d, e, f])]])).toBe(5);
    expect(await again.hear([[d, answerOf(stateAt(8), [a, b, c])]])).toBe(8);
  });

  it('asks again where nobody could bring it, until it is stopped', async () => {
    const { decisions, hear, asked, pump } = await follower();
    asked.length = 0;
    await hear([[d, encodeCbor('nonsense')]]);
    const before = asked.length;
    expect(before).toBeGreaterThan(0);
    decisions.stop();
    decisions.follower.lookFor(99);
    await pump(10_000);
    expect(asked.length).toBe(before);
  });
});

describe('where the committee began again', () => {
  const recovery = { index: 6, subject: d.self };

  it('what is known up to there says nothing of what comes after', async () => {
    const given: Parameters<typeof world>[1] = {};
    const { hear } = await follower(given);
    given.recovery = { index: 5, subject: d.self };
    expect(await hear([[a, answerOf(stateAt(8), [a, b, c])]])).toBe(5);
  });

  it('nothing of before is believed, though those who voted then signed it', async () => {
    const given: Parameters<typeof world>[1] = {};
    const { hear } = await follower(given);
    given.recovery = recovery;
    expect(await hear([[a, answerOf(stateAt(6), [a, b, c])]])).toBe(5);
    expect(await hear([[a, answerOf(stateAt(8), [a, b, c])]])).toBe(5);
    // One whom the root keys named has signed: from there on.
    expect(await hear([[d, answerOf(stateAt(6), [d])]])).toBe(5);
    expect(await hear([[d, answerOf(stateAt(7), [d])]])).toBe(7);
    // Then those who vote now count as ever.
    expect(await hear([[e, answerOf(stateAt(9), [e, f])]])).toBe(7);
    expect(await hear([[e, answerOf(stateAt(9), [d, e, f])]])).toBe(9);
  });
});
