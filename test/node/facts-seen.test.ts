// What is known of a service from sample to sample, a service that is handed over, shares of what is limited, and when maintenance is.
import { describe, expect, it } from 'vitest';
import { maintenanceReason } from '../../node/action/maintenance.ts';
import { PolicySet } from '../../node/agent/policies.ts';
import { Rates, Shares } from '../../node/api/shares.ts';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { entriesOf } from '../../node/config/entries.ts';
import { type HandedOver, PlacedServices } from '../../node/coordination/placed-services.ts';
import type { Decisions } from '../../node/decisions/decisions.ts';
import { type ServiceSample, stoppedService } from '../../node/ports/actuator.ts';
import type { Ports } from '../../node/ports/ports.ts';
import type { ProcessDetail, Throttling } from '../../node/ports/sensors.ts';
import { ServiceFacts } from '../../node/telemetry/service-facts.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { fakeMembers } from '../support/members.ts';
import { PlainStore } from '../support/store.ts';
import { pass } from '../support/virtual.ts';

describe('what is known of a service', () => {
  function world(given: Partial<ServiceSample> = {}) {
    const its = {
      details: new Map<number, ProcessDetail>(),
      throttling: undefined as Throttling | undefined,
      lines: [] as string[],
      reads: 0,
    };
    const sensors = {
      detail: (pid: number) => its.details.get(pid),
      throttling: () => its.throttling,
      newLines: async () => {
        its.reads++;
        return { ok: true, lines: 1, matching: its.lines.splice(0), skippedBytes: 0 };
      },
    };
    const spec = { name: 'web', command: ['web'], alert: 'x' };
    const actuator = { logOf: () => '/log' };
    const facts = new ServiceFacts(
      { sensors, actuator, store: new PlainStore(), crypto: { hash: (bytes: Uint8Array) => bytes } } as never,
      [spec],
    );
    const service: ServiceSample = { ...stoppedService(spec, 0), state: 'running', pid: 1, ...given };
    const sample = (nowMs: number, pids = [1, 2]) => {
      facts.sample(service, pids, nowMs);
      return facts.of('web');
    };
    const detail = (pid: number, files: number | undefined, writtenBytes: number | undefined): void =>
      void its.details.set(pid, { files, readBytes: 0, writtenBytes });
    return { its, facts, sample, detail };
  }

  it('are the files and writes of all its processes, where each of them can be seen', () => {
    const { its, sample, detail } = world({ bounds: { files: 10, writeBytesPerS: 5 } });
    detail(1, 3, 1_000);
    detail(2, 4, 500);
    expect(sample(0)).toMatchObject({ files: 7, writeBytesPerS: undefined });
    detail(1, 3, 1_600);
    detail(2, 4, 700);
    expect(sample(2_000)).toMatchObject({ files: 7, writeBytesPerS: 400 });
    expect(sample(2_000).writeBytesPerS).toBeUndefined(); // no time has passed
    detail(3, 1, 9_000); // new: from the next time on
    detail(1, 3, 1_600);
    expect(sample(3_000, [1, 2, 3])).toMatchObject({ files: 8, writeBytesPerS: 0 });
    detail(2, undefined, undefined);
    expect(sample(4_000, [1, 2, 3])).toMatchObject({ files: undefined, writeBytesPerS: undefined });
    its.details.clear();
    expect(sample(5_000)).toMatchObject({ files: undefined, writeBytesPerS: undefined });
  });

  it('are looked at only where something is declared that needs it', () => {
    const { sample, detail } = world();
    detail(1, 3, 1_000);
    expect(sample(0, [1])).toMatchObject({ files: undefined, writeBytesPerS: undefined, throttledShare: undefined });
  });

  it('are how it is held back, of the periods since the last look', () => {
    const { its, sample } = world({ limitCpus: 1 });
    its.throttling = { periods: 100, throttled: 10 };
    expect(sample(0).throttledShare).toBeUndefined();
    its.throttling = { periods: 120, throttled: 15 };
    expect(sample(1_000).throttledShare).toBe(0.25);
    its.throttling = undefined;
    expect(sample(2_000).throttledShare).toBeUndefined();
  });

  it('are how often it ended within two minutes', () => {
    const { facts, sample } = world();
    for (const atMs of [0, 60_000, 119_000]) facts.ended('web', atMs);
    expect(facts.of('web').exits).toBe(3);
    expect([sample(119_999).exits, sample(120_000).exits, sample(180_000).exits, sample(239_000).exits]).toEqual([3, 2, 1, 0]);
    expect(facts.of('db').exits).toBe(0);
  });

  it('are the lines of its log that match', async () => {
    const { its, sample } = world();
    its.lines = ['one', 'two'];
    sample(0);
    sample(0); // not while it is being read
    await new Promise((resolve) => setImmediate(resolve));
    expect([its.reads, sample(1_000)]).toMatchObject([1, { logMatches: 2, lastMatch: 'two' }]);
  });
});

