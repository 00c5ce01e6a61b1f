// Every point at which a crash can cut a transaction: each write to the disk lost, kept, refused, or overtaken by a later
// one, then nothing more. The next agent finds the disk as it is left, and the machine with its actuator as they are.
// Torn and corrupt writes lie below: level's own log takes a batch whole or not at all (support/torn-log.ts shows it).
// Used by a test and by the benchmark `transaction`.
import { Executor, type PlanEvent } from '../../node/agent/executor.ts';
import { AuditLog } from '../../node/audit/audit-log.ts';
import type { Plan } from '../../node/decision/plan.ts';
import type { Ports } from '../../node/ports/ports.ts';
import type { ToolCall } from '../../node/tool-call.ts';
import { ModelledCrypto, simulatedPeer } from '../../sim/adapters/crypto.ts';
import { SimulatedActuator } from '../../sim/machine/actuator.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Disk, SimulatedStore } from '../../sim/machine/disk.ts';
import { FakeLinux } from '../../sim/machine/linux.ts';
import { Process } from '../../sim/machine/process.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { utf8 } from '../../swarm/dissemination/cbor.ts';
import type { Store, StoreOperation } from '../../swarm/ports/store.ts';
import { pass } from './virtual.ts';

/**
 * The `at`-th write (from 0) is the last thing that happens: `lost` before it is durable, `kept` just after, `refused` by
 * the disk (full, or a failing fsync) upon which the agent stops itself, or `reordered`: lost, and the write after it kept.
 */
export interface CrashPoint {
  at: number;
  write: (typeof WRITES)[number];
}
export const WRITES = ['lost', 'kept', 'refused', 'reordered'] as const;

/** What is done, on which machine, and how that machine looks to somebody who cares only about the outcome. */
export interface CrashCase {
  name: string;
  calls: readonly ToolCall[];
  prepare(linux: FakeLinux): void;
  look(linux: FakeLinux): string;
}

export interface CrashOutcome {
  /** False where the run ended before it came to the crash point. */
  crashed: boolean;
  /** How the machine was, would be, and is. */
  machine: { before: string; after: string; now: string };
  /** How the plan ended, as the second agent's journal has it; undefined where it holds nothing of it. */
  phase: string | undefined;
  /** How often each primitive was done, undos aside. */
  repeated: boolean;
  /** Records that an append had promised, and that are gone or not as promised. */
  lostRecords: number;
  auditBroken: string | undefined;
}

const web = (linux: FakeLinux): string => linux.services.all()[0]?.state ?? '';
const text = (linux: FakeLinux, path: string): string => new TextDecoder().decode(linux.files.content(path) ?? utf8('(none)'));

export const CASES: readonly CrashCase[] = [
  {
    name: 'service.restart',
    calls: [{ tool: 'service.restart', service: 'web' }],
    prepare: (linux) => linux.services.kill('web'),
    look: web,
  },
  {
    name: 'service.start',
    calls: [{ tool: 'service.start', service: 'web' }],
    prepare: (linux) => linux.services.kill('web'),
    look: web,
  },
  { name: 'service.stop', calls: [{ tool: 'service.stop', service: 'web' }], prepare: () => undefined, look: web },
  {
    name: 'sysctl.set',
    calls: [{ tool: 'sysctl.set', key: 'vm.swappiness', value: '10' }],
    prepare: () => undefined,
    look: (linux) => JSON.stringify(linux.read(['sysctl.read', 'vm.swappiness'])),
  },
  {
    name: 'fs.write',
    calls: [{ tool: 'fs.write', path: '/etc/web.conf', content: 'new' }],
    prepare: (linux) => linux.files.put('/etc/web.conf', utf8('old')),
    look: (linux) => text(linux, '/etc/web.conf'),
  },
  {
    name: 'a plan of two: fs.rotate, then sysctl.set',
    calls: [
      { tool: 'fs.rotate', path: '/var/log/web.log', keep: 2 },
      { tool: 'sysctl.set', key: 'vm.dirty_ratio', value: '5' },
    ],
    prepare: (linux) => {
      for (const [suffix, content] of ['', '.1', '.2'].map((end, i) => [end, `log ${i}`]))
        linux.files.put(`/var/log/web.log${suffix}`, utf8(content ?? ''));
    },
    look: (linux) =>
      [
        ...linux.files.paths().map((path) => `${path}=${text(linux, path)}`),
        JSON.stringify(linux.read(['sysctl.read', 'vm.dirty_ratio'])),
      ].join(' '),
  },
];

