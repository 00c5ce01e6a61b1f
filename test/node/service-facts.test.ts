// The last good configuration of a service: what counts as one, and what is never put back.
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ServiceChecks } from '../../node/action/adapters/service-checks.ts';
import { type Actuator, type Reading, type ServiceSample, stoppedService } from '../../node/ports/actuator.ts';
import type { Sensors } from '../../node/ports/sensors.ts';
import { ServiceFacts } from '../../node/telemetry/service-facts.ts';
import { ModelledCrypto, simulatedPeer } from '../../sim/adapters/crypto.ts';
import { eventually } from '../support/clock.ts';
import { PlainStore } from '../support/store.ts';

const PATH = '/etc/web.conf';
const LONG_MS = 60_000;
const spec = { name: 'web', command: ['web'], config: [PATH] };
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

function make() {
  const file = { content: bytes(), writtenMs: 0 };
  const read = async ([what]: Reading) => ({
    ok: true,
    value: what === 'file.stat' ? [PATH, 'file', 1, 0o644, 0, 0, file.writtenMs, 1, 1] : file.content,
  });
  const ports = {
    actuator: { read } as unknown as Actuator,
    sensors: {} as Sensors,
    store: new PlainStore(),
    crypto: new ModelledCrypto(simulatedPeer(0, 1), bytes(1)),
  };
  const facts = new ServiceFacts(ports, [spec]);
  const look = async (starts: number, wellMs: number | undefined) => {
    const running = { ...stoppedService(spec, 0), state: wellMs === undefined ? ('exited' as const) : ('running' as const) };
    await facts.look({ ...running, starts, sinceMs: 1_000 * starts }, wellMs);
    return facts.of('web').changedConfig;
  };
  return { file, look };
}

it('is what a service was started with and was well with for a while, byte by byte', async () => {
  const { file, look } = make();
  file.content = bytes(0xef, 0xbb, 0xbf, 0x61);
  expect(await look(1, LONG_MS)).toBeUndefined();
  file.content = bytes(0x62);
  const changed = await look(1, undefined);
  expect(changed && new TextEncoder().encode(changed.good)).toEqual(bytes(0xef, 0xbb, 0xbf, 0x61));
});

it('is not what was written since the start, which the service may not have read', async () => {
  const { file, look } = make();
  file.content = bytes(0x61);
  await look(1, LONG_MS);
  Object.assign(file, { content: bytes(0x62), writtenMs: 50_000 });
  expect((await look(1, LONG_MS))?.good).toBe('a');
});

it('is not put back where it is no text', async () => {
  const { file, look } = make();
  file.content = bytes(0xff, 0x00);
  await look(1, LONG_MS);
  file.content = bytes(0x62);
  expect(await look(1, undefined)).toBeUndefined();
});

describe('a log that falls silent', () => {
  it('is told by when it was seen to change: the dates of files are of a clock that can be set', async () => {
    const logs = mkdtempSync(join(tmpdir(), 'kalos-silence-'));
    const path = join(logs, 'web.log');
    const checks = new ServiceChecks(logs, async () => 'open');
    const silent = { name: 'web', command: ['web'], check: { kind: 'silence' as const, withinMs: 300 } };
    const look = () => checks.look(silent, { ...stoppedService(silent, 0), state: 'running', starts: 1 }, 100);
    for (const aheadS of [25 * 3_600, -73 * 3_600]) {
      writeFileSync(path, `line of ${aheadS}\n`);
      const at = Date.now() / 1_000 - aheadS; // the clock was set by so much since it was written
      utimesSync(path, at, at);
      expect(await look()).toBe('open');
      await eventually('it to be silent', async () => ((await look()) === 'silent' ? true : undefined));
    }
    rmSync(logs, { recursive: true });
  });
});

