// Every tool there is, and every control that it declares, on the live path: a call goes through the executor, and what
// reaches the machine is counted. A tool without a case here fails the first test.
import { beforeEach, describe, expect, it } from 'vitest';
import type { Mode } from '../../node/action/guard.ts';
import type { ChangeTool, Machine } from '../../node/action/tool.ts';
import { lineDiff } from '../../node/action/tools/files.ts';
import { CHANGE_TOOLS, changeToolOf, parseCall, TOOLS } from '../../node/action/tools.ts';
import { Executor } from '../../node/agent/executor.ts';
import { AuditLog } from '../../node/audit/audit-log.ts';
import type { Plan } from '../../node/decision/plan.ts';
import {
  type Actuator,
  type ActuatorOutcome,
  type Primitive,
  type Reading,
  type ServiceSpec,
  stoppedService,
} from '../../node/ports/actuator.ts';
import type { Ports } from '../../node/ports/ports.ts';
import type { Argument, ToolCall } from '../../node/tool-call.ts';
import { ModelledCrypto, simulatedPeer } from '../../sim/adapters/crypto.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Disk, SimulatedStore } from '../../sim/machine/disk.ts';
import { FakeLinux } from '../../sim/machine/linux.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { settleIn } from '../support/virtual.ts';

const NOW_MS = 1_700_000_000_000;

/** A call of each tool that changes something, that its precondition lets through on the machine below. */
const CALLS: Record<string, Record<string, Argument>> = {
  'service.start': { service: 'idle' },
  'service.stop': { service: 'web' },
  'service.restart': { service: 'web' },
  'service.reload': { service: 'web' },
  'service.signal': { service: 'web', signal: 'STOP' },
  'service.run': { service: 'job' },
  'service.claim': { service: 'down' },
  'process.signal': { pid: 500, signal: 'STOP' },
  'process.renice': { pid: 500, nice: 10 },
  'process.ioprio': { pid: 500, class: 'idle' },
  'process.limit': { pid: 500, resource: 'nofile', soft: 64 },
  'process.spawn': { command: ['/bin/true'] },
  'sysctl.set': { key: 'vm.swappiness', value: '10' },
  'cgroup.limit': { service: 'web', cpus: 0.5 },
  'cgroup.freeze': { service: 'web' },
  'io.scheduler': { device: 'loop0', value: 'none' },
  'io.readahead': { device: 'loop0', value: '256' },
  'fs.write': { path: '/data/file', content: 'new\n' },
  'fs.remove': { path: '/data/file' },
  'fs.restore': { path: '/data/file', backup: 'act-1-0' },
  'fs.rotate': { path: '/data/file' },
  'fs.clean': { directory: '/var/cache/app', suffix: '.tmp', older_than_s: 60 },
  'net.block': { address: '192.0.2.7' },
  'net.unblock': { address: '192.0.2.7' },
};
const callOf = (name: string, change: Record<string, Argument> = {}): ToolCall => ({ tool: name, ...CALLS[name], ...change });

const READINGS: Record<Reading[0], unknown> = {
  'port.holder': [500, 77, 'stranger', 0],
  'process.read': [500, 77, 'worker', 0, 0, 2, 4, ['nofile', 1024, 4096]],
  'sysctl.read': '60',
  'block.read': '128',
  'cgroup.read': 0,
  'file.stat': ['/data/file', 'file', 4, 0o640, 0, 0, NOW_MS - 3_600_000, 1, 9],
  'file.list': [['/var/cache/app/x.tmp', 'file', 5, 0o644, 0, 0, NOW_MS - 3_600_000, 1, 8]],
  'file.read': new TextEncoder().encode('old\n'),
  'file.writers': [],
  'archive.read': new TextEncoder().encode('older\n'),
};

/** A machine that answers with what the test says, and writes down what it is told. */
class RecordingActuator implements Actuator {
  readonly told: string[] = [];
  readonly changed: Primitive[] = [];
  /** What `check` and `arm` say. */
  allowed: ActuatorOutcome = { ok: true };
  /** Whether `apply` ever answers. */
  answers = true;
  readonly #undos = new Map<string, (Primitive | undefined)[]>();

