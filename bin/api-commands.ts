// `kalos watch | api-token`: how its commands are parsed.
import { type Command, Option } from 'commander';
import type { Format } from '../node/cli/output.ts';
import { DAY_MS, directory, ends, format, span } from './options.ts';

const load = () => import('../node/cli/watch.ts');

export function addApiCommands(program: Command): void {
  program
    .command('watch')
    .description('stream changes of a topic, one per line')
    .argument('<topic>', 'members, conditions, incidents, decisions or actions')
    .addOption(directory())
    .addOption(format())
    .action(async (topic: string, { dir, output }: { dir?: string; output: Format }) =>
      ends((await load()).watch(dir, topic, output)),
    );
  const token = program.command('api-token').description('tokens for the HTTP API, for clients on other machines');
  token
    .command('create')
    .description('create and print an API token, for KALOS_API_TOKEN or Authorization: Bearer')
    .addOption(
      new Option('--scope <scope>', 'read; operate: act, approve, silence; admin: members and tokens')
        .choices(['read', 'operate', 'admin'])
        .default('read'),
    )
    .option('--name <name>', 'label of the token', '')
    .addOption(
      span('--ttl <time>', 'lifetime, such as 12h or 30d', {
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
    .description('revoke a token')
    .argument('<api-token>', 'its id; see: kalos api-token list')
    .addOption(directory())
    .action(async (id: string, { dir }: { dir?: string }) => ends((await load()).revokeApiToken(dir, id)));
}
