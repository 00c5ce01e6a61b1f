// Completion scripts and manual pages, from the very model that help comes from: the tree of commands.
import { KalosError } from '../errors.ts';
import { EXIT } from './exit-codes.ts';

/** One command of the tree. */
export interface CommandModel {
  name: string;
  description: string;
  usage: string;
  arguments: readonly { name: string; description: string }[];
  options: readonly { flags: string; long: string | undefined; description: string; choices: readonly string[] }[];
  /** What help says after all that: examples, exit codes. */
  notes: string;
  commands: readonly CommandModel[];
}

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

interface Word {
  /** The words before it: `policy test`. */
  path: string;
  words: string[];
}

/** What may follow each command: its commands and its long options. */
function wordsOf(model: CommandModel, path: string): Word[] {
  const own = [...model.commands.map(({ name }) => name), ...model.options.flatMap(({ long }) => long ?? [])];
  return [{ path, words: own }, ...model.commands.flatMap((command) => wordsOf(command, `${path} ${command.name}`.trim()))];
}

/** The choices of options that have some, by command and option: `status --output`. */
function choicesOf(model: CommandModel, path: string): [key: string, words: readonly string[]][] {
  const own = model.options.flatMap(({ long, choices }): [string, readonly string[]][] =>
    long === undefined || choices.length === 0 ? [] : [[`${path} ${long}`, choices]],
  );
  return [...own, ...model.commands.flatMap((command) => choicesOf(command, `${path} ${command.name}`.trim()))];
}

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

function bash(model: CommandModel): string {
  const cases = wordsOf(model, '').map(({ path, words }) => `    ${quote(path)}) words=${quote(words.join(' '))} ;;`);
  const choices = choicesOf(model, '').map(
    ([key, words]) => `    ${quote(key)}) COMPREPLY=($(compgen -W ${quote(words.join(' '))} -- "$current")); return ;;`,
  );
  return `# kalos completion bash: source it, or save it as /etc/bash_completion.d/kalos
_kalos() {
  local current=\${COMP_WORDS[COMP_CWORD]} option=\${COMP_WORDS[COMP_CWORD-1]} path='' word words=''
  [ "$option" = -o ] && option=--output
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in -*) ;; *) path="\${path:+$path }$word" ;; esac
  done
  while :; do
    case $path in
${cases.join('\n')}
    *' '*) path=\${path% *}; continue ;;
    *) path=''; continue ;;
    esac
    break
  done
  case "$path $option" in
${choices.join('\n')}
    *--dir|*--config|*--key-file|*--root-key) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _kalos kalos
`;
}

/** zsh takes bash's by its own compatibility layer. */
function zsh(model: CommandModel): string {
  return `#compdef kalos\nautoload -U +X bashcompinit && bashcompinit\n${bash(model)}`;
}

function fish(model: CommandModel): string {
  const lines = ['# kalos completion fish: save it as ~/.config/fish/completions/kalos.fish', 'complete -c kalos -f'];
  const visit = (command: CommandModel, path: readonly string[]): void => {
    const seen = path.map((word) => `__fish_seen_subcommand_from ${word}`);
    const condition = seen.length === 0 ? '__fish_use_subcommand' : seen.join('; and ');
    for (const sub of command.commands) {
      lines.push(`complete -c kalos -n ${quote(condition)} -a ${sub.name} -d ${quote(sub.description)}`);
      visit(sub, [...path, sub.name]);
    }
    for (const { long, description, choices } of command.options)
      if (long !== undefined)
        lines.push(
          `complete -c kalos -n ${quote(condition)} -l ${long.slice(2)} -d ${quote(description)}${choices.length > 0 ? ` -x -a ${quote(choices.join(' '))}` : ''}`,
        );
  };
  visit(model, []);
  return `${lines.join('\n')}\n`;
}

export function completion(model: CommandModel, shell: Shell): number {
  process.stdout.write({ bash, zsh, fish }[shell](model));
  return EXIT.ok;
}

/** As man(7) takes it. */
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

/** Prints the page of a command, for `man -l -`. @throws KalosError where there is no such command. */
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
