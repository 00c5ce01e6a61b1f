// The election: one coordinator a term, persisted before it is promised, replaced when it dies, none for a minority.
import { describe, expect, it } from 'vitest';
import {
  decodeElectionMessage,
  decodeElectionState,
  ELECTION_KEY,
  Election,
  type ElectionMessage,
  encodeElectionMessage,
} from '../../consensus/election/election.ts';
import { SeededRandom } from '../../sim/random.ts';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { at } from '../support/clock.ts';

const ALL = ['a', 'b', 'c'];

function started(self: string, members = ALL, reachable = members): Election {
  const election = new Election(self, new SeededRandom(1, self), { term: 0, votedFor: undefined });
  election.step({ kind: 'start' }, at(0));
  election.step({ kind: 'members', members, reachable }, at(0));
  return election;
}

const sent = (effects: ReturnType<Election['step']>) =>
  effects.flatMap((effect) => (effect.kind === 'send' ? [`${effect.message.type} ${effect.message.term} to ${effect.to}`] : []));

const message = (election: Election, from: string, type: ElectionMessage['type'], term: number, ms = 0) =>
  election.step({ kind: 'message', from, message: { type, term } }, at(ms));

const campaign = (election: Election, ms = 100) => election.step({ kind: 'timer', id: 'election' }, at(ms));

describe('election', () => {
  it('of one is won at once', () => {
    const election = started('a', ['a']);
    campaign(election);
    expect([election.coordinator, election.term]).toEqual(['a', 1]);
  });

  it('is won by a majority, which hears of it', () => {
    const election = started('a');
    expect(sent(campaign(election))).toEqual(['ask 1 to b', 'ask 1 to c']);
    expect(election.coordinator).toBeUndefined();
    expect(sent(message(election, 'b', 'grant', 1))).toEqual(['heartbeat 1 to b', 'heartbeat 1 to c']);
    expect(election.coordinator).toBe('a');
  });

  it('persists a vote before it is given, and gives one a term', () => {
    const election = started('b');
    const effects = message(election, 'a', 'ask', 1);
    const persisted = effects.findLastIndex((effect) => effect.kind === 'persist' && effect.key === ELECTION_KEY);
    const granted = effects.findIndex((effect) => effect.kind === 'send' && effect.message.type === 'grant');
    expect(persisted).toBeGreaterThanOrEqual(0);
    expect(granted).toBeGreaterThan(persisted);
    expect(effects[persisted]).toMatchObject({ value: [1, 'a'] });
    expect(sent(message(election, 'c', 'ask', 1))).toEqual(['deny 1 to c']);
    expect(sent(message(election, 'a', 'ask', 1))).toEqual(['grant 1 to a']);
  });

  it('remembers its vote across a restart', () => {
    const election = new Election('b', new SeededRandom(1, 'b'), decodeElectionState(encodeCbor([4, 'a'])));
    election.step({ kind: 'members', members: ALL, reachable: ALL }, at(0));
    expect(sent(message(election, 'c', 'ask', 4))).toEqual(['deny 4 to c']);
    expect(decodeElectionState(encodeCbor('nonsense'))).toEqual({ term: 0, votedFor: undefined });
  });

  it('is not begun by a minority, whose term stays where it is', () => {
    const election = started('a', ALL, ['a']);
    campaign(election);
    expect([election.term, election.coordinator]).toEqual([0, undefined]);
  });

  it('does not count a grant of a stranger or of another term', () => {
    const election = started('a');
    campaign(election);
    message(election, 'x', 'grant', 1);
    message(election, 'b', 'grant', 0);
    expect(election.coordinator).toBeUndefined();
  });

  it('follows a heartbeat, and looks for a successor soon after its coordinator is lost', () => {
    const election = started('b');
    message(election, 'a', 'heartbeat', 1);
    expect(election.coordinator).toBe('a');
    const effects = election.step({ kind: 'members', members: ALL, reachable: ['b', 'c'] }, at(10));
    expect(election.coordinator).toBeUndefined();
    const timer = effects.find((effect) => effect.kind === 'timer');
    expect(timer?.kind === 'timer' && timer.afterMs).toBeLessThanOrEqual(300);
  });

  it('a coordinator that hears no majority steps down', () => {
    const election = started('a');
    campaign(election, 0);
    message(election, 'b', 'grant', 1, 10);
    election.step({ kind: 'timer', id: 'heartbeat' }, at(2_000));
    expect(election.coordinator).toBe('a');
    election.step({ kind: 'timer', id: 'heartbeat' }, at(4_000));
    expect(election.coordinator).toBeUndefined();
  });

  it('a higher term deposes, a stale heartbeat is answered with the newer term', () => {
    const election = started('a', ['a']);
    campaign(election);
    message(election, 'b', 'heartbeat', 5);
    expect([election.coordinator, election.term]).toEqual(['b', 5]);
    expect(sent(message(election, 'c', 'heartbeat', 2))).toEqual(['deny 5 to c']);
  });

  it('two coordinators of one term, begun apart, both step down when they meet, and a new term decides', () => {
    const election = started('a', ['a']);
    campaign(election);
    election.step({ kind: 'members', members: ALL, reachable: ALL }, at(200));
    message(election, 'b', 'heartbeat', 1, 210);
    expect(election.coordinator).toBeUndefined();
    expect(sent(campaign(election, 300))).toEqual(['ask 2 to b', 'ask 2 to c']);
  });

  it('a newcomer does not elect in a term that the swarm has used already', () => {
    const election = started('b');
    election.step({ kind: 'term-seen', term: 7 }, at(1));
    expect(sent(campaign(election))).toEqual(['ask 8 to a', 'ask 8 to c']);
  });

  it('messages decode to what was encoded, and nothing else does', () => {
    for (const type of ['ask', 'grant', 'deny', 'heartbeat', 'heard'] as const) {
      expect(decodeElectionMessage(encodeElectionMessage({ type, term: 9 }))).toEqual({ type, term: 9 });
    }
    expect(decodeElectionMessage(encodeCbor([9, 1]))).toBeUndefined();
    expect(decodeElectionMessage(encodeCbor([0, -1]))).toBeUndefined();
  });
});
