// The `kalos` command: parses arguments and calls node/cli/ or sim/. Each command loads its modules when it runs.

import { Argument, Command, CommanderError, Option } from 'commander';
import { findPackage } from '../node/adapters/package.ts';
import { readInput } from '../node/adapters/regular-file.ts';
import { EXIT, EXIT_OF } from '../node/cli/exit-codes.ts';
import { type Format, paint, printable, showFull } from '../node/cli/output.ts';
import type { PolicyAddOptions } from '../node/cli/policy.ts';
import { POLICY_SCOPES, SEVERITIES } from '../node/detection/policy.ts';
import { continued, KalosError, reasonOf } from '../node/errors.ts';
import { LOG_FORMATS, LOG_LEVELS } from '../node/log-levels.ts';
import { addActCommands } from './act-commands.ts';
import { addApiCommands } from './api-commands.ts';
import { addBudgetCommands } from './budget-commands.ts';
import { addBundleCommands } from './bundle-commands.ts';
import { addDecisionCommands } from './decision-commands.ts';
import { acceptFormerNames, describeEdges, groupCommands, HELP, modelOf } from './edges.ts';
import { DAY_MS, directory, ends, format, integer, MINUTE_MS, span } from './options.ts';
import { addSignedChangeCommands } from './signed-change-commands.ts';
import { addSimCommands } from './sim-commands.ts';
import { addSwarmCommands } from './swarm-commands.ts';
import { addUpgradeCommands } from './upgrade-commands.ts';

const watch = () =>
  span('-w, --watch [time]', 'refresh every TIME, such as 5s, until q; every 2 s without TIME', {
    least: 1,
    most: MINUTE_MS,
  }).preset(2_000);
/** Runs once, or periodically on a cleared screen until q. @param everyMs undefined: once. */
async function endsWatched(everyMs: number | undefined, run: () => Promise<number>): Promise<void> {
  if (everyMs === undefined) return ends(run());
  const { untilQuit } = await import('../node/cli/quit.ts');
  await untilQuit(everyMs, () => {
    if (process.stdout.isTTY) process.stdout.write('\u001b[H\u001b[2J\u001b[3J');
    return ends(run());
  });
  process.exit(); // the last request may still be open
}

