// An agent that is late itself: it knows it, knows whether that is the machine's doing, and takes nobody's silence for a finding meanwhile.
import { describe, expect, it } from 'vitest';
import { Watcher } from '../../node/agent/watcher.ts';
import { VitalSigns } from '../../node/decisions/vitals.ts';
import type { ServiceCheck, ServiceSpec } from '../../node/ports/actuator.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { NOTHING_DECLARED } from '../../node/telemetry/declared.ts';
import { ModelledCrypto, simulatedPeer } from '../../sim/adapters/crypto.ts';
import { SimulatedActuator } from '../../sim/machine/actuator.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { FakeLinux } from '../../sim/machine/linux.ts';
import { Process } from '../../sim/machine/process.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { PlainStore } from '../support/store.ts';
import { pass } from '../support/virtual.ts';

const SERVICE: ServiceSpec = { name: 'web', command: ['web'], port: 80 };

function machine() {
  const scheduler = new Scheduler();
  const process = new Process(scheduler);
  const linux = new FakeLinux(scheduler, new SeededRandom(1, 'linux'), [SERVICE], { cpus: 2, memoryBytes: 2 ** 32 }, 0);
  linux.waitedMs = () => process.waitedMs;
  const clock = new ProcessClock(scheduler, () => 0, process);
  const crypto = new ModelledCrypto(simulatedPeer(0, 1), new Uint8Array([1]));
  const actuator = new SimulatedActuator(linux, clock);
  const ports = { clock, crypto, sensors: linux, actuator, store: new PlainStore() } as unknown as Ports;
  return { scheduler, process, linux, actuator, ports };
}

const failed = (error: unknown): never => {
  throw error;
};

describe('how late an agent is', () => {
  it('is nothing at rest, what held it up for a while after that, and then nothing again', async () => {
    const { scheduler, process, ports } = machine();
    const vitals = new VitalSigns(ports, '', failed);
    vitals.start();
    await pass(scheduler, 20_000);
    expect([vitals.lateMs, vitals.isBlind, vitals.isStarved]).toEqual([0, false, false]);
    process.pause(1_500);
    await pass(scheduler, 2_000);
    expect(vitals.isBlind).toBe(true);
    await pass(scheduler, 20_000);
    expect(vitals.isBlind).toBe(false);
    vitals.stop();
  });

  it.each([
    ['starve', true],
    ['pause', false],
  ] as const)('is the machine’s doing where it waited for a CPU (%s)', async (how, isStarved) => {
    const { scheduler, process, ports } = machine();
    const vitals = new VitalSigns(ports, '', failed);
    vitals.start();
    for (let turn = 0; turn < 20; turn++) {
      process[how](1_200);
      await pass(scheduler, 1_500);
    }
    expect([vitals.isBlind, vitals.isStarved]).toEqual([true, isStarved]);
    vitals.stop();
  });
});

describe('a service that does not answer in time', () => {
  it.each([
    ['silent', true, 'open'],
    ['silent', false, 'silent'],
    ['refused', true, 'refused'],
  ] as const)('%s, to an agent that is late: %s, is %s', async (answer, isLate, seen) => {
    const { scheduler, actuator, ports } = machine();
    let isBlind = false;
    let found: ServiceCheck = 'open';
    actuator.checkService = async () => found;
    const config = { policies: [], declared: NOTHING_DECLARED, services: [SERVICE], clockBehindMs: () => undefined, failed };
    const watcher = new Watcher(ports, { ...config, isBlind: () => isBlind }, () => undefined);
    void ports.actuator.bringUp('web');
    await pass(scheduler, 3_000);
    watcher.start();
    await pass(scheduler, 5_000);
    expect(watcher.services.views().map(({ check }) => check)).toEqual(['open']);
    [found, isBlind] = [answer, isLate];
    await pass(scheduler, 5_000);
    expect(watcher.services.views().map(({ check }) => check)).toEqual([seen]);
    watcher.stop();
  });
});