describe('what the actuator is asked of a service', () => {
  function asking(given: Partial<ServiceSample> = {}, config: string[] = []) {
    const its = { answers: new Map<string, unknown>(), asked: [] as string[], isDown: false };
    const read = async ([what, ...of]: Reading) => {
      its.asked.push([what, ...of].join(' '));
      if (its.isDown) return { ok: false, code: 'unknown', message: 'it is down' };
      const value = its.answers.get([what, ...of].join(' '));
      return value === undefined ? { ok: false, code: 'not-found', message: 'none' } : { ok: true, value };
    };
    const store = new PlainStore();
    const ports = { actuator: { read }, sensors: {}, store, crypto: new ModelledCrypto(simulatedPeer(0, 1), bytes(1)) };
    const facts = new ServiceFacts(ports as never, [{ ...spec, config }]);
    const sample: ServiceSample = { ...stoppedService(spec, 0), state: 'running', pid: 1, starts: 1, sinceMs: 1_000, ...given };
    const look = async (changed: Partial<ServiceSample> = {}, wellMs: number | undefined = undefined) => {
      await facts.look({ ...sample, ...changed }, wellMs);
      return facts.of('web');
    };
    const file = (path: string, content: Uint8Array, writtenMs = 0): void => {
      its.answers.set(`file.read ${path}`, content);
      its.answers.set(`file.stat ${path}`, [path, 'file', 1, 0o644, 0, 0, writtenMs, 1, 1]);
    };
    return { its, store, look, file };
  }

  it('is what it is limited to now, while it runs', async () => {
    const { its, look } = asking({ limitCpus: 2 });
    its.answers.set('cgroup.read web cpu', 1_500);
    expect((await look()).limitCpus).toBe(1.5);
    expect((await look({ state: 'exited' })).limitCpus).toBe(2);
    expect((await look({ limitCpus: undefined })).limitCpus).toBeUndefined();
    expect(its.asked).toEqual(['cgroup.read web cpu']);
    its.answers.clear();
    expect((await look()).limitCpus).toBeUndefined();
  });

  it('is who holds its port, once it has exited', async () => {
    const { its, look } = asking({ port: 80 });
    its.answers.set('port.holder 80', [9, 77, 'nginx', 0]);
    expect((await look()).portHolder).toBeUndefined();
    expect((await look({ state: 'stopped' })).portHolder).toBeUndefined();
    expect((await look({ state: 'exited', port: undefined })).portHolder).toBeUndefined();
    expect(its.asked).toEqual([]);
    expect((await look({ state: 'exited' })).portHolder).toBe('nginx (pid 9)');
    its.answers.clear();
    expect((await look({ state: 'exited' })).portHolder).toBeUndefined();
  });

  it('is nothing where it does not answer', async () => {
    const { its, look } = asking({ limitCpus: 2 });
    its.isDown = true;
    await expect(look()).rejects.toThrow('it is down');
  });

  it('is its configuration, which is good after ten seconds', async () => {
    const { look, file, store } = asking({}, [PATH]);
    file(PATH, bytes(0x61), 1_000);
    await look({}, 9_999);
    expect(store.content.size).toBe(0);
    await look({}, 10_000);
    expect([...store.content.values()]).toEqual([bytes(0x61)]);
    expect([...store.content.keys()][0]).toMatch(/^config\/web\/[0-9a-f]+$/);
    file(PATH, bytes(0x61, 0x62));
    expect((await look()).changedConfig).toEqual({ path: PATH, good: 'a' });
    // After another start what it was started with is good, too.
    expect((await look({ starts: 2, sinceMs: 2_000 }, 10_000)).changedConfig).toBeUndefined();
    expect([...store.content.values()]).toEqual([bytes(0x61, 0x62)]);
  });

  it('tells of the first file of several that changed, and of one that is gone', async () => {
    const { look, file, its } = asking({}, ['/one', '/two']);
    for (const path of ['/one', '/two']) file(path, bytes(0x61));
    expect((await look({}, 10_000)).changedConfig).toBeUndefined();
    file('/two', bytes(0x62));
    expect((await look()).changedConfig?.path).toBe('/two');
    its.answers.delete('file.read /one');
    expect((await look({}, 10_000)).changedConfig).toEqual({ path: '/one', good: 'a' });
  });

  it('keeps nothing that is too large', async () => {
    const { look, file, store } = asking({}, [PATH]);
    file(PATH, new Uint8Array(256 * 1_024 + 1));
    await look({}, 10_000);
    expect(store.content.size).toBe(0);
    file(PATH, new Uint8Array(256 * 1_024));
    await look({ starts: 2 }, 10_000);
    expect(store.content.size).toBe(1);
  });
});
