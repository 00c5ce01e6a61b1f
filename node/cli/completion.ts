// Completion scripts and manual pages, generated from the command tree, as help is.
import assert from 'node:assert';
import { KalosError } from '../errors.ts';
import type { ValueKind } from './complete.ts';
import { EXIT } from './exit-codes.ts';

/** One command of the tree. */
export interface CommandModel {
  name: string;
  description: string;
  usage: string;
  arguments: readonly { name: string; description: string; choices: readonly string[]; isVariadic: boolean }[];
  options: readonly {
    flags: string;
    long: string | undefined;
    short: string | undefined;
    description: string;
    choices: readonly string[];
    /** The name of its value in help, such as `file`; undefined if it takes none. */
    takes: string | undefined;
  }[];
  /** The end of the help: examples, exit codes. */
  notes: string;
  commands: readonly CommandModel[];
}

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** The source of a completion: names that the agent or the package knows (complete.ts), files, or none. */
type Source = ValueKind | 'file' | 'none';

/** By the name in help of an option's value or of an argument. If one is missing here, generating a script fails. */
const SOURCES: Readonly<Record<string, Source>> = {
  ...{ node: 'member', member: 'member', selector: 'member' },
  ...{
    policy: 'policy',
    incident: 'incident',
    service: 'service',
    target: 'service',
    table: 'table',
    tool: 'tool',
    topic: 'topic',
  },
  ...{ question: 'question', metric: 'metric', scenario: 'scenario', approval: 'approval', plan: 'plan', silence: 'silence' },
  ...{ grant: 'grant', operator: 'operator', 'token-id': 'token', 'api-token': 'api-token' },
  ...{ file: 'file', path: 'file', dir: 'file', directory: 'file', device: 'file' },
  ...{ name: 'none', text: 'none', time: 'none', n: 'none', count: 'none', size: 'none', index: 'none', sql: 'none' },
  ...{ expression: 'none', action: 'tool', arguments: 'none', decision: 'none', 'seed@event': 'none', command: 'none' },
  ...{ url: 'none', token: 'none', port: 'none', 'address:port': 'none' },
};
function sourceOf(name: string): Source {
  const source = SOURCES[name];
  assert(source !== undefined, `no completion source for <${name}>`);
  return source;
}

type Visited = readonly [path: string, model: CommandModel];
const all = (model: CommandModel, path = ''): Visited[] => [
  [path, model],
  ...model.commands.flatMap((command) => all(command, `${path} ${command.name}`.trim())),
];

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
const namesOf = ({ commands, options }: CommandModel): string[] => [
  ...commands.map(({ name }) => name),
  ...options.flatMap(({ long }) => long ?? []),
];

/** Cases for the values of a command's options, and for its arguments by position. */
function bashCases(visited: readonly Visited[], globals: CommandModel['options']) {
  const what = (choices: readonly string[], name: string): string =>
    choices.length > 0 ? `words=${quote(choices.join(' '))} kind=word` : `kind=${sourceOf(name)}`;
  const options = visited.flatMap(([path, { options: own }]) =>
    [...own, ...(path === '' ? [] : globals)].flatMap(({ long, takes, choices }) =>
      long === undefined || takes === undefined ? [] : [`    ${quote(`${path} ${long}`)}) ${what(choices, takes)} ;;`],
    ),
  );
  const places = visited.flatMap(([path, { arguments: own }]) =>
    own.map(
      ({ name, choices, isVariadic }, at) =>
        `    ${quote(`${path} ${isVariadic ? '' : at}`)}${isVariadic ? '*' : ''}) ${what(choices, name)} ;;`,
    ),
  );
  return { options, places };
}

function bash(model: CommandModel): string {
  const visited = all(model);
  const { options, places } = bashCases(visited, model.options);
  const valued = visited.flatMap(([, one]) => one.options.filter(({ takes }) => takes !== undefined));
  const flags = [...new Set(valued.flatMap(({ long, short }) => [long, short]).filter((flag) => flag !== undefined))];
  const shorts = new Map(valued.flatMap(({ long, short }) => (short === undefined ? [] : [[short, long ?? short] as const])));
  return `# kalos completion bash: source it, or save it as /etc/bash_completion.d/kalos
_kalos() {
  local IFS=$' \\t\\n' current=\${COMP_WORDS[COMP_CWORD]} option=\${COMP_WORDS[COMP_CWORD-1]} path='' word words='' kind='' skip='' at=0
  # bash splits --option=value into three words.
  if [ "$current" = = ]; then current=''; elif [ "$option" = = ]; then option=\${COMP_WORDS[COMP_CWORD-2]}; fi
  case $option in ${[...shorts].map(([short, long]) => `${short}) option=${long} ;;`).join(' ')} esac
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [ "$word" = = ]; then skip=1; continue; fi
    if [ -n "$skip" ]; then skip=''; continue; fi
    case $word in
      ${flags.join('|')}) skip=1 ;;
      -*) ;;
      *) path="\${path:+$path }$word" ;;
    esac
  done
  while :; do
    case $path in
${visited.map(([path, one]) => `    ${quote(path)}) words=${quote(namesOf(one).join(' '))} ;;`).join('\n')}
    *' '*) path=\${path% *}; at=$((at + 1)); continue ;;
    *) path=''; at=$((at + 1)); continue ;;
    esac
    break
  done
  case "$path $option" in
${options.join('\n')}
  esac
  if [ -z "$kind" ]; then
    case $current in
    -*) ;;
    *)
      case "$path $at" in
${places.join('\n')}
      esac ;;
    esac
  fi
  case $kind in
  ''|word) ;;
  none) words='' ;;
  file) words='' ;;
  *) words=$("\${COMP_WORDS[0]}" __complete "$kind" -- "\${COMP_WORDS[@]}" 2>/dev/null) ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  case $kind in
  file|scenario)
    compopt -o filenames 2>/dev/null
    IFS=$'\\n'
    COMPREPLY+=($(compgen -f -- "$current")) ;;
  esac
}
complete -F _kalos kalos
`;
}

