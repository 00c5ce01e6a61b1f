// Files of commands with what they should print, in the format of cockroachdb/datadriven: a command with arguments, lines of input,
// `----`, the output up to a blank line (or between two lines of `----` each).
export interface Directive {
  /** Of the command, counted from 1. */
  line: number;
  command: string;
  /** In order; values as they are written, in lists one each. */
  args: { key: string; values: string[] }[];
  input: string;
  expected: string;
}

const ARGUMENT = /(?<key>[^\s=]+)(?:=(?:\((?<list>[^)]*)\)|(?<value>\S+)))?/g;

export function directives(text: string): Directive[] {
  const lines = text.split('\n');
  const found: Directive[] = [];
  for (let i = 0; i < lines.length; ) {
    const line = i + 1;
    let command = (lines[i++] ?? '').trim();
    if (command === '' || command.startsWith('#')) continue;
    while (command.endsWith('\\')) command = `${command.slice(0, -1)} ${(lines[i++] ?? '').trim()}`;
    const input: string[] = [];
    while (i < lines.length && lines[i] !== '----') input.push(lines[i++] ?? '');
    i++;
    const isWide = lines[i] === '----';
    if (isWide) i++;
    const expected: string[] = [];
    const isEnd = (): boolean => (isWide ? lines[i] === '----' && lines[i + 1] === '----' : lines[i] === '');
    while (i < lines.length && !isEnd()) expected.push(lines[i++] ?? '');
    if (isWide) i += 2;
    const [name = '', ...rest] = command.split(/\s+/, 1).concat(command.replace(/^\S+\s*/, ''));
    const args = [...rest.join(' ').replace(/,\s+/g, ',').matchAll(ARGUMENT)].map(({ groups = {} }) => {
      const { key = '', list, value } = groups;
      return {
        key,
        values: list === undefined ? (value === undefined ? [] : [value]) : list.split(',').map((one) => one.trim()),
      };
    });
    found.push({ line, command: name, args, input: input.join('\n'), expected: expected.map((one) => `${one}\n`).join('') });
  }
  return found;
}

export const argument = ({ args }: Directive, key: string): string[] | undefined => args.find((one) => one.key === key)?.values;
export const flag = (directive: Directive, key: string): boolean => argument(directive, key)?.[0] === 'true';
export function whole(directive: Directive, key: string): number | undefined {
  const [value] = argument(directive, key) ?? [];
  return value === undefined ? undefined : Number(value);
}
/** Numbers given without a name. */
export const plain = ({ args }: Directive): number[] =>
  args.filter(({ key, values }) => values.length === 0 && /^\d+$/.test(key)).map(({ key }) => Number(key));
