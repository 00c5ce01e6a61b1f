// Who starts an agent again that could not go on: it does so itself, in its own place, whatever started it (a terminal, npm, systemd,
// the actuator as the first process). With a brake: what fails again and again is left to whoever watches over it, or to a person.

export const FAILURES_KEY = 'KALOS_FAILURES';
const MAX_FAILURES = 3;
const WITHIN_MS = 600_000;

/** @param failures what the agent before said of itself. @returns what the next one is told; undefined: there were too many. */
export function afterFailure(failures: string | undefined, nowMs: number): string | undefined {
  const recent = (failures ?? '').split(' ').filter((text) => /^\d+$/.test(text) && nowMs - Number(text) < WITHIN_MS);
  return recent.length >= MAX_FAILURES ? undefined : [...recent, Math.round(nowMs)].join(' ');
}