describe('a service that is handed over', () => {
  function world(given: { port?: number; mayNotMove?: string; decides?: boolean } = {}) {
    const scheduler = new Scheduler();
    const clock = new ProcessClock(scheduler);
    const its = { placed: { peer: 'self' as string | null, fence: 4, reason: '', move: null }, open: 'open' };
    const log = { told: [] as string[], wishes: [] as unknown[], released: 0 };
    const ports = {
      clock,
      random: new SeededRandom(1, 'placed'),
      crypto: { self: 'self' },
      transport: { probePort: async () => its.open },
      actuator: {
        services: () => [{ name: 'db', state: 'running', port: given.port }],
        release: async () => {
          log.released++;
          return { ok: true };
        },
      },
    } as unknown as Ports;
    const decisions = {
      state: { placementOf: () => its.placed },
      wallMs: () => 1_000_000,
      decide: async (wish: unknown) => {
        log.wishes.push(wish);
        if (given.decides === false) throw new Error('the swarm has no leader');
        its.placed = { ...its.placed, peer: null };
        return { ok: true, index: 9 };
      },
      reads: { caughtUp: async () => undefined },
    } as unknown as Decisions;
    const placed = new PlacedServices(ports, decisions, fakeMembers(), ['db'], {
      mayNotTake: () => undefined,
      mustGiveUp: () => undefined,
      mayNotMove: () => given.mayNotMove,
      isSick: () => false,
      noted: async () => undefined,
      log: () => undefined,
      failed: (error) => {
        throw error;
      },
    });
    const handOver = (): { result: HandedOver | undefined } => {
      const seen: { result: HandedOver | undefined } = { result: undefined };
      void placed
        .handOver('db', 'disk', (text) => void log.told.push(text))
        .then((result) => {
          seen.result = result;
        });
      return seen;
    };
    return { placed, its, log, handOver, pump: (ms: number) => pass(scheduler, ms) };
  }

  it('is stopped here, given up, and seen to run elsewhere once its port answers', async () => {
    const { its, log, handOver, pump } = world({ port: 5432 });
    const seen = handOver();
    await pump(2_000);
    expect([log.released, log.wishes]).toEqual([
      1,
      [{ kind: 'unplace', service: 'db', fence: 4, unfitUntilMs: 1_300_000, reason: 'disk' }],
    ]);
    its.open = 'refused';
    its.placed = { ...its.placed, peer: 'beta', fence: 5 };
    await pump(3_000);
    expect(seen.result).toBeUndefined();
    its.open = 'open';
    await pump(1_000);
    expect(seen.result).toEqual({ kind: 'moved', to: 'beta' });
    expect(log.told).toEqual(['db was released at decision 9: disk', 'placed on beta, fence 5', 'its port 5432 answers on beta']);
  });

  it('is moved as soon as another has it where it has no port, and nowhere where nobody takes it in time', async () => {
    const moved = world();
    const seen = moved.handOver();
    moved.its.placed = { ...moved.its.placed, peer: 'self' };
    await moved.pump(1_000);
    moved.its.placed = { ...moved.its.placed, peer: 'beta', fence: 5 };
    await moved.pump(1_000);
    expect(seen.result).toEqual({ kind: 'moved', to: 'beta' });
    const lost = world();
    const nowhere = lost.handOver();
    await lost.pump(44_000);
    expect(nowhere.result).toBeUndefined();
    await lost.pump(2_000);
    expect([nowhere.result, lost.log.told.at(-1)]).toEqual([{ kind: 'nowhere' }, 'no other member took over the service']);
  });

  it('is kept where it is not here, or may not move, and stopped though nobody can decide', async () => {
    const kept = world({ mayNotMove: 'paused' });
    const first = kept.handOver();
    await kept.pump(1_000);
    expect([first.result, kept.log.released]).toEqual([{ kind: 'kept' }, 0]);
    const other = world();
    other.its.placed = { ...other.its.placed, peer: 'beta' };
    const second = other.handOver();
    await other.pump(1_000);
    expect([second.result, other.log.released]).toEqual([{ kind: 'kept' }, 0]);
    const undecided = world({ decides: false });
    undecided.handOver();
    await undecided.pump(1_000);
    expect([undecided.log.released, undecided.log.told]).toEqual([
      1,
      ['db was stopped here, and the swarm cannot decide now: the swarm has no leader'],
    ]);
  });
});

