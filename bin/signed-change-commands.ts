// `kalos change draft | sign | commit`: how its commands are parsed.
import type { Command } from 'commander';
import { DAY_MS, directory, ends, HOUR_MS, MINUTE_MS, span } from './options.ts';

const load = () => import('../node/cli/signed-change.ts');

export function addSignedChangeCommands(program: Command): void {
  const change = program.command('change').description('irreversible actions (R3): draft, sign by two operators, execute once');
  change
    .command('draft')
    .description('write a change file for operators to sign')
    .argument('<tool>', 'see: kalos tools')
    .argument('[arguments...]', 'key=value each, as for kalos act')
    .requiredOption('--out <file>', 'output file')
    .option('--reason <text>', 'reason, for signers and the audit', 'manual')
    .addOption(span('--for <time>', 'how long it is valid', { least: MINUTE_MS, most: DAY_MS, bare: HOUR_MS, default: HOUR_MS }))
    .addOption(directory())
    .action(
      async (
        tool: string,
        args: string[],
        { dir, out, reason, for: forMs }: { dir?: string; out: string; reason: string; for: number },
      ) => ends((await load()).draftChange(dir, [tool, ...args], { out, reason, forMs })),
    );
  change
    .command('sign')
    .description('sign a change as an operator; needs no agent')
    .argument('<file>', 'from: kalos change draft')
    .requiredOption('--operator-key <file>', 'made by: kalos operator add')
    .action(async (file: string, { operatorKey }: { operatorKey: string }) =>
      ends((await load()).signChangeFile(file, operatorKey)),
    );
  change
    .command('commit')
    .description('execute a signed change; run this on its machine')
    .argument('<file>', 'a change with two signatures')
    .addOption(directory())
    .action(async (file: string, { dir }: { dir?: string }) => ends((await load()).commitChange(dir, file)));
}