/** zsh runs the bash script with its compatibility layer. */
function zsh(model: CommandModel): string {
  return `#compdef kalos\nautoload -U +X bashcompinit && bashcompinit\n${bash(model)}`;
}

function fish(model: CommandModel): string {
  const lines = ['# kalos completion fish: save it as ~/.config/fish/completions/kalos.fish', 'complete -c kalos -f'];
  const values = (choices: readonly string[], name: string): string => {
    if (choices.length > 0) return ` -x -a ${quote(choices.join(' '))}`;
    const source = sourceOf(name);
    if (source === 'file') return ' -r -F';
    return source === 'none' ? ' -x' : ` -x -a ${quote(`(kalos __complete ${source} -- (commandline -opc))`)}`;
  };
  for (const [path, command] of all(model)) {
    const seen = path === '' ? [] : path.split(' ').map((word) => `__fish_seen_subcommand_from ${word}`);
    const condition = seen.length === 0 ? '__fish_use_subcommand' : seen.join('; and ');
    const add = (rest: string): number => lines.push(`complete -c kalos -n ${quote(condition)}${rest}`);
    for (const { name, description } of command.commands) add(` -a ${name} -d ${quote(description)}`);
    for (const { long, short, description, choices, takes } of command.options)
      if (long !== undefined)
        add(
          ` -l ${long.slice(2)}${short === undefined ? '' : ` -s ${short.slice(1)}`} -d ${quote(description)}${takes === undefined ? '' : values(choices, takes)}`,
        );
    for (const { name, choices } of command.arguments)
      if (choices.length > 0 || sourceOf(name) !== 'none') add(values(choices, name).replace(/^ -[xr]/, ''));
  }
  return `${lines.join('\n')}\n`;
}

export function completion(model: CommandModel, shell: Shell): number {
  process.stdout.write({ bash, zsh, fish }[shell](model));
  return EXIT.ok;
}

/** Escapes text for man(7). */
const roff = (text: string): string =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1');

function page(command: CommandModel, path: string, version: string): string {
  const title = path.replaceAll(' ', '-');
  const entry = (term: string, text: string): string => `.TP\n.B ${roff(term)}\n${roff(text)}\n`;
  const section = (name: string, body: string): string => (body === '' ? '' : `.SH ${name}\n${body}`);
  return [
    `.TH ${title.toUpperCase()} 1 "" "kalos ${version}" "KALOS"\n`,
    section('NAME', `${roff(title)} \\- ${roff(command.description)}\n`),
    section('SYNOPSIS', `.B ${roff(path)}\n${roff(command.usage)}\n`),
    section('ARGUMENTS', command.arguments.map(({ name, description }) => entry(name, description)).join('')),
    section(
      'OPTIONS',
      command.options
        .map(({ flags, description, choices }) =>
          entry(flags, choices.length > 0 ? `${description}: ${choices.join(', ')}` : description),
        )
        .join(''),
    ),
    section('COMMANDS', command.commands.map(({ name, description }) => entry(`${path} ${name}`, description)).join('')),
    section('NOTES', command.notes === '' ? '' : `.nf\n${roff(command.notes.trim())}\n.fi\n`),
  ].join('');
}

/** Prints the page of a command, for `man -l -`. @throws KalosError if there is no such command. */
export function manual(model: CommandModel, words: readonly string[], version: string): number {
  let command = model;
  for (const word of words) {
    const next = command.commands.find(({ name }) => name === word);
    if (next === undefined) throw new KalosError('not-found', `no command "${words.join(' ')}"`, 'see: kalos --help');
    command = next;
  }
  process.stdout.write(page(command, ['kalos', ...words].join(' '), version));
  return EXIT.ok;
}