describe('shares of what is limited', () => {
  it('are one’s own and those of all, and come back once', () => {
    const shares = new Shares(10, 25);
    const first = shares.take('a', 6, false);
    expect([first !== undefined, shares.take('a', 5, false), shares.take('a', 4, false) !== undefined]).toEqual([
      true,
      undefined,
      true,
    ]);
    expect(shares.take('b', 12, false)).toBeDefined(); // who holds nothing yet
    expect([shares.take('c', 4, false), shares.take('c', 3, false) !== undefined]).toEqual([undefined, true]);
    expect(shares.take('admin', 5, true)).toBeDefined();
    first?.();
    first?.();
    expect([shares.take('a', 7, true), shares.take('a', 6, true) !== undefined]).toEqual([undefined, true]);
  });

  it('are so many at once, and so many a second', () => {
    const rates = new Rates(2, 3);
    const many = (asker: string, nowMs: number) =>
      Array.from({ length: 5 }, () => rates.take(asker, nowMs)).filter(Boolean).length;
    expect([many('a', 0), many('b', 0), many('a', 499), many('a', 500), many('a', 1_600), many('a', 60_000)]).toEqual([
      3, 3, 0, 1, 2, 3,
    ]);
  });
});

describe('maintenance', () => {
  it('is open from its start for its minutes, over midnight too, on the days on which it begins', () => {
    const window = { days: ['mon' as const], start: '23:30', minutes: 60, reason: 'backup' };
    const at = (day: number, hour: number, minute: number) => maintenanceReason([window], Date.UTC(2024, 0, day, hour, minute)); // 1 is a Monday
    expect([
      at(1, 23, 29),
      at(1, 23, 30) !== undefined,
      at(2, 0, 29) !== undefined,
      at(2, 0, 30),
      at(2, 23, 45),
      at(8, 0, 10),
    ]).toEqual([undefined, true, true, undefined, undefined, undefined]);
    expect(at(8, 23, 59)).toBe('maintenance for 60 minutes from 23:30 UTC: backup');
    const daily = { start: '00:00', minutes: 1_440, reason: 'always' };
    expect(maintenanceReason([window, daily], Date.UTC(2024, 0, 3, 12))).toContain('always');
  });
});

