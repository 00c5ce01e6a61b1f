// `kalos query "select …"`: SQL over the whole swarm, through the agent of this machine.

import { callAgent } from '../api/client.ts';
import type { QueryAnswer } from '../query/query.ts';
import { printRows } from './data.ts';
import { EXIT, type Format, paint } from './output.ts';

export async function runQuery(directory: string | undefined, sql: string, timeoutMs: number, format: Format): Promise<number> {
  const answer = await callAgent<QueryAnswer>(directory, 'POST', '/v1/query', { sql, timeoutMs });
  const rows = answer.rows.map((row) => Object.fromEntries(answer.columns.map((name, i) => [name, row[i] ?? null])));
  printRows(format, { headers: answer.columns, rows: answer.rows, data: { ...answer, rows } });
  if (format !== 'json' && format !== 'yaml') printCompleteness(answer);
  return answer.missing.length > 0 ? EXIT.partial : EXIT.ok;
}

function printCompleteness(answer: QueryAnswer): void {
  const from = answer.mode === 'local' ? 'from this peer’s own state' : `${answer.answered} of ${answer.expected} nodes answered`;
  process.stderr.write(paint('dim', `${answer.rows.length} rows, ${from}, ${answer.tookMs} ms\n`));
  for (const { node, reason } of answer.missing) process.stderr.write(paint('yellow', `missing: ${node} (${reason})\n`));
}
