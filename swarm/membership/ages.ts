// The age at which a status is sent again, and the silence after which its member is suspected.

/** A calm status is sent again at this age: 30 s, and proportionally longer with more than a hundred members, so that traffic stays constant. */
const STATUS_AGE_MS = 30_000;
const MANY_MEMBERS = 100;
const OLDEST_STATUS_MS = 300_000;
/** After this many missed statuses a member is suspected even if no observer reports it. */
const MISSED_STATUSES = 3;

export function statusAgeMs(members: number): number {
  return Math.min(OLDEST_STATUS_MS, STATUS_AGE_MS * Math.max(1, members / MANY_MEMBERS));
}

export function silenceMs(members: number): number {
  return MISSED_STATUSES * statusAgeMs(members);
}
