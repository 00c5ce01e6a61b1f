// `kalos tools | act | rollback | approve | reject | silence | stop-all | resume`: how its commands are parsed.
import type { Command } from 'commander';
import type { Format } from '../node/cli/output.ts';
import { DAY_MS, directory, ends, format, span } from './options.ts';

const acting = () => import('../node/cli/act.ts');

interface Common {
  dir?: string;
  output: Format;
}

export function addActCommands(program: Command): void {
  program
    .command('tools')
    .description('list the tools (actions), or show one in full')
    .argument('[tool]')
    .addOption(directory())
    .addOption(format())
    .action(async (name: string | undefined, { dir, output }: Common) => ends((await acting()).showTools(dir, name, output)));
  program
    .command('act')
    .description('run a tool manually, with the usual guards, audit and verification')
    .argument('<tool>', 'see: kalos tools')
    .argument('[arguments...]', 'key=value each; content=@FILE reads a file; + TOOL … adds a call to the plan')
    .option('--dry-run', 'only show what would change', false)
    .option('--reason <text>', 'reason, for the audit', 'manual')
    .addOption(directory())
    .addOption(format())
    .addHelpText(
      'after',
      `\nExamples:\n  kalos act service.restart service=web --dry-run\n  kalos act fs.rotate path=/var/log/web/access.log + service.reload service=web\n  kalos act sysctl.get key=vm.swappiness`,
    )
    .action(async (tool: string, args: string[], { dir, output, dryRun, reason }: Common & { dryRun: boolean; reason: string }) =>
      ends((await acting()).act(dir, [tool, ...args], { dryRun, reason }, output)),
    );
  program
    .command('rollback')
    .description('undo a plan with the inverse of each tool')
    .argument('<plan>', 'such as act-0123456789 or inc-0123456789-1')
    .addOption(directory())
    .addOption(format())
    .action(async (id: string, { dir, output }: Common) => ends((await acting()).rollback(dir, id, output)));
  addAnswers(program);
  program
    .command('silence')
    .description('silence a policy or a target for a while; without options, list the silences')
    .option('--policy <policy>', 'policy, such as service-exited')
    .option('--target <target>', 'service, mount or metric')
    .addOption(span('--for <time>', 'how long, such as 30m, 2h or 1d; at most 30d', { least: 1_000, most: 30 * DAY_MS }))
    .option('--reason <text>', 'reason, for the audit', 'manual')
    .option('--everywhere', 'on all machines of the swarm', false)
    .option('--lift <silence>', 'remove a silence')
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, output, ...options }: Common & { reason: string }) =>
      ends((await acting()).silence(dir, options, output)),
    );
  program
    .command('stop-all')
    .description('stop all actions on this machine at once, also after a restart')
    .option('--reason <text>', 'reason, for the audit', 'manual')
    .addOption(directory())
    .action(async ({ dir, reason }: Common & { reason: string }) => ends((await acting()).stopAll(dir, reason)));
  program
    .command('resume')
    .description('allow actions again after stop-all')
    .addOption(directory())
    .action(async ({ dir }: Common) => ends((await acting()).resume(dir)));
}

function addAnswers(program: Command): void {
  for (const [name, answer] of [
    ['approve', 'approved'],
    ['reject', 'rejected'],
  ] as const) {
    program
      .command(name)
      .description(`${name} a pending plan; without an id, list the pending plans`)
      .argument('[approval]', 'id of a pending plan, as listed')
      .addOption(directory())
      .addOption(format())
      .action(async (id: string | undefined, { dir, output }: Common) =>
        ends((await acting()).answerApproval(dir, id, answer, output)),
      );
  }
}
