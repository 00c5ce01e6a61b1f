// What a plan's calls would change, and whether they are allowed; changes and counts nothing.
import { type Authority, type GuardVerdict, riskOf } from '../action/guard.ts';
import type { ChangeTool, Machine, Snapshot } from '../action/tool.ts';
import { parseCall } from '../action/tools.ts';
import type { Step } from '../ports/actuator.ts';
import type { ToolCall } from '../tool-call.ts';
import type { Brakes } from './brakes.ts';
import { invalid } from './plan-words.ts';

/** Of one plan: a longer one is hard for a person to review. */
export const MAX_CALLS = 8;

export interface Preview {
  calls: readonly ToolCall[];
  /** The highest of the calls'. */
  risk: string;
  /** The first that is not `go`. */
  verdict: GuardVerdict;
  diff: string[];
  before: readonly Snapshot[];
}

export interface PreviewParts {
  brakes: Brakes;
  machine: Machine;
}

/** @throws z.ZodError for arguments outside the schema, a tool that only reads, or two calls on one target. */
export async function previewCalls(inputs: readonly unknown[], authority: Authority, parts: PreviewParts): Promise<Preview> {
  const parsed = inputs.map(parseChange);
  const targets = parsed.map(({ tool, call }) => tool.target(call));
  if (parsed.length === 0 || parsed.length > MAX_CALLS || new Set(targets).size < targets.length)
    throw invalid(`a plan has 1 to ${MAX_CALLS} calls on different targets`);
  const calls = parsed.map(({ call }) => call);
  const preview = {
    calls,
    risk: 'R0',
    verdict: { kind: 'go' } as GuardVerdict,
    diff: [] as string[],
    before: [] as Snapshot[],
  };
  for (const { tool, call } of parsed) {
    const one = await previewCall(tool, call, authority, parts);
    if (one.risk > preview.risk) preview.risk = one.risk;
    if (preview.verdict.kind === 'go' || (preview.verdict.kind === 'ask' && one.verdict.kind !== 'go'))
      preview.verdict = one.verdict;
    preview.diff.push(...one.diff);
    preview.before.push(one.before);
  }
  return preview;
}

function parseChange(input: unknown): { tool: ChangeTool; call: ToolCall } {
  const { tool, call } = parseCall(input);
  if (tool.kind === 'read') throw invalid(`${tool.name} is read-only: not allowed in a plan`);
  return { tool, call };
}

async function previewCall(tool: ChangeTool, call: ToolCall, authority: Authority, parts: PreviewParts) {
  const { brakes, machine } = parts;
  const look = await tool.look(call, machine);
  if (!look.ok)
    return { risk: tool.risk(call), verdict: { kind: 'refused', reason: look.reason } as const, diff: [], before: {} };
  const { before } = look;
  const judged = brakes.judge(call, before, authority);
  const verdict = judged.kind === 'refused' ? judged : await checked(judged, tool.steps(call, before), machine);
  const diff = tool.refusal?.(call, before) === undefined ? await tool.dryRun(call, before, machine) : [];
  return { risk: riskOf(tool, call, before), verdict, diff, before };
}

/** What the actuator would refuse is refused before anything is recorded. */
async function checked(judged: GuardVerdict, steps: readonly Step[], { actuator }: Machine): Promise<GuardVerdict> {
  const outcome = await actuator.check(steps);
  return outcome.ok ? judged : { kind: 'refused', reason: outcome.message };
}
