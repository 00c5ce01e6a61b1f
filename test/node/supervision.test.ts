// Services that exit while the disk refuses writes: which are restarted, how often, and what a stop waits for.
import { describe, expect, it } from 'vitest';
import type { Mode } from '../../node/action/guard.ts';
import { unlessRefused } from '../../node/agent/ending.ts';
import { Supervision, type SupervisionParts } from '../../node/agent/supervision.ts';
import { type ActuatorOutcome, type ServiceSample, type ServiceSpec, stoppedService } from '../../node/ports/actuator.ts';
import type { ToolCall } from '../../node/tool-call.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { pass } from '../support/virtual.ts';

function world(service: Partial<ServiceSample> = {}, spec: Partial<ServiceSpec> = {}) {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler, () => 7_000);
  const declared: ServiceSpec = { name: 'web', command: [], ...spec };
  const its = {
    refusal: 'ENOSPC' as string | undefined,
    mode: 'act' as Mode,
    silence: undefined as string | undefined,
    brake: undefined as string | undefined,
    outcome: { ok: true } as ActuatorOutcome | Error,
  };
  const log: string[] = [];
  const started: number[] = [];
  const asked: unknown[] = [];
  const answered = <T>(what: unknown, answer: T): T => {
    asked.push(what);
    return answer;
  };
  const parts = {
    ports: {
      clock,
      store: {
        get refusal() {
          return its.refusal;
        },
      },
      actuator: {
        services: () => [{ ...stoppedService(declared, 0), state: 'exited', ...service }],
        bringUp: async () => {
          started.push(clock.monotonicMs());
          if (its.outcome instanceof Error) throw its.outcome;
          return its.outcome;
        },
      },
    },
    services: [declared],
    brakes: {
      get mode() {
        return its.mode;
      },
      silence: (finding: object) => answered(finding, its.silence),
      standing: (calls: ToolCall[]) => answered(calls, its.brake),
    },
    reporter: {
      log: (level: string, text: string) => void log.push(`${level}: ${text}`),
      failed: (error: Error) => void log.push(`failed: ${error.message}`),
    },
  };
  const supervision = new Supervision(parts as unknown as SupervisionParts);
  /** Looks once a second. */
  const look = async (seconds: number): Promise<void> => {
    for (let i = 0; i < seconds; i++) {
      supervision.look();
      await pass(scheduler, 1_000);
    }
  };
  return { its, log, started, asked, look, scheduler, clock };
}

describe('a declared service that exits while the disk refuses writes', () => {
  it('is restarted at once, then ever later, a minute apart at most, and told', async () => {
    const { started, log, look } = world();
    await look(200);
    expect(started).toEqual([0, 1_000, 3_000, 7_000, 15_000, 31_000, 63_000, 123_000, 183_000]);
    expect(log[0]).toBe('warn: service web exited and was restarted; not recorded: the state disk refuses writes');
  });

  it('is a policy’s again once the disk takes writes, and begins again after that', async () => {
    const { its, started, look } = world();
    await look(10);
    its.refusal = undefined;
    started.length = 0;
    await look(1);
    expect(started).toEqual([]);
    its.refusal = 'EIO';
    await look(2);
    expect(started).toEqual([11_000, 12_000]);
  });

  it('that cannot be started is told, with why', async () => {
    const { its, log, look } = world();
    its.outcome = { ok: false, code: 'failed', message: 'no such program' };
    await look(1);
    its.outcome = new Error('out of reach');
    await look(1);
    expect(log).toEqual(['warn: service web exited and was not restarted: no such program', 'failed: out of reach']);
  });

  it.each<[string, Partial<ServiceSample>, Partial<ServiceSpec>, number]>([
    ['failed, and is to be started on failure', { restart: 'on-failure', exitCode: 1 }, {}, 1],
    ['ended well, and is to be started always', { restart: 'always', exitCode: 0 }, {}, 1],
    ['ended well, and is to be started on failure', { restart: 'on-failure', exitCode: 0 }, {}, 0],
    ['is never to be started', { restart: 'never', exitCode: 1 }, {}, 0],
    ['runs', { state: 'running' }, {}, 0],
    ['was stopped', { state: 'stopped' }, {}, 0],
    ['a person stopped', { onPurpose: true }, {}, 0],
    ['is a task', { task: true }, {}, 0],
    ['is systemd’s', { unit: 'web.service' }, {}, 0],
    ['is for fail-over', { onPurpose: false }, { failover: true }, 0],
  ])('that %s', async (_what, service, spec, times) => {
    const { started, look } = world(service, spec);
    await look(1);
    expect(started.length).toBe(times);
  });

  it('stays so under a silence, a brake, or a mode that does not act', async () => {
    const quiet = async (change: Partial<ReturnType<typeof world>['its']>): Promise<number> => {
      const { its, started, look } = world();
      Object.assign(its, change);
      await look(1);
      return started.length;
    };
    expect(await quiet({ silence: 's1' })).toBe(0);
    expect(await quiet({ brake: 'halted' })).toBe(0);
    expect(await quiet({ mode: 'advise' })).toBe(0);
    expect(await quiet({ mode: 'observe' })).toBe(0);
    const { asked, look } = world();
    await look(1);
    expect(asked).toEqual([{ policy: 'service-exited', target: 'web' }, [{ tool: 'service.restart', service: 'web' }]]);
  });
});

describe('a step of the agent’s stop', () => {
  const stopping = async (refusedAfterMs: number, doneAfterMs: number): Promise<{ atMs: number | undefined; left: number }> => {
    const scheduler = new Scheduler();
    const clock = new ProcessClock(scheduler);
    const store = {
      get refusal() {
        return clock.monotonicMs() >= refusedAfterMs ? 'ENOSPC' : undefined;
      },
    };
    let atMs: number | undefined;
    const step = new Promise<void>((resolve) => clock.after(doneAfterMs, resolve));
    unlessRefused({ clock, store } as never, step).then(() => (atMs = clock.monotonicMs()));
    await pass(scheduler, 5_000);
    const { executed } = scheduler;
    await pass(scheduler, 100_000);
    return { atMs, left: scheduler.executed - executed };
  };

  it.each([
    ['is waited for', Number.POSITIVE_INFINITY, 1_000, 1_000],
    ['is not, where the disk refuses writes', 0, 2_000, 0],
    ['is not from then on where the disk begins to refuse them', 500, 4_000, 600],
  ])('%s', async (_how, refusedAfterMs, doneAfterMs, atMs) => {
    expect(await stopping(refusedAfterMs, doneAfterMs)).toEqual({ atMs, left: 0 });
  });
});
