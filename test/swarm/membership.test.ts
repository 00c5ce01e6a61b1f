// Membership: doubt at once, belief after a grace, and no one removed by silence.
import { describe, expect, it } from 'vitest';
import { Membership, REDIAL_GRACE_MS, silenceMs } from '../../swarm/membership/membership.ts';
import { MAX_OBSERVERS, observersOf } from '../../swarm/membership/observers.ts';
import { at } from '../support/clock.ts';

function started(): Membership {
  const membership = new Membership('self');
  membership.step({ kind: 'start', known: ['old'] }, at(0));
  return membership;
}

const notices = (effects: ReturnType<Membership['step']>) =>
  effects.flatMap((effect) => (effect.kind === 'notice' ? [effect.notice] : []));

describe('membership', () => {
  it('starts with itself alive and remembered peers unreachable', () => {
    const membership = started();
    expect(membership.members().map(({ peer, state }) => [peer, state])).toEqual([
      ['self', 'alive'],
      ['old', 'unreachable'],
    ]);
  });

  it('asks for a redial when a connection closes, and believes the loss only after the grace', () => {
    const membership = started();
    membership.step({ kind: 'connected', peer: 'a' }, at(0));
    expect(notices(membership.step({ kind: 'disconnected', peer: 'a' }, at(100)))).toEqual([{ kind: 'redial', peer: 'a' }]);
    membership.step({ kind: 'timer', id: 'sweep' }, at(99 + REDIAL_GRACE_MS));
    expect(membership.get('a')?.state).toBe('alive');
    const later = membership.step({ kind: 'timer', id: 'sweep' }, at(100 + REDIAL_GRACE_MS));
    expect(notices(later)).toEqual([{ kind: 'changed', peer: 'a', state: 'unreachable' }]);
  });

  it('forgives a connection that comes back within the grace', () => {
    const membership = started();
    membership.step({ kind: 'connected', peer: 'a' }, at(0));
    membership.step({ kind: 'disconnected', peer: 'a' }, at(100));
    membership.step({ kind: 'connected', peer: 'a' }, at(300));
    expect(notices(membership.step({ kind: 'timer', id: 'sweep' }, at(5_000)))).toEqual([]);
  });

  it('doubts a silent peer though its connection seems open, and takes it back when it speaks', () => {
    const membership = started();
    membership.step({ kind: 'connected', peer: 'a' }, at(0));
    membership.step({ kind: 'timer', id: 'sweep' }, at(silenceMs(2) + 1));
    expect(membership.get('a')?.state).toBe('unreachable');
    expect(notices(membership.step({ kind: 'heard', peer: 'a' }, at(silenceMs(2) + 2)))).toEqual([
      { kind: 'changed', peer: 'a', state: 'alive' },
    ]);
  });

  it('takes hearsay for no sign of life', () => {
    const membership = started();
    membership.step({ kind: 'known', peer: 'b' }, at(0));
    expect(membership.get('b')?.state).toBe('unreachable');
  });

  it('drops who left, and takes them back when they return', () => {
    const membership = started();
    membership.step({ kind: 'connected', peer: 'a' }, at(0));
    membership.step({ kind: 'left', peer: 'a' }, at(1));
    expect(membership.members().map(({ peer }) => peer)).not.toContain('a');
    membership.step({ kind: 'connected', peer: 'a' }, at(2));
    expect(membership.get('a')?.state).toBe('alive');
  });
});

describe('observers', () => {
  const members = Array.from({ length: 40 }, (_, i) => `peer-${i}`);

  it('are distinct, never the subject, and the same for everyone', () => {
    const observers = observersOf('peer-3', members);
    expect(new Set(observers).size).toBe(MAX_OBSERVERS);
    expect(observers).not.toContain('peer-3');
    expect(observersOf('peer-3', [...members].reverse())).toEqual(observers);
  });

  it('are all others in a small swarm', () => {
    expect(observersOf('a', ['c', 'a', 'b'])).toEqual(['b', 'c']);
  });

  it('mostly stay when one member goes', () => {
    const rest = members.filter((peer) => peer !== 'peer-7');
    const moved = rest.filter((subject) => {
      const before = observersOf(subject, members);
      const after = observersOf(subject, rest);
      return !before.includes('peer-7') && before.join() !== after.join();
    });
    expect(moved).toEqual([]);
  });
});
