// A policy's remedies name tools: they must be there, and change something.
import type { Policy } from '../detection/policy.ts';
import { PolicyError } from '../detection/policy-detector.ts';
import { closest } from '../errors.ts';
import { CHANGE_TOOLS } from './tools.ts';

/** @throws PolicyError naming a tool that there is not, or that only reads. */
export function checkTools({ name, remedy }: Policy): void {
  const known = CHANGE_TOOLS.map((tool) => tool.name);
  const wrong = remedy.flatMap((one) => one.do).find(({ tool }) => !known.includes(tool));
  if (wrong === undefined) return;
  const meant = closest(wrong.tool, known);
  throw new PolicyError(name, `no tool "${wrong.tool}" for a remedy${meant === undefined ? '' : `; did you mean "${meant}"?`}`);
}
