// Starting what is declared: what is left alone, what is waited for and for how long, and what is told.
import { describe, expect, it } from 'vitest';
import { bringUp } from '../../node/action/bring-up.ts';
import {
  type ActuatorOutcome,
  type ServiceCheck,
  type ServiceSample,
  type ServiceSpec,
  stoppedService,
} from '../../node/ports/actuator.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { pass } from '../support/virtual.ts';

const spec = (name: string, more: Partial<ServiceSpec> = {}): ServiceSpec => ({ name, command: [name], ...more });

function world(
  specs: readonly ServiceSpec[],
  states: Record<string, Partial<ServiceSample>> = {},
  outcome: ActuatorOutcome = { ok: true },
) {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler);
  const services = new Map(
    specs.map((one): [string, ServiceSample] => [one.name, { ...stoppedService(one, 0), ...states[one.name] }]),
  );
  const did: string[] = [];
  const its = {
    /** Of each check, by when. */
    check: (_name: string, _atMs: number): ServiceCheck => 'undeclared',
    checks: [] as number[],
  };
  const actuator = {
    services: () => [...services.values()],
    bringUp: async (name: string) => {
      did.push(`${Math.round(clock.monotonicMs())} ${name}`);
      if (outcome.ok) Object.assign(services.get(name) ?? {}, { state: 'running' });
      return outcome;
    },
    checkService: async (name: string, withinMs: number) => {
      its.checks.push(withinMs);
      return its.check(name, clock.monotonicMs());
    },
  };
  const work = bringUp(specs, { actuator, clock } as unknown as Ports, {
    log: (level, text) => void did.push(`${level}: ${text}`),
  });
  const end = async (): Promise<string[]> => {
    await pass(scheduler, 60_000);
    await work;
    return did;
  };
  return { its, end };
}

describe('what is declared', () => {
  it('is started in order, but for what runs, what a person stopped, and what is others’ to start', async () => {
    const specs = [
      spec('a'),
      spec('unit', { unit: 'x.service' }),
      spec('job', { task: true }),
      spec('placed', { failover: true }),
      spec('up'),
      spec('held'),
      spec('z', { task: false, failover: false }),
    ];
    const states = { up: { state: 'running' }, held: { onPurpose: true }, placed: { onPurpose: false } } as const;
    expect(await world(specs, states).end()).toEqual(['0 a', '0 z']);
  });

  it('is started once what it needs is well', async () => {
    const { its, end } = world([spec('db'), spec('web', { after: ['db'] })]);
    its.check = (_name, atMs) => (atMs < 700 ? 'silent' : 'open');
    expect(await end()).toEqual(['0 db', '800 web']);
    expect(its.checks).toEqual([1_000, 1_000, 1_000, 1_000, 1_000]);
  });

  it('is started at once where what it needs has no check', async () => {
    const { end } = world([spec('db'), spec('web', { after: ['db'] })]);
    expect(await end()).toEqual(['0 db', '0 web']);
  });

  it('is started after ten seconds all the same, and told', async () => {
    const { its, end } = world([spec('db'), spec('web', { after: ['db'] })]);
    its.check = () => 'refused';
    expect(await end()).toEqual(['0 db', 'warn: service web is started although its dependency db is unhealthy', '10000 web']);
  });

  it('that cannot be started is told; what needs it does not ask for its check', async () => {
    const outcome = { ok: false, code: 'failed', message: 'no such program' } as const;
    const { its, end } = world([spec('db'), spec('web', { after: ['db'] })], {}, outcome);
    expect(await end()).toEqual([
      '0 db',
      'warn: service db was not started: no such program',
      'warn: service web is started although its dependency db is unhealthy',
      '10000 web',
      'warn: service web was not started: no such program',
    ]);
    expect(its.checks).toEqual([]);
  });
});
