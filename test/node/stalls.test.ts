// Agents of this machine that hung, as their actuator tells of them: each becomes one incident, once.
import { describe, expect, it } from 'vitest';
import { StallReports } from '../../node/agent/stalls.ts';
import type { Incident } from '../../node/detection/incident.ts';
import type { Stall } from '../../node/ports/actuator.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { ModelledCrypto, simulatedPeer } from '../../sim/adapters/crypto.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { PlainStore } from '../support/store.ts';
import { pass } from '../support/virtual.ts';

const WALL_MS = 1_700_000_000_000;
const DAY_MS = 86_400_000;
const stall = (given: Partial<Stall> = {}): Stall => ({
  atMs: WALL_MS - 60_000,
  lastedMs: 31_400,
  ended: true,
  words: 'state R',
  ...given,
});

function world(stalls: Stall[], store = new PlainStore()) {
  const scheduler = new Scheduler();
  const crypto = new ModelledCrypto(simulatedPeer(0, 1), new Uint8Array([1]));
  const its = { stalls, fails: false, asked: 0 };
  const saved: Incident[] = [];
  const log: string[] = [];
  const ports = {
    clock: new ProcessClock(scheduler, () => WALL_MS),
    store,
    crypto,
    transport: { self: crypto.self },
    actuator: {
      stalls: async () => {
        its.asked++;
        if (its.fails) throw new Error('out of reach');
        return its.stalls;
      },
    },
  } as unknown as Ports;
  const reports = new StallReports(ports, {
    nameOf: () => 'here',
    save: async (incident) => void saved.push(incident),
    log: (level, text) => void log.push(`${level}: ${text}`),
  });
  reports.start();
  return { its, saved, log, store, reports, self: crypto.self, scheduler, pump: (ms: number) => pass(scheduler, ms) };
}

describe('an agent that hung', () => {
  it('and was killed is told as an incident that is over, once', async () => {
    const { saved, log, self, store, pump } = world([stall()]);
    await pump(4_999);
    expect(saved).toEqual([]);
    await pump(1);
    await pump(60_000);
    const summary = 'the agent was restarted: it did not respond for 31 s';
    expect(saved).toEqual([
      {
        id: expect.stringMatching(/^inc-[0-9a-f]{10}$/),
        node: self,
        nodeName: 'here',
        policy: 'agent-stalled',
        target: 'agent',
        severity: 'warning',
        summary,
        state: 'resolved',
        openedMs: WALL_MS - 60_000,
        closedMs: WALL_MS + 5_000,
        outcome: 'the agent was restarted',
        tool: '',
        cause: '',
        certificate: '',
        steps: [
          { atMs: WALL_MS - 60_000, stage: 'detect', text: `${summary}: state R`, data: { ms: 31_400 } },
          { atMs: WALL_MS - 60_000, stage: 'act', text: 'the actuator killed the agent to restart it' },
        ],
      },
    ]);
    expect(log).toEqual([`warn: ${saved[0]?.id}: ${summary}`]);
    expect(decodeCbor(store.content.get('stalls/told') as Uint8Array)).toBe(WALL_MS - 60_000);
  });

  it('and came back by itself is told so', async () => {
    const { saved, pump } = world([stall({ ended: false, lastedMs: 12_600 })]);
    await pump(5_000);
    expect(saved.map(({ summary, outcome, steps }) => [summary, outcome, steps.length])).toEqual([
      ['the agent did not respond for 13 s', 'the agent responds again', 1],
    ]);
  });

  it('is told by the next run only where it was not by the one before', async () => {
    const { store, pump } = world([stall()]);
    await pump(5_000);
    const again = world([stall(), stall({ atMs: WALL_MS - 1_000 })], store);
    await again.pump(20_000);
    expect(again.saved.map(({ openedMs }) => openedMs)).toEqual([WALL_MS - 1_000]);
  });

  it.each([
    ['just under a day ago', WALL_MS + 5_000 - DAY_MS + 1, 1],
    ['a day ago', WALL_MS + 5_000 - DAY_MS, 0],
  ])('%s (%s) is told %s times', async (_when, atMs, times) => {
    const { saved, pump } = world([stall({ atMs })]);
    await pump(5_000);
    expect(saved.length).toBe(times);
  });

  it('is told where what was told before is of the future, or cannot be read', async () => {
    for (const kept of [WALL_MS + DAY_MS, 'nonsense']) {
      const store = new PlainStore();
      store.content.set('stalls/told', encodeCbor(kept));
      const { saved, pump } = world([stall()], store);
      await pump(5_000);
      expect(saved.length).toBe(1);
    }
  });

  it('is asked for every five seconds, also after the actuator was out of reach, until it stops', async () => {
    const { its, log, reports, saved, scheduler, pump } = world([]);
    its.fails = true;
    await pump(5_000);
    expect(log).toEqual(['warn: stalls: out of reach']);
    its.fails = false;
    await pump(5_000);
    its.stalls = [stall()];
    await pump(5_000);
    expect([its.asked, saved.length]).toEqual([3, 1]);
    reports.stop();
    const { executed } = scheduler;
    await pump(60_000);
    expect([its.asked, scheduler.executed]).toEqual([3, executed]);
  });
});
