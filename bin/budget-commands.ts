// `kalos budget set | list | lift`: how its commands are parsed.
import { type Command, Option } from 'commander';
import type { BudgetOptions } from '../node/cli/budgets.ts';
import type { Format } from '../node/cli/output.ts';
import { DAY_MS, directory, ends, format, HOUR_MS, integer, MINUTE_MS, span } from './options.ts';

const load = () => import('../node/cli/budgets.ts');
const MAX_CHANGES = 500;
const why = (): Option => new Option('--reason <text>', 'reason, for the log').default('manual');
const each = (): Option => new Option('--each', 'every machine without its own budget').default(false);

export function addBudgetCommands(program: Command): void {
  const budget = program.command('budget').description('limits on the changes that policies make on a machine');
  budget
    .command('set')
    .description('set a budget for one machine or, with --each, a default; beyond it a person decides')
    .argument('[node]', 'see: kalos members')
    .addOption(each())
    .requiredOption('--changes <n>', 'number of changes; 0: none', integer(0, MAX_CHANGES))
    .addOption(
      span('--within <time>', 'time window of --changes', {
        least: MINUTE_MS,
        most: 30 * DAY_MS,
        bare: MINUTE_MS,
        default: HOUR_MS,
      }),
    )
    .addOption(why())
    .addOption(directory())
    .action(async (node: string | undefined, options: BudgetOptions) => ends((await load()).setBudget(node, options)));
  budget
    .command('list', { isDefault: true })
    .description('list the budgets')
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, output }: { dir?: string; output: Format }) => ends((await load()).listBudgets(dir, output)));
  budget
    .command('lift')
    .description('remove a budget')
    .argument('[node]', 'see: kalos budget list')
    .addOption(each())
    .addOption(why())
    .addOption(directory())
    .action(async (node: string | undefined, options: BudgetOptions) => ends((await load()).liftBudget(node, options)));
}
