// The last good configuration of a service: what counts as one, and what is never put back.
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ServiceChecks } from '../../node/action/adapters/service-checks.ts';
import { ServiceFacts } from '../../node/telemetry/service-facts.ts';
import { ModelledCrypto, simulatedPeer } from '../../sim/adapters/crypto.ts';
import { type Actuator, type Reading, stoppedService } from '../../swarm/ports/actuator.ts';
import type { Sensors } from '../../swarm/ports/sensors.ts';
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
