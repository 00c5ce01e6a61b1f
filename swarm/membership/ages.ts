// How old a status grows before it is said again, and before its silence is doubted.

/** A calm status is sent again when it is this old: 30 s, and in proportion longer where there are more than a hundred, so that what each hears stays the same. */
const STATUS_AGE_MS = 30_000;
const MANY_MEMBERS = 100;
const OLDEST_STATUS_MS = 300_000;
/** So many statuses may be missed before a peer is doubted though nobody says that it is gone. */
const MISSED_STATUSES = 3;

export function statusAgeMs(members: number): number {
  return Math.min(OLDEST_STATUS_MS, STATUS_AGE_MS * Math.max(1, members / MANY_MEMBERS));
}

export function silenceMs(members: number): number {
  return MISSED_STATUSES * statusAgeMs(members);
}