function addNodeCommands(program: Command): void {
  program
    .command('up')
    .description('start an agent in the foreground; without --join it rejoins its swarm, or creates one')
    .addOption(directory())
    .option('--config <file>', 'configuration (default: kalos.toml in the state directory)')
    .option('--name <name>', 'agent name (default: the hostname)')
    .addOption(
      new Option('--mode <mode>', 'observe: only propose; advise: ask first; act: repair by itself').choices([
        'observe',
        'advise',
        'act',
      ]),
    )
    .option('--listen <address:port>', 'listen address (default: 127.0.0.1:7700, or a free port if it is in use)')
    .option('--join <token...>', 'join token (see: kalos token create), or addresses of members, to rejoin a swarm')
    .option('--swarm-name <name>', 'name of a new swarm (default: the agent’s name)')
    .option('--root-keys <n>', 'new swarm: number of root keys', integer(1, 16), 1)
    .option('--root-threshold <n>', 'root keys that must sign (default: a majority)', integer(1, 16))
    .option('--private', 'new swarm: require a pre-shared network key; join tokens contain it', false)
    .option(
      '--page <port>',
      'listen address of web UI and API: PORT (on 127.0.0.1), ADDRESS:PORT or off (default: 9090, or next free)',
    )
    .option('--no-mdns', 'disable discovery of members on the local network (mDNS)')
    .option('--init', 'run as PID 1 of a machine or container: start the agent, reap, shut down cleanly')
    .option('--user <name>', 'with --init: the user that the agent runs as; the actuator keeps the privileges')
    .option(
      '--watchdog <device>',
      'with --init: a hardware watchdog, such as /dev/watchdog, that resets the machine when the actuator hangs',
    )
    .addOption(new Option('--log-level <level>', 'minimum log level (default: info)').choices(LOG_LEVELS))
    .addOption(new Option('--log-format <format>', 'log format (default: text)').choices(LOG_FORMATS))
    .action(async (options) => (await import('../node/cli/up.ts')).up(options));
  addAskingCommands(program);
  addQueryCommands(program);
  addShowCommands(program);
  addPolicyCommands(program);
  addActCommands(program);
  addAuditCommands(program);
  addSwarmCommands(program);
  addDecisionCommands(program);
  addBudgetCommands(program);
  addSignedChangeCommands(program);
  addUpgradeCommands(program);
  addApiCommands(program);
  addSetupCommands(program);
  program
    .command('compute-host', { hidden: true })
    .action(async () => (await import('../node/adapters/compute-host.ts')).hostCompute());
  program
    .command('log-host', { hidden: true })
    .action(async () => (await import('../node/telemetry/adapters/log-host.ts')).hostLogs());
  program
    .command('authorize-check', { hidden: true })
    .action(async () => ends((await import('../node/adapters/authorize-check.ts')).checkAuthorization()));
  program
    .command('check-trust <path>', { hidden: true })
    .action(async (path: string) => (await import('../node/config/adapters/trust.ts')).checkTrust(path));
  program.command('__complete <kind> [words...]', { hidden: true }).action(async (kind: string, words: string[]) => {
    const { complete, valueIn } = await import('../node/cli/complete.ts');
    remote({ address: valueIn(words, '--address'), tokenFile: valueIn(words, '--token-file'), ca: valueIn(words, '--ca') });
    return ends(complete(kind, words));
  });
  program
    .command('plan-host', { hidden: true })
    .action(async () => (await import('../node/adapters/planner-thread.ts')).hostPlanner());
}

function addQueryCommands(program: Command): void {
  program
    .command('query')
    .description('query the whole swarm with SQL')
    .argument('[sql]', 'a SELECT statement (tables: kalos tables)')
    .option('--ask <question>', 'a prepared query (see: kalos tables --questions)')
    .option('--nodes <selector>', 'comma-separated names, or selectors such as role=coordinator')
    .option('--on <node>', 'query only this member')
    .addOption(
      new Option('--mode <mode>', 'live: query the members concerned; local: only this agent’s data')
        .choices(['live', 'local'])
        .default('live'),
    )
    .addOption(directory())
    .addOption(format())
    .addOption(watch())
    .addOption(span('--timeout <time>', 'how long to wait for the slowest node', { least: 1, most: MINUTE_MS, default: 5_000 }))
    .addHelpText(
      'after',
      `\nExamples:\n  kalos query "select node, state, cpu from nodes"\n  kalos query "select node, name, cpu from processes where cpu > 0.5 order by cpu desc"`,
    )
    .action(async (sql: string | undefined, { dir, output, timeout: timeoutMs, watch: everyMs, ...given }: QueryGiven) => {
      const { runQuery, questionOf } = await import('../node/cli/query.ts');
      const { ask, on, nodes = on, mode } = given;
      if ((sql === undefined) === (ask === undefined))
        throw new KalosError('usage', 'give either SQL or --ask QUESTION', 'see: kalos query --help');
      const statement = sql ?? (await questionOf(dir, ask ?? ''));
      return endsWatched(everyMs, () => runQuery(dir, statement, { timeoutMs, mode, nodes }, output));
    });
  program
    .command('tables')
    .description('the SQL tables and what their columns mean')
    .argument('[table]', 'describe this table')
    .option('--questions', 'list the prepared queries for: kalos query --ask', false)
    .addOption(directory())
    .addOption(format())
    .action(async (name: string | undefined, { dir, output, questions }: Common & { questions: boolean }) => {
      const { listTables, listQuestions, showTable } = await import('../node/cli/query.ts');
      return ends(questions ? listQuestions(dir, output) : name === undefined ? listTables(output) : showTable(name, output));
    });
}