  services() {
    const service = (name: string, more: Partial<ServiceSpec> = {}) => stoppedService({ name, command: [], ...more }, 0);
    return [
      { ...service('web'), state: 'running' as const, pid: 42, startTicks: 7, starts: 1 },
      service('idle'),
      service('job', { task: true }),
      { ...service('down', { port: 80, portExclusive: true }), state: 'exited' as const },
      { ...service('shared', { port: 81 }), state: 'exited' as const },
      { ...service('up', { port: 82, portExclusive: true }), state: 'running' as const, pid: 43, startTicks: 8 },
    ];
  }
  async bringUp(): Promise<ActuatorOutcome> {
    return { ok: true };
  }
  async hold(): Promise<ActuatorOutcome> {
    return { ok: true };
  }
  async release(): Promise<ActuatorOutcome> {
    return { ok: true };
  }
  async check(): Promise<ActuatorOutcome> {
    return this.allowed;
  }
  async arm(
    id: string,
    _fireAfterMs: number,
    steps: readonly { do: Primitive; undo: Primitive | undefined }[],
  ): Promise<ActuatorOutcome> {
    this.told.push('arm');
    if (this.allowed.ok)
      this.#undos.set(
        id,
        steps.map(({ undo }) => undo),
      );
    this.changed.push(...(this.allowed.ok ? steps.map((step) => step.do) : []));
    return this.allowed;
  }
  apply(_id: string, step: number): Promise<ActuatorOutcome> {
    this.told.push(`apply ${step}`);
    return this.answers ? Promise.resolve({ ok: true }) : new Promise(() => undefined);
  }
  async confirm(): Promise<ActuatorOutcome> {
    this.told.push('confirm');
    return { ok: true };
  }
  async undo(id: string): Promise<ActuatorOutcome> {
    this.told.push('undo');
    for (const undo of this.#undos.get(id)?.toReversed() ?? []) if (undo !== undefined) this.told.push(undo[0]);
    return { ok: true };
  }
  async change() {
    return { state: 'armed' as const, begun: 1, reason: '' };
  }
  async program() {
    return undefined;
  }
  async read(reading: Reading) {
    if (reading[0] === 'file.stat' && reading[1].endsWith('.1'))
      return { ok: false as const, code: 'not-found' as const, message: 'no' };
    if (reading[0] === 'block.read' && reading[2] === 'scheduler') return { ok: true as const, value: 'mq-deadline' };
    return { ok: true as const, value: READINGS[reading[0]] };
  }
  async checkService() {
    return 'undeclared' as const;
  }
  logOf(): undefined {
    return undefined;
  }
  onExit(): void {}
  onBack(): void {}
  async stalls() {
    return [];
  }
  silentMs(): undefined {
    return undefined;
  }
  async close(): Promise<void> {}
  async leave(): Promise<void> {}
}

let scheduler: Scheduler;
let actuator: RecordingActuator;
let machine: Machine;
let peers: () => number;
const crypto = new ModelledCrypto(simulatedPeer(0, 1), new Uint8Array([1]));

beforeEach(() => {
  scheduler = new Scheduler();
  actuator = new RecordingActuator();
  peers = () => 2;
  const linux = new FakeLinux(scheduler, new SeededRandom(1, 'linux'), [], { cpus: 2, memoryBytes: 2 ** 32 }, NOW_MS);
  machine = { actuator, sensors: linux, crypto, peers: () => 2 };
});

