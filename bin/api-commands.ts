// `kalos watch | api-token`: how its commands are parsed.
import { type Command, Option } from 'commander';
import type { Format } from '../node/cli/output.ts';
import { DAY_MS, directory, ends, format, span } from './options.ts';

const load = () => import('../node/cli/watch.ts');

export function addApiCommands(program: Command): void {
  program
    .command('watch')
    .description('what changes, as it changes: a line each')
    .argument('<topic>', 'members, conditions, incidents, decisions or actions')
    .addOption(directory())
    .addOption(format())
    .action(async (topic: string, { dir, output }: { dir?: string; output: Format }) =>
      ends((await load()).watch(dir, topic, output)),
    );
  const token = program.command('api-token').description('tokens for the API over HTTP, from other machines');
  token
    .command('create')
    .description('print a token: for KALOS_API_TOKEN, with KALOS_ADDRESS, or for Authorization: Bearer')
    .addOption(
      new Option('--scope <scope>', 'read; operate: act, approve, silence; admin: who belongs, and tokens')
        .choices(['read', 'operate', 'admin'])
        .default('read'),
    )
    .option('--name <name>', 'what it is for', '')
    .addOption(
      span('--ttl <time>', 'how long it is good for, such as 12h or 30d', {
        least: 1_000,
        most: 30 * DAY_MS,
        default: 30 * DAY_MS,
      }),
    )
    .addOption(directory())
    .action(
      async ({
        dir,
        name,
        scope,
        ttl: ttlMs,
      }: {
        dir?: string;
        name: string;
        scope: 'read' | 'operate' | 'admin';
        ttl: number;
      }) => ends((await load()).createApiToken(dir, { name, scope, ttlMs })),
    );
  token
    .command('list')
    .description('the tokens of this agent')
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, output }: { dir?: string; output: Format }) => ends((await load()).listApiTokens(dir, output)));
  token
    .command('revoke')
    .description('end a token')
    .argument('<api-token>', 'its id; see: kalos api-token list')
    .addOption(directory())
    .action(async (id: string, { dir }: { dir?: string }) => ends((await load()).revokeApiToken(dir, id)));
}
