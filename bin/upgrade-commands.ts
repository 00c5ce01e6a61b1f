// `kalos upgrade push | status | withdraw`: how its commands are parsed.
import { type Command, Option } from 'commander';
import type { Format } from '../node/cli/output.ts';
import type { PushOptions } from '../node/cli/rollout.ts';
import { DAY_MS, directory, ends, format, MINUTE_MS, span } from './options.ts';

const load = () => import('../node/cli/upgrade.ts');
const SOAK = { least: 5_000, most: DAY_MS, default: 10 * MINUTE_MS };

export function addUpgradeCommands(program: Command): void {
  const upgrade = program
    .command('upgrade')
    .description('roll out KALOS releases to machines with upgrades = true, canaries first');
  upgrade
    .command('push')
    .description('roll out a release to canaries, then in waves to all; roll back on harm')
    .argument('<file>', 'an archive made by npm pack')
    .option('--canary <node...>', 'canary members (default: 10 % at random, five at most)')
    .addOption(span('--soak <time>', 'how long to watch the canaries and each wave', SOAK))
    .option('--no-wait', 'do not wait for the end of the roll-out')
    .addOption(directory())
    .action(async (file: string, options: PushOptions) => ends((await load()).pushRelease(options, file)));
  upgrade
    .command('status')
    .description('releases: the active one, the roll-out, the last result, and each member’s version')
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, output }: { dir?: string; output: Format }) => ends((await load()).showUpgrade(dir, output)));
  upgrade
    .command('withdraw')
    .description('roll back to the release before the newest')
    .addOption(new Option('--reason <text>', 'reason, for the log').default('manual'))
    .addOption(directory())
    .action(async ({ dir, reason }: { dir?: string; reason: string }) => ends((await load()).withdrawRelease(dir, reason)));
}
