// Pending requests of callers: a proposal waits until it is applied here, a read until a quorum has confirmed it and the log is applied up to
// its index.
import type { Clock } from '../../swarm/ports/clock.ts';

export class LogUnavailable extends Error {
  /** Whether the request may have taken effect, or may do so later. */
  readonly isUnknown: boolean;

  constructor(why: string, isUnknown: boolean) {
    super(why);
    this.isUnknown = isUnknown;
  }
}

interface Waiting<T> {
  done(result: T): void;
  fail(error: LogUnavailable): void;
}

/** Hands a request with its id to Raft. @throws LogUnavailable if Raft does not accept it */
type Begin = (id: string) => void;

export class Requests<Result> {
  readonly #clock: Clock;
  readonly #incarnation: string;
  #sequence = 0;
  readonly #proposals = new Map<string, Waiting<Result>>();
  readonly #reads = new Map<string, Waiting<void>>();
  /** Reads that wait until an index is applied. */
  #confirmed: { index: number; waiting: Waiting<void> }[] = [];

  /** @param incarnation distinguishes the requests of this run of a member from all others */
  constructor(clock: Clock, incarnation: string) {
    this.#clock = clock;
    this.#incarnation = incarnation;
  }

  /** Resolves with the result of the proposal. @throws LogUnavailable */
  propose(timeoutMs: number, begin: Begin): Promise<Result> {
    return this.#wait(this.#proposals, timeoutMs, true, begin);
  }

  /** Resolves once the read may be answered. @throws LogUnavailable */
  read(timeoutMs: number, begin: Begin): Promise<void> {
    return this.#wait(this.#reads, timeoutMs, false, begin);
  }

  #wait<T>(all: Map<string, Waiting<T>>, timeoutMs: number, isUnknown: boolean, begin: Begin): Promise<T> {
    const id = `${this.#incarnation}-${this.#sequence++}`;
    return new Promise((resolve, reject) => {
      begin(id);
      const late = this.#clock.after(timeoutMs, () => {
        all.delete(id);
        reject(new LogUnavailable(`not decided within ${timeoutMs} ms`, isUnknown));
      });
      const end = (): void => {
        all.delete(id);
        late.cancel();
      };
      all.set(id, {
        done: (result) => {
          end();
          resolve(result);
        },
        fail: (error) => {
          end();
          reject(error);
        },
      });
    });
  }

  /** A proposal is applied; it is ignored if it is not a pending one of this member. */
  applied(id: string, result: Result): void {
    this.#proposals.get(id)?.done(result);
  }

  /** A quorum has confirmed a read: it may be answered once the index is applied. */
  confirmed(id: string, index: number): void {
    const waiting = this.#reads.get(id);
    if (waiting !== undefined) this.#confirmed.push({ index, waiting });
  }

  /** Answers the reads up to the applied index. */
  answerReads(applied: number): void {
    const ready = this.#confirmed.filter(({ index }) => index <= applied);
    this.#confirmed = this.#confirmed.filter(({ index }) => index > applied);
    for (const { waiting } of ready) waiting.done();
  }

  failAll(why: LogUnavailable): void {
    for (const waiting of [...this.#proposals.values(), ...this.#reads.values()]) waiting.fail(why);
  }
}
