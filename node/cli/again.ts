// The restart of an agent that failed. It executes the launcher again in the same process, so it does not matter what started it (a
// terminal, npm, systemd, the actuator as PID 1). After repeated failures it exits, and its supervisor or a person restarts it.

export const FAILURES_KEY = 'KALOS_FAILURES';
const MAX_FAILURES = 3;
const WITHIN_MS = 600_000;

/** @param failures times of earlier failures, in ms since 1970. @returns these and the new one, for the next run; undefined: too many. */
export function afterFailure(failures: string | undefined, nowMs: number): string | undefined {
  const recent = (failures ?? '').split(' ').filter((text) => /^\d+$/.test(text) && nowMs - Number(text) < WITHIN_MS);
  return recent.length >= MAX_FAILURES ? undefined : [...recent, Math.round(nowMs)].join(' ');
}
