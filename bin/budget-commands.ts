// `kalos budget set | list | lift`: how its commands are parsed.
import { type Command, Option } from 'commander';
import type { BudgetOptions } from '../node/cli/budgets.ts';
import type { Format } from '../node/cli/output.ts';
import { DAY_MS, directory, ends, format, HOUR_MS, integer, MINUTE_MS, span } from './options.ts';

const load = () => import('../node/cli/budgets.ts');
const MAX_CHANGES = 500;
const why = (): Option => new Option('--reason <text>', 'why, for the others and the log').default('by hand');
const each = (): Option => new Option('--each', 'each machine that has none of its own').default(false);

export function addBudgetCommands(program: Command): void {
  const budget = program.command('budget').description('how many changes policies may make on a machine in a while');
  budget
    .command('set')
    .description('set it for one machine, or with --each; beyond it a person is told, and decides')
    .argument('[node]', 'see: kalos members')
    .addOption(each())
    .requiredOption('--changes <n>', 'how many; 0 for none', integer(0, MAX_CHANGES))
    .addOption(span('--within <time>', 'in how long', { least: MINUTE_MS, most: 30 * DAY_MS, bare: MINUTE_MS, default: HOUR_MS }))
    .addOption(why())
    .addOption(directory())
    .action(async (node: string | undefined, options: BudgetOptions) => ends((await load()).setBudget(node, options)));
  budget
    .command('list', { isDefault: true })
    .description('what holds')
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, output }: { dir?: string; output: Format }) => ends((await load()).listBudgets(dir, output)));
  budget
    .command('lift')
    .description('lift one')
    .argument('[node]', 'see: kalos budget list')
    .addOption(each())
    .addOption(why())
    .addOption(directory())
    .action(async (node: string | undefined, options: BudgetOptions) => ends((await load()).liftBudget(node, options)));
}
