// What is remembered, to its limits: cases and how like they are, remedies, incidents in their order, and what was stored and cannot be read.
import { describe, expect, it } from 'vitest';
import { closeIncident, escalate, type Incident, openIncident, relation } from '../../node/detection/incident.ts';
import { type Case, Cases } from '../../node/memory/cases.ts';
import { Memory } from '../../node/memory/memory.ts';
import { ModelledCrypto, simulatedPeer } from '../../sim/adapters/crypto.ts';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { PlainStore } from '../support/store.ts';

const { hash } = new ModelledCrypto(simulatedPeer(0, 1), new Uint8Array([1]));
const incident = (openedMs: number, given: Partial<Incident> = {}): Incident => {
  const found = { policy: 'service-exited', target: 'web', severity: 'critical' as const, summary: 'it is down', ...given };
  return Object.assign(openIncident(found, 'peer', 'node', openedMs, hash), given);
};
const one = (id: string, given: Partial<Case> = {}): Case => ({
  id,
  incident: 'inc-1',
  policy: 'p',
  target: 'web',
  tools: 'service.restart',
  plan: 'service.restart web',
  worked: true,
  atMs: 1,
  features: [],
  ...given,
});

describe('cases', () => {
  it.each<[string, number[], number[] | undefined, boolean]>([
    ['the same', [1, 0], [1, 0], true],
    ['the same, stronger', [1, 1], [5, 5], true],
    ['25 degrees apart', [1, 0], [1, Math.tan((25 * Math.PI) / 180)], true],
    ['across', [1, 0], [0, 1], false],
    ['against', [1, 1], [-1, -1], false],
    ['of nothing known', [], [1, 0], true],
    ['of another length', [1, 0, 0], [0, 1], true],
    ['of a machine at rest', [0, 0], [0, 1], true],
    ['of no history now', [1, 0], undefined, true],
  ])('that are %s are similar: %j to %j, %j', async (_how, features, now, isSimilar) => {
    const cases = new Cases(new PlainStore());
    await cases.learn(one('a', { features }));
    expect(cases.similar('p', 'api', 'service.restart', now).worked).toBe(isSimilar ? 1 : 0);
  });

  it('are of the same policy and tools, and of another target', async () => {
    const cases = new Cases(new PlainStore());
    await cases.learn(one('a'));
    await cases.learn(one('b', { worked: false }));
    await cases.learn(one('b', { worked: false, target: 'db' })); // again: the same case
    expect([
      cases.similar('p', 'api', 'service.restart', undefined),
      cases.similar('p', 'web', 'service.restart', undefined),
      cases.similar('p', 'api', 'service.stop', undefined),
      cases.similar('q', 'api', 'service.restart', undefined),
    ]).toEqual([
      { worked: 1, failed: 1 },
      { worked: 0, failed: 1 },
      { worked: 0, failed: 0 },
      { worked: 0, failed: 0 },
    ]);
  });

  it('are in the order of their time, then of their ids; what cannot be read is none', async () => {
    const store = new PlainStore();
    store.content.set('solved/wrong', encodeCbor({ id: 'wrong' }));
    const cases = new Cases(store);
    for (const [id, atMs] of [
      ['c', 2],
      ['b', 2],
      ['a', 3],
      ['d', 1],
    ] as const)
      await cases.learn(one(id, { atMs }));
    const again = new Cases(store);
    await again.open();
    for (const all of [cases, again]) expect(all.all().map(({ id }) => id)).toEqual(['d', 'b', 'c', 'a']);
  });
});