function start(mode: Mode) {
  const clock = new ProcessClock(scheduler, () => NOW_MS);
  const store = new SimulatedStore(new Disk(), scheduler);
  const ports = {
    clock,
    store,
    crypto,
    transport: { self: crypto.self },
    actuator,
    sensors: machine.sensors,
    random: new SeededRandom(1, 'r'),
  };
  const audit = new AuditLog(store, clock, crypto);
  const failed = (error: unknown): void => {
    throw error;
  };
  const parts = {
    ports: ports as unknown as Ports,
    audit,
    peers: () => peers(),
    settings: { mode, maintenance: [] },
    reporter: {
      log: () => undefined,
      noted: (text: string, subject = crypto.self) => audit.append('control', subject, text),
      failed,
    },
  };
  const executor = new Executor(parts);
  let plans = 0;
  const perform = (call: ToolCall, authority: 'policy' | 'operator' = 'operator') => {
    const plan: Plan = { id: `p-${plans++}`, incident: 'i', calls: [call], tier: 'operator', reason: 'a test' };
    return settled(executor.perform(plan, authority));
  };
  return { executor, perform, audit };
}

const settled = <T>(work: Promise<T>): Promise<T> => settleIn(scheduler, work);

const each = CHANGE_TOOLS.map((tool) => [tool.name, tool] as const);

describe('the list of tools', () => {
  it('has a case here for each tool that changes something, and no name twice', () => {
    expect(CHANGE_TOOLS.map(({ name }) => name).sort()).toEqual(Object.keys(CALLS).sort());
    expect(new Set(TOOLS.map(({ name }) => name)).size).toBe(TOOLS.length);
  });

  it.each(TOOLS.map((tool) => [tool.name, tool] as const))('%s declares what it is', (name, tool) => {
    expect(name).toMatch(/^[a-z]+\.[a-z]+$/);
    expect(tool.description.length).toBeGreaterThan(10);
    expect(tool.capability.length).toBeGreaterThan(0);
    expect(tool.risks.length).toBeGreaterThan(0);
    if (tool.kind === 'read') expect(tool.risks).toEqual(['R0']);
    else {
      expect(tool.blastRadius.length).toBeGreaterThan(5);
      expect(tool.verification.windowMs).toBeGreaterThan(tool.verification.stableMs);
      expect(tool.verification.condition === 'as-intended').toBe(tool.intended !== undefined);
      expect(tool.timeoutMs).toBeGreaterThan(0);
      expect(tool.rate.uses).toBeGreaterThan(0);
      expect(tool.risks).toContain(tool.risk(parseCall(callOf(name)).call));
    }
  });
});

