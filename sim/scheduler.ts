// The virtual clock: events in order of time, then of scheduling. There are no real waits: time jumps from event to event.
// A 4-ary heap (Larkin, Sen, Tarjan 2014) whose keys lie in typed arrays, so that sifting touches no objects.

const ARITY = 4;
const FIRST_CAPACITY = 1_024;
const NOTHING = (): void => undefined;

/** A scheduled event. Cancelling one that ran does nothing. */
export class Scheduled {
  readonly atMs: number;
  run: () => void;

  constructor(atMs: number, run: () => void) {
    this.atMs = atMs;
    this.run = run;
  }

  get cancelled(): boolean {
    return this.run === NOTHING;
  }

  /** It stays in the queue until it is due, without references. */
  cancel(): void {
    this.run = NOTHING;
  }
}

export class Scheduler {
  #times = new Float64Array(FIRST_CAPACITY);
  #orders = new Float64Array(FIRST_CAPACITY);
  readonly #events: Scheduled[] = [];
  #order = 0;
  nowMs = 0;
  executed = 0;

  at(atMs: number, run: () => void): Scheduled {
    const event = new Scheduled(Math.max(atMs, this.nowMs), run);
    if (this.#events.length === this.#times.length) this.#grow();
    this.#events.push(event);
    this.#up(this.#events.length - 1, event, this.#order++);
    return event;
  }

  after(delayMs: number, run: () => void): Scheduled {
    return this.at(this.nowMs + delayMs, run);
  }

  get waiting(): number {
    return this.#events.length;
  }

  /** Runs the next event that is due by `untilMs`; false if there is none. */
  step(untilMs: number): boolean {
    for (let next = this.#events[0]; next !== undefined && next.atMs <= untilMs; next = this.#events[0]) {
      this.#pop();
      if (next.cancelled) continue;
      this.nowMs = next.atMs;
      this.executed++;
      const { run } = next;
      next.cancel();
      run();
      return true;
    }
    this.nowMs = Math.max(this.nowMs, untilMs);
    return false;
  }

  #grow(): void {
    const wider = (from: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> => {
      const to = new Float64Array(from.length * 2);
      to.set(from);
      return to;
    };
    this.#times = wider(this.#times);
    this.#orders = wider(this.#orders);
  }

  #place(at: number, event: Scheduled, order: number): void {
    this.#times[at] = event.atMs;
    this.#orders[at] = order;
    this.#events[at] = event;
  }

  #up(from: number, event: Scheduled, order: number): void {
    const times = this.#times;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 2;
      // A later order at an equal time stays below: an event that is new is always the last of its time.
      if ((times[parent] as number) <= event.atMs) break;
      this.#place(at, this.#events[parent] as Scheduled, this.#orders[parent] as number);
      at = parent;
    }
    this.#place(at, event, order);
  }

  #pop(): void {
    const length = this.#events.length - 1;
    const event = this.#events.pop() as Scheduled;
    if (length === 0) return;
    const order = this.#orders[length] as number;
    let at = 0;
    for (;;) {
      const least = this.#least(at * ARITY + 1, Math.min(at * ARITY + ARITY + 1, length));
      if (least < 0) break;
      const time = this.#times[least] as number;
      if (time > event.atMs || (time === event.atMs && (this.#orders[least] as number) > order)) break;
      this.#place(at, this.#events[least] as Scheduled, this.#orders[least] as number);
      at = least;
    }
    this.#place(at, event, order);
  }

  /** The position of the earliest event in a range; -1 if the range is empty. */
  #least(from: number, to: number): number {
    const times = this.#times;
    const orders = this.#orders;
    let least = from < to ? from : -1;
    for (let at = from + 1; at < to; at++) {
      const earlier = (times[at] as number) - (times[least] as number) || (orders[at] as number) - (orders[least] as number);
      if (earlier < 0) least = at;
    }
    return least;
  }
}
