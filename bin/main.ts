// The `kalos` command: parses arguments and hands over to node/cli/ or sim/. Each command loads what it needs when it runs.

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
  span('-w, --watch [time]', 'again and again until q, such as 5s; every 2 s without a time', {
    least: 1,
    most: MINUTE_MS,
  }).preset(2_000);
/** Once, or again and again on a cleared screen until q. @param everyMs undefined: once. */
async function endsWatched(everyMs: number | undefined, run: () => Promise<number>): Promise<void> {
  if (everyMs === undefined) return ends(run());
  const { untilQuit } = await import('../node/cli/quit.ts');
  await untilQuit(everyMs, () => {
    if (process.stdout.isTTY) process.stdout.write('\u001b[H\u001b[2J\u001b[3J');
    return ends(run());
  });
  process.exit(); // what was asked last may not be answered yet
}

function addNodeCommands(program: Command): void {
  program
    .command('up')
    .description('start an agent in the foreground; without --join it goes on with its swarm, or begins one')
    .addOption(directory())
    .option('--config <file>', 'configuration (default: kalos.toml in the state directory)')
    .option('--name <name>', 'what the agent is called (default: the host’s name)')
    .addOption(
      new Option('--mode <mode>', 'observe: decide and show; advise: ask; act: repair by itself').choices([
        'observe',
        'advise',
        'act',
      ]),
    )
    .option('--listen <address:port>', 'where to listen (default: 127.0.0.1:7700, or a free port where that is taken)')
    .option('--join <token...>', 'a token of the swarm to join (kalos token create), or addresses where a member finds others')
    .option('--swarm-name <name>', 'what a new swarm is called (default: the agent’s name)')
    .option('--root-keys <n>', 'of a new swarm: how many root keys it has', integer(1, 16), 1)
    .option('--root-threshold <n>', 'how many of them must sign (default: more than half)', integer(1, 16))
    .option('--private', 'of a new swarm: with a pre-shared network key, which its tokens carry', false)
    .option(
      '--page <port>',
      'where to serve the page: PORT (on 127.0.0.1), ADDRESS:PORT, or off (default: 9090, or the next free port)',
    )
    .option('--no-mdns', 'do not look for members on the local network, nor be found there')
    .option('--init', 'be the first process of a machine or container: run the agent, reap, shut down in order')
    .option('--user <name>', 'with --init: the user that the agent runs as; the actuator keeps the privileges')
    .option(
      '--watchdog <device>',
      'with --init: a hardware watchdog, such as /dev/watchdog, that resets the machine when the actuator hangs',
    )
    .addOption(new Option('--log-level <level>', 'least level of the agent’s own log (default: info)').choices(LOG_LEVELS))
    .addOption(new Option('--log-format <format>', 'of the agent’s own log (default: text)').choices(LOG_FORMATS))
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
    .description('ask the whole swarm in SQL')
    .argument('[sql]', 'a SELECT over the tables of: kalos tables')
    .option('--ask <question>', 'a question of: kalos tables --questions, in place of SQL')
    .option('--nodes <selector>', 'ask only these: names, or such as role=coordinator, with commas between')
    .option('--on <node>', 'ask only this one')
    .addOption(
      new Option('--mode <mode>', 'live: ask the members concerned; local: this machine and what it knows')
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
        throw new KalosError('usage', 'give one: SQL, or --ask QUESTION', 'see: kalos query --help');
      const statement = sql ?? (await questionOf(dir, ask ?? ''));
      return endsWatched(everyMs, () => runQuery(dir, statement, { timeoutMs, mode, nodes }, output));
    });
  program
    .command('tables')
    .description('the tables that SQL can ask, and what their columns mean')
    .argument('[table]', 'one of them, whole')
    .option('--questions', 'questions that operators ask, for: kalos query --ask', false)
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
    .description('this agent, and the swarm as it sees it')
    .addOption(directory())
    .addOption(format())
    .addOption(watch())
    .action(async ({ dir, output, watch: everyMs }: Common) => {
      const { status } = await import('../node/cli/status.ts');
      return endsWatched(everyMs, () => status(dir, output));
    });
  program
    .command('explain')
    .description('tell an incident from sample to outcome; any peer can be asked')
    .argument('<incident>', 'such as inc-0123456789')
    .addOption(directory())
    .addOption(format())
    .option('--recording', 'the minute before it, from this machine’s flight recorder', false)
    .action(async (id: string, { dir, output, recording }: Common & { recording: boolean }) => {
      const { runExplain, showRecording } = await import('../node/cli/explain.ts');
      return ends(recording ? showRecording(dir, id, output) : runExplain(dir, id, output));
    });
  program
    .command('doctor')
    .description('what this machine offers KALOS and what it lacks')
    .addOption(directory())
    .addOption(format())
    .option('--fix', 'mend what can be mended', false)
    .option('--dry-run', 'with --fix: only say what would be done', false)
    .option('--policy <file>', 'instead: what each rule of an actuator’s policy makes possible')
    .action(async ({ dir, output, policy, ...options }: Common & { fix: boolean; dryRun: boolean; policy?: string }) =>
      policy === undefined
        ? ends((await import('../node/cli/doctor.ts')).doctor(dir, output, options))
        : ends((await import('../node/cli/doctor-policy.ts')).judgePolicy(policy, output)),
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
    .description('a live view of this machine and what KALOS does on it; q ends it')
    .option('--swarm', 'all members in its place, the busiest first', false)
    .option('--on <node>', 'the processes of another member')
    .addOption(directory())
    .action(async ({ dir, swarm, on }: { dir?: string; swarm: boolean; on?: string }) => {
      if (!swarm && on === undefined) return ends((await import('../node/cli/top.ts')).top(dir));
      const { topOfNode, topOfSwarm } = await import('../node/cli/query.ts');
      return endsWatched(TOP_EVERY_MS, () => (on === undefined ? topOfSwarm(dir) : topOfNode(dir, on)));
    });
  program
    .command('metrics')
    .description('this machine’s metrics, and why one is unknown')
    .argument('[metric...]', 'parts of names; all without any')
    .addOption(directory())
    .addOption(format())
    .addOption(watch())
    .option('--history', 'what they were, with those of each process, mount, device and service', false)
    .action(async (names: string[], { dir, output, watch: everyMs, history: past }: Common & { history: boolean }) => {
      const { metrics, history } = await show();
      return endsWatched(everyMs, () => (past ? history : metrics)(dir, names, output));
    });
  program
    .command('incidents')
    .description('incidents of the whole swarm')
    .option('--open', 'only those that are open', false)
    .addOption(directory())
    .addOption(format())
    .addOption(watch())
    .action(async ({ dir, output, open, watch: everyMs }: Common & { open: boolean }) => {
      const { incidents } = await show();
      return endsWatched(everyMs, () => incidents(dir, open, output));
    });
  program
    .command('cases')
    .description('what was tried on this machine, and whether it helped')
    .argument('[policy]', 'of one policy; all without it')
    .addOption(directory())
    .addOption(format())
    .action(async (policy: string | undefined, { dir, output }: Common) => ends((await show()).cases(dir, policy, output)));
  program
    .command('conditions')
    .description('this machine’s conditions, what is open, and what cannot be seen')
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
    .option('-n, --lines <count>', 'how many lines', integer(1, 100_000), 50)
    .option('-f, --follow', 'go on with what is written', false)
    .addOption(directory())
    .action(async (service: string, { dir, lines, follow }: { dir?: string; lines: number; follow: boolean }) =>
      ends((await show()).logs(dir, service, lines, follow)),
    );
  program
    .command('down')
    .description('stop the agent and its services, in order; it stays a member')
    .addOption(directory())
    .action(async ({ dir }: { dir?: string }) => ends((await show()).down(dir)));
}

