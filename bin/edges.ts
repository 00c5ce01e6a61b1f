// What all commands share: exit codes in the help, one-line usage errors, groups, former names, and the command tree as data.
import { type Command, Help, type Option } from 'commander';
import type { CommandModel } from '../node/cli/completion.ts';
import { exitsText } from '../node/cli/exit-codes.ts';
import { paint, printable } from '../node/cli/output.ts';
import { continued } from '../node/errors.ts';

/** The command tree as data. Help, completion and manual pages are all generated from it. */
export function modelOf(command: Command): CommandModel {
  let help = '';
  command.configureOutput({
    writeOut: (text) => {
      help += text;
    },
  });
  command.outputHelp();
  const notes = help.slice(command.helpInformation().length);
  const hidden = (one: Command): boolean => one.name() === 'help' || one.description() === '';
  return {
    name: command.name(),
    description: command.description(),
    usage: command.usage(),
    arguments: command.registeredArguments.map((argument) => ({
      name: argument.name(),
      description: argument.description,
      choices: argument.argChoices ?? [],
      isVariadic: argument.variadic,
    })),
    options: command.options.map(({ flags, long, short, description, argChoices, required }) => ({
      flags,
      long: long ?? undefined,
      short: short ?? undefined,
      description,
      choices: argChoices ?? [],
      takes: required ? flags.match(/<([^>.]+)/)?.[1] : undefined,
    })),
    notes,
    commands: command.commands.filter((one) => !hidden(one)).map(modelOf),
  };
}

/** Former names by command. A former name is accepted for one release; help does not list it. */
const FORMER_NAMES: Readonly<Record<string, string>> = { change: 'order', 'authorize-check': 'leave-check' };

/** Accepts former names; each prints a warning with the new name. */
export function acceptFormerNames(program: Command): void {
  for (const command of program.commands) {
    const former = FORMER_NAMES[command.name()];
    if (former !== undefined) command.alias(former);
  }
  program.hook('preSubcommand', (parent, command) => {
    const [used] = parent.args;
    if (used === command.name() || command.description() === '') return;
    process.stderr.write(`${paint('yellow', 'kalos:')} kalos ${used} is now called kalos ${command.name()}: use the new name\n`);
  });
}

const withoutFormer = (text: string): string => text.replace(/\|\S+/, '');
const plainHelp = new Help();
/** How help prints commands and options. A preset is not printed: the option's description has it. */
export const HELP = {
  showGlobalOptions: true,
  subcommandTerm: (command: Command): string => withoutFormer(plainHelp.subcommandTerm(command)),
  commandUsage: (command: Command): string => withoutFormer(plainHelp.commandUsage(command)),
  optionDescription: (option: Option): string => plainHelp.optionDescription(option).replace(/ \(preset: [^)]*\)/, ''),
};

/** The groups of help, most used commands first. A test checks that every command is in exactly one group. */
export const GROUPS: readonly (readonly [heading: string, commands: readonly string[]])[] = [
  ['Start here:', ['up', 'status', 'members', 'incidents', 'explain', 'doctor', 'help']],
  ['See:', ['top', 'query', 'tables', 'metrics', 'conditions', 'cases', 'logs', 'log', 'watch']],
  ['Act:', ['act', 'tools', 'rollback', 'approve', 'reject', 'silence', 'stop-all', 'resume', 'change']],
  ['Policies:', ['policy', 'budget', 'grant']],
  ['Swarm:', ['token', 'nova', 'pause', 'wake', 'drain', 'undrain', 'failover', 'upgrade', 'leave']],
  ['Trust:', ['audit', 'api-token', 'operator', 'root', 'network-key', 'pardon', 'recover']],
  ['This machine:', ['config', 'reload', 'down', 'install', 'uninstall', 'completion', 'man']],
  ['Development:', ['sim']],
];

/** Makes help list the commands in these groups, in this order. */
export function groupCommands(program: Command): void {
  const order = GROUPS.flatMap(([, names]) => names);
  for (const [heading, names] of GROUPS)
    for (const command of program.commands) if (names.includes(command.name())) command.helpGroup(heading);
  const last = (command: Command): number => (order.includes(command.name()) ? order.indexOf(command.name()) : order.length);
  (program.commands as Command[]).sort((one, other) => last(one) - last(other));
}

const pathOf = (command: Command): string =>
  command.parent === null ? '' : `${pathOf(command.parent)} ${command.name()}`.trim();

/** For each command: adds its exit codes to its help, and prints usage errors on one line. */
export function describeEdges(command: Command): void {
  const path = pathOf(command);
  command.configureOutput({
    outputError: (text, write) =>
      write(`${paint('red', 'kalos:')} ${printable(continued(inOneLine(text), `see: ${`kalos ${path}`.trim()} --help`))}\n`),
  });
  if (command.commands.length === 0 && command.description() !== '') command.addHelpText('after', exitsText(path));
  for (const sub of command.commands) describeEdges(sub);
}

/** Rewrites commander's error, such as "error: unknown option '--jsn'\n(Did you mean --json?)", as one line in the style of other errors. */
function inOneLine(text: string): string {
  return text
    .trim()
    .replace(/^error: /, '')
    .replace(/\n?\(Did you mean (.*)\?\)/, '; did you mean $1?')
    .replace(/^option '([^']*)' argument '(.*)' is invalid\. Allowed choices are (.*)\.$/s, '$1 = "$2": must be one of $3')
    .replace(
      /^command-argument value '(.*)' is invalid for argument '([^']*)'\. Allowed choices are (.*)\.$/s,
      '$2 = "$1": must be one of $3',
    )
    .replace(/^option '([^']*)' argument '(.*)' is invalid\. (.*)$/s, '$1 = "$2": must be $3')
    .replace(/^command-argument value '(.*)' is invalid for argument '([^']*)'\. (.*)$/s, '$2 = "$1": must be $3')
    .replace(/^missing required argument '([^']*)'$/, 'the argument <$1> is missing')
    .replace(/^option '([^']*)' argument missing$/, '$1 needs a value')
    .replace(/^required option '([^']*)' not specified$/, '$1 is missing')
    .replaceAll(/\s*\n\s*/g, '; ');
}
