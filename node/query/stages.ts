// The order in which tables are gathered: first tables that need no constraint or have one, then those that get theirs from rows of
// other tables.

import { counted } from '../../swarm/words.ts';
import { type SqlValue, shownValue } from '../ports/compute.ts';
import type { TableSources } from './catalogue/table.ts';
import { type Gathered, type Gathering, gather } from './gather.ts';
import type { Join } from './joins.ts';

/** Values of one column in one request (gather.ts). */
const MAX_VALUES_AT_ONCE = 1_000;
const MAX_VALUES = 5_000;
const MIN_STAGE_MS = 500;

/** Whether the statement itself has a constraint; a pattern must begin with `/`. */
function isAsked({ table: { needs }, request: { equal, compare } }: Gathering): boolean {
  return (
    needs === undefined ||
    needs.some((name) => equal.has(name)) ||
    compare.some(([name, operator, value]) => operator === 'like' && needs.includes(name) && String(value).startsWith('/'))
  );
}

/** @returns the error if a table gets no constraint. */
export function stagesOf(plan: readonly Gathering[], joins: readonly Join[]): Gathering[][] | string {
  const stages = [plan.filter(isAsked)];
  let waiting = plan.filter((one) => !isAsked(one));
  while (waiting.length > 0) {
    const known = stages.flat();
    const next = waiting.filter((one) => joinOf(one, known, joins) !== undefined);
    const [first] = waiting;
    if (next.length === 0 && first !== undefined) return missing(first);
    stages.push(next);
    waiting = waiting.filter((one) => !next.includes(one));
  }
  return stages;
}

function missing({ table: { name, needs = [] } }: Gathering): string {
  const ways = needs.map((column) => `${column} = '…' or ${column} LIKE '/…%'`).join(', ');
  return `${name} needs a constraint: ${ways}, or a JOIN with a table that has it (using (${needs[0]})); OR and subqueries do not count`;
}

function joinOf(
  { table: { name, needs = [] } }: Gathering,
  known: readonly Gathering[],
  joins: readonly Join[],
): Join | undefined {
  return joins.find(
    ({ table, column, from }) => table === name && needs.includes(column) && known.some((one) => one.table.name === from.table),
  );
}

/** @returns the error if a table would get too many values. */
export async function gatherStages(
  [first = [], ...others]: readonly (readonly Gathering[])[],
  joins: readonly Join[],
  timeoutMs: number,
  sources: TableSources,
  asker: string,
): Promise<Gathered | string> {
  const startMs = sources.nowMonotonicMs();
  const gathered = await gather(first, timeoutMs, sources, asker);
  const known = [...first];
  for (const stage of others) {
    const constrained: Gathering[] = [];
    for (const one of stage) {
      const join = joinOf(one, known, joins);
      const values = join === undefined ? [] : valuesOf(gathered, join);
      if (values.length > MAX_VALUES)
        return `${one.table.name} would get ${counted(values.length, 'value')} of ${join?.column}, limit ${MAX_VALUES}: narrow ${join?.from.table}`;
      for (let at = 0; join !== undefined && at < values.length; at += MAX_VALUES_AT_ONCE) {
        const equal = new Map(one.request.equal).set(join.column, values.slice(at, at + MAX_VALUES_AT_ONCE));
        constrained.push({ ...one, request: { ...one.request, equal } });
      }
    }
    add(
      gathered,
      await gather(constrained, Math.max(MIN_STAGE_MS, timeoutMs - (sources.nowMonotonicMs() - startMs)), sources, asker),
    );
    known.push(...stage);
  }
  return gathered;
}

/** The distinct values of a column of a table. */
function valuesOf({ data }: Gathered, { from }: Join): SqlValue[] {
  const values = new Set<SqlValue>();
  for (const { table, columns, rows } of data) {
    const at = columns.indexOf(from.column);
    if (table === from.table && at >= 0) for (const row of rows) values.add(shownValue(row[at] ?? null));
  }
  values.delete(null);
  values.delete('');
  return [...values];
}

function add(all: Gathered, more: Gathered): void {
  all.data.push(...more.data);
  for (const peer of more.expected) all.expected.add(peer);
  for (const [peer, reason] of more.missing) all.missing.set(peer, reason);
  all.truncated.push(...more.truncated);
  for (const [name, ms] of Object.entries(more.ages)) all.ages[name] = Math.max(all.ages[name] ?? 0, ms);
}
