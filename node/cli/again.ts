// The restart of an agent that failed: it executes the launcher again as the same process, whatever started it (a terminal, npm,
// systemd, the actuator as the first process). With a limit: after repeated failures it exits, and its supervisor or a person restarts it.

export const FAILURES_KEY = 'KALOS_FAILURES';
const MAX_FAILURES = 3;
const WITHIN_MS = 600_000;

/** @param failures of the runs before, in ms since 1970. @returns those with this one, for the next run; undefined: there were too many. */
export function afterFailure(failures: string | undefined, nowMs: number): string | undefined {
  const recent = (failures ?? '').split(' ').filter((text) => /^\d+$/.test(text) && nowMs - Number(text) < WITHIN_MS);
  return recent.length >= MAX_FAILURES ? undefined : [...recent, Math.round(nowMs)].join(' ');
}
