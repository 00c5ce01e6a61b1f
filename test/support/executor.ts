// An executor as a process has it after a start, on a simulated machine and the disk that is there; what it says is written down.
import type { Mode } from '../../node/action/guard.ts';
import type { MaintenanceWindow } from '../../node/action/maintenance.ts';
import type { SwarmLimits } from '../../node/agent/brakes.ts';
import { Executor, type ExecutorParts } from '../../node/agent/executor.ts';
import { AuditLog } from '../../node/audit/audit-log.ts';
import type { Ports } from '../../node/ports/ports.ts';
import type { ToolCall } from '../../node/tool-call.ts';
import { ModelledCrypto, simulatedPeer } from '../../sim/adapters/crypto.ts';
import { SimulatedActuator } from '../../sim/machine/actuator.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { type Disk, SimulatedStore } from '../../sim/machine/disk.ts';
import type { FakeLinux } from '../../sim/machine/linux.ts';
import { SeededRandom } from '../../sim/random.ts';
import type { Scheduler } from '../../sim/scheduler.ts';
import { settleIn } from './virtual.ts';

/** Of a swarm that keeps nothing from this agent. */
export const NO_LIMITS: SwarmLimits = {
  paused: () => undefined,
  denial: () => undefined,
  mayAct: () => false,
  budget: () => undefined,
  silenceOn: () => undefined,
};

export const isTaken = ({ slots }: Executor, calls: readonly ToolCall[]): boolean => slots.refusal(calls) !== undefined;

export async function startExecutor(
  { scheduler, disk, linux }: { scheduler: Scheduler; disk: Disk; linux: FakeLinux },
  mode: Mode,
  given: Partial<ExecutorParts> & { maintenance?: readonly MaintenanceWindow[] } = {},
) {
  const clock = new ProcessClock(scheduler);
  const crypto = new ModelledCrypto(simulatedPeer(0, 1), new Uint8Array([1]));
  const store = new SimulatedStore(disk, scheduler);
  const actuator = new SimulatedActuator(linux, clock);
  const ports = {
    clock,
    store,
    crypto,
    transport: { self: crypto.self },
    actuator,
    sensors: linux,
    random: new SeededRandom(1, 'r'),
  } as unknown as Ports;
  const audit = new AuditLog(store, clock, crypto);
  await settleIn(scheduler, audit.open());
  const said: string[] = [];
  const parts: ExecutorParts = {
    ports,
    audit,
    peers: () => 0,
    settings: { mode, maintenance: given.maintenance ?? [] },
    ...given,
    reporter: {
      log: (level, text) => void said.push(`${level}: ${text}`),
      noted: (text, subject = crypto.self) => audit.append('control', subject, text),
      failed: (error) => {
        throw error;
      },
    },
  };
  const executor = new Executor(parts);
  await settleIn(scheduler, executor.open());
  const audited = async () => (await audit.tail(100)).map(({ kind, subject, text }) => `${kind} ${subject}: ${text}`);
  return { executor, audited, said, store, actuator, clock };
}