function addAskingCommands(program: Command): void {
  program
    .command('status')
    .description('this agent, and its view of the swarm')
    .addOption(directory())
    .addOption(format())
    .addOption(watch())
    .action(async ({ dir, output, watch: everyMs }: Common) => {
      const { status } = await import('../node/cli/status.ts');
      return endsWatched(everyMs, () => status(dir, output));
    });
  program
    .command('explain')
    .description('show an incident from detection to outcome; works on any peer')
    .argument('<incident>', 'such as inc-0123456789')
    .addOption(directory())
    .addOption(format())
    .option('--recording', 'include the minute before it, from the flight recorder', false)
    .action(async (id: string, { dir, output, recording }: Common & { recording: boolean }) => {
      const { runExplain, showRecording } = await import('../node/cli/explain.ts');
      return ends(recording ? showRecording(dir, id, output) : runExplain(dir, id, output));
    });
  program
    .command('doctor')
    .description('check this machine for what KALOS needs')
    .addOption(directory())
    .addOption(format())
    .option('--fix', 'fix what can be fixed', false)
    .option('--dry-run', 'with --fix: only print what it would do', false)
    .option('--policy <file>', 'explain what each rule of this actuator policy allows')
    .action(async ({ dir, output, policy, ...options }: Common & { fix: boolean; dryRun: boolean; policy?: string }) =>
      policy === undefined
        ? ends((await import('../node/cli/doctor.ts')).doctor(dir, output, options))
        : ends((await import('../node/cli/doctor-policy.ts')).explainPolicy(policy, output)),
    );
}

interface QueryGiven extends Common {
  timeout: number;
  ask?: string;
  nodes?: string;
  on?: string;
  mode: 'live' | 'local';
}

interface Common {
  dir?: string;
  output: Format;
  /** ms */
  watch?: number;
}

const TOP_EVERY_MS = 2_000;

function addShowCommands(program: Command): void {
  const show = () => import('../node/cli/show.ts');
  program
    .command('top')
    .description('live view of this machine and of KALOS’s actions; q quits')
    .option('--swarm', 'show all members instead, busiest first', false)
    .option('--on <node>', 'the processes of another member')
    .addOption(directory())
    .action(async ({ dir, swarm, on }: { dir?: string; swarm: boolean; on?: string }) => {
      if (!swarm && on === undefined) return ends((await import('../node/cli/top.ts')).top(dir));
      const { topOfNode, topOfSwarm } = await import('../node/cli/query.ts');
      return endsWatched(TOP_EVERY_MS, () => (on === undefined ? topOfSwarm(dir) : topOfNode(dir, on)));
    });
  program
    .command('metrics')
    .description('this machine’s metrics; an unknown one with its reason')
    .argument('[metric...]', 'parts of metric names (default: all)')
    .addOption(directory())
    .addOption(format())
    .addOption(watch())
    .option('--history', 'past values, also per process, mount, device and service', false)
    .action(async (names: string[], { dir, output, watch: everyMs, history: past }: Common & { history: boolean }) => {
      const { metrics, history } = await show();
      return endsWatched(everyMs, () => (past ? history : metrics)(dir, names, output));
    });
  program
    .command('incidents')
    .description('incidents of the whole swarm')
    .option('--open', 'only open incidents', false)
    .addOption(directory())
    .addOption(format())
    .addOption(watch())
    .action(async ({ dir, output, open, watch: everyMs }: Common & { open: boolean }) => {
      const { incidents } = await show();
      return endsWatched(everyMs, () => incidents(dir, open, output));
    });
  program
    .command('cases')
    .description('past repairs on this machine, and whether they helped')
    .argument('[policy]', 'only this policy (default: all)')
    .addOption(directory())
    .addOption(format())
    .action(async (policy: string | undefined, { dir, output }: Common) => ends((await show()).cases(dir, policy, output)));
  program
    .command('conditions')
    .description('this machine’s conditions, open incidents and blind spots')
    .addOption(directory())
    .addOption(format())
    .addOption(watch())
    .action(async ({ dir, output, watch: everyMs }: Common) => {
      const { conditions } = await show();
      return endsWatched(everyMs, () => conditions(dir, output));
    });
  program
    .command('logs')
    .description('the end of a service’s log')
    .argument('<service>')
    .option('-n, --lines <count>', 'number of lines', integer(1, 100_000), 50)
    .option('-f, --follow', 'print new lines as they come', false)
    .addOption(directory())
    .action(async (service: string, { dir, lines, follow }: { dir?: string; lines: number; follow: boolean }) =>
      ends((await show()).logs(dir, service, lines, follow)),
    );
  program
    .command('down')
    .description('stop the agent and its services cleanly; it stays a member')
    .addOption(directory())
    .action(async ({ dir }: { dir?: string }) => ends((await show()).down(dir)));
}

