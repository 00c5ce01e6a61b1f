// Did it help? What is seen on the machine decides: which process it is, by pid and start, how a task ended, what is left of files.
import { describe, expect, it } from 'vitest';
import type { Machine, Snapshot } from '../../node/action/tool.ts';
import type { JournalEntry } from '../../node/action/transaction.ts';
import { type ServiceSample, stoppedService } from '../../node/ports/actuator.ts';
import type { ToolCall } from '../../node/tool-call.ts';
import { verify, verifyCall } from '../../node/verification/verify.ts';

const service = (given: Partial<ServiceSample> = {}): ServiceSample => ({
  ...stoppedService({ name: 'web', command: ['web'] }, 0),
  state: 'running',
  pid: 7,
  startTicks: 900,
  starts: 2,
  ...given,
});

interface Seen {
  services?: ServiceSample[];
  check?: string;
  processes?: { pid: number; startTicks: number; state: string }[];
  program?: { state: string; exitCode?: number; exitSignal?: string };
  peers?: number;
}

const machineOf = ({ services = [], check = 'undeclared', processes = [], program, peers = 0 }: Seen): Machine =>
  ({
    actuator: { services: () => services, checkService: async () => check, program: async () => program },
    sensors: { sample: () => ({ processes }) },
    peers: () => peers,
  }) as unknown as Machine;

const entryOf = (before: Snapshot, ...calls: ToolCall[]): JournalEntry => ({
  plan: { id: 'inc-1-1', incident: 'inc-1', calls, tier: 'reactive', reason: 'because' },
  before: calls.map(() => before),
  phase: 'applied',
  atMs: 0,
  reason: '',
});

const judge = (call: ToolCall, before: Snapshot, seen: Seen) => verify(entryOf(before, call), machineOf(seen));
const restart: ToolCall = { tool: 'service.restart', service: 'web' };
const old = { state: 'running', pid: 7, startTicks: 100, starts: 1 };

describe('a restart', () => {
  it('holds with another process, though it has the pid of the one before', async () => {
    expect(await judge(restart, old, { services: [service()] })).toEqual({ holds: true, detail: 'running as pid 7' });
    const same = { services: [service({ startTicks: 100 })] };
    expect(await judge(restart, old, same)).toEqual({ holds: false, detail: 'the old process still runs' });
    expect(await judge(restart, old, { services: [service({ pid: 8, startTicks: 100 })] })).toMatchObject({ holds: true });
  });

  it('holds only where its check passes', async () => {
    const seen = { services: [service({ port: 80 })] };
    expect(await judge(restart, old, { ...seen, check: 'open' })).toEqual({
      holds: true,
      detail: 'running as pid 7 and answering on port 80',
    });
    expect(await judge(restart, old, { ...seen, check: 'refused' })).toEqual({
      holds: false,
      detail: 'running as pid 7, but port 80 is refused',
    });
    expect(await judge(restart, old, { services: [service()], check: 'failed' })).toMatchObject({
      holds: false,
      detail: 'running as pid 7, but its check is failed',
    });
  });

  it('is lost for good where what was started has ended, and not where systemd is to start it again', async () => {
    const exited = { state: 'exited', pid: undefined, startTicks: undefined } as const;
    const isFinal = async (given: Partial<ServiceSample>) =>
      (await judge(restart, old, { services: [service({ ...exited, ...given })] })).isFinal;
    expect([await isFinal({}), await isFinal({ unit: 'web.service' }), await isFinal({ starts: 1 })]).toEqual([
      true,
      false,
      false,
    ]);
    expect(await judge(restart, old, { services: [service({ ...exited, state: 'stopped' })] })).toMatchObject({
      holds: false,
      detail: 'the service is stopped',
      isFinal: false,
    });
    expect(await judge(restart, old, {})).toEqual({ holds: false, detail: 'the service is no longer supervised' });
  });
});

it('a stop holds once the service is stopped', async () => {
  const stop: ToolCall = { tool: 'service.stop', service: 'web' };
  expect(await judge(stop, old, { services: [service({ state: 'stopped' })] })).toMatchObject({ holds: true });
  expect(await judge(stop, old, { services: [service()] })).toEqual({ holds: false, detail: 'the service is running' });
  expect(await judge(stop, old, { services: [service({ state: 'exited' })] })).toMatchObject({ holds: false });
});

describe('a signal', () => {
  const signal = (name: string): ToolCall => ({ tool: 'service.signal', service: 'web', signal: name });
  const at = (name: string, ...processes: NonNullable<Seen['processes']>) => judge(signal(name), old, { processes });
  const process = (state: string, startTicks = 100) => ({ pid: 7, startTicks, state });

  it.each(['TERM', 'KILL', 'INT'])(
    '%s holds once the process has ended: a zombie has, and one that has its pid is another',
    async (name) => {
      expect(await at(name)).toEqual({ holds: true, detail: 'the process has exited' });
      expect(await at(name, process('Z'))).toMatchObject({ holds: true });
      expect(await at(name, process('S', 900))).toMatchObject({ holds: true });
      expect(await at(name, { ...process('S'), pid: 8 })).toMatchObject({ holds: true });
      expect(await at(name, process('S'))).toEqual({ holds: false, detail: 'the process is still running' });
    },
  );

  it('STOP holds while the process is stopped, CONT and HUP while it is there and is not', async () => {
    expect([await at('STOP', process('T')), await at('STOP', process('S')), await at('STOP')]).toMatchObject([
      { holds: true, detail: 'process state T' },
      { holds: false },
      { holds: false, detail: 'the process has exited' },
    ]);
    for (const name of ['CONT', 'HUP'])
      expect([
        await at(name, process('S')),
        await at(name, process('T')),
        await at(name, process('Z')),
        await at(name),
      ]).toMatchObject([{ holds: true }, { holds: false }, { holds: false }, { holds: false }]);
  });
});

