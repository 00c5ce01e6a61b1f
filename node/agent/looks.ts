// Looks, one after the other, at what takes its time to be seen: declared things, and what only the actuator can tell of services.
import type { Ports } from '../ports/ports.ts';
import { type Declared, type DeclaredLook, DeclaredReader } from '../telemetry/declared.ts';
import type { ServiceWatch } from './service-watch.ts';

const LOOK_EVERY_MS = 2_000;

export class Looks {
  readonly #clock: Ports['clock'];
  readonly #declared: DeclaredReader;
  readonly #services: ServiceWatch;
  readonly #isBlind: () => boolean;
  #seen: DeclaredLook = { views: [], unknown: [] };
  #beganMs = Number.NEGATIVE_INFINITY;
  #looking = false;

  /** @param isBlind this agent is so late itself that an answer which did not come in time says nothing. */
  constructor(ports: Ports, declared: Declared, services: ServiceWatch, isBlind: () => boolean) {
    this.#clock = ports.clock;
    this.#declared = new DeclaredReader(declared, ports);
    this.#services = services;
    this.#isBlind = isBlind;
  }

  /** Begins one every few seconds. */
  beginIfDue(): void {
    if (this.#clock.monotonicMs() - this.#beganMs >= LOOK_EVERY_MS) this.begin();
  }

  /** Begins one, unless one is under way. */
  begin(): void {
    if (this.#looking) return;
    this.#looking = true;
    this.#beganMs = this.#clock.monotonicMs();
    const done = (): void => {
      this.#looking = false;
    };
    this.#look().then(done, done); // the actuator is out of reach: what was seen last stands
  }

  async #look(): Promise<void> {
    if (!this.#declared.empty) {
      const looked = await this.#declared.look();
      this.#seen = this.#isBlind() ? withoutLate(looked, this.#seen) : looked;
    }
    await this.#services.look();
  }

  /** Declared things, as they were seen last. */
  get views(): DeclaredLook['views'] {
    return this.#seen.views;
  }

  /** Declared things that cannot be seen, and why. */
  get unseen(): DeclaredLook['unknown'] {
    return this.#seen.unknown;
  }
}

/** Name servers that did not answer in time to one who is late itself: what was seen of them before stands. */
function withoutLate(looked: DeclaredLook, before: DeclaredLook): DeclaredLook {
  const views = looked.views.flatMap((view) => {
    if (view.kind !== 'resolver' || view.fields.answers === true) return [view];
    return before.views.filter(({ kind, name }) => kind === view.kind && name === view.name);
  });
  return { ...looked, views };
}
