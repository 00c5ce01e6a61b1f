// Lifetimes of certificates, and the tolerance for wrong clocks.

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Of a member's certificate; it is renewed at half of that. */
export const MEMBER_LIFE_MS = DAY_MS;
export const ISSUER_LIFE_MS = 20 * 365 * DAY_MS;
/** The longest lifetime of a deputy's certificate: it admits members and renews their certificates, and decides nothing. */
export const DEPUTY_LIFE_MS = 400 * DAY_MS;
export const OPERATOR_LIFE_MS = 2 * 365 * DAY_MS;
/** A clock that is wrong by less than this, either way, causes no refusal. */
export const CLOCK_TOLERANCE_MS = 2 * HOUR_MS;
/** While no issuer is reachable, an expired certificate is accepted for this long. */
export const NO_ISSUER_GRACE_MS = 7 * DAY_MS;
/** A member that was off for longer needs a new token; revocations are kept for longer than that. */
export const RENEWABLE_MS = 90 * DAY_MS;
export const REVOCATION_KEPT_MS = 100 * DAY_MS;