function addPolicyCommands(program: Command): void {
  const policy = program.command('policy').description('what counts as wrong: listed, shown, and tried against its own tests');
  const commands = () => import('../node/cli/policy.ts');
  type Options = { dir?: string; config?: string; output: Format };
  const add = (name: string, description: string) =>
    policy
      .command(name)
      .description(description)
      .addOption(directory())
      .option('--config <file>', 'configuration (default: kalos.toml in the state directory)')
      .addOption(format());
  add('list', 'all policies, shipped and own').action(async (options: Options) => ends((await commands()).listPolicies(options)));
  add('show', 'one policy, whole')
    .argument('<policy>')
    .action(async (name: string, options: Options) => ends((await commands()).showPolicy(options, name)));
  add('test', 'run the tests that are written beside the policies')
    .argument('[policy]', 'one policy; all without it')
    .action(async (name: string | undefined, options: Options) => ends((await commands()).testPolicies(options, name)));
  const live = (name: string, description: string, argument: string, about = '') =>
    policy.command(name).description(description).argument(argument, about).addOption(directory());
  live(
    'apply',
    'add or replace policies of the running agent, at once; all of the file or nothing',
    '<file>',
    'TOML with [[policy]] tables',
  ).action(async (file: string, options: Options) => ends((await commands()).applyPolicies(options, file)));
  addBundleCommands(policy);
  live('delete', 'take a live policy away; what it replaced is in force again', '<policy>', 'a live one').action(
    async (name: string, options: Options) => ends((await commands()).deletePolicy(options, name)),
  );
  for (const [name, enabled] of [
    ['enable', true],
    ['disable', false],
  ] as const)
    live(name, `${name} a policy of the running agent, whatever its origin`, '<policy>').action(
      async (which: string, options: Options) => ends((await commands()).switchPolicy(options, which, enabled)),
    );
  policy
    .command('add')
    .description('add a policy to the running agent, at once, from the command line')
    .argument('<name>', 'of one that there is not yet')
    .argument('<expression>', "CEL: what is wrong, such as metrics['system.memory.utilization'] > 0.9")
    .argument(
      '[action...]',
      'a tool and its arguments, key=value each; + TOOL … adds a call; alert, or nothing: only an incident',
    )
    .addOption(new Option('--scope <scope>', 'what it is judged on').choices(POLICY_SCOPES).default('machine'))
    .addOption(new Option('--severity <severity>', 'how bad it is').choices(SEVERITIES).default('warning'))
    .addOption(span('--for <time>', 'how long it must hold before, such as 30s or 5m', { least: 1_000, most: 30 * DAY_MS }))
    .option('--summary <text>', 'what is wrong, in words (default: the expression)')
    .addOption(directory())
    .addHelpText(
      'after',
      `\nExamples:\n  kalos policy add memory-high "metrics['system.memory.utilization'] > 0.9" alert --for 5m\n  kalos policy add web-slow "service.name == 'web' && service.check == 'silent'" service.restart --scope service`,
    )
    .action(async (name: string, when: string, action: string[], options: PolicyAddOptions) =>
      ends((await commands()).addPolicy(options, name, when, action)),
    );
  live('reset', 'have the thresholds of a policy learn the machine’s normal again', '<policy>').action(
    async (name: string, options: Options) => ends((await commands()).resetPolicy(options, name)),
  );
}

