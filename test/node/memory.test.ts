// What is remembered of an incident: the minute before it, what it belongs to, and what was tried.
import { describe, expect, it } from 'vitest';
import type { Finding } from '../../node/detection/detector.ts';
import { addStep, type Incident, openIncident, relation } from '../../node/detection/incident.ts';
import { Cases, MAX_CASES } from '../../node/memory/cases.ts';
import { Memory } from '../../node/memory/memory.ts';
import { FlightRecorder, RECORDED_S } from '../../node/telemetry/flight-recorder.ts';
import { History } from '../../node/telemetry/history.ts';
import { ModelledCrypto, simulatedPeer } from '../../sim/adapters/crypto.ts';
import { IDLE } from '../../sim/machine/fake-process.ts';
import { FakeLinux } from '../../sim/machine/linux.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { PlainStore } from '../support/store.ts';

const { hash } = new ModelledCrypto(simulatedPeer(0, 1), new Uint8Array([1]));

function incident(openedMs: number, more: Partial<Finding> = {}): Incident {
  const finding: Finding = {
    policy: 'service-exited',
    target: 'web',
    severity: 'critical',
    summary: 's',
    condition: undefined,
    claim: 'anomaly',
    remedies: [],
    evidence: {},
    ...more,
  };
  return openIncident(finding, 'peer', 'node', openedMs, hash);
}

describe('the flight recorder', () => {
  it('has the minute before: every metric, and who was busiest and largest in each second', () => {
    const scheduler = new Scheduler();
    const linux = new FakeLinux(scheduler, new SeededRandom(1, 'linux'), [], { cpus: 2, memoryBytes: 2 ** 33 }, 0);
    const history = new History();
    const recorder = new FlightRecorder(history);
    let previous = linux.sample();
    for (let second = 0; second < 90; second++) {
      if (second === 80) linux.processes.spawn('hog', { ...IDLE, cpu: 1.5, rssBytes: 2 ** 31 });
      scheduler.at((second + 1) * 1_000, () => undefined);
      scheduler.step((second + 1) * 1_000);
      const sample = linux.sample();
      history.record(
        [
          ['rising', second],
          ['flat', 7],
        ],
        second,
        true,
      );
      recorder.take(sample, previous);
      previous = sample;
    }
    const recording = recorder.recording(['rising', 'flat']);
    expect(recording.metrics.rising?.length).toBe(RECORDED_S);
    expect(recording.metrics.flat).toEqual([7]);
    expect(recording.top.length).toBe(RECORDED_S);
    const names = (at: number, by: 'cpu' | 'memory') => recording.top.at(at)?.[by].map(([, name]) => name);
    expect(names(0, 'cpu')).not.toContain('hog');
    expect([names(-1, 'cpu')?.[0], names(-1, 'memory')?.[0]]).toEqual(['hog', 'hog']);
    expect(recording.top.at(-1)?.cpu[0]?.[2]).toBeCloseTo(1.5, 1);
  });

  it('keeps the recordings of the newest incidents, over a restart', async () => {
    const store = new PlainStore();
    const memory = new Memory(store);
    const first = incident(1);
    await memory.save(first);
    await memory.record(first.id, { atMs: 1, metrics: { a: [1, 2] }, top: [] });
    const again = new Memory(store);
    await again.open();
    expect(await again.recording(first.id)).toEqual({ atMs: 1, metrics: { a: [1, 2] }, top: [] });
    for (let ms = 2; ms < 210; ms++) {
      const next = incident(ms);
      await memory.save(next);
      await memory.record(next.id, { atMs: ms, metrics: {}, top: [] });
    }
    expect(await memory.recording(first.id)).toBeUndefined();
    expect((await store.range('recording/', { limit: 1_000 })).length).toBe(200);
  });
});

describe('an incident that goes on for long', () => {
  it('keeps how it began, and how it goes on', () => {
    const one = incident(0);
    for (let nth = 0; nth < 500; nth++) addStep(one, nth, 'decide', `${nth}`);
    const texts = one.steps.map(({ text }) => text);
    expect([texts.length, texts[0], texts[19], texts[20], texts.at(-1)]).toEqual([200, '0', '19', '320', '499']);
  });
});

describe('incidents of one minute', () => {
  it('belong together by target, by kind, and where the machine was short of what a service needs', () => {
    const earlier = incident(1_000);
    expect(relation(earlier, incident(30_000, { policy: 'service-unresponsive' }), 29_000)).toContain('web');
    expect(relation(earlier, incident(30_000, { target: 'api' }), 29_000)).toContain('same policy');
    expect(relation(earlier, incident(30_000, { policy: 'file-drift', target: '/x' }), 29_000)).toBeUndefined();
    expect(relation(earlier, incident(90_000), 89_000)).toBeUndefined();
    expect(relation(earlier, incident(-90_000), 29_000)).toContain('web'); // the clock was set back meanwhile
    const full = incident(1_000, { policy: 'disk-full', target: '/', summary: 'full' });
    expect(relation(full, incident(2_000), 1_000)).toContain('full');
  });
});

describe('cases', () => {
  const one = (id: string, more: object = {}) => ({
    id,
    incident: 'inc-1',
    policy: 'p',
    target: 'web',
    tools: 'service.restart',
    plan: 'service.restart web',
    worked: true,
    atMs: Number(id),
    features: [1, 0, 0],
    ...more,
  });

  it('are recalled for another target where the machine looked much the same, and kept over a restart', async () => {
    const store = new PlainStore();
    const cases = new Cases(store);
    await cases.learn(one('1'));
    await cases.learn(one('2', { worked: false, features: [0, 1, 0] }));
    await cases.learn(one('3', { target: 'api' }));
    await cases.learn(one('4', { policy: 'q' }));
    const similar = (features: number[] | undefined, again = cases) => again.similar('p', 'api', 'service.restart', features);
    expect(similar([0.9, 0.1, 0])).toEqual({ worked: 1, failed: 0 });
    expect(similar([0, 1, 0])).toEqual({ worked: 0, failed: 1 });
    expect(similar(undefined)).toEqual({ worked: 1, failed: 1 });
    const again = new Cases(store);
    await again.open();
    expect(similar([0.9, 0.1, 0], again)).toEqual({ worked: 1, failed: 0 });
    expect(again.all().map(({ id }) => id)).toEqual(['1', '2', '3', '4']);
  });

  it('are bounded: the oldest go first', async () => {
    const store = new PlainStore();
    const cases = new Cases(store);
    for (let i = 1; i <= MAX_CASES + 3; i++) await cases.learn(one(String(i)));
    expect([cases.all().length, cases.all()[0]?.id]).toEqual([MAX_CASES, '4']);
    expect((await store.range('solved/', { limit: 10_000 })).length).toBe(MAX_CASES);
  });
});