describe.each(each)('%s', (name, tool: ChangeTool) => {
  const look = async () => {
    const { call } = parseCall(callOf(name));
    const seen = await tool.look(call, machine);
    if (!seen.ok) throw new Error(seen.reason);
    return { call, before: seen.before };
  };

  it('schema: takes nothing that it does not know, and no wildcard', async () => {
    const { perform } = start('act');
    await expect(perform(callOf(name, { shell: 'id' }))).rejects.toThrow();
    for (const key of Object.keys(CALLS[name] ?? {})) {
      if (['content', 'command', 'value'].includes(key)) continue; // text of the caller's own
      await expect(perform(callOf(name, { [key]: '*' }))).rejects.toThrow();
      await expect(perform(callOf(name, { [key]: '' }))).rejects.toThrow();
    }
    expect(actuator.told).toEqual([]);
  });

  it('dry run: says what would change, a line each, and changes nothing', async () => {
    const { call, before } = await look();
    const diff = await tool.dryRun(call, before, machine);
    expect(diff.length).toBeGreaterThan(0);
    expect(diff.every((line) => !line.includes('undefined') && !line.includes('NaN'))).toBe(true);
    expect(actuator.told).toEqual([]);
  });

  it('undo: each step has one, or the tool is known to have none', async () => {
    const { call, before } = await look();
    const steps = tool.steps(call, before);
    expect(steps.length).toBeGreaterThan(0);
    const irreversible = new Set(['service.restart', 'service.reload', 'service.claim']);
    expect(steps.every(({ undo }) => undo !== undefined)).toBe(!irreversible.has(name));
  });

  it('inverse: is itself a call of a tool, on the same target', async () => {
    const { call, before } = await look();
    const inverse = tool.inverse(call, before, 'act-1-0');
    if (inverse === undefined) return;
    expect(changeToolOf(inverse).target(parseCall(inverse).call)).toBe(tool.target(call));
  });

  it('risk: what a policy may not do by itself waits for a person', async () => {
    const { executor, perform } = start('act');
    const { call } = await look();
    const asks = tool.risk(call) === 'R2';
    const performing = perform(callOf(name), 'policy');
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    if (asks) {
      await settledApprovals(executor);
      expect(actuator.told).toEqual([]);
      for (const { plan } of executor.approvals.all()) await settled(executor.approvals.answerAsOperator(plan.id, 'rejected'));
    }
    expect((await performing).kind).toBe(asks ? 'held' : 'done');
  });

  it('capability: what the actuator does not allow is refused before anything is intended', async () => {
    actuator.allowed = { ok: false, code: 'refused', message: 'not allowed here' };
    const { perform, audit } = start('act');
    expect(await perform(callOf(name))).toMatchObject({ kind: 'held', verdict: { kind: 'refused', reason: 'not allowed here' } });
    expect(actuator.told).toEqual([]);
    expect((await audit.tail(10)).map(({ kind }) => kind)).toEqual(['refused']);
  });

  it('rate: beyond it a person must look', async () => {
    const { perform } = start('act');
    for (let i = 0; i < tool.rate.uses; i++) await perform(callOf(name));
    const told = actuator.told.length;
    expect(await perform(callOf(name))).toMatchObject({ kind: 'held', verdict: { kind: 'escalate' } });
    expect(actuator.told.length).toBe(told);
  });

  it('verification: what does not show on the machine is undone, whatever the actuator says', async () => {
    // Nothing shows, or all is well; the stranger on the port is no process here (test/native/services.test.ts has a real one).
    if (['service.reload', 'service.restart', 'service.claim', 'net.block', 'net.unblock'].includes(name)) return;
    const { perform } = start('act');
    const { call, before } = await look();
    const performed = await perform(callOf(name));
    expect(performed).toMatchObject({ kind: 'done', entry: { phase: 'undone' } });
    const undos = tool
      .steps(call, before)
      .map(({ undo }) => undo?.[0])
      .toReversed();
    expect(actuator.told).toEqual(['arm', ...undos.map((_, i) => `apply ${i}`), 'undo', ...undos]);
  });

  it('timeout: what never comes back is asked about, watched, and never tried again', async () => {
    actuator.answers = false;
    const { perform } = start('act');
    expect(await perform(callOf(name))).toMatchObject({ kind: 'done' });
    expect(actuator.told.filter((word) => word === 'apply 0').length).toBe(1);
  });

  it('kill switch: nothing passes it', async () => {
    const { executor, perform } = start('act');
    await settled(executor.halt('a drill'));
    expect(await perform(callOf(name))).toMatchObject({ kind: 'held', verdict: { kind: 'refused' } });
    expect(actuator.told).toEqual([]);
  });
});

async function settledApprovals(executor: Executor): Promise<void> {
  for (let i = 0; i < 100 && executor.approvals.all().length === 0; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    scheduler.step(scheduler.nowMs + 10);
  }
  expect(executor.approvals.all().length).toBe(1);
}

describe('a change of the network', () => {
  it('is undone where it cuts off peers that were in reach', async () => {
    const { perform } = start('act');
    peers = () => (actuator.told.includes('apply 0') ? 1 : 2);
    expect(await perform(callOf('net.block'))).toMatchObject({ kind: 'done', entry: { phase: 'undone' } });
    expect(actuator.told.slice(-2)).toEqual(['undo', 'net.unblock']);
  });
});

describe('risk by target', () => {
  const risk = (name: string, change: Record<string, Argument>): string => {
    const { call } = parseCall(callOf(name, change));
    return changeToolOf(call).risk(call);
  };

  it.each([
    ['sysctl.set', { key: 'vm.dirty_ratio' }, 'R1'],
    ['sysctl.set', { key: 'net.ipv4.ip_forward' }, 'R2'],
    ['sysctl.set', { key: 'kernel.panic' }, 'R2'],
    ['process.signal', { signal: 'CONT' }, 'R1'],
    ['process.signal', { signal: 'KILL' }, 'R2'],
    ['fs.clean', { directory: '/var/log/app' }, 'R1'],
    ['fs.clean', { directory: '/srv/photos' }, 'R3'],
    ['net.block', {}, 'R2'],
  ] as const)('%s %o is %s', (name, change, expected) => {
    expect(risk(name, change)).toBe(expected);
  });
});

