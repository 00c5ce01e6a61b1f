// `kalos change draft | sign | commit`: how its commands are parsed.
import type { Command } from 'commander';
import { DAY_MS, directory, ends, HOUR_MS, MINUTE_MS, span } from './options.ts';

const load = () => import('../node/cli/signed-change.ts');

export function addSignedChangeCommands(program: Command): void {
  const change = program
    .command('change')
    .description('what cannot be taken back (R3): drafted, signed by two operators, carried out once');
  change
    .command('draft')
    .description('write down what would be done, for operators to sign')
    .argument('<tool>', 'see: kalos tools')
    .argument('[arguments...]', 'key=value each, as for kalos act')
    .requiredOption('--out <file>', 'where it is written')
    .option('--reason <text>', 'why, for those who sign and the audit', 'by hand')
    .addOption(span('--for <time>', 'how long it holds', { least: MINUTE_MS, most: DAY_MS, bare: HOUR_MS, default: HOUR_MS }))
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
    .description('sign it as an operator; on any machine, with no agent')
    .argument('<file>', 'from: kalos change draft')
    .requiredOption('--operator-key <file>', 'of: kalos operator add')
    .action(async (file: string, { operatorKey }: { operatorKey: string }) =>
      ends((await load()).signChangeFile(file, operatorKey)),
    );
  change
    .command('commit')
    .description('have it carried out, on the machine that it is for')
    .argument('<file>', 'signed by two operators')
    .addOption(directory())
    .action(async (file: string, { dir }: { dir?: string }) => ends((await load()).commitChange(dir, file)));
}
