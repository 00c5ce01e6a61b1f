// Checks that the tools in a policy's remedies exist and change something.
import type { Policy } from '../detection/policy.ts';
import { PolicyError } from '../detection/policy-detector.ts';
import { closest } from '../errors.ts';
import { CHANGE_TOOLS } from './tools.ts';

/** @throws PolicyError naming a tool that does not exist or is read-only. */
export function checkTools({ name, remedy }: Policy): void {
  const known = CHANGE_TOOLS.map((tool) => tool.name);
  const wrong = remedy.flatMap((one) => one.do).find(({ tool }) => !known.includes(tool));
  if (wrong === undefined) return;
  const meant = closest(wrong.tool, known);
  throw new PolicyError(
    name,
    `unknown tool "${wrong.tool}" in a remedy${meant === undefined ? '' : `; did you mean "${meant}"?`}`,
  );
}
