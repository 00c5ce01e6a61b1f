// The clients of a simulated Raft group: each asks one member after another to read and write a few registers. The history of requests and
// answers must be linearizable.
import { LogUnavailable } from '../../consensus/raft/requests.ts';
import type { Operation, RegisterInput, RegisterOutput } from '../check/linearizability.ts';
import type { SeededRandom } from '../random.ts';
import type { Scheduler } from '../scheduler.ts';
import type { Member } from './member.ts';
import { carryOut } from './registers.ts';

const KEYS = ['a', 'b', 'c'];
const CLIENT_TIMEOUT_MS = 3_000;
const FIRST_MS = 1_000;
const APART_MS = 50;

export class GroupClients {
  /** Requests and answers, without those that certainly had no effect. */
  readonly history: Operation<RegisterInput, RegisterOutput>[] = [];
  readonly #scheduler: Scheduler;
  readonly #random: SeededRandom;
  readonly #members: readonly Member[];
  #isOver = false;

  constructor(count: number, scheduler: Scheduler, random: SeededRandom, members: readonly Member[]) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#members = members;
    for (let i = 0; i < count; i++) scheduler.after(FIRST_MS + i * APART_MS, () => this.#client(i));
  }

  /** They send no more requests. */
  stop(): void {
    this.#isOver = true;
  }

  #client(number: number, turn = 0): void {
    if (this.#isOver) return;
    const random = this.#random;
    const again = (): void => void this.#scheduler.after(random.between(5, 200), () => this.#client(number, turn + 1));
    const running = this.#members.filter(({ log }) => log !== undefined);
    const { log } = running[Math.floor(random.unit() * running.length)] ?? {};
    if (log === undefined) return again();
    const key = KEYS[Math.floor(random.unit() * KEYS.length)] ?? 'a';
    const value = `${number}-${turn}`;
    const draw = random.unit();
    const known = log.machine.get(key);
    const input: RegisterInput =
      draw < 0.4
        ? { kind: 'read', key }
        : draw < 0.8 || known === null
          ? { kind: 'write', key, value }
          : { kind: 'cas', key, from: known, to: value };
    const operation: Operation<RegisterInput, RegisterOutput> = {
      input,
      output: undefined,
      called: this.#scheduler.nowMs,
      returned: Number.POSITIVE_INFINITY,
    };
    this.history.push(operation);
    const end = (output: RegisterOutput): void => {
      Object.assign(operation, { output, returned: this.#scheduler.nowMs });
    };
    const drop = (): void => void this.history.splice(this.history.indexOf(operation), 1);
    carryOut(log, input, CLIENT_TIMEOUT_MS)
      .then(end, (error: unknown) => {
        if (!(error instanceof LogUnavailable)) throw error;
        if (!error.isUnknown) drop();
      })
      .finally(again);
    // A killed member does not answer: the client continues.
    if (this.#members.every((member) => member.log !== log)) again();
  }
}
