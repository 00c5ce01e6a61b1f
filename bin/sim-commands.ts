// `kalos sim …`: how its commands are parsed.
import { type Command, Option } from 'commander';
import type { Format } from '../node/cli/output.ts';
import type { SimOptions } from '../sim/cli.ts';
import { ends, format, integer } from './options.ts';

const SEEDS = 2 ** 31 - 1;
const MAX_NODES = 5_000;
const MAX_REAL_NODES = 100;
const load = () => import('../sim/cli.ts');

export function addSimCommands(program: Command): void {
  const sim = program.command('sim').description('the deterministic simulator');
  sim
    .command('run')
    .description('run a scenario; the same seed gives the same trace hash')
    .argument('[scenario]', 'a name (see: kalos sim list) or a TOML file', 'crash-and-partition')
    .option('--nodes <n>', 'number of agents (default: from the scenario)', integer(1, MAX_NODES))
    .option('--seed <n>', 'random seed', integer(0, SEEDS), 1)
    .option('--seeds <n>', 'number of seeds, starting at --seed; runs in parallel', integer(1, 1_000_000), 1)
    .option('--report <dir>', 'write an HTML report with plots (PNG) to this directory')
    .addOption(new Option('--crypto <kind>', 'simulated or real signatures').choices(['model', 'real']).default('model'))
    .option('--protocols', 'only membership, dissemination, votes and leader election', false)
    .option('--trace', 'print every event, one per line', false)
    .addOption(format())
    .action(async (scenario: string, options: SimOptions & { output: Format }) =>
      ends((await load()).runSimulation(scenario, options, options.output)),
    );
  sim
    .command('replay')
    .description('run up to an event and show the events before it')
    .argument('<seed@event>', 'as printed by a failed run')
    .option('--scenario <scenario>', 'a name or a TOML file', 'crash-and-partition')
    .option('--nodes <n>', 'number of agents (default: from the scenario)', integer(1, MAX_NODES))
    .addOption(format())
    .action(async (where: string, options: { scenario: string; nodes: number | undefined; output: Format }) =>
      ends((await load()).replay(where, options.scenario, options.nodes, options.output)),
    );
  sim
    .command('real')
    .description('run a scenario with real agents in separate network namespaces, in real time (needs root)')
    .argument('[scenario]', 'a name (see: kalos sim list) or a TOML file', 'crash-and-partition')
    .option('--nodes <n>', 'number of agents', integer(1, MAX_REAL_NODES), 5)
    .option('--seed <n>', 'random seed of the faults', integer(0, SEEDS), 1)
    .addOption(format())
    .action(async (scenario: string, options: { nodes: number; seed: number; output: Format }) =>
      ends((await load()).runForReal(scenario, options, options.output)),
    );
  sim
    .command('dataset')
    .description('the incident model’s training data, as CSV; the same seed gives the same data')
    .option('--windows <n>', 'minutes of telemetry', integer(6, 1_000_000), 6_000)
    .option('--seed <n>', 'random seed', integer(0, SEEDS), 1)
    .action(async (options: { windows: number; seed: number }) =>
      ends((await load()).printDataset(options.windows, options.seed)),
    );
  sim
    .command('list')
    .description('the scenarios')
    .addOption(format())
    .action(async (options: { output: Format }) => ends((await load()).listScenarios(options.output)));
  sim.command('worker', { hidden: true }).action(async () => (await load()).serveWorker());
}
