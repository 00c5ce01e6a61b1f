// The links between the members of a simulated Raft group: each has a latency, and may be cut, lose messages or deliver them twice.
import type { NodeId } from '../../consensus/raft/types.ts';
import type { SeededRandom } from '../random.ts';
import type { Scheduler } from '../scheduler.ts';

export class GroupLinks {
  readonly #scheduler: Scheduler;
  readonly #random: SeededRandom;
  readonly #latencyMs: readonly [number, number];
  /** Blocked links, as `from>to`. */
  readonly #cut = new Set<string>();
  #loss = 0;
  #duplicates = 0;

  /** @param latencyMs one way, uniform between the two */
  constructor(scheduler: Scheduler, random: SeededRandom, latencyMs: readonly [number, number]) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#latencyMs = latencyMs;
  }

  isCut(from: NodeId, to: NodeId): boolean {
    return this.#cut.has(`${from}>${to}`);
  }

  latency(): number {
    const [low, high] = this.#latencyMs;
    return this.#random.between(low, high);
  }

  /** @param deliver delivers the message: called never, once, or twice */
  carry(from: NodeId, to: NodeId, deliver: () => void): void {
    if (this.isCut(from, to)) return;
    const copies = this.#random.unit() < this.#loss ? 0 : this.#random.unit() < this.#duplicates ? 2 : 1;
    for (let copy = 0; copy < copies; copy++)
      this.#scheduler.after(this.latency(), () => {
        if (!this.isCut(from, to)) deliver();
      });
  }

  /** @param links as `from>to` */
  cutFor(links: readonly string[], forMs: number): void {
    for (const link of links) this.#cut.add(link);
    this.#scheduler.after(forMs, () => {
      for (const link of links) this.#cut.delete(link);
    });
  }

  /** @param loss share of messages. @param duplicates share of those that are delivered */
  disturbFor(loss: number, duplicates: number, forMs: number): void {
    [this.#loss, this.#duplicates] = [loss, duplicates];
    this.#scheduler.after(forMs, () => {
      [this.#loss, this.#duplicates] = [0, 0];
    });
  }

  mend(): void {
    this.#cut.clear();
    [this.#loss, this.#duplicates] = [0, 0];
  }
}