/** A store that dies at a crash point, and everything with it. */
class MortalStore implements Store {
  readonly #store: Store;
  readonly #point: CrashPoint;
  readonly #die: () => void;
  #writes = 0;
  #dead = false;

  constructor(store: Store, point: CrashPoint, die: () => void) {
    this.#store = store;
    this.#point = point;
    this.#die = die;
  }

  async write(operations: readonly StoreOperation[]): Promise<void> {
    const never = new Promise<never>(() => undefined);
    if (this.#dead) return never;
    const nth = this.#writes++ - this.#point.at;
    const { write } = this.#point;
    const last = write === 'reordered' ? nth === 1 : nth === 0;
    if (nth === 0 && write === 'reordered') return never; // it hangs in a queue while the next one goes through
    if (!last || write === 'kept' || write === 'reordered') await this.#store.write(operations);
    if (!last) return;
    this.#dead = true;
    if (write === 'refused') throw new Error('ENOSPC: no space left on device');
    this.#die();
    return never;
  }

  /** The agent was left waiting for good: a write that nothing overtook. */
  get stuck(): boolean {
    return !this.#dead && this.#point.write === 'reordered' && this.#writes === this.#point.at + 1;
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#store.get(key);
  }

  range(...args: Parameters<Store['range']>): ReturnType<Store['range']> {
    return this.#store.range(...args);
  }

  async close(): Promise<void> {}
}

const crypto = new ModelledCrypto(simulatedPeer(0, 1), new Uint8Array([1]));

class Life {
  readonly executor: Executor;
  readonly audit: AuditLog;
  readonly #process: Process;
  readonly #actuator: SimulatedActuator;

