// Services that systemd runs, look by look: what is told of each, how often it ended, and when nothing is known any more.
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseShow, SystemdUnits, type UnitChange } from '../../node/action/adapters/systemd-units.ts';
import type { Step } from '../../node/ports/actuator.ts';
import { PlainStore } from '../support/store.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kalos-units-'));
  vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'] });
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(directory, { recursive: true });
});

const show = (changed: Record<string, string | number> = {}): string =>
  Object.entries({
    Id: 'web.service',
    LoadState: 'loaded',
    ActiveState: 'active',
    MainPID: process.pid,
    InvocationID: 'run-1',
    ...changed,
  })
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');
const STOPPED = show({ ActiveState: 'inactive', MainPID: 0 });
const stop: Step = { do: ['unit', 'stop', 'web.service'], undo: undefined };

async function watched({ task = false, store = new PlainStore() } = {}) {
  const [systemctl, shown, asked] = ['systemctl', 'shown', 'asked'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(systemctl, `#!/bin/sh\necho "$@" > ${asked}\nexec cat ${shown}\n`);
  chmodSync(systemctl, 0o755);
  const told: { name: string; change: UnitChange; exits: number }[] = [];
  const services = [{ name: 'web', command: [], unit: 'web.service', task }];
  const changed = (name: string, change: UnitChange, exits: number) => void told.push({ name, change, exits });
  const units = new SystemdUnits({ systemctl, services, store, changed });
  const look = async (text: string) => {
    writeFileSync(shown, text);
    await units.look();
    return told.at(-1) ?? expect.fail('nothing was told');
  };
  return { units, look, told, shown, asked, store };
}

describe('a unit', () => {
  it('is asked for with what is needed, and told of as it is', async () => {
    const { units, look, asked } = await watched();
    const { name, change, exits } = await look(show({ NRestarts: 2, StateChangeTimestampMonotonic: 0 }));
    expect(readFileSync(asked, 'utf8')).toBe(
      'show --property=Id,Names,LoadState,ActiveState,SubState,MainPID,ExecMainCode,ExecMainStatus,NRestarts,InvocationID,StateChangeTimestampMonotonic -- web.service\n',
    );
    expect([name, exits]).toEqual(['web', 0]);
    expect(change).toEqual({
      ...{ state: 'running', unitState: 'active', pid: process.pid, exitCode: undefined, signal: undefined, starts: 3 },
      ...{ onPurpose: false, byPolicy: false, sinceMs: 0, startTicks: expect.any(Number) },
    });
    units.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is dated once, however the wall clock goes on', async () => {
    const { units, look } = await watched();
    const at = Math.floor(Number(process.hrtime.bigint()) / 1e3) - 5_000_000;
    const first = (await look(show({ StateChangeTimestampMonotonic: at }))).change.sinceMs ?? 0;
    expect(Math.abs(Date.now() - 5_000 - first)).toBeLessThan(2_000);
    expect((await look(show({ StateChangeTimestampMonotonic: at }))).change.sinceMs).toBe(first);
    expect((await look(show({ StateChangeTimestampMonotonic: at + 1_000_000 }))).change.sinceMs).toBeGreaterThan(first);
    units.close();
  });

  it('ended as often as systemd started it again, and at most a hundred times', async () => {
    const { units, look } = await watched();
    const exits = [];
    for (const restarts of [5, 5, 7, 0, 100, 300]) exits.push((await look(show({ NRestarts: restarts }))).exits);
    expect(exits).toEqual([0, 0, 2, 0, 100, 100]);
    units.close();
  });

  it('is unknown once systemctl has not answered for more than 30 seconds, and from the beginning', async () => {
    const { units, look, told } = await watched();
    expect((await look('')).change).toEqual({ unitState: 'unknown', signal: undefined });
    await look(show());
    const count = told.length;
    vi.advanceTimersByTime(1);
    units.close();
    vi.advanceTimersByTime(29_999);
    await look('');
    expect(told).toHaveLength(count);
    vi.advanceTimersByTime(1);
    expect((await look('')).change.unitState).toBe('unknown');
  });

  it('is looked at every two seconds', async () => {
    const { units } = await watched();
    const look = vi.spyOn(units, 'look').mockResolvedValue();
    vi.advanceTimersByTime(1_999);
    expect(look).toHaveBeenCalledTimes(0);
    vi.advanceTimersByTime(2_001);
    expect(look).toHaveBeenCalledTimes(2);
    units.close();
  });

  it('that starts is stopped, but for a task, which runs', async () => {
    const starting = show({ ActiveState: 'activating', SubState: 'start' });
    const { units, look } = await watched();
    expect((await look(starting)).change).toMatchObject({ state: 'stopped', unitState: 'activating' });
    units.close();
    const task = await watched({ task: true });
    expect((await task.look(starting)).change).toMatchObject({ state: 'running', unitState: 'activating' });
    expect((await task.look(STOPPED)).change).toMatchObject({ state: 'stopped' });
    task.units.close();
  });
});

describe('a stop of a unit', () => {
  const FAILED = show({ ActiveState: 'failed', MainPID: 0, ExecMainCode: 1, ExecMainStatus: 143 });

  it.each([
    [true, { onPurpose: true, byPolicy: false }],
    [false, { onPurpose: false, byPolicy: true }],
  ])('by a person: %s, is told as such, whatever it ended with, and known again later', async (byPerson, purpose) => {
    const { units, look, store } = await watched();
    await look(show());
    units.armed('a', 1_000, [stop]);
    expect((await look(FAILED)).change).toMatchObject({ state: 'stopped', onPurpose: true });
    await units.confirmed('a', byPerson);
    expect((await look(FAILED)).change).toMatchObject({ state: 'stopped', exitCode: 143, ...purpose });
    units.close();
    const again = await watched({ store });
    writeFileSync(again.shown, FAILED);
    await again.units.open();
    expect(again.told.at(-1)?.change).toMatchObject({ state: 'stopped', ...purpose });
    again.units.close();
  });

  it('that was undone is none', async () => {
    const { units, look } = await watched();
    units.armed('a', 1_000, [stop]);
    units.undone('a');
    expect((await look(FAILED)).change).toMatchObject({ state: 'exited', onPurpose: false, byPolicy: false });
    units.close();
  });
});

describe('what systemctl prints', () => {
  it('is read field by field', () => {
    const ended = { ActiveState: 'failed', MainPID: 0, ExecMainStatus: 9, StateChangeTimestampMonotonic: 2_500 };
    const of = (changed: Record<string, string | number>) => parseShow(show({ ...ended, ...changed })).get('web.service');
    expect(of({ ExecMainCode: 1 })).toEqual({
      ...{ state: 'exited', unitState: 'failed', pid: undefined, exitCode: 9, signal: undefined, starts: 1 },
      ...{ sinceMonotonicMs: 2.5, invocation: 'run-1' },
    });
    expect(of({ ExecMainCode: 2 })).toMatchObject({ exitCode: undefined, signal: 9 });
    expect(of({ ExecMainCode: 1, ActiveState: 'inactive' })).toMatchObject({ exitCode: undefined, signal: undefined });
    expect(of({ ActiveState: 'refreshing' })).toMatchObject({ state: 'running', unitState: 'refreshing' });
    expect(of({ LoadState: 'error' })).toMatchObject({ state: 'exited', unitState: 'error' });
    expect(parseShow('Id=\nNames=\n\nId=a.service\nDescription=x=y\n').size).toBe(1);
  });
});
