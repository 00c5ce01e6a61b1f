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
    .description('roll out policies to canaries, then in waves to all; roll back on harm')
    .argument('<file>', 'TOML with [[policy]] tables: all of the swarm’s policies')
    .option('--canary <node...>', 'canary members (default: 10 % at random, five at most)')
    .addOption(span('--soak <time>', 'how long to watch the canaries and each wave', SOAK))
    .option('--findings <n>', 'allowed findings per machine during the soak; more cause a roll-back', integer(0, MAX_FINDINGS), 0)
    .option('--no-wait', 'do not wait for the end of the roll-out')
    .addOption(directory())
    .action(async (file: string, options: PolicyPushOptions) => ends((await load()).pushPolicies(options, file)));
  policy
    .command('bundle')
    .description('policy bundles: the active one, the roll-out, and the last result')
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, output }: { dir?: string; output: Format }) => ends((await load()).showBundle(dir, output)));
  policy
    .command('withdraw')
    .description('roll back to the policy bundle before the newest')
    .addOption(new Option('--reason <text>', 'reason, for the log').default('manual'))
    .addOption(directory())
    .action(async ({ dir, reason }: { dir?: string; reason: string }) => ends((await load()).withdrawBundle(dir, reason)));
}