  constructor(scheduler: Scheduler, linux: FakeLinux, store: Store, failed: (error: unknown) => void) {
    this.#process = new Process(scheduler);
    const clock = new ProcessClock(scheduler, undefined, this.#process);
    this.#actuator = new SimulatedActuator(linux, clock);
    const random = new SeededRandom(1, 'r');
    const ports = { clock, store, crypto, transport: { self: crypto.self }, actuator: this.#actuator, sensors: linux, random };
    this.audit = new AuditLog(store, clock, crypto);
    this.executor = new Executor({
      ports: ports as unknown as Ports,
      audit: this.audit,
      peers: () => 0,
      settings: { mode: 'act', maintenance: [] },
      reporter: {
        log: () => undefined,
        noted: (text, subject = crypto.self) => this.audit.append('control', subject, text),
        failed,
      },
    });
  }

  get alive(): boolean {
    return !this.#process.dead;
  }

  die(): void {
    if (!this.alive) return;
    this.#process.dead = true;
    this.executor.stop();
    this.#actuator.crash();
  }
}

class World {
  readonly scheduler = new Scheduler();
  readonly disk = new Disk();
  readonly linux = new FakeLinux(
    this.scheduler,
    new SeededRandom(1, 'linux'),
    [{ name: 'web', command: ['web'], port: 80 }],
    { cpus: 2, memoryBytes: 2 ** 32 },
    0,
  );
  readonly deeds: string[] = [];

  async pump(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second++) await pass(this.scheduler, 1_000);
  }

  async prepare({ prepare }: CrashCase): Promise<void> {
    void this.linux.services.start('web');
    await this.pump(1);
    prepare(this.linux);
    this.linux.onAct = (deed) => this.deeds.push(deed);
  }
}

const planOf = ({ calls }: CrashCase): Plan => ({ id: 'p1', incident: 'operator', calls, tier: 'operator', reason: 'a test' });

/** How the machine looks before, and after the plan was carried out with no crash; and what was done. */
async function undisturbed(one: CrashCase): Promise<{ before: string; after: string; deeds: string[] }> {
  const world = new World();
  await world.prepare(one);
  const before = one.look(world.linux);
  const life = new Life(world.scheduler, world.linux, new SimulatedStore(world.disk, world.scheduler), (error) => {
    throw error;
  });
  const performing = life.executor.perform(planOf(one), 'operator');
  await world.pump(40);
  const performed = await performing;
  if (performed.kind !== 'done' || performed.entry.phase !== 'confirmed') throw new Error(`${one.name} fails undisturbed`);
  return { before, after: one.look(world.linux), deeds: world.deeds };
}

/** Carries a plan out, crashes at the point, starts again, and looks. */
async function crashAt(
  point: CrashPoint,
  one: CrashCase,
  normal: Awaited<ReturnType<typeof undisturbed>>,
): Promise<CrashOutcome> {
  const world = new World();
  const { scheduler, linux, disk } = world;
  await world.prepare(one);
  let crashed = false;
  const promised: { index: number; text: string }[] = [];
  const die = (): void => {
    crashed = true;
    first.die();
  };
  const mortal = new MortalStore(new SimulatedStore(disk, scheduler), point, die);
  const first = new Life(scheduler, linux, mortal, die);
  const promise = (record: { index: number; text: string }): void => {
    if (first.alive) promised.push({ index: record.index, text: record.text });
  };
  void first.audit.append('start', 'x', 'first life').then(promise, die);
  const on = (event: PlanEvent): void => {
    if (event.kind === 'intended') promise(event.record);
  };
  void first.executor.perform(planOf(one), 'operator', { on }).catch(die);
  await world.pump(40);
  if (mortal.stuck) die(); // with nothing after it, a write that hangs is one that was lost

  const second = new Life(scheduler, linux, new SimulatedStore(disk, scheduler), (error) => {
    throw error;
  });
  await second.audit.open();
  await second.executor.recover();
  await world.pump(100);
  const check = await second.audit.verify();
  const records = await second.audit.tail(100);
  const lost = promised.filter(
    ({ index, text: said }) => !records.some((record) => record.index === index && record.text === said),
  );
  return {
    crashed,
    machine: { before: normal.before, after: normal.after, now: one.look(linux) },
    phase: (await second.executor.journal.entry('p1'))?.phase,
    repeated: normal.deeds.some((deed) => world.deeds.filter((other) => other === deed).length > 1),
    lostRecords: lost.length,
    auditBroken: check.ok ? undefined : `record ${check.index}: ${check.reason}`,
  };
}

/** What must not be, of one crash; empty where all is well. */
export function wrongWith({
  machine: { before, after, now },
  phase,
  repeated,
  lostRecords,
  auditBroken,
}: CrashOutcome): string[] {
  const open = phase !== undefined && !['confirmed', 'undone', 'failed'].includes(phase);
  return [
    ...(now === before || now === after ? [] : [`half-made: ${now}`]),
    ...(phase === 'confirmed' && now !== after ? [`confirmed, but ${now}`] : []),
    ...(phase === 'undone' && now !== before ? [`undone, but ${now}`] : []),
    ...(open ? [`left open: ${phase}`] : []),
    ...(repeated ? ['done twice'] : []),
    ...(lostRecords > 0 ? [`${lostRecords} audit records lost`] : []),
    ...(auditBroken === undefined ? [] : [`audit: ${auditBroken}`]),
  ];
}

/** Every crash point of a case, until one lies beyond its last write. */
export async function* everyCrash(one: CrashCase): AsyncGenerator<{ point: CrashPoint; outcome: CrashOutcome }> {
  const normal = await undisturbed(one);
  for (let at = 0; ; at++) {
    for (const write of WRITES) {
      const outcome = await crashAt({ at, write }, one, normal);
      if (!outcome.crashed) return;
      yield { point: { at, write }, outcome };
    }
  }
}
