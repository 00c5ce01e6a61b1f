// Slow observations, one after the other: declared things, and facts on services that only the actuator knows.
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

  /** @param isBlind this agent itself is so late that a missing answer means nothing. */
  constructor(ports: Ports, declared: Declared, services: ServiceWatch, isBlind: () => boolean) {
    this.#clock = ports.clock;
    this.#declared = new DeclaredReader(declared, ports);
    this.#services = services;
    this.#isBlind = isBlind;
  }

  /** Starts one every few seconds. */
  beginIfDue(): void {
    if (this.#clock.monotonicMs() - this.#beganMs >= LOOK_EVERY_MS) this.begin();
  }

  /** Starts one, unless one is running. */
  begin(): void {
    if (this.#looking) return;
    this.#looking = true;
    this.#beganMs = this.#clock.monotonicMs();
    const done = (): void => {
      this.#looking = false;
    };
    this.#look().then(done, done); // the actuator does not answer: the last observation stays
  }

  async #look(): Promise<void> {
    if (!this.#declared.empty) {
      const looked = await this.#declared.look();
      this.#seen = this.#isBlind() ? withoutLate(looked, this.#seen) : looked;
    }
    await this.#services.look();
  }

  /** Declared things, as last observed. */
  get views(): DeclaredLook['views'] {
    return this.#seen.views;
  }

  /** Declared things that are unavailable, and why. */
  get unseen(): DeclaredLook['unknown'] {
    return this.#seen.unknown;
  }
}

/** While this agent itself is late, a name server that did not answer in time keeps its last observation. */
function withoutLate(looked: DeclaredLook, before: DeclaredLook): DeclaredLook {
  const views = looked.views.flatMap((view) => {
    if (view.kind !== 'resolver' || view.fields.answers === true) return [view];
    return before.views.filter(({ kind, name }) => kind === view.kind && name === view.name);
  });
  return { ...looked, views };
}
