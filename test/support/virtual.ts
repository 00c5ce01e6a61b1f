// Waiting in virtual time: promises settle between the scheduler's events, as they would between a machine's.
import type { Scheduler } from '../../sim/scheduler.ts';

const MAX_SECONDS = 3_600;

/** Lets virtual time pass. */
export async function pass(scheduler: Scheduler, ms: number): Promise<void> {
  const untilMs = scheduler.nowMs + ms;
  do await new Promise((resolve) => setImmediate(resolve));
  while (scheduler.step(untilMs));
}

/** Lets virtual time pass until `work` is done; fails where an hour of it did not suffice. */
export async function settleIn<T>(scheduler: Scheduler, work: Promise<T>): Promise<T> {
  let result: { value: T } | { error: unknown } | undefined;
  work.then(
    (value) => {
      result = { value };
    },
    (error: unknown) => {
      result = { error };
    },
  );
  for (let second = 0; result === undefined && second < MAX_SECONDS; second++) await pass(scheduler, 1_000);
  if (result === undefined) throw new Error('it never settled');
  if ('error' in result) throw result.error;
  return result.value;
}
