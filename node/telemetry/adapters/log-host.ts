// The process that reads logs for an agent (log-reader.ts): a hung file system blocks this process, and not the agent.
import { z } from 'zod';
import { compilePattern, type Pattern } from '../../patterns.ts';
import { LogFollower, type Position } from './log-follower.ts';

/** A pattern runs each instruction at most once per character. This limit of a read takes at most about 2 s. */
const MAX_STEPS = 32_000_000;
const MIN_READ_BYTES = 8_192;
const MAX_READ_BYTES = 1024 * 1024;
const MAX_MATCHING = 1_000;
const MAX_SHOWN_LENGTH = 160;

const questionSchema = z.object({
  id: z.number(),
  path: z.string(),
  pattern: z.string(),
  from: z.object({ id: z.string(), offset: z.number(), tail: z.string() }).optional(),
});
export type LogQuestion = z.infer<typeof questionSchema>;

export type LogAnswer =
  | { ok: true; lines: number; matching: string[]; skippedBytes: number; position: Position | undefined }
  | { ok: false; reason: string };

/** Runs until the parent disconnects. */
export function hostLogs(): void {
  const follower = new LogFollower();
  const patterns = new Map<string, Pattern>();
  process.on('disconnect', () => process.exit(0));
  process.on('SIGINT', () => undefined); // a terminal's ^C is the parent's to handle
  process.on('message', (message: unknown) => {
    const question = questionSchema.safeParse(message);
    if (question.success) process.send?.({ id: question.data.id, answer: answered(question.data, follower, patterns) });
  });
  process.send?.({ id: 0 });
}

function answered({ path, pattern: text, from }: LogQuestion, follower: LogFollower, patterns: Map<string, Pattern>): LogAnswer {
  const compiled = patterns.has(text) ? undefined : compilePattern(text);
  if (compiled?.ok === false) return { ok: false, reason: `the pattern "${text}": ${compiled.reason}` };
  const pattern = patterns.get(text) ?? compiled?.pattern;
  if (pattern === undefined) return { ok: false, reason: 'there is no pattern' };
  patterns.set(text, pattern);
  const most = Math.max(MIN_READ_BYTES, Math.min(MAX_READ_BYTES, Math.floor(MAX_STEPS / pattern.cost)));
  const read = follower.newLines(path, most, from);
  if (!read.ok) return read;
  const matching = read.lines
    .filter((line) => pattern.test(line))
    .slice(-MAX_MATCHING)
    .map((line) => line.slice(0, MAX_SHOWN_LENGTH));
  return { ok: true, lines: read.lines.length, matching, skippedBytes: read.skippedBytes, position: read.position };
}