function addPolicyCommands(program: Command): void {
  const policy = program.command('policy').description('list, show, test, add and roll out policies');
  const commands = () => import('../node/cli/policy.ts');
  type Options = { dir?: string; config?: string; output: Format };
  const add = (name: string, description: string) =>
    policy
      .command(name)
      .description(description)
      .addOption(directory())
      .option('--config <file>', 'configuration (default: kalos.toml in the state directory)')
      .addOption(format());
  add('list', 'all policies, built-in and local').action(async (options: Options) =>
    ends((await commands()).listPolicies(options)),
  );
  add('show', 'one policy in full')
    .argument('<policy>')
    .action(async (name: string, options: Options) => ends((await commands()).showPolicy(options, name)));
  add('test', 'run the tests that the policies define')
    .argument('[policy]', 'one policy (default: all)')
    .action(async (name: string | undefined, options: Options) => ends((await commands()).testPolicies(options, name)));
  const live = (name: string, description: string, argument: string, about = '') =>
    policy.command(name).description(description).argument(argument, about).addOption(directory());
  live(
    'apply',
    'add or replace policies of the running agent from a file, atomically',
    '<file>',
    'TOML with [[policy]] tables',
  ).action(async (file: string, options: Options) => ends((await commands()).applyPolicies(options, file)));
  addBundleCommands(policy);
  live('delete', 'delete a live policy; the policy it replaced applies again', '<policy>', 'a live policy').action(
    async (name: string, options: Options) => ends((await commands()).deletePolicy(options, name)),
  );
  for (const [name, enabled] of [
    ['enable', true],
    ['disable', false],
  ] as const)
    live(name, `${name} a policy of the running agent, of any origin`, '<policy>').action(
      async (which: string, options: Options) => ends((await commands()).switchPolicy(options, which, enabled)),
    );
  policy
    .command('add')
    .description('add a policy to the running agent from the command line')
    .argument('<name>', 'name of the new policy')
    .argument('<expression>', "CEL condition of the problem, such as metrics['system.memory.utilization'] > 0.9")
    .argument('[action...]', 'a tool and key=value arguments; + TOOL … adds a call; alert or nothing: only open an incident')
    .addOption(new Option('--scope <scope>', 'what it is evaluated on').choices(POLICY_SCOPES).default('machine'))
    .addOption(new Option('--severity <severity>', 'severity of its incidents').choices(SEVERITIES).default('warning'))
    .addOption(span('--for <time>', 'how long it must be true, such as 30s or 5m', { least: 1_000, most: 30 * DAY_MS }))
    .option('--summary <text>', 'description (default: the expression)')
    .addOption(directory())
    .addHelpText(
      'after',
      `\nExamples:\n  kalos policy add memory-high "metrics['system.memory.utilization'] > 0.9" alert --for 5m\n  kalos policy add web-slow "service.name == 'web' && service.check == 'silent'" service.restart --scope service`,
    )
    .action(async (name: string, when: string, action: string[], options: PolicyAddOptions) =>
      ends((await commands()).addPolicy(options, name, when, action)),
    );
  live('reset', 'reset the learned baselines of a policy’s thresholds', '<policy>').action(
    async (name: string, options: Options) => ends((await commands()).resetPolicy(options, name)),
  );
}

