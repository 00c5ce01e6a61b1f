// Whether this machine accepts a bundle or release that was pushed to all: it is signed by an issuer, and it is not an old one. What was
// rolled back is not accepted again, even if a leader decides so: this machine stores the time of the newest push.
import {
  believedMs,
  isSigned,
  type Known,
  keyOf,
  knownNow,
  knownSchema,
  NOTHING_KNOWN,
  type Pushed,
  type Rollout,
} from '../../consensus/decisions/rollout.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Members } from '../decisions/members.ts';
import type { Ports } from '../ports/ports.ts';

export interface PushesConfig<Content extends Pushed, How> {
  ports: Ports;
  swarmId: string;
  rollout(): Rollout<Content, How>;
  members: Pick<Members, 'mayDecide' | 'nameOf'>;
}

const isSame = (a: Known, b: Known): boolean => a.newestMs === b.newestMs && a.keys.join() === b.keys.join();

export class Pushes<Content extends Pushed, How> {
  readonly #config: PushesConfig<Content, How>;
  #known: Known | undefined;
  /** What was decided at the last look; and whether all of it could be verified. */
  #seen = '';
  #isComplete = false;
  #last: Promise<void> = Promise.resolve();

  constructor(config: PushesConfig<Content, How>) {
    this.#config = config;
  }

  get #key(): string {
    return `pushed/${this.#config.rollout().kind.name}`;
  }

  /** Stores what is decided now, before anything of it is accepted. One look after the other. */
  look(): Promise<void> {
    this.#last = this.#last.catch(() => undefined).then(() => this.#look());
    return this.#last;
  }

  /** Repeats until nothing has changed meanwhile: else a decision in between would count as old. */
  async #look(): Promise<void> {
    for (let isFirst = !this.#isComplete; isFirst || !this.isCurrent; isFirst = false) {
      const newestMs = believedMs(this.#config.rollout().state, this.#config.ports.clock.wallMs());
      const [seen, contents] = [this.#now(), this.#contents()];
      const stored = this.#known ?? (await this.#stored());
      const keyed = contents.map((one) => ({ key: this.#keyOf(one), pushedMs: one.pushedMs ?? 0, why: this.#unsigned(one) }));
      const believed = keyed.filter(({ key, why }) => why === undefined || stored.keys.includes(key));
      const known = knownNow(stored, believed, newestMs);
      if (!isSame(stored, known))
        await this.#config.ports.store.write([{ kind: 'put', key: this.#key, value: encodeCbor(known) }]);
      this.#known = known;
      this.#seen = seen;
      // The roster may still bring the rights of an issuer.
      this.#isComplete = believed.length === keyed.length;
    }
  }

  #contents() {
    const { candidate, good, before } = this.#config.rollout().state;
    return [candidate, good, before].filter((one) => one !== null);
  }

  #now(): string {
    return [this.#config.rollout().state.newestMs ?? -1, ...this.#contents().map(({ id }) => id)].join();
  }

  /** Nothing was decided since the last look. */
  get isCurrent(): boolean {
    return this.#known !== undefined && this.#now() === this.#seen;
  }

  async #stored(): Promise<Known> {
    const bytes = await this.#config.ports.store.get(this.#key);
    return bytes === undefined ? NOTHING_KNOWN : knownSchema.parse(decodeCbor(bytes));
  }

  /** @returns why it is rejected */
  refusal(content: Content): string | undefined {
    const isCurrent = this.#known?.keys.includes(this.#keyOf(content)) === true;
    return this.#unsigned(content) ?? (isCurrent ? undefined : 'it is older than the newest one seen here');
  }

  #unsigned(content: Content): string | undefined {
    const { ports, swarmId, rollout, members } = this.#config;
    if (!isSigned(ports.crypto, swarmId, rollout().kind, content)) return 'it is not signed by the member that pushed it';
    return members.mayDecide(content.by) ? undefined : `${members.nameOf(content.by)} is not an issuer`;
  }

  #keyOf(content: Content): string {
    return keyOf(this.#config.ports.crypto, this.#config.swarmId, this.#config.rollout().kind, content);
  }

  /** The time of a new push: later than all others, even if a clock was ahead. */
  nowMs(): number {
    return Math.max(Math.round(this.#config.ports.clock.wallMs()), (this.#known ?? NOTHING_KNOWN).newestMs + 1);
  }

  /** The signature of this agent under a push. */
  sign(content: Omit<Content, 'id' | 'atMs' | 'signature'>): Uint8Array {
    const { ports, swarmId, rollout } = this.#config;
    return ports.crypto.sign(rollout().kind.bytesOf(swarmId, content));
  }
}
