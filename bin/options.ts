// What the commands' options have in common.
import { InvalidArgumentError, Option } from 'commander';
import { FORMATS, TREE_FORMATS } from '../node/cli/output.ts';

export function integer(low: number, high: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < low || value > high)
      throw new InvalidArgumentError(`a whole number from ${low} to ${high}`);
    return value;
  };
}

export const format = () => new Option('-o, --output <format>', 'how to print').choices(TREE_FORMATS).default('table');
/** Of what is a list. */
export const rows = () => new Option('-o, --output <format>', 'how to print').choices(FORMATS).default('table');
export function exits(text: string): string {
  return `\nExit codes: ${text}`;
}

export async function ends(code: Promise<number> | number): Promise<void> {
  process.exitCode = await code;
}
