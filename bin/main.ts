// The `kalos` command: parses arguments and hands over to node/cli/ or sim/. Each command loads what it needs when it runs.
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { findPackage } from '../node/adapters/package.ts';
import { EXIT, FORMATS, type Format, paint } from '../node/cli/output.ts';
import { KalosError } from '../node/errors.ts';

const MAX_TIMEOUT_MS = 60_000;

function integer(low: number, high: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < low || value > high)
      throw new InvalidArgumentError(`a whole number from ${low} to ${high}`);
    return value;
  };
}

/** `500ms`, `5s` or `5`, which is seconds. */
function timeout(text: string): number {
  const [, figure, unit] = text.match(/^(\d+(?:\.\d+)?)(ms|s)?$/) ?? [];
  const ms = Number(figure) * (unit === 'ms' ? 1 : 1000);
  if (!(ms >= 1 && ms <= MAX_TIMEOUT_MS)) throw new InvalidArgumentError('a time such as 500ms or 5s, at most 60s');
  return Math.round(ms);
}

const format = () => new Option('-o, --output <format>', 'how to print').choices(FORMATS).default('table');
const directory = () =>
  new Option('--dir <path>', 'the agent’s state directory (default: KALOS_DIR, or /var/lib/kalos for root)');

function exits(text: string): string {
  return `\nExit codes: ${text}`;
}

async function ends(code: Promise<number> | number): Promise<void> {
  process.exitCode = await code;
}

function addNodeCommands(program: Command): void {
  program
    .command('up')
    .description('start an agent in the foreground; without --join it begins a swarm')
    .addOption(directory())
    .option('--config <file>', 'configuration (default: kalos.toml in the state directory)')
    .option('--name <name>', 'what the agent is called (default: the host’s name)')
    .addOption(new Option('--mode <mode>', 'observe: decide and show; act: repair by itself').choices(['observe', 'act']))
    .option('--listen <address:port>', 'where to listen (default: 127.0.0.1:7700, or a free port where that is taken)')
    .option('--join <multiaddr...>', 'addresses of members to join through')
    .option('--secret-file <file>', 'the swarm’s shared secret (or KALOS_SECRET); needed to join the first time')
    .addHelpText('after', exits('0 stopped on request, 1 error, 2 usage'))
    .action(async (options) => (await import('../node/cli/up.ts')).up(options));
  program
    .command('status')
    .description('this agent, and the swarm as it sees it')
    .addOption(directory())
    .addOption(format())
    .addHelpText('after', exits('0 well, 1 error, 2 usage, 3 degraded'))
    .action(async (options: { dir?: string; output: Format }) =>
      ends((await import('../node/cli/status.ts')).status(options.dir, options.output)),
    );
  program
    .command('query')
    .description('ask the whole swarm in SQL')
    .argument('<sql>', 'a SELECT over nodes, metrics, processes, services, mounts, incidents')
    .addOption(directory())
    .addOption(format())
    .option('--timeout <time>', 'how long to wait for the slowest node', timeout, 5_000)
    .addHelpText(
      'after',
      `\nExamples:\n  kalos query "select node, state, cpu from nodes"\n  kalos query "select node, name, cpu from processes where cpu > 0.5 order by cpu desc"\n${exits('0 complete, 1 error, 2 usage or wrong SQL, 6 partial')}`,
    )
    .action(async (sql: string, options: { dir?: string; output: Format; timeout: number }) =>
      ends((await import('../node/cli/query.ts')).runQuery(options.dir, sql, options.timeout, options.output)),
    );
  program
    .command('explain')
    .description('tell an incident from sample to outcome; any peer can be asked')
    .argument('<id>', 'an incident, such as inc-0123456789')
    .addOption(directory())
    .addOption(format())
    .action(async (id: string, options: { dir?: string; output: Format }) =>
      ends((await import('../node/cli/explain.ts')).runExplain(options.dir, id, options.output)),
    );
  program
    .command('doctor')
    .description('what this machine offers KALOS and what it lacks')
    .addOption(directory())
    .addOption(format())
    .addHelpText('after', exits('0 nothing broken, 3 something is'))
    .action(async (options: { dir?: string; output: Format }) =>
      ends((await import('../node/cli/doctor.ts')).doctor(options.dir, options.output)),
    );
  program
    .command('compute-host', { hidden: true })
    .action(async () => (await import('../node/adapters/compute-host.ts')).hostCompute());
}

function addSimCommands(program: Command): void {
  const sim = program.command('sim').description('the deterministic simulator');
  sim
    .command('run')
    .description('run a scenario; the same seed gives the same trace hash')
    .argument('[scenario]', 'see: kalos sim list', 'crash-and-partition')
    .option('--nodes <n>', 'how many agents', integer(1, 2_000), 10)
    .option('--seed <n>', 'what all randomness comes from', integer(0, 2 ** 31 - 1), 1)
    .option('--trace', 'print what happened, line by line', false)
    .addOption(format())
    .addHelpText('after', exits('0 everything held, 1 something did not, 2 usage'))
    .action(async (scenario: string, options: { nodes: number; seed: number; trace: boolean; output: Format }) =>
      ends((await import('../sim/cli.ts')).runSimulation(scenario, options, options.output)),
    );
  sim
    .command('dataset')
    .description('the incident model’s training data, as CSV; the same seed gives the same data')
    .option('--windows <n>', 'how many minutes of telemetry', integer(6, 1_000_000), 6_000)
    .option('--seed <n>', 'what all randomness comes from', integer(0, 2 ** 31 - 1), 1)
    .action(async (options: { windows: number; seed: number }) =>
      ends((await import('../sim/cli.ts')).printDataset(options.windows, options.seed)),
    );
  sim
    .command('list')
    .description('the scenarios')
    .addOption(format())
    .action(async (options: { output: Format }) => ends((await import('../sim/cli.ts')).listScenarios(options.output)));
}

function build(): Command {
  const program = new Command('kalos')
    .description('A swarm of agents that keeps Linux machines healthy without a central server')
    .version(findPackage().version)
    .exitOverride()
    .showSuggestionAfterError()
    .showHelpAfterError('(add --help for what is possible)');
  addNodeCommands(program);
  addSimCommands(program);
  for (const command of program.commands) inherit(program, command);
  return program;
}

function inherit(parent: Command, command: Command): void {
  command.copyInheritedSettings(parent);
  for (const sub of command.commands) inherit(command, sub);
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage; // commander has printed it
  if (!(error instanceof KalosError)) {
    process.stderr.write(`kalos: ${error instanceof Error ? error.stack : String(error)}\n`);
    return EXIT.error;
  }
  process.stderr.write(`${paint('red', 'kalos:')} ${error.message}\n${error.hint === '' ? '' : `  ${error.hint}\n`}`);
  return error.code === 'usage' ? EXIT.usage : EXIT.error;
}

// A reader that closes early (`kalos … | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.error));

try {
  await build().parseAsync();
} catch (error) {
  process.exitCode = report(error);
  if (!(error instanceof CommanderError)) process.exit();
}
