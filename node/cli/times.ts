// Formats of times: `2026-11-30 13:04:05` in local time for people; ISO 8601 in UTC with ms for programs.

/** The last moment of an ECMAScript date. */
const LAST_MS = 8.64e15;
/** Another machine may send any number. */
const isDatable = (ms: number): boolean => Math.abs(ms) <= LAST_MS;

/** For people, in the reader's time zone (TZ, or the machine's). @param ms since 1970 */
export function when(ms: number): string {
  if (!isDatable(ms)) return 'unknown';
  const date = new Date(ms);
  const two = (figure: number): string => String(figure).padStart(2, '0');
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')}`;
}

/** For programs: `2026-11-30T12:04:05.000Z`. @param ms since 1970 */
export const iso = (ms: number): string => new Date(ms).toISOString();

const ISO_IN_TEXT = /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z/g;

/** An agent's text for people: times in it become local times. */
export const localTimes = (text: string): string => text.replace(ISO_IN_TEXT, (found) => when(Date.parse(found)));

/** An age. A negative one comes from a wrong clock, and counts as zero. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}

/** A configured time, exactly: "500 ms", "1.5 s", "10 min", "36 h", "30 d". */
export function exactly(ms: number): string {
  if (ms < 1_000) return `${ms} ms`;
  if (ms % 86_400_000 === 0) return `${ms / 86_400_000} d`;
  if (ms % 3_600_000 === 0) return `${ms / 3_600_000} h`;
  return ms % 60_000 === 0 ? `${ms / 60_000} min` : `${ms / 1_000} s`;
}

/** A moment in a cell of a table. The output format decides how it is written. */
export class Moment {
  readonly ms: number;
  /** Shown to people instead of the moment. */
  readonly #text: string | undefined;

  constructor(ms: number, text?: string) {
    this.ms = ms;
    this.#text = text;
  }

  toString(): string {
    return this.#text ?? when(this.ms);
  }

  toJSON(): string | null {
    return isDatable(this.ms) ? iso(this.ms) : null;
  }
}

/** Null if there is none. */
export const moment = (ms: number | null | undefined): Moment | null => (typeof ms === 'number' ? new Moment(ms) : null);

/** September 2001: a smaller number is a duration, not a moment. */
const FIRST_MS = 1e12;
const isMoment = (key: string, value: unknown): value is number =>
  /_?ms$/i.test(key) && typeof value === 'number' && value >= FIRST_MS && value <= LAST_MS;

/** Data for programs: adds to each moment in ms, such as `untilMs`, the same in ISO 8601 as `until`. */
export function withMoments(data: unknown): unknown {
  if (Array.isArray(data)) return data.map(withMoments);
  if (typeof data !== 'object' || data === null || data instanceof Moment) return data;
  return Object.fromEntries(
    Object.entries(data).flatMap(([key, value]): [string, unknown][] => {
      const name = key.replace(/_?ms$/i, '');
      return isMoment(key, value) && name !== '' && !(name in data)
        ? [
            [key, value],
            [name, iso(value)],
          ]
        : [[key, withMoments(value)]];
    }),
  );
}

/** A field for people: `untilMs` becomes `until`, a moment; `withinMs` becomes `within`, such as "10 min". */
export function readable(key: string, value: unknown): [name: string, text: string] {
  if (typeof value !== 'number' || !/_?ms$/i.test(key)) return [key, String(value)];
  return [key.replace(/_?ms$/i, ''), isMoment(key, value) ? when(value) : exactly(value)];
}
