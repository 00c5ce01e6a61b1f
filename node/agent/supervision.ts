// Services while the disk of the agent's own state takes no writes. No repair can be recorded then, so none is begun; a declared service that
// ended by itself is brought up all the same, as at the agent's start: that is no change of the machine, and needs no record.
import type { ServiceSample, ServiceSpec } from '../../swarm/ports/actuator.ts';
import type { Ports } from '../../swarm/ports/ports.ts';
import type { Mode } from '../action/guard.ts';
import type { Executor } from './executor.ts';
import type { SwarmLink } from './swarm-link.ts';

/** Between one start and the next of a service that keeps ending; twice as long each time. */
const FIRST_PAUSE_MS = 1_000;
const LAST_PAUSE_MS = 60_000;
/** What a policy would find, and do, were it recorded. */
const POLICY = 'service-exited';
const TOOL = 'service.restart';

/** How often the end looks whether the disk takes what it waits for. */
const LOOK_EVERY_MS = 200;

/** Waits for a step of the agent's end, but not for a disk that takes no writes: nobody was told that they are there. */
export async function unlessRefused({ clock, store }: Pick<Ports, 'clock' | 'store'>, step: Promise<void>): Promise<void> {
  let done = false;
  const refused = async (): Promise<void> => {
    while (!done && store.refusal === undefined) await new Promise<void>((resolve) => clock.after(LOOK_EVERY_MS, resolve));
  };
  await Promise.race([step, refused()]).finally(() => {
    done = true;
  });
}

export interface SupervisionParts {
  ports: Ports;
  mode(): Mode;
  services: readonly ServiceSpec[];
  /** What keeps policies still keeps this still, too. */
  executor: Pick<Executor, 'brake' | 'silences'>;
  link: Pick<SwarmLink, 'order' | 'time'>;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

export class Supervision {
  readonly #parts: SupervisionParts;
  readonly #next = new Map<string, { atMs: number; pauseMs: number }>();

  constructor(parts: SupervisionParts) {
    this.#parts = parts;
  }

  /** Once a second. */
  look(): void {
    const { ports, mode } = this.#parts;
    if (ports.store.refusal === undefined) return this.#next.clear();
    if (mode() !== 'act') return;
    for (const service of ports.actuator.services()) if (this.#isOurs(service)) this.#bringUp(service.name);
  }

  #isOurs({ name, state, onPurpose, restart, exitCode, task, unit }: ServiceSample): boolean {
    const { services, executor, link } = this.#parts;
    if (state !== 'exited' || onPurpose || task || unit !== undefined) return false;
    if (restart === 'never' || (restart === 'on-failure' && exitCode === 0)) return false;
    // One for fail-over runs where the swarm has placed it.
    if (services.some((spec) => spec.name === name && spec.failover === true)) return false;
    const silence =
      executor.silences.covering(POLICY, name) ?? link.order.decisions.state.silenceOn(POLICY, name, link.time.wallMs());
    return silence === undefined && executor.brake([{ tool: TOOL, service: name }]) === undefined;
  }

  #bringUp(name: string): void {
    const { ports, log, failed } = this.#parts;
    const nowMs = ports.clock.monotonicMs();
    const { atMs, pauseMs } = this.#next.get(name) ?? { atMs: nowMs, pauseMs: FIRST_PAUSE_MS };
    if (nowMs < atMs) return;
    this.#next.set(name, { atMs: nowMs + pauseMs, pauseMs: Math.min(2 * pauseMs, LAST_PAUSE_MS) });
    ports.actuator.bringUp(name).then((outcome) => {
      if (outcome.ok)
        log('warn', `service ${name} exited and was restarted; not recorded, for the disk of the state directory refuses writes`);
      else log('warn', `service ${name} exited and was not restarted: ${outcome.message}`);
    }, failed);
  }
}
