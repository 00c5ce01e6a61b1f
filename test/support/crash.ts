// Every point at which a crash can cut a transaction: each write to the disk either lost or durable, then nothing more.
// The next agent finds the disk as it is left. Used by a test and by the benchmark `transaction`.
import { Executor } from '../../node/agent/executor.ts';
import { AuditLog } from '../../node/audit/audit-log.ts';
import type { Plan, ToolCall } from '../../node/decision/plan.ts';
import { ModelledCrypto, simulatedPeer } from '../../sim/adapters/crypto.ts';
import { ProcessClock } from '../../sim/clock.ts';
import { FakeLinux } from '../../sim/linux.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { Disk, SimulatedStore } from '../../sim/store.ts';
import type { Ports } from '../../swarm/ports/ports.ts';
import type { Store, StoreOperation } from '../../swarm/ports/store.ts';

/**
 * The `at`-th write (from 0) is the last thing that happens: `lost` before it is durable, `kept` just after, or `refused`
 * by the disk (full, or a failing fsync), upon which the agent stops itself.
 */
export interface CrashPoint {
  at: number;
  write: (typeof WRITES)[number];
}
export const WRITES = ['lost', 'kept', 'refused'] as const;

export interface CrashOutcome {
  /** False where the run ended before it came to the crash point. */
  crashed: boolean;
  /** How often the deed was done, over both lives of the agent. */
  deeds: number;
  /** Intents that the audit holds: a deed without one must never be. */
  intents: number;
  openJournal: number;
  auditBroken: string | undefined;
  /** Records that an append had promised, and that are gone. */
  lostRecords: number;
  /** The state of the service once all is over. */
  state: string;
}

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
    if (this.#dead) return new Promise(() => undefined);
    const last = this.#writes++ === this.#point.at;
    if (!last || this.#point.write === 'kept') await this.#store.write(operations);
    if (!last) return;
    this.#dead = true;
    if (this.#point.write === 'refused') throw new Error('ENOSPC: no space left on device');
    this.#die();
    return new Promise(() => undefined);
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
  readonly #clock: ProcessClock;

  get alive(): boolean {
    return !this.#clock.dead;
  }

  die(): void {
    this.#clock.dead = true;
    this.executor.stop();
  }

  constructor(scheduler: Scheduler, linux: FakeLinux, store: Store, failed: (error: unknown) => void) {
    const clock = new ProcessClock(scheduler);
    this.#clock = clock;
    const ports = {
      clock,
      store,
      crypto,
      transport: { self: crypto.self },
      actuator: linux,
      sensors: linux,
      random: new SeededRandom(1, 'r'),
    };
    this.audit = new AuditLog(store, clock, crypto);
    this.executor = new Executor({ ports: ports as unknown as Ports, audit: this.audit, log: () => undefined, failed }, 'act');
  }
}

/** Runs one call on a service that has ended (or runs, for a stop), crashes at the point, starts again, and looks. */
export async function crashAt(point: CrashPoint, call: ToolCall): Promise<CrashOutcome> {
  const scheduler = new Scheduler();
  const disk = new Disk();
  const linux = new FakeLinux(
    scheduler,
    new SeededRandom(1, 'linux'),
    [{ name: 'web', command: ['web'], port: 80 }],
    { cpus: 2, memoryBytes: 2 ** 32 },
    0,
  );
  const pump = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second++) {
      const untilMs = scheduler.nowMs + 1_000;
      do await new Promise((resolve) => setImmediate(resolve));
      while (scheduler.step(untilMs));
    }
  };
  void linux.startService('web');
  await pump(1);
  if (call.tool !== 'service.stop') linux.kill('web');
  let deeds = 0;
  linux.onAct = () => deeds++;

  let crashed = false;
  const promised: number[] = [];
  const die = (): void => {
    crashed = true;
    first.die();
  };
  const first = new Life(scheduler, linux, new MortalStore(new SimulatedStore(disk, scheduler), point, die), die);
  const plan: Plan = { id: 'p1', incident: 'operator', call, tier: 'operator', reason: 'a test' };
  const promise = (index: number): void => {
    if (first.alive) promised.push(index);
  };
  void first.audit.append('start', 'x', 'first life').then(({ index }) => promise(index), die);
  const quiet = async (): Promise<void> => undefined;
  void first.executor
    .perform(plan, 'operator', { asked: quiet, intended: async (_diff, record) => promise(record.index) })
    .catch(die);
  await pump(40);

  const second = new Life(scheduler, linux, new SimulatedStore(disk, scheduler), (error) => {
    throw error;
  });
  await second.audit.open();
  await second.executor.recover();
  // The same plan asked for again, as a client that heard nothing would.
  const again = await second.executor.entry('p1');
  await pump(60);
  const check = await second.audit.verify();
  const after = await second.executor.entry('p1');
  const open = [again, after].at(-1);
  return {
    crashed,
    deeds,
    intents: (await second.audit.tail(100)).filter(({ kind }) => kind === 'intent').length,
    openJournal: open !== undefined && ['intent', 'applied', 'undoing'].includes(open.phase) ? 1 : 0,
    auditBroken: check.ok ? undefined : `record ${check.index}: ${check.reason}`,
    lostRecords: check.ok ? promised.filter((index) => index >= check.records).length : promised.length,
    state: linux.services()[0]?.state ?? '',
  };
}

/** Every crash point of a call, until one lies beyond its last write. */
export async function* everyCrash(call: ToolCall): AsyncGenerator<{ point: CrashPoint; outcome: CrashOutcome }> {
  for (let at = 0; ; at++) {
    for (const write of WRITES) {
      const outcome = await crashAt({ at, write }, call);
      if (!outcome.crashed) return;
      yield { point: { at, write }, outcome };
    }
  }
}
