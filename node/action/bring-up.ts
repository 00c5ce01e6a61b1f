// Starts the declared services in their order, as after a crash, a clean stop, an upgrade or a reboot. A service waits a while until its
// dependencies are healthy. A service that a person stopped stays stopped. A failure is logged, and policies deal with it.
import type { ServiceSpec } from '../ports/actuator.ts';
import type { Ports } from '../ports/ports.ts';

const HEALTHY_WITHIN_MS = 10_000;
const LOOK_EVERY_MS = 200;
const CHECK_TIMEOUT_MS = 1_000;

interface Events {
  log(level: 'warn', text: string): void;
}

/** @param services each after its dependencies. */
export async function bringUp(services: readonly ServiceSpec[], ports: Ports, { log }: Events): Promise<void> {
  const { actuator } = ports;
  for (const { name, after = [], unit, task, failover } of services) {
    if (unit !== undefined || task === true || failover === true) continue; // started by systemd, on request, or where it is placed
    const service = actuator.services().find((one) => one.name === name);
    if (service?.state === 'running' || service?.onPurpose === true) continue;
    for (const other of after)
      if (!(await isHealthy(other, ports)))
        log('warn', `service ${name} is started although its dependency ${other} is unhealthy`);
    const outcome = await actuator.bringUp(name);
    if (!outcome.ok) log('warn', `service ${name} was not started: ${outcome.message}`);
  }
}

async function isHealthy(name: string, { actuator, clock }: Ports): Promise<boolean> {
  const deadlineMs = clock.monotonicMs() + HEALTHY_WITHIN_MS;
  for (;;) {
    const running = actuator.services().some((one) => one.name === name && one.state === 'running');
    const check = running ? await actuator.checkService(name, CHECK_TIMEOUT_MS) : 'refused';
    if (check === 'open' || check === 'undeclared') return true;
    if (clock.monotonicMs() >= deadlineMs) return false;
    await new Promise<void>((resolve) => clock.after(LOOK_EVERY_MS, resolve));
  }
}

/**
 * Each after its dependencies, otherwise as declared.
 * @returns not ok: the names that depend on each other in a circle, or on a service that is not declared.
 */
export function startOrder(
  services: readonly ServiceSpec[],
): { ok: true; services: ServiceSpec[] } | { ok: false; names: string[] } {
  const ordered: ServiceSpec[] = [];
  let waiting = [...services];
  while (waiting.length > 0) {
    const ready = waiting.filter(({ after = [] }) => after.every((other) => ordered.some(({ name }) => name === other)));
    if (ready.length === 0) return { ok: false, names: waiting.map(({ name }) => name) };
    ordered.push(...ready);
    waiting = waiting.filter((service) => !ready.includes(service));
  }
  return { ok: true, services: ordered };
}
