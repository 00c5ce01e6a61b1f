// What the commands' options have in common.
import { InvalidArgumentError, Option } from 'commander';
import { FORMATS } from '../node/cli/output.ts';

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

export const format = () => new Option('-o, --output <format>', 'how to print').choices(FORMATS).default('table');

export async function ends(code: Promise<number> | number): Promise<void> {
  process.exitCode = await code;
}

/** `90s`, `30m`, `2h`, `1d`, in ms. */
export function span(text: string): number {
  const [, figure, unit = ''] = text.match(/^(\d+)([smhd])$/) ?? [];
  const ms = Number(figure) * ({ s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit] ?? Number.NaN);
  if (!(ms >= 1_000 && ms <= 30 * 86_400_000)) throw new InvalidArgumentError('a time such as 90s, 30m, 2h or 1d, at most 30d');
  return ms;
}
