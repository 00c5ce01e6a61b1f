// How a service is looked at as it is declared: by a program, its log, the silence of that, HTTP and TCP; and from which start on its log counts.
import { appendFileSync, mkdtempSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ServiceChecks } from '../../node/action/adapters/service-checks.ts';
import { type ServiceCheck, type ServiceSpec, stoppedService } from '../../node/ports/actuator.ts';
import type { HttpState } from '../../swarm/ports/transport.ts';

const probes = vi.hoisted(() => ({ asked: [] as unknown[][], http: 'passed', tcp: 'open', nowMs: 0 }));
vi.mock('../../swarm/adapters/http-probe.ts', () => ({
  probeHttp: async (...given: unknown[]) => {
    probes.asked.push(['http', ...given]);
    return probes.http;
  },
}));
vi.mock('../../swarm/adapters/tcp-probe.ts', () => ({
  probeTcp: async (...given: unknown[]) => {
    probes.asked.push(['tcp', ...given]);
    return probes.tcp;
  },
}));
vi.mock('../../node/adapters/clock.ts', () => ({ monotonicMs: () => probes.nowMs }));

let logs: string;
let log: string;
const ran: unknown[] = [];
let checks: ServiceChecks;
beforeEach(() => {
  logs = mkdtempSync(join(tmpdir(), 'kalos-checks-'));
  log = join(logs, 'web.log');
  ran.length = 0;
  Object.assign(probes, { asked: [], http: 'passed', tcp: 'open', nowMs: 0 });
  checks = new ServiceChecks(logs, async (name, command) => {
    ran.push([name, command]);
    return 'failed';
  });
});
afterEach(() => rmSync(logs, { recursive: true }));

function look(given: Partial<ServiceSpec>, starts = 1, sinceMs = 0): Promise<ServiceCheck> {
  const spec: ServiceSpec = { name: 'web', command: ['web'], ...given };
  return checks.look(spec, { ...stoppedService(spec, 0), state: 'running', starts, sinceMs }, 70);
}

describe('a service', () => {
  it('is well as its program says', async () => {
    expect(await look({ check: { kind: 'exec', command: ['ok', '-x'] } })).toBe('failed');
    expect(ran).toEqual([['web', ['ok', '-x']]]);
  });

  it('is asked on its port of this machine, and nothing without one', async () => {
    const http = { kind: 'http' as const, path: '/well' };
    expect([await look({}), await look({ check: http }), probes.asked]).toEqual(['undeclared', 'undeclared', []]);
    probes.tcp = 'refused';
    expect(await look({ port: 80 })).toBe('refused');
    expect(await look({ port: 80, check: http })).toBe('open');
    expect(probes.asked).toEqual([
      ['tcp', '127.0.0.1', 80, 70],
      ['http', '127.0.0.1', 80, '/well', 70],
    ]);
  });

  it.each<[HttpState, ServiceCheck]>([
    ['passed', 'open'],
    ['failed', 'failed'],
    ['mute', 'silent'],
    ['refused', 'refused'],
    ['silent', 'silent'],
    ['unknown', 'unknown'],
  ])('of which HTTP says %s is %s', async (http, check) => {
    probes.http = http;
    expect(await look({ port: 80, check: { kind: 'http', path: '/' } })).toBe(check);
  });
});

describe('a text in its log', () => {
  const ready = { check: { kind: 'log' as const, text: 'ready' } };

  it('is looked for where the file has changed since it was started, and stays seen', async () => {
    expect(await look(ready)).toBe('failed');
    writeFileSync(log, 'begins\nrea');
    expect(await look(ready)).toBe('failed');
    appendFileSync(log, 'dy\n'); // in two pieces
    expect(await look(ready)).toBe('open');
    writeFileSync(log, '');
    expect(await look(ready)).toBe('open');
  });

  it('of an earlier start is none', async () => {
    writeFileSync(log, 'ready\n');
    utimesSync(log, 1_000, 1_000);
    expect(await look(ready, 2, 1_000_001)).toBe('failed');
    appendFileSync(log, 'not yet\n');
    expect(await look(ready, 2, 1_000_001)).toBe('failed');
    appendFileSync(log, 'ready\n');
    expect(await look(ready, 2, 1_000_001)).toBe('open');
    expect(await look(ready, 3, 9_000_000_000_000)).toBe('failed');
    utimesSync(log, 1_000, 1_000);
    expect(await look(ready, 4, 1_000_000)).toBe('open'); // it has changed just then
  });

  it('is found behind what was rotated away, and behind a mebibyte', async () => {
    writeFileSync(log, 'x'.repeat(100));
    expect(await look(ready)).toBe('failed');
    truncateSync(log, 0);
    writeFileSync(log, 'ready');
    expect(await look(ready)).toBe('open');
    writeFileSync(log, `${'x'.repeat(1024 * 1024 - 2)}ready`);
    expect([await look(ready, 2), await look(ready, 2)]).toEqual(['failed', 'open']);
  });
});

describe('a log that falls silent', () => {
  const silence = { check: { kind: 'silence' as const, withinMs: 500 } };
  const at = (nowMs: number, starts = 1): Promise<ServiceCheck> => {
    probes.nowMs = nowMs;
    return look(silence, starts);
  };

  it('is silent once it has not changed for longer than it may, from each start on', async () => {
    expect([await at(1_000), await at(1_500), await at(1_501)]).toEqual(['open', 'open', 'silent']);
    writeFileSync(log, 'a\n');
    expect([await at(2_000), await at(2_501)]).toEqual(['open', 'silent']);
    appendFileSync(log, 'b\n');
    expect([await at(3_000), await at(3_501), await at(3_501, 2)]).toEqual(['open', 'silent', 'open']);
    rmSync(log);
    expect(await at(4_500, 2)).toBe('open');
  });
});