describe('policies of an agent', () => {
  const OWNER = { judge: () => undefined, noted: async () => undefined };
  const policy = (name: string, given: Record<string, unknown> = {}) => ({ name, when: 'true', summary: name, ...given });

  it('are there again after a restart, without those that are not understood any more', async () => {
    const store = new PlainStore();
    const set = new PolicySet(store, [], OWNER);
    await set.apply([policy('mine'), policy('other')]);
    await set.remove('other');
    await set.follow('bundle-1', [policy('swarm')]);
    store.content.set('policy/bad', Uint8Array.of(0xf6));
    const again = new PolicySet(store, [], OWNER);
    expect(await again.open()).toEqual([expect.stringMatching(/^bad: /)]);
    expect(again.all().map((one) => `${one.origin} ${one.policy.name}`)).toEqual(['swarm swarm', 'live mine']);
    expect(again.ofSwarm).toEqual(['swarm']);
    expect(await again.remove('nothing')).toBe(false);
  });

  it('replace those before them by name: the swarm’s the shipped, one’s own the swarm’s, live ones all', async () => {
    const base = [{ policy: { ...policy('p', { summary: 'own' }) }, origin: 'own' as const }] as never;
    const seen: string[] = [];
    let isFailing = false;
    const judge = (all: { summary: string }[]): void => {
      if (isFailing) throw new Error('no');
      seen.push(all.map(({ summary }) => summary).join());
    };
    const set = new PolicySet(new PlainStore(), base, { ...OWNER, judge });
    await set.follow('b', [policy('p', { summary: 'swarm' })]);
    await set.apply([policy('p', { summary: 'live' })]);
    await set.remove('p');
    expect(seen).toEqual(['own', 'live', 'own']);
    isFailing = true;
    await expect(set.apply([policy('q')])).rejects.toThrow('no');
    isFailing = false;
    expect(set.all().map(({ policy: { name } }) => name)).toEqual(['p']);
    await expect(set.apply([policy('q', { test: [{ name: 't', for_s: 1, fires: false }] })])).rejects.toThrow(
      'its own test "t": it fires, but it should not',
    );
  });

  it('are checked where they are disabled too, by their own tests as if they were not', async () => {
    const store = new PlainStore();
    const set = new PolicySet(store, [], OWNER);
    const disabled = (given: Record<string, unknown>) => [policy('off', { enabled: false, ...given })];
    const test = [{ name: 't', for_s: 1, fires: true }];
    await expect(set.apply(disabled({ when: '1 +' }))).rejects.toThrow(/^policy off: .* in column \d+ of 1 \+$/);
    await expect(set.apply(disabled({ when: 'false', test }))).rejects.toThrow('its own test "t": it does not fire');
    expect(set.all()).toEqual([]);
    await set.apply(disabled({ test }));
    // Release 0.3.0 took them so.
    await set.follow('bundle-1', [policy('old', { enabled: false, when: '1 +' })]);
    const again = new PolicySet(store, [], OWNER);
    expect([await again.open(), again.all().map(({ policy: { name } }) => name)]).toEqual([[], ['old', 'off']]);
  });
});

describe('what an agent is told of its configuration', () => {
  it('has where a certificate is served: by address, by port, or by the service that is reloaded', () => {
    const certificate = (given: Record<string, unknown>) => {
      const document = { service: [{ name: 'web', command: ['x'], port: 443 }], certificate: [{ path: '/c', ...given }] };
      return agentSettings(resolveConfig([{ origin: 'x', document }])).declared.certificates[0]?.servedAt;
    };
    expect([certificate({}), certificate({ served_at: 'example.org:8443' }), certificate({ reload: 'web' })]).toEqual([
      undefined,
      { host: 'example.org', port: 8_443 },
      { host: '127.0.0.1', port: 443 },
    ]);
  });

  it('shows each key with its value and origin, and no secret', () => {
    const document = {
      mode: 'act',
      join: ['kalos1.secret', '/ip4/192.0.2.1/tcp/7700'],
      service: [{ name: 'web', command: ['x'], environment: { TOKEN: 's' } }],
    };
    const entries = entriesOf([{ origin: 'kalos.toml', document }]);
    const of = (key: string) => entries.find((one) => one.key === key);
    expect([of('mode'), of('mdns')]).toMatchObject([
      { value: 'act', origin: 'kalos.toml' },
      { value: true, origin: 'default' },
    ]);
    expect(of('join')?.value).toEqual(['(hidden)', '/ip4/192.0.2.1/tcp/7700']);
    expect([of('service.web.environment')?.value, of('service.web.command')?.value]).toEqual([{ TOKEN: '(hidden)' }, ['x']]);
    expect(JSON.stringify(entries)).not.toContain('secret');
  });
});
