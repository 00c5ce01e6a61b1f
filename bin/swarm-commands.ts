// `kalos members | token | operator | root | leave`: how its commands are parsed.
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Format } from '../node/cli/output.ts';
import { DAY_MS, directory, ends, format, integer, MINUTE_MS, span } from './options.ts';

const load = () => import('../node/cli/members.ts');
const MAX_NAME = 24;

interface Common {
  dir?: string;
  output: Format;
}

function label(text: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(text) || text.length > MAX_NAME)
    throw new InvalidArgumentError(`letters, digits, dots, dashes and underscores, at most ${MAX_NAME}`);
  return text;
}

const collect = (value: string, before: string[]): string[] => [...before, value];
export const rootKey = () =>
  new Option('--root-key <file>', 'a root key that lies elsewhere; once for each')
    .argParser(collect)
    .default([], 'those in the state directory');

export function addSwarmCommands(program: Command): void {
  addMembers(program);
  addTokens(program);
  addOperators(program);
  program
    .command('leave')
    .description('leave the swarm for good and stop the agent; it needs a token to come back')
    .option('--force', 'even where it is the only issuer', false)
    .addOption(directory())
    .action(async ({ dir, force }: { dir?: string; force: boolean }) => ends((await load()).leave(dir, force)));
}

function addMembers(program: Command): void {
  const members = program.command('members').description('who belongs to the swarm');
  members
    .command('list', { isDefault: true })
    .description('all members, and how each is seen from here')
    .option('--all', 'those too that left or were removed', false)
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, output, all }: Common & { all: boolean }) => ends((await load()).listMembers(dir, all, output)));
  members
    .command('show')
    .description('one member, by its name or the end of its peer id')
    .argument('<member>')
    .addOption(directory())
    .addOption(format())
    .action(async (name: string, { dir, output }: Common) => ends((await load()).showMember(dir, name, output)));
  members
    .command('revoke')
    .description('end a membership: the member is cut off at once, everywhere')
    .argument('<member>')
    .option('--reason <text>', 'why, for the others and the audit', '')
    .addOption(directory())
    .action(async (name: string, { dir, reason }: Common & { reason: string }) =>
      ends((await load()).revokeMember(dir, name, reason)),
    );
  members
    .command('rename')
    .description('give a member another name')
    .argument('<member>')
    .argument('<name>', 'the new one', label)
    .addOption(directory())
    .action(async (name: string, to: string, { dir }: Common) => ends((await load()).renameMember(dir, name, to)));
  members
    .command('promote')
    .description('make a member an issuer: it can let others in, and renews certificates; root keys sign that')
    .argument('<member>')
    .addOption(rootKey())
    .addOption(directory())
    .action(async (name: string, { dir, rootKey: files }: Common & { rootKey: string[] }) =>
      ends((await load()).promoteMember(dir, name, files)),
    );
}

function addTokens(program: Command): void {
  const token = program.command('token').description('join tokens: all that a new machine needs');
  token
    .command('create')
    .description('print a token for: kalos up --join TOKEN')
    .addOption(
      new Option('--role <role>', 'committee: may lead, and becomes an issuer')
        .choices(['member', 'committee'])
        .default('member'),
    )
    .addOption(
      span('--ttl <time>', 'how long it is good for, such as 10m or 1d', {
        least: 1_000,
        most: 30 * DAY_MS,
        default: 10 * MINUTE_MS,
      }),
    )
    .option('--uses <n>', 'how many machines may join with it', integer(1, 1_000), 1)
    .option('-q, --quiet', 'only the token', false)
    .addOption(directory())
    .addOption(format())
    .action(
      async ({ dir, output, ...options }: Common & { role: 'member' | 'committee'; ttl: number; uses: number; quiet: boolean }) =>
        ends((await load()).createToken(dir, options, output)),
    );
  token
    .command('list')
    .description('the tokens that this issuer made')
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, output }: Common) => ends((await load()).listTokens(dir, output)));
  token
    .command('revoke')
    .description('end a token early')
    .argument('<token-id>', 'see: kalos token list')
    .addOption(directory())
    .action(async (id: string, { dir }: Common) => ends((await load()).revokeToken(dir, id)));
}

function addOperators(program: Command): void {
  const operator = program.command('operator').description('people who answer for the swarm, each with a key of their own');
  operator
    .command('add')
    .description('make a key for an operator; root keys sign that')
    .argument('<name>', 'who', label)
    .option('--key-file <file>', 'where to write the key (default: NAME.operator.key)')
    .addOption(rootKey())
    .addOption(directory())
    .action(async (name: string, { dir, ...options }: Common & { keyFile: string | undefined; rootKey: string[] }) =>
      ends((await load()).addOperator(dir, name, options)),
    );
  operator
    .command('list')
    .description('the operators of the swarm')
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, output }: Common) => ends((await load()).listOperators(dir, output)));
  operator
    .command('revoke')
    .description('end what an operator may do')
    .argument('<operator>')
    .addOption(rootKey())
    .addOption(directory())
    .action(async (name: string, { dir, rootKey: files }: Common & { rootKey: string[] }) =>
      ends((await load()).revokeOperator(dir, name, files)),
    );
  program
    .command('network-key')
    .description('the pre-shared key of a swarm that was founded with --private')
    .command('rotate')
    .description('give the swarm a new one; revoke first whom it is to lock out')
    .addOption(
      span('--keep <time>', 'how long the older ones are still understood, for members that are off', {
        least: 1_000,
        most: 30 * DAY_MS,
        default: 8 * DAY_MS,
      }),
    )
    .addOption(directory())
    .action(async ({ dir, keep }: Common & { keep: number }) => ends((await load()).rotateNetworkKey(dir, keep)));
  program
    .command('root')
    .description('the root keys, on which the swarm was founded')
    .command('export')
    .description('copy the root keys that lie here elsewhere')
    .argument('<directory>', 'where to')
    .option('--remove', 'and remove them here, so that they can be kept offline', false)
    .addOption(directory())
    .action(async (to: string, { dir, remove }: { dir?: string; remove: boolean }) =>
      ends((await load()).exportRoot(dir, to, remove)),
    );
}
