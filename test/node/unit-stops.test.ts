// Whose stop it was that a systemd unit does not run: of the run that was stopped only, and kept over restarts.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { UnitStops } from '../../node/action/adapters/unit-stops.ts';
import type { Step } from '../../node/ports/actuator.ts';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { PlainStore } from '../support/store.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

const UNIT = 'web.service';
const step = (verb: 'start' | 'stop' | 'restart', unit = UNIT): Step => ({ do: ['unit', verb, unit], undo: undefined });
const look = (state: 'stopped' | 'running' | 'exited', invocation: string) => ({ state, invocation }) as never;
const STOPPED = look('stopped', 'run-1');

function make(store: PlainStore | undefined = new PlainStore()) {
  const stops = new UnitStops(store);
  const confirmed = async (by: 'person' | 'policy', invocation = 'run-1') => {
    stops.armed('a', 1_000, [step('stop')]);
    await stops.confirmed('a', by, () => invocation);
  };
  return { store, stops, confirmed };
}

describe('while a stop is under way', () => {
  it('it is a person’s, so that nobody starts it, until its deadline', () => {
    const { stops } = make();
    stops.armed('a', 1_000, [step('stop')]);
    expect(stops.whose(UNIT, STOPPED)).toBe('person');
    expect(stops.whose('other.service', STOPPED)).toBeUndefined();
    expect(stops.whose(UNIT, look('running', 'run-1'))).toBeUndefined();
    vi.advanceTimersByTime(999);
    expect(stops.whose(UNIT, STOPPED)).toBe('person');
    vi.advanceTimersByTime(1);
    expect(stops.whose(UNIT, STOPPED)).toBeUndefined();
  });

  it('it is nobody’s once it was undone', () => {
    const { stops } = make();
    stops.armed('a', 1_000, [step('stop')]);
    stops.armed('b', 1_000, [step('stop', 'other.service')]);
    stops.undone('a');
    expect([stops.whose(UNIT, STOPPED), stops.whose('other.service', STOPPED)]).toEqual([undefined, 'person']);
  });

  it('it is forgotten once another is armed after its deadline', async () => {
    const { stops, store } = make();
    stops.armed('a', 1_000, [step('stop')]);
    vi.advanceTimersByTime(1_000);
    stops.armed('b', 2_000, [step('stop', 'other.service')]);
    await stops.confirmed('a', 'person', () => 'run-1');
    expect(store.content.size).toBe(0);
  });

  it.each([
    ['a stop that is followed by a start', [step('stop'), step('start')]],
    ['a restart', [step('restart')]],
    ['of another kind', [{ do: ['service.stop', UNIT], undo: undefined } as Step]],
  ])('%s is none', async (_what, steps) => {
    const { stops, store } = make();
    stops.armed('a', 1_000, steps);
    expect(stops.whose(UNIT, STOPPED)).toBeUndefined();
    await stops.confirmed('a', 'person', () => 'run-1');
    expect([stops.whose(UNIT, STOPPED), store.content.size]).toEqual([undefined, 0]);
  });
});

describe('a stop that was confirmed', () => {
  it.each(['person', 'policy'] as const)('is of a %s, for the run that it stopped, however that ended', async (by) => {
    const { stops, confirmed } = make();
    await confirmed(by);
    vi.advanceTimersByTime(10_000);
    expect([stops.whose(UNIT, STOPPED), stops.whose(UNIT, look('exited', 'run-1'))]).toEqual([by, by]);
    expect(stops.whose(UNIT, look('stopped', ''))).toBe(by); // systemd has forgotten it
    expect(stops.whose('other.service', STOPPED)).toBeUndefined();
  });

  it('of a run that is not known is of whatever does not run', async () => {
    const { stops, confirmed } = make();
    await confirmed('policy', '');
    expect(stops.whose(UNIT, look('stopped', 'run-9'))).toBe('policy');
  });

  it.each([
    ['runs', look('running', 'run-1')],
    ['was run again', look('stopped', 'run-2')],
  ])('is forgotten once it %s', async (_what, seen) => {
    const { stops, store, confirmed } = make();
    await confirmed('person');
    expect([...store.content.keys()]).toEqual(['unit-stop/web.service']);
    vi.advanceTimersByTime(10_000);
    expect(stops.whose(UNIT, seen)).toBeUndefined();
    expect(stops.whose(UNIT, STOPPED)).toBeUndefined();
    expect(store.content.size).toBe(0);
  });

  it('is recalled from the store, and what is none there is left out', async () => {
    const { store, confirmed } = make();
    await confirmed('policy');
    store.content.set('unit-stop/bad.service', encodeCbor({ by: 'nobody', invocation: '' }));
    const { stops } = make(store);
    expect(stops.whose(UNIT, STOPPED)).toBeUndefined();
    await stops.recall();
    expect(stops.whose(UNIT, STOPPED)).toBe('policy');
    expect(stops.whose('bad.service', STOPPED)).toBeUndefined();
  });

  it('is known without a store, too', async () => {
    const stops = new UnitStops(undefined);
    await stops.recall();
    stops.armed('a', 1_000, [step('stop')]);
    await stops.confirmed('a', 'policy', () => 'run-1');
    expect(stops.whose(UNIT, STOPPED)).toBe('policy');
    expect(stops.whose(UNIT, look('running', 'run-2'))).toBeUndefined();
  });
});