function addAuditCommands(program: Command): void {
  const auditing = () => import('../node/cli/audit.ts');
  const audit = program
    .command('audit')
    .description('the log of what this agent intended and did, which nobody can rewrite unseen');
  audit
    .command('verify')
    .description('read the whole log again and say where it was changed; or check a proof that somebody handed over')
    .option('--proof <file>', 'check this proof instead, offline: no agent is asked')
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, output, proof }: Common & { proof?: string }) =>
      ends(proof === undefined ? (await auditing()).auditVerify(dir, output) : (await auditing()).auditCheck(proof, output)),
    );
  audit
    .command('conflicts')
    .description('whose audit cannot be believed, and who has signed this agent’s')
    .option('--prove <node>', 'print the proof against that member, for: kalos audit verify --proof FILE')
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, output, prove }: Common & { prove?: string }) =>
      ends((await auditing()).auditConflicts(dir, prove, output)),
    );
  audit
    .command('list')
    .description('the newest records')
    .option('--last <n>', 'how many', integer(1, 1_000), 20)
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, output, last }: Common & { last: number }) => ends((await auditing()).auditList(dir, last, output)));
  audit
    .command('prove')
    .description('print a proof that a record is in the log, or that the log only grew')
    .argument('[index]', 'a record', integer(0, 10 ** 12 - 1))
    .option('--since <size>', 'prove that the log of now begins with that of this many records', integer(1, 10 ** 12 - 1))
    .addOption(directory())
    .action(async (index: number | undefined, { dir, since }: Common & { since?: number }) =>
      ends((await auditing()).auditProve(dir, index, since)),
    );
  audit
    .command('check')
    .description('check a proof offline: no agent is asked')
    .argument('<file>', 'what `audit prove` printed, or - for standard input')
    .addOption(format())
    .action(async (file: string, { output }: Common) => ends((await auditing()).auditCheck(file, output)));
}

