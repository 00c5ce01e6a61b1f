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
  new Option('--root-key <file>', 'a root key file stored elsewhere; repeatable')
    .argParser(collect)
    .default([], 'those in the state directory');

export function addSwarmCommands(program: Command): void {
  addMembers(program);
  addTokens(program);
  addOperators(program);
  program
    .command('leave')
    .description('leave the swarm for good and stop the agent; rejoining needs a token')
    .option('--force', 'even if this is the only issuer', false)
    .addOption(directory())
    .action(async ({ dir, force }: { dir?: string; force: boolean }) => ends((await load()).leave(dir, force)));
}

function addMembers(program: Command): void {
  const members = program.command('members').description('list and manage the members');
  members
    .command('list', { isDefault: true })
    .description('all members and their state, as seen from here')
    .option('--all', 'include members that left or were removed', false)
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, output, all }: Common & { all: boolean }) => ends((await load()).listMembers(dir, all, output)));
  members
    .command('show')
    .description('one member, by name or peer id suffix')
    .argument('<member>')
    .addOption(directory())
    .addOption(format())
    .action(async (name: string, { dir, output }: Common) => ends((await load()).showMember(dir, name, output)));
  members
    .command('revoke')
    .description('remove a member; all others disconnect it at once')
    .argument('<member>')
    .option('--reason <text>', 'reason, for the audit', '')
    .addOption(directory())
    .action(async (name: string, { dir, reason }: Common & { reason: string }) =>
      ends((await load()).revokeMember(dir, name, reason)),
    );
  members
    .command('rename')
    .description('rename a member')
    .argument('<member>')
    .argument('<name>', 'the new name', label)
    .addOption(directory())
    .action(async (name: string, to: string, { dir }: Common) => ends((await load()).renameMember(dir, name, to)));
  members
    .command('promote')
    .description('make a member an issuer, which admits members and renews certificates; needs root keys')
    .argument('<member>')
    .addOption(rootKey())
    .addOption(directory())
    .action(async (name: string, { dir, rootKey: files }: Common & { rootKey: string[] }) =>
      ends((await load()).promoteMember(dir, name, files)),
    );
}

function addTokens(program: Command): void {
  const token = program.command('token').description('create, list and revoke join tokens');
  token
    .command('create')
    .description('print a token for: kalos up --join TOKEN')
    .addOption(
      new Option('--role <role>', 'committee: may become leader and issuer').choices(['member', 'committee']).default('member'),
    )
    .addOption(
      span('--ttl <time>', 'lifetime, such as 10m or 1d', {
        least: 1_000,
        most: 30 * DAY_MS,
        default: 10 * MINUTE_MS,
      }),
    )
    .option('--uses <n>', 'number of machines that may join with it', integer(1, 1_000), 1)
    .option('-q, --quiet', 'print only the token', false)
    .addOption(directory())
    .addOption(format())
    .action(
      async ({ dir, output, ...options }: Common & { role: 'member' | 'committee'; ttl: number; uses: number; quiet: boolean }) =>
        ends((await load()).createToken(dir, options, output)),
    );
  token
    .command('list')
    .description('the join tokens of this issuer')
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, output }: Common) => ends((await load()).listTokens(dir, output)));
  token
    .command('revoke')
    .description('revoke a join token')
    .argument('<token-id>', 'see: kalos token list')
    .addOption(directory())
    .action(async (id: string, { dir }: Common) => ends((await load()).revokeToken(dir, id)));
}

function addOperators(program: Command): void {
  const operator = program.command('operator').description('people whose keys sign changes (see: kalos change)');
  operator
    .command('add')
    .description('create an operator key; needs root keys')
    .argument('<name>', 'name of the operator', label)
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
    .description('revoke an operator')
    .argument('<operator>')
    .addOption(rootKey())
    .addOption(directory())
    .action(async (name: string, { dir, rootKey: files }: Common & { rootKey: string[] }) =>
      ends((await load()).revokeOperator(dir, name, files)),
    );
  program
    .command('network-key')
    .description('the pre-shared key of a swarm created with --private')
    .command('rotate')
    .description('replace the network key; to lock out a member, revoke it first')
    .addOption(
      span('--keep <time>', 'how long older keys stay valid, for members that are offline', {
        least: 1_000,
        most: 30 * DAY_MS,
        default: 8 * DAY_MS,
      }),
    )
    .addOption(directory())
    .action(async ({ dir, keep }: Common & { keep: number }) => ends((await load()).rotateNetworkKey(dir, keep)));
  program
    .command('root')
    .description('the root keys of the swarm')
    .command('export')
    .description('copy this machine’s root keys to a directory')
    .argument('<directory>', 'target directory')
    .option('--remove', 'then delete them here, to keep them offline', false)
    .addOption(directory())
    .action(async (to: string, { dir, remove }: { dir?: string; remove: boolean }) =>
      ends((await load()).exportRoot(dir, to, remove)),
    );
}
