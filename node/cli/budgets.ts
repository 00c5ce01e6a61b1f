// `kalos budget`: limits on the changes that policies make on a machine.
import { counted } from '../../swarm/words.ts';
import type { BudgetAnswer } from '../api/budget-routes.ts';
import { callAgent } from '../api/client.ts';
import { KalosError } from '../errors.ts';
import { printRows } from './data.ts';
import { EXIT } from './exit-codes.ts';
import { type Format, printable } from './output.ts';
import { exactly, Moment } from './times.ts';

export interface BudgetOptions {
  dir?: string;
  each: boolean;
  changes: number;
  /** ms */
  within: number;
  reason: string;
}

function subjectOf(node: string | undefined, each: boolean): { node: string } | { each: true } {
  if ((node === undefined) !== each) throw new KalosError('usage', 'name one machine, or give --each');
  return node === undefined ? { each: true } : { node };
}

export async function setBudget(node: string | undefined, options: BudgetOptions): Promise<number> {
  const { dir, each, changes, within, reason } = options;
  const body = { of: subjectOf(node, each), changes, withinMs: within, reason };
  const { index } = await callAgent<{ index: number }>(dir, 'POST', '/v1/budgets', body);
  process.stdout.write(`decision ${index}: ${counted(changes, 'change')} in ${exactly(within)}; see: kalos budget list\n`);
  return EXIT.ok;
}

export async function liftBudget(
  node: string | undefined,
  { dir, each, reason }: Pick<BudgetOptions, 'dir' | 'each' | 'reason'>,
): Promise<number> {
  const { index } = await callAgent<{ index: number }>(dir, 'POST', '/v1/budgets/lift', { of: subjectOf(node, each), reason });
  process.stdout.write(`decision ${index}: the budget is removed\n`);
  return EXIT.ok;
}

export async function listBudgets(directory: string | undefined, format: Format): Promise<number> {
  const { budgets } = await callAgent<{ budgets: BudgetAnswer[] }>(directory, 'GET', '/v1/budgets');
  printRows(format, {
    data: { budgets },
    headers: ['node', 'changes', 'within', 'since', 'by', 'reason'],
    rows: budgets.map(({ node, changes, withinMs, atMs, by, reason }) => [
      node ?? 'all other machines',
      String(changes),
      exactly(withinMs),
      new Moment(atMs),
      by,
      printable(reason),
    ]),
  });
  return EXIT.ok;
}