function addAuditCommands(program: Command): void {
  const auditing = () => import('../node/cli/audit.ts');
  const audit = program.command('audit').description('the tamper-evident log of what this agent planned and did');
  audit
    .command('verify')
    .description('verify the whole log and find any change; or check a proof file')
    .option('--proof <file>', 'check this proof instead, offline (no agent needed)')
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, output, proof }: Common & { proof?: string }) =>
      ends(proof === undefined ? (await auditing()).auditVerify(dir, output) : (await auditing()).auditCheck(proof, output)),
    );
  audit
    .command('conflicts')
    .description('members with a tampered audit, and who signed this agent’s')
    .option('--prove <node>', 'print the proof against that member, for: kalos audit verify --proof FILE')
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, output, prove }: Common & { prove?: string }) =>
      ends((await auditing()).auditConflicts(dir, prove, output)),
    );
  audit
    .command('list')
    .description('the newest records')
    .option('--last <n>', 'number of records', integer(1, 1_000), 20)
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, output, last }: Common & { last: number }) => ends((await auditing()).auditList(dir, last, output)));
  audit
    .command('prove')
    .description('print a proof that the log has a record, or is append-only')
    .argument('[index]', 'record index', integer(0, 10 ** 12 - 1))
    .option('--since <size>', 'prove that the first SIZE records are still unchanged', integer(1, 10 ** 12 - 1))
    .addOption(directory())
    .action(async (index: number | undefined, { dir, since }: Common & { since?: number }) =>
      ends((await auditing()).auditProve(dir, index, since)),
    );
  audit
    .command('check')
    .description('check a proof offline (no agent needed)')
    .argument('<file>', 'output of `audit prove`, or - for standard input')
    .addOption(format())
    .action(async (file: string, { output }: Common) => ends((await auditing()).auditCheck(file, output)));
}

function addSetupCommands(program: Command): void {
  const configuration = program.command('config').description('the configuration');
  configuration
    .command('show')
    .description('the running agent’s configuration; if none runs, that of the next start')
    .option('--origin', 'show the source of each key', false)
    .option('--config <file>', 'configuration (default: kalos.toml in the state directory)')
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, output, config, origin }: Common & { config?: string; origin: boolean }) =>
      ends((await import('../node/cli/config.ts')).showConfig(dir, config, origin, output)),
    );
  configuration
    .command('reload')
    .description('reload the running agent’s configuration, like kill -HUP; prints changes and what needs a restart')
    .addOption(directory())
    .action(async ({ dir }: Common) => ends((await import('../node/cli/config.ts')).reloadConfig(dir)));
  program
    .command('reload')
    .description('the same as: kalos config reload')
    .addOption(directory())
    .action(async ({ dir }: Common) => ends((await import('../node/cli/config.ts')).reloadConfig(dir)));
  const service = () => import('../node/cli/install.ts');
  program
    .command('install')
    .description('install the systemd units of the actuator and the agent, and start them')
    .option('--user <name>', 'the user that the agent runs as', 'kalos')
    .option('--root <path>', 'write the files below this directory; start nothing', '/')
    .option('--dry-run', 'only print the changes', false)
    .action(async (options: { user: string; root: string; dryRun: boolean }) => ends((await service()).install(options)));
  program
    .command('uninstall')
    .description('stop and remove the systemd units; state and configuration stay')
    .option('--root <path>', 'remove the files below this directory; stop nothing', '/')
    .option('--dry-run', 'only print what it would remove', false)
    .action(async (options: { root: string; dryRun: boolean }) => ends((await service()).uninstall(options)));
  program
    .command('completion')
    .description('print a completion script: eval "$(kalos completion bash)"')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
    .action(async (shell: 'bash' | 'zsh' | 'fish') =>
      ends((await import('../node/cli/completion.ts')).completion(modelOf(program), shell)),
    );
  program
    .command('man')
    .description('print a manual page: kalos man policy apply | man -l -')
    .argument('[command...]', 'a command (default: kalos itself)')
    .action(async (words: string[]) =>
      ends((await import('../node/cli/completion.ts')).manual(modelOf(program), words, findPackage().version)),
    );
}

