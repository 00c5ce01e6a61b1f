// Plans that need a person's approval, and the answers.
import type { Clock, Timer } from '../../swarm/ports/clock.ts';
import type { Plan } from '../decision/plan.ts';
import type { Reporter } from '../reporter.ts';

const MAX_APPROVALS = 64;
const APPROVAL_MS = 600_000;

export interface Approval {
  plan: Plan;
  diff: string[];
  expiresMs: number;
}

/** `permitted`: witnesses and the committee allowed it before a person did. */
export type Answer = 'approved' | 'permitted' | 'rejected' | 'expired' | 'halted' | 'withdrawn';

export class Approvals {
  readonly #clock: Clock;
  readonly #reporter: Reporter;
  readonly #open = new Map<string, Approval & { answer(answer: Answer): void; timer: Timer }>();

  constructor(clock: Clock, reporter: Reporter) {
    this.#clock = clock;
    this.#reporter = reporter;
  }

  all(): Approval[] {
    return [...this.#open.values()].map(({ plan, diff, expiresMs }) => ({ plan, diff, expiresMs }));
  }

  has(id: string): boolean {
    return this.#open.has(id);
  }

  /** False if no plan with that id is pending. */
  answer(id: string, answer: Answer): boolean {
    const approval = this.#open.get(id);
    approval?.answer(answer);
    return approval !== undefined;
  }

  /** A person's answer, recorded before it counts; false if no plan with that id is pending. */
  async answerAsOperator(id: string, answer: 'approved' | 'rejected'): Promise<boolean> {
    if (!this.has(id)) return false;
    await this.#reporter.noted(`${answer} by an operator`, id);
    return this.answer(id, answer);
  }

  answerAll(answer: Answer, incident?: string): void {
    for (const one of [...this.#open.values()]) if (incident === undefined || one.plan.incident === incident) one.answer(answer);
  }

  ask(plan: Plan, diff: string[]): Promise<Answer> {
    this.#reporter.log('warn', `${plan.id} needs approval: ${diff.join('; ')}; run: kalos approve ${plan.id}`);
    if (this.#open.size >= MAX_APPROVALS) return Promise.resolve('expired');
    return new Promise((resolve) => {
      const answer = (given: Answer): void => {
        this.#open.get(plan.id)?.timer.cancel();
        this.#open.delete(plan.id);
        resolve(given);
      };
      const timer = this.#clock.after(APPROVAL_MS, () => answer('expired'));
      this.#open.set(plan.id, { plan, diff, expiresMs: this.#clock.wallMs() + APPROVAL_MS, answer, timer });
    });
  }

  /** Pending plans are no longer answered. */
  stop(): void {
    for (const { timer } of this.#open.values()) timer.cancel();
  }
}
