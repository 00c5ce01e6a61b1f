// Starting what is declared, in order: a service waits until those that it depends on are well, for a while. One that a person
// stopped stays so; all else leads back to what is declared: a crash, a stop in order, an upgrade, a reboot. A failure is told and left to the policies.
import type { ServiceSpec } from '../ports/actuator.ts';
import type { Ports } from '../ports/ports.ts';

const WELL_WITHIN_MS = 10_000;
const LOOK_EVERY_MS = 200;
const CHECK_TIMEOUT_MS = 1_000;

interface Events {
  log(level: 'warn', text: string): void;
}

/** @param services each after those that it depends on. */
export async function bringUp(services: readonly ServiceSpec[], ports: Ports, { log }: Events): Promise<void> {
  const { actuator } = ports;
  for (const { name, after = [], unit, task, failover } of services) {
    if (unit !== undefined || task === true || failover === true) continue; // systemd’s to start; run when it is asked for; or where it is placed
    const service = actuator.services().find((one) => one.name === name);
    if (service?.state === 'running' || service?.onPurpose === true) continue;
    for (const other of after)
      if (!(await isWell(other, ports))) log('warn', `service ${name} is started although ${other}, which it needs, is not well`);
    const outcome = await actuator.bringUp(name);
    if (!outcome.ok) log('warn', `service ${name} was not started: ${outcome.message}`);
  }
}

async function isWell(name: string, { actuator, clock }: Ports): Promise<boolean> {
  const deadlineMs = clock.monotonicMs() + WELL_WITHIN_MS;
  for (;;) {
    const running = actuator.services().some((one) => one.name === name && one.state === 'running');
    const check = running ? await actuator.checkService(name, CHECK_TIMEOUT_MS) : 'refused';
    if (check === 'open' || check === 'undeclared') return true;
    if (clock.monotonicMs() >= deadlineMs) return false;
    await new Promise<void>((resolve) => clock.after(LOOK_EVERY_MS, resolve));
  }
}

/**
 * Each after those that it depends on, otherwise as declared.
 * @returns the names that depend on each other in a circle, or on a service that is not declared, where there are any.
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