function build(): Command {
  const program = new Command('kalos')
    .description('A swarm of agents that keeps Linux machines healthy without a central server')
    .version(findPackage().version)
    .exitOverride()
    .showSuggestionAfterError()
    .configureHelp(HELP)
    .option('--address <url>', 'URL of another agent, such as https://web-1:9090 (or KALOS_ADDRESS)')
    .option('--token-file <file>', 'with --address: API token file (or the token in KALOS_API_TOKEN)')
    .option('--ca <file>', 'with --address: CA file, or the agent’s own certificate (or KALOS_CA)');
  program.hook('preAction', (_program, command) => {
    remote(program.opts());
    if (command.opts().output === 'wide') showFull();
  });
  addNodeCommands(program);
  addSimCommands(program);
  for (const command of program.commands) inherit(program, command);
  program.addHelpCommand(
    new Command('help').argument('[command]').description('show help for a command').helpOption(false).helpGroup('Start here:'),
  );
  acceptFormerNames(program);
  groupCommands(program);
  describeEdges(program);
  return program;
}

/** Passes the address, token and CA of another agent to node/api/client.ts. */
function remote({
  address,
  tokenFile,
  ca,
}: {
  address?: string | undefined;
  tokenFile?: string | undefined;
  ca?: string | undefined;
}): void {
  if (address !== undefined) process.env.KALOS_ADDRESS = address;
  if (ca !== undefined) process.env.KALOS_CA = ca;
  if (tokenFile === undefined) return;
  try {
    process.env.KALOS_API_TOKEN = readInput(tokenFile).toString('utf8').trim();
  } catch (error) {
    throw new KalosError(
      'usage',
      `--token-file ${tokenFile} cannot be read: ${reasonOf(error)}`,
      'create one with: kalos api-token create',
    );
  }
}

function inherit(parent: Command, command: Command): void {
  command.copyInheritedSettings(parent);
  for (const sub of command.commands) inherit(command, sub);
}

/** A usage error is one line. Another error has its hint on a second line. */
function withHint({ message, hint, code }: KalosError): string {
  if (hint === '') return message;
  if (EXIT_OF[code] !== EXIT.usage || message.includes('\n')) return `${message}\n  ${hint}`;
  return continued(message, hint);
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage; // commander has printed it
  if (!(error instanceof KalosError)) {
    const text = error instanceof Error ? error.message : String(error);
    process.stderr.write(
      `${paint('red', 'kalos:')} unexpected error: ${text.split('\n')[0]}\n  please report it with the stack, which KALOS_DEBUG=1 prints\n`,
    );
    if (process.env.KALOS_DEBUG !== undefined && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    return EXIT.error;
  }
  process.stderr.write(`${paint('red', 'kalos:')} ${printable(withHint(error))}\n`);
  return EXIT_OF[error.code];
}

// Child processes run the same build as this process, even if the installed one was replaced.
process.argv[1] = import.meta.filename;
// A reader that closes early (`kalos … | head`) is not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.error));

try {
  await build().parseAsync();
} catch (error) {
  process.exitCode = report(error);
  if (!(error instanceof CommanderError)) process.exit();
}
