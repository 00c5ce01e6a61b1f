// Options and argument parsers that the commands share.
import { InvalidArgumentError, Option } from 'commander';
import { FORMATS } from '../node/cli/output.ts';
import { exactly } from '../node/cli/times.ts';

export function integer(low: number, high: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < low || value > high)
      throw new InvalidArgumentError(`a whole number from ${low} to ${high}`);
    return value;
  };
}

export const directory = () =>
  new Option('--dir <path>', 'the agent’s state directory (default: KALOS_DIR, or /var/lib/kalos for root)');

export const format = () => new Option('-o, --output <format>', 'output format').choices(FORMATS).default('table');

export async function ends(code: Promise<number> | number): Promise<void> {
  process.exitCode = await code;
}

const S_MS = 1_000;
export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: S_MS, m: MINUTE_MS, min: MINUTE_MS, h: HOUR_MS, d: DAY_MS };

/** Parses `500ms`, `90s`, `1h30m`, `2 d`. A number without a unit is in units of `bareMs`. @returns ms; undefined if it is not a time */
export function parseSpan(text: string, bareMs: number): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * bareMs;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?) ?(ms|s|min|m|h|d) ?/g)];
  if (parts.length === 0 || parts.map(([all]) => all).join('') !== text) return undefined;
  return parts.reduce((sum, [, figure, unit = '']) => sum + Number(figure) * (UNITS[unit] ?? Number.NaN), 0);
}

/** The range of an option that takes a time in any unit. Values are in ms; help shows the default with its unit. */
export interface SpanRange {
  least: number;
  most: number;
  /** The unit of a number without one, in ms. */
  bare?: number;
  default?: number;
}

export function span(flags: string, description: string, { least, most, bare = S_MS, default: fallback }: SpanRange): Option {
  const option = new Option(flags, description).argParser((text: string | number) => {
    if (typeof text === 'number') return text; // a preset
    const ms = Math.round(parseSpan(text, bare) ?? Number.NaN);
    if (!(ms >= least && ms <= most))
      throw new InvalidArgumentError(`a time from ${exactly(least)} to ${exactly(most)}, such as 90s, 1h30m or 2d`);
    return ms;
  });
  return fallback === undefined ? option : option.default(fallback, exactly(fallback));
}