describe('a plan of several calls', () => {
  const stop: ToolCall = { tool: 'service.stop', service: 'web' };
  const seen = { services: [service({ state: 'stopped' }), service({ name: 'db' })] };

  it('holds where all of it does; the first that does not says why', async () => {
    const both = entryOf(old, stop, { tool: 'service.restart', service: 'db' });
    expect(await verify(both, machineOf(seen))).toEqual({ holds: true, detail: 'the service is stopped; running as pid 7' });
    const one = entryOf(old, { ...restart }, { ...stop, service: 'db' });
    expect(await verify(one, machineOf(seen))).toMatchObject({ holds: false, detail: 'the service is stopped' });
    expect(await verifyCall(both, 1, machineOf(seen))).toMatchObject({ holds: true, detail: 'running as pid 7' });
    await expect(verifyCall(both, 2, machineOf(seen))).rejects.toThrow('inc-1-1 has no call 2');
  });
});

describe('a program or a task', () => {
  const spawn: ToolCall = { tool: 'process.spawn', command: ['/bin/x'] };
  const run: ToolCall = { tool: 'service.run', service: 'web' };
  const program = (program?: Seen['program']) => judge(spawn, {}, program === undefined ? {} : { program });
  const task = (given: Partial<ServiceSample>) => judge(run, { starts: 1 }, { services: [service(given)] });

  it('that was started holds once it has ended with 0, and is lost for good with anything else', async () => {
    const waits = { holds: false, detail: 'the program is still running' };
    expect([await program(), await program({ state: 'running' })]).toEqual([waits, waits]);
    expect(await program({ state: 'exited', exitCode: 0 })).toEqual({ holds: true, detail: 'the program exited with status 0' });
    expect(await judge(spawn, {}, { program: { state: 'exited', exitCode: 1 } })).toEqual({
      holds: false,
      detail: 'the program exited with status 1',
      isFinal: true,
    });
    expect(await program({ state: 'exited', exitSignal: 'SIGKILL' })).toMatchObject({
      detail: 'the program exited with SIGKILL',
    });
  });

  it('that is declared holds once another start of it has ended with 0', async () => {
    const waits = { holds: false, detail: 'the task is still running' };
    expect(await task({ state: 'exited', starts: 1, exitCode: 0 })).toEqual(waits);
    expect(await task({ state: 'running', starts: 2 })).toEqual(waits);
    expect(await task({ state: 'exited', starts: 2, exitCode: 0 })).toMatchObject({ holds: true });
    expect(await task({ state: 'exited', starts: 2, exitCode: 3 })).toEqual({
      holds: false,
      detail: 'the task exited with status 3',
      isFinal: true,
    });
    expect(await task({ state: 'exited', starts: 2, exitSignal: 'SIGTERM' })).toMatchObject({
      holds: false,
      detail: 'the task exited with SIGTERM',
    });
  });
});

it('a limit holds while a look shows all that was intended', async () => {
  const limit: ToolCall = { tool: 'process.renice', pid: 7, nice: 5 };
  const looks = async (value: unknown) => {
    const read = async () => (value === undefined ? { ok: false, message: 'it is gone' } : { ok: true, value });
    return verify(entryOf({ startTicks: 900 }, limit), { actuator: { read } } as unknown as Machine);
  };
  expect(await looks([7, 900, 'web', 0, 5, 0, 4])).toEqual({ holds: true, detail: 'startTicks is 900, nice is 5' });
  expect(await looks([7, 900, 'web', 0, 4, 0, 4])).toEqual({ holds: false, detail: 'startTicks is 900, nice is 4' });
  expect(await looks([7, 901, 'web', 0, 5, 0, 4])).toMatchObject({ holds: false });
  expect(await looks(undefined)).toEqual({ holds: false, detail: 'it is gone' });
});

it('a block holds while as many peers are within reach as before', async () => {
  const block = (peers: number) => judge({ tool: 'net.block', address: '192.0.2.7' }, { peers: 4 }, { peers });
  expect(await block(4)).toEqual({ holds: true, detail: '4 peers reachable, 4 before' });
  expect(await block(3)).toEqual({ holds: false, detail: '3 peers reachable, 4 before' });
});

it('a clean-up holds once the files that it found are gone, whatever has come since', async () => {
  const clean: ToolCall = { tool: 'fs.clean', directory: '/tmp/x', suffix: '.tmp', older_than_s: 0 };
  const left = async (...names: string[]) => {
    const value = names.map((name) => [`/tmp/x/${name}`, 'file', 4, 0o640, 0, 0, 0, 1, 9]);
    const machine = { actuator: { read: async () => ({ ok: true, value }) }, sensors: { sample: () => ({ wallMs: 9_000 }) } };
    return verify(entryOf({ count: 2, names: '["a.tmp","b.tmp"]' }, clean), machine as unknown as Machine);
  };
  expect(await left('new.tmp')).toEqual({ holds: true, detail: '2 of 2 files are removed' });
  expect(await left('b.tmp', 'new.tmp')).toEqual({ holds: false, detail: '1 of 2 files are removed' });
});
