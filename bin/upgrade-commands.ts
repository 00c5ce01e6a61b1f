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
    .description('releases of KALOS for all machines that take any (upgrades = true), tried on a few first');
  upgrade
    .command('push')
    .description('have a release tried on a few members, then taken by the others in waves; it goes back where it does harm')
    .argument('<file>', 'an archive as npm pack makes it')
    .option('--canary <node...>', 'where it is tried (default: one member in ten, five at most, drawn)')
    .addOption(span('--soak <time>', 'how long it is watched there, and in each wave', SOAK))
    .option('--no-wait', 'do not wait until it is everywhere, or taken back')
    .addOption(directory())
    .action(async (file: string, options: PushOptions) => ends((await load()).pushRelease(options, file)));
  upgrade
    .command('status')
    .description('the swarm’s releases: good, being tried, what became of the last, and who runs what')
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, output }: { dir?: string; output: Format }) => ends((await load()).showUpgrade(dir, output)));
  upgrade
    .command('withdraw')
    .description('take the newest release back: machines run again what they ran before')
    .addOption(new Option('--reason <text>', 'why, for the others and the log').default('by hand'))
    .addOption(directory())
    .action(async ({ dir, reason }: { dir?: string; reason: string }) => ends((await load()).withdrawRelease(dir, reason)));
}
