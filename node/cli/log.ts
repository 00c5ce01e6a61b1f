// `kalos log agent`: the newest lines of the agent's own log; with --follow, new lines too.
import { callAgent } from '../api/client.ts';
import { isAtLeast, type KeptLog, type LogEntry, type LogLevel } from '../log-levels.ts';
import { renderEntry } from './agent-log.ts';
import { csvLine, printRows, yaml } from './data.ts';
import { EXIT } from './exit-codes.ts';
import type { Format } from './output.ts';
import { iso, Moment } from './times.ts';

const LOOK_EVERY_MS = 500;

export interface AgentLogOptions {
  dir?: string;
  output: Format;
  lines: number;
  level: LogLevel;
  /** ms */
  since?: number;
  follow: boolean;
}

type Answer = ReturnType<KeptLog['after']>;
const HEADERS = ['time', 'level', 'text'] as const;

export async function agentLog({ dir, output, lines, level, since, follow }: AgentLogOptions): Promise<number> {
  const look = (after: number) => callAgent<Answer>(dir, 'GET', `/v1/agent-log/${after}`);
  const fromMs = since === undefined ? 0 : Date.now() - since;
  const isWanted = (entry: LogEntry): boolean => isAtLeast(entry.level, level) && entry.atMs >= fromMs;
  let { last, entries } = await look(0);
  const shown = entries.filter(isWanted).slice(-lines);
  if (!follow) {
    print(shown, output);
    return EXIT.ok;
  }
  if (output === 'csv') process.stdout.write(csvLine(HEADERS));
  for (const entry of shown) process.stdout.write(renderFollowed(entry, output));
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    const answer = await look(last);
    // The agent was restarted: sequence numbers begin at 1.
    ({ last, entries } = answer.last < last ? await look(0) : answer);
    for (const entry of entries.filter(isWanted)) process.stdout.write(renderFollowed(entry, output));
  }
}

function print(entries: readonly LogEntry[], format: Format): void {
  if (format === 'table' || format === 'wide')
    process.stdout.write(entries.map((entry) => renderFollowed(entry, format)).join(''));
  else
    printRows(format, {
      headers: HEADERS,
      rows: entries.map(({ atMs, level, text }) => [new Moment(atMs), level, text]),
      data: { entries: entries.map(shownOf) },
    });
}

const shownOf = ({ atMs, level, text }: LogEntry) => ({ time: iso(atMs), level, text });

function renderFollowed(entry: LogEntry, format: Format): string {
  if (format === 'json') return renderEntry(entry, 'json');
  if (format === 'yaml') return `---\n${yaml(shownOf(entry))}`;
  if (format === 'csv') return csvLine(Object.values(shownOf(entry)));
  return renderEntry(entry, 'text');
}
