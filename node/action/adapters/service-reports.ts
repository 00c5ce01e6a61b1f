// The state of the services, from the actuator and systemd, and of the programs that plans started.
import { constants } from 'node:os';
import { z } from 'zod';
import { type ServiceSample, type ServiceSpec, stoppedService } from '../../ports/actuator.ts';

const MAX_PROGRAMS = 256;
/** Values of `on purpose`. */
const ON_PURPOSE = 1;
const BY_POLICY = 2;

const SIGNAL_NAMES = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** name, state, pid, start ticks, exit code, exit signal, starts, since, why it is down (0: not stopped) */
export const sampleSchema = z.tuple([
  z.string(),
  z.enum(['stopped', 'running', 'exited']),
  z.number(),
  z.number(),
  z.number(),
  z.number(),
  z.number(),
  z.number(),
  z.number(),
]);

export class ServiceReports {
  readonly #samples = new Map<string, ServiceSample>();
  readonly #programs = new Map<string, ServiceSample>();
  /** Called for each end of a service. */
  onExit: (name: string) => void = () => undefined;

  constructor(services: readonly ServiceSpec[], nowMs: number) {
    for (const spec of services) this.#samples.set(spec.name, stoppedService(spec, nowMs));
  }

  /** From the actuator. @param mayHaveEnded it is newer than the known state */
  take(wire: z.infer<typeof sampleSchema>, mayHaveEnded: boolean): void {
    const [name, state, pid, startTicks, exitCode, exitSignal, starts, sinceMs, onPurpose] = wire;
    const before = this.#samples.get(name);
    const change = {
      state,
      pid: pid === 0 ? undefined : pid,
      startTicks: pid === 0 ? undefined : startTicks,
      exitCode: exitCode === -1 ? undefined : exitCode,
      exitSignal: signalName(exitSignal),
      starts,
      sinceMs,
      onPurpose: onPurpose === ON_PURPOSE,
      byPolicy: onPurpose === BY_POLICY,
    };
    if (before === undefined) {
      this.#programs.set(name, { ...stoppedService({ name, command: [] }, sinceMs), ...change });
      if (this.#programs.size > MAX_PROGRAMS) this.#programs.delete(this.#programs.keys().next().value ?? '');
      return;
    }
    this.update(name, change, mayHaveEnded);
  }

  /** Reports an exit if it was running. */
  update(name: string, change: Partial<ServiceSample>, mayHaveEnded = true): void {
    const before = this.#samples.get(name);
    if (before === undefined) return;
    this.#samples.set(name, { ...before, ...change });
    if (mayHaveEnded && change.state === 'exited' && before.state === 'running') this.onExit(name);
  }

  all(): readonly ServiceSample[] {
    return [...this.#samples.values()];
  }

  of(name: string): ServiceSample | undefined {
    return this.#samples.get(name);
  }

  program(key: string): ServiceSample | undefined {
    return this.#programs.get(`spawn.${key}`);
  }
}

export function signalName(number: number): string | undefined {
  return number === 0 ? undefined : (SIGNAL_NAMES.get(number) ?? `SIG${number}`);
}