describe('a plan of several calls', () => {
  it('is one change: armed together, the second after the first, undone together, the last first', async () => {
    const { executor } = start('act');
    const calls = [callOf('sysctl.set'), callOf('process.renice')];
    const plan: Plan = { id: 'two', incident: 'i', calls, tier: 'operator', reason: 'a test' };
    expect(await settled(executor.perform(plan, 'operator'))).toMatchObject({ entry: { phase: 'undone' } });
    expect(actuator.told).toEqual(['arm', 'apply 0', 'apply 1', 'undo', 'process.nice', 'sysctl.write']);
    expect(actuator.changed.map(([what]) => what)).toEqual(['sysctl.write', 'process.nice']);
  });

  it('has each call on a target of its own, and eight at most', async () => {
    const { executor } = start('act');
    await expect(executor.preview([callOf('sysctl.set'), callOf('sysctl.set', { value: '5' })], 'operator')).rejects.toThrow();
    await expect(executor.preview([], 'operator')).rejects.toThrow();
    const many = Array.from({ length: 9 }, (_, i) => callOf('sysctl.set', { key: `vm.x${i}` }));
    await expect(executor.preview(many, 'operator')).rejects.toThrow();
    await expect(
      executor.preview([callOf('sysctl.set'), { tool: 'sysctl.get', key: 'vm.swappiness' }], 'operator'),
    ).rejects.toThrow(/read-only/);
  });

  it('is refused whole where one of its calls is', async () => {
    const { executor } = start('act');
    const { verdict } = await executor.preview([callOf('sysctl.set'), callOf('service.start', { service: 'web' })], 'operator');
    expect(verdict).toMatchObject({ kind: 'refused', reason: 'the service is already running' });
  });
});

describe('a diff', () => {
  it('shows the lines that differ, between the common beginning and end', () => {
    expect(lineDiff('a\nb\nc\nd', 'a\nx\ny\nd')).toEqual(['@@ line 2 @@', '-b', '-c', '+x', '+y']);
    expect(lineDiff('a', 'a\nb')).toEqual(['@@ line 2 @@', '+b']);
    expect(lineDiff('', Array.from({ length: 100 }, (_, i) => `${i}`).join('\n')).at(-1)).toBe('… 60 more');
  });

  it('shows no empty line that is none', () => {
    expect(lineDiff('', 'a')).toEqual(['@@ line 1 @@', '+a']);
    expect(lineDiff('', 'a\n')).toEqual(['@@ line 1 @@', '+a']);
    expect(lineDiff('a\n', '')).toEqual(['@@ line 1 @@', '-a']);
    expect(lineDiff('', '\n')).toEqual(['@@ line 1 @@', '+']);
    expect(lineDiff('a\n', 'a\n\n')).toEqual(['@@ line 2 @@', '+']);
    expect(lineDiff('a', 'a\n')).toEqual(['the last line ends with a newline, which it did not before']);
    expect(lineDiff('a\nb\n', 'a\nc')).toEqual([
      ...['@@ line 2 @@', '-b', '+c', 'the last line ends without a newline, which it did not before'],
    ]);
  });
});

describe('what only a declaration allows', () => {
  it.each([
    ['service.claim', 'shared', 'its port is not declared as exclusive'],
    ['service.claim', 'up', 'the service runs'],
    ['service.run', 'idle', 'it is not a task'],
  ])('%s of %s is refused: %s', async (tool, service, reason) => {
    const { perform } = start('act');
    expect(await perform({ tool, service })).toMatchObject({
      kind: 'held',
      verdict: { kind: 'refused', reason: expect.stringContaining(reason) },
    });
    expect(actuator.changed).toEqual([]);
  });
});
