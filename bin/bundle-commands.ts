// `kalos policy push | bundle | withdraw`: how its commands are parsed.
import { type Command, Option } from 'commander';
import type { PolicyPushOptions } from '../node/cli/bundle.ts';
import type { Format } from '../node/cli/output.ts';
import { DAY_MS, directory, ends, format, integer, MINUTE_MS, span } from './options.ts';

const load = () => import('../node/cli/bundle.ts');
const SOAK = { least: 5_000, most: DAY_MS, default: MINUTE_MS };
const MAX_FINDINGS = 1_000;

export function addBundleCommands(policy: Command): void {
  policy
    .command('push')
    .description('have policies tried on a few members, then taken by all in waves; they go back where they do harm')
    .argument('<file>', 'TOML with [[policy]] tables: all of the swarm’s policies')
    .option('--canary <node...>', 'where they are tried (default: one member in ten, five at most, drawn)')
    .addOption(span('--soak <time>', 'how long they are watched there, and in each wave', SOAK))
    .option(
      '--findings <n>',
      'what they may find on a machine meanwhile; more, and they are taken back',
      integer(0, MAX_FINDINGS),
      0,
    )
    .option('--no-wait', 'do not wait until they are in force, or taken back')
    .addOption(directory())
    .action(async (file: string, options: PolicyPushOptions) => ends((await load()).pushPolicies(options, file)));
  policy
    .command('bundle')
    .description('the swarm’s policies: in force, being tried, and what became of the last')
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, output }: { dir?: string; output: Format }) => ends((await load()).showBundle(dir, output)));
  policy
    .command('withdraw')
    .description('take the newest of the swarm’s policies back: those before are in force again')
    .addOption(new Option('--reason <text>', 'why, for the others and the log').default('by hand'))
    .addOption(directory())
    .action(async ({ dir, reason }: { dir?: string; reason: string }) => ends((await load()).withdrawBundle(dir, reason)));
}
