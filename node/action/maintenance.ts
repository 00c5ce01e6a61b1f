// Maintenance windows: times of the week at which policies make no changes, because people work on the machine.
// Findings are still reported and explained; people may act.
import { z } from 'zod';
import { counted } from '../../swarm/words.ts';

export const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
const MINUTES_A_DAY = 1_440;
const MS_A_MINUTE = 60_000;
const MS_A_DAY = MINUTES_A_DAY * MS_A_MINUTE;
/** 1970-01-01 was a Thursday. */
const FIRST_WEEKDAY = 4;

export const maintenanceSchema = z.strictObject({
  /** Days on which it starts; every day if none is named. */
  days: z.array(z.enum(WEEKDAYS)).min(1).optional(),
  /** UTC, HH:MM. */
  start: z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time of day in UTC, HH:MM'),
  minutes: z.number().int().min(1).max(MINUTES_A_DAY),
  reason: z.string().min(1).max(200),
});
export type MaintenanceWindow = z.infer<typeof maintenanceSchema>;

/** Why policies must not act at this time; undefined if no window is open. */
export function maintenanceReason(windows: readonly MaintenanceWindow[], wallMs: number): string | undefined {
  const open = windows.find((window) => isOpenAt(window, wallMs));
  return open && `maintenance for ${counted(open.minutes, 'minute')} from ${open.start} UTC: ${open.reason}`;
}

/** A window that began yesterday may still be open. */
function isOpenAt({ days, start, minutes }: MaintenanceWindow, wallMs: number): boolean {
  const [hour = 0, minute = 0] = start.split(':').map(Number);
  const today = Math.floor(wallMs / MS_A_DAY);
  return [today, today - 1].some((day) => {
    const weekday = WEEKDAYS[(day + FIRST_WEEKDAY) % WEEKDAYS.length];
    const beginsMs = day * MS_A_DAY + (hour * 60 + minute) * MS_A_MINUTE;
    const named = days === undefined || (weekday !== undefined && days.includes(weekday));
    return named && wallMs >= beginsMs && wallMs < beginsMs + minutes * MS_A_MINUTE;
  });
}
