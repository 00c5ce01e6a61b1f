// All tools. A transaction runs each tool that changes something; nothing else makes changes through the actuator.
import { z } from 'zod';
import { continued, unknownName } from '../errors.ts';
import { shortly, shouldBe, wordsOf } from '../issue-words.ts';
import type { ToolCall } from '../tool-call.ts';
import type { ChangeTool, ReadTool, Snapshot, Tool } from './tool.ts';
import { FILE_READS, FILE_TOOLS } from './tools/files.ts';
import { MONITOR_READS } from './tools/monitor.ts';
import { NETWORK_TOOLS } from './tools/network.ts';
import { PROCESS_READS, PROCESS_TOOLS } from './tools/processes.ts';
import { SERVICE_TOOLS } from './tools/services.ts';
import { SETTING_READS, SETTING_TOOLS } from './tools/settings.ts';

export const CHANGE_TOOLS: readonly ChangeTool[] = [
  ...SERVICE_TOOLS,
  ...PROCESS_TOOLS,
  ...SETTING_TOOLS,
  ...FILE_TOOLS,
  ...NETWORK_TOOLS,
];
const READ_TOOLS: readonly ReadTool[] = [...PROCESS_READS, ...SETTING_READS, ...FILE_READS, ...MONITOR_READS];
export const TOOLS: readonly Tool[] = [...CHANGE_TOOLS, ...READ_TOOLS];

const named = z.looseObject({ tool: z.string() });

const refused = (input: unknown, message: string): z.ZodError => new z.ZodError([{ code: 'custom', path: [], message, input }]);

/** In the form of the command line: `service=…`. */
function argumentWords(error: z.ZodError, input: unknown, { input: schema }: Tool): string {
  const given = (input ?? {}) as Record<string, unknown>;
  const words = error.issues.map((issue) => {
    const [key] = issue.path.map(String);
    if (issue.code === 'unrecognized_keys' || key === undefined)
      return wordsOf(new z.ZodError([issue]), input, schema).replace(': unknown key', ' is not an argument of this tool');
    const should = shouldBe(issue, given[key]).replace(' in quotes', '');
    return given[key] === undefined ? `the argument ${key}=… ${should}` : `${key}=${shortly(given[key])} ${should}`;
  });
  return [...new Set(words)].join('; ');
}

/**
 * The tool of a call, and the call after its schema: defaults filled in, numbers as numbers.
 * @throws z.ZodError if there is no such tool, or its arguments are invalid.
 */
export function parseCall(input: unknown): { tool: Tool; call: ToolCall } {
  const { tool: name } = named.parse(input);
  const tool = TOOLS.find((known) => known.name === name);
  const known = TOOLS.map((one) => one.name);
  if (tool === undefined) throw refused(input, unknownName('tool', name, known, 'kalos tools'));
  const parsed = tool.input.safeParse(input);
  if (!parsed.success)
    throw refused(input, continued(`${name}: ${argumentWords(parsed.error, input, tool)}`, `see: kalos tools ${name}`));
  return { tool, call: parsed.data as ToolCall };
}

/** @throws Error if no tool that changes something has this name: callers have checked it. */
export function changeToolOf(call: ToolCall): ChangeTool {
  const tool = CHANGE_TOOLS.find(({ name }) => name === call.tool);
  if (tool === undefined) throw new Error(`unknown tool ${call.tool}`);
  return tool;
}

/** `service.restart web`. */
export function describeCall(call: ToolCall): string {
  const target = TOOLS.find(({ name }) => name === call.tool)?.target(call);
  return target === undefined ? call.tool : `${call.tool} ${target}`;
}

/** Whether a later look shows what the tool intended. */
export function isAsIntended(intended: Snapshot, now: Snapshot): boolean {
  return Object.entries(intended).every(([key, value]) => now[key] === value);
}