function addSetupCommands(program: Command): void {
  const configuration = program.command('config').description('the configuration');
  configuration
    .command('show')
    .description('the configuration of the running agent; where none runs, what the next start would use')
    .option('--origin', 'where each key comes from', false)
    .option('--config <file>', 'configuration (default: kalos.toml in the state directory)')
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, output, config, origin }: Common & { config?: string; origin: boolean }) =>
      ends((await import('../node/cli/config.ts')).showConfig(dir, config, origin, output)),
    );
  configuration
    .command('reload')
    .description(
      'make the running agent read its configuration again, as kill -HUP does; prints what changed and what needs a restart',
    )
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
    .option('--root <path>', 'write the files below another directory and start nothing', '/')
    .option('--dry-run', 'only print what would be written', false)
    .action(async (options: { user: string; root: string; dryRun: boolean }) => ends((await service()).install(options)));
  program
    .command('uninstall')
    .description('stop and remove the systemd units; state and configuration stay')
    .option('--root <path>', 'remove the files below another directory and stop nothing', '/')
    .option('--dry-run', 'only print what would be removed', false)
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
    .argument('[command...]', 'a command; kalos itself without one')
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
    .option('--address <url>', 'ask the agent there, such as https://web-1:9090, not this machine’s (or KALOS_ADDRESS)')
    .option('--token-file <file>', 'with --address: a token of kalos api-token create (or KALOS_API_TOKEN)')
    .option('--ca <file>', 'with --address: who signed its certificate, or the certificate itself (or KALOS_CA)');
  program.hook('preAction', (_program, command) => {
    remote(program.opts());
    if (command.opts().output === 'wide') showFull();
  });
  addNodeCommands(program);
  addSimCommands(program);
  for (const command of program.commands) inherit(program, command);
  program.addHelpCommand(
    new Command('help').argument('[command]').description('how a command is used').helpOption(false).helpGroup('Start here:'),
  );
  acceptFormerNames(program);
  groupCommands(program);
  describeEdges(program);
  return program;
}

/** An agent elsewhere, for whatever asks one (node/api/client.ts). */
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
      'kalos api-token create prints one',
    );
  }
}

function inherit(parent: Command, command: Command): void {
  command.copyInheritedSettings(parent);
  for (const sub of command.commands) inherit(command, sub);
}

/** A mistake of who asks is one line; what fails says on a second one what to do about it. */
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
      `${paint('red', 'kalos:')} unexpected error: ${text.split('\n')[0]}\n  KALOS_DEBUG=1 prints the stack; please report it\n`,
    );
    if (process.env.KALOS_DEBUG !== undefined && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    return EXIT.error;
  }
  process.stderr.write(`${paint('red', 'kalos:')} ${printable(withHint(error))}\n`);
  return EXIT_OF[error.code];
}

// What this program starts in processes of its own is of the same build as it is, though another may have been put in its place.
process.argv[1] = import.meta.filename;
// A reader that closes early (`kalos … | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.error));

try {
  await build().parseAsync();
} catch (error) {
  process.exitCode = report(error);
  if (!(error instanceof CommanderError)) process.exit();
}