describe('memory', () => {
  it('has the incidents of before a restart by when they opened, then as they come; what cannot be read is none', async () => {
    const store = new PlainStore();
    store.content.set('incident/x', encodeCbor({ id: 'x' }));
    store.content.set('case/p/t/wrong', encodeCbor({ worked: 'often' }));
    const memory = new Memory(store);
    const all = [30, 10, 20].map((ms) => incident(ms));
    for (const each of all) await memory.save(each);
    expect(memory.incidents()).toEqual(all);
    const again = new Memory(store);
    await again.open();
    await again.save(incident(5));
    expect(again.incidents().map(({ openedMs }) => openedMs)).toEqual([10, 20, 30, 5]);
    expect(again.remedyRecord('p', 't', 'wrong')).toEqual({ worked: 0, failed: 0 });
    expect([again.incident(all[0]?.id ?? '')?.openedMs, again.incident('none')]).toEqual([30, undefined]);
  });

  it('lets the oldest closed incident go with its recording once there are more than a thousand', async () => {
    const store = new PlainStore();
    const memory = new Memory(store);
    const all = Array.from({ length: 1_001 }, (_, ms) => incident(ms));
    for (const [nth, each] of all.slice(0, 1_000).entries()) {
      if (nth > 0) closeIncident(each, nth, 'resolved', 'done');
      await memory.save(each);
    }
    const [open, oldest, , last] = [all[0], all[1], all[2], all[1_000]];
    if (open === undefined || oldest === undefined || last === undefined) return expect.fail();
    store.content.set(`recording/${oldest.id}`, new Uint8Array());
    expect(memory.incidents().length).toBe(1_000);
    await memory.save(open); // as it is now: no other
    expect(memory.incidents().length).toBe(1_000);
    await memory.save(last);
    expect([memory.incidents().length, memory.incident(oldest.id), memory.incident(open.id)]).toEqual([1_000, undefined, open]);
    expect([store.content.has(`incident/${oldest.id}`), store.content.has(`recording/${oldest.id}`)]).toEqual([false, false]);
    expect(store.content.size).toBe(1_000);
  });

  it('keeps the recordings of the newest two hundred incidents, and none of one that is not known', async () => {
    const store = new PlainStore();
    const memory = new Memory(store);
    const recording = { atMs: 1, metrics: {}, top: [] };
    await memory.record('unknown', recording);
    expect(await memory.recording('unknown')).toBeUndefined();
    const all = Array.from({ length: 201 }, (_, ms) => incident(ms));
    for (const each of all) await memory.save(each);
    const [first, second] = all;
    await memory.record(first?.id ?? '', recording);
    await memory.record(second?.id ?? '', recording);
    expect([await memory.recording(first?.id ?? ''), await memory.recording(second?.id ?? '')]).toEqual([undefined, recording]);
    store.content.set(`recording/${second?.id}`, encodeCbor({ atMs: 'x' }));
    expect(await memory.recording(second?.id ?? '')).toBeUndefined();
  });

  it('counts how ten thousand remedies did, each on its target, and no more of others', async () => {
    const store = new PlainStore();
    const memory = new Memory(store);
    for (let nth = 0; nth < 10_000; nth++) await memory.learn('p', `t${nth}`, 'x', nth % 2 === 0);
    expect(await memory.learn('p', 'over', 'x', true)).toEqual({ worked: 1, failed: 0 });
    expect(memory.remedyRecord('p', 'over', 'x')).toEqual({ worked: 0, failed: 0 });
    expect(await memory.learn('p', 't1', 'x', true)).toEqual({ worked: 1, failed: 1 });
    expect([memory.remedyRecord('p', 't1', 'x'), memory.remedyRecord('p', 't1', 'y')]).toEqual([
      { worked: 1, failed: 1 },
      { worked: 0, failed: 0 },
    ]);
    expect(store.content.size).toBe(10_000);
  });
});

describe('an incident', () => {
  it.each<[string, Partial<Incident>, Partial<Incident>, number, string | undefined]>([
    ['a minute apart', {}, {}, 60_000, 'same target web'],
    ['more than a minute apart', {}, {}, 60_001, undefined],
    ['of what came before', {}, {}, -1, undefined],
    ['at once', {}, {}, 0, 'same target web'],
    ['of another machine', { node: 'other' }, {}, 0, undefined],
    ['of one policy', {}, { target: 'api' }, 0, 'same policy'],
    [
      'of a machine that lacks something',
      { policy: 'memory-low', target: '' },
      {},
      0,
      'the machine lacked a resource: it is down',
    ],
    ['of a machine that lacks little', { policy: 'memory-low', target: '', severity: 'warning' }, {}, 0, undefined],
    ['of another service', { policy: 'service-frozen', target: 'db' }, {}, 0, undefined],
    ['that is no service’s', { policy: 'memory-low', target: '' }, { policy: 'disk-full', target: '/' }, 0, undefined],
  ])('%s belongs to an earlier one by its cause', (_what, earlier, later, apartMs, why) => {
    expect(relation(incident(1, earlier), incident(2, later), apartMs)).toBe(why);
  });

  it('is of one machine, one finding and one moment', () => {
    const ids = [incident(1), incident(2), incident(1, { target: 'api' }), incident(1, { policy: 'other' })].map(({ id }) => id);
    expect(new Set(ids).size).toBe(4);
    for (const id of ids) expect(id).toMatch(/^inc-[0-9a-f]{10}$/);
    expect(incident(1).id).toBe(ids[0]);
  });

  it('ends with its outcome, and never before it began', () => {
    const one = incident(100);
    escalate(one);
    expect(one).toMatchObject({ state: 'escalated', outcome: 'escalated to a person', closedMs: 0 });
    closeIncident(one, 50, 'resolved', 'it cleared');
    expect(one).toMatchObject({ state: 'resolved', outcome: 'it cleared', closedMs: 100 });
    closeIncident(one, 150, 'resolved', 'it cleared');
    expect(one.closedMs).toBe(150);
  });
});
