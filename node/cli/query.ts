// `kalos query "select …"`: SQL over the whole swarm, through the agent of this machine.
import type { QueryAnswer } from '../query/query.ts';
import { callAgent } from './client.ts';
import { printData } from './data.ts';
import { EXIT, type Format, paint, table } from './output.ts';

export async function runQuery(directory: string | undefined, sql: string, timeoutMs: number, format: Format): Promise<number> {
  const answer = await callAgent<QueryAnswer>(directory, 'POST', '/v1/query', { sql, timeoutMs });
  if (format === 'table') printTable(answer);
  else
    printData(format, {
      ...answer,
      rows: answer.rows.map((row) => Object.fromEntries(answer.columns.map((name, i) => [name, row[i] ?? null]))),
    });
  return answer.missing.length > 0 ? EXIT.partial : EXIT.ok;
}

function printTable(answer: QueryAnswer): void {
  process.stdout.write(`${table(answer.columns, answer.rows)}\n`);
  const from = answer.mode === 'local' ? 'from this peer’s own state' : `${answer.answered} of ${answer.expected} nodes answered`;
  process.stderr.write(paint('dim', `${answer.rows.length} rows, ${from}, ${answer.tookMs} ms\n`));
  for (const { node, reason } of answer.missing) process.stderr.write(paint('yellow', `missing: ${node} (${reason})\n`));
}
