// `kalos nova | log | pause | wake | drain | undrain | failover`: how its commands are parsed.
import { type Command, Option } from 'commander';
import type { GrantOptions } from '../node/cli/grants.ts';
import type { AgentLogOptions } from '../node/cli/log.ts';
import type { Format } from '../node/cli/output.ts';
import type { RecoverOptions } from '../node/cli/recover.ts';
import type { ReadMode } from '../node/decisions/reads.ts';
import { LOG_LEVELS } from '../node/log-levels.ts';
import { DAY_MS, directory, ends, format, HOUR_MS, integer, MINUTE_MS, span } from './options.ts';
import { rootKey } from './swarm-commands.ts';

const load = () => import('../node/cli/decisions.ts');
const MAX_SHOWN = 256;
const MAX_LINES = 10_000;
const MAX_GRANT_MS = 30 * DAY_MS;
const MAX_USES = 100;

interface Common {
  dir?: string;
  output: Format;
  read: ReadMode;
}

const read = () =>
  new Option(
    '--read <mode>',
    'local: what this agent knows; lease: no older than a second; linearizable: no older than this question',
  )
    .choices(['local', 'lease', 'linearizable'])
    .default('local');
const why = (): Option => new Option('--reason <text>', 'why, for the others and the log').default('by hand');

export function addDecisionCommands(program: Command): void {
  const nova = program.command('nova').description('the coordinator, and the committee that it leads');
  nova
    .command('status', { isDefault: true })
    .description('who coordinates, who votes, and what is decided and holds')
    .addOption(read())
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, read: mode, output }: Common) => ends((await load()).novaStatus(dir, mode, output)));
  nova
    .command('transfer')
    .description('have another voter of the committee coordinate')
    .argument('<node>', 'see: kalos nova status')
    .addOption(directory())
    .action(async (node: string, { dir }: Common) => ends((await load()).novaTransfer(dir, node)));
  addLog(program);
  program
    .command('pause')
    .description('have a member change nothing by itself until it is woken; it goes on watching, telling and voting')
    .argument('<node>', 'see: kalos members')
    .addOption(why())
    .addOption(directory())
    .action(async (node: string, { dir, reason }: Common & { reason: string }) => ends((await load()).pause(dir, node, reason)));
  addDrain(program);
  addGrantCommands(program);
  addRecover(program);
  addPardon(program);
  program
    .command('failover')
    .description('have whoever runs a service for fail-over give it up to another member that declares it')
    .argument('<service>', 'see: kalos nova status')
    .addOption(why())
    .addOption(directory())
    .action(async (service: string, { dir, reason }: Common & { reason: string }) =>
      ends((await load()).failOver(dir, service, reason)),
    );
  program
    .command('wake')
    .description('end a pause')
    .argument('<node>', 'see: kalos nova status')
    .addOption(why())
    .addOption(directory())
    .action(async (node: string, { dir, reason }: Common & { reason: string }) => ends((await load()).wake(dir, node, reason)));
}

function addLog(program: Command): void {
  const log = program.command('log').description('what the swarm has decided, in order');
  log
    .command('tail', { isDefault: true })
    .description('the newest decisions')
    .option('-n, --lines <n>', 'how many', integer(1, MAX_SHOWN), 20)
    .addOption(read())
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, read: mode, output, lines }: Common & { lines: number }) =>
      ends((await load()).logTail(dir, mode, lines, output)),
    );
  log
    .command('show')
    .description('one decision, whole')
    .argument('<decision>', 'its index or id, of: kalos log tail -o wide')
    .addOption(read())
    .addOption(directory())
    .addOption(format())
    .action(async (which: string, { dir, read: mode, output }: Common) => ends((await load()).logShow(dir, which, mode, output)));
  log
    .command('agent')
    .description('not the swarm’s, but the newest lines of this agent’s own log')
    .option('-n, --lines <n>', 'how many', integer(1, MAX_LINES), 50)
    .addOption(new Option('--level <level>', 'of this level and above').choices(LOG_LEVELS).default('debug'))
    .addOption(span('--since <time>', 'not older than that, such as 10m or 2h', { least: 1_000, most: 30 * DAY_MS }))
    .option('-f, --follow', 'go on with what comes', false)
    .addOption(directory())
    .addOption(format())
    .action(async (options: AgentLogOptions) => ends((await import('../node/cli/log.ts')).agentLog(options)));
}

function addDrain(program: Command): void {
  program
    .command('drain')
    .description('have nothing depend on a member for a while: what is placed there goes elsewhere, and it does not coordinate')
    .argument('<node>', 'see: kalos members')
    .addOption(
      span('--for <time>', 'for how long, such as 2h', { least: MINUTE_MS, most: DAY_MS, bare: HOUR_MS, default: HOUR_MS }),
    )
    .addOption(why())
    .addOption(directory())
    .action(async (node: string, { dir, for: forMs, reason }: Common & { for: number; reason: string }) =>
      ends((await load()).drain(dir, node, forMs, reason)),
    );
  program
    .command('undrain')
    .description('end that')
    .argument('<node>', 'see: kalos nova status')
    .addOption(why())
    .addOption(directory())
    .action(async (node: string, { dir, reason }: Common & { reason: string }) =>
      ends((await load()).undrain(dir, node, reason)),
    );
}

function addGrantCommands(program: Command): void {
  const grants = () => import('../node/cli/grants.ts');
  const grant = program.command('grant').description('what the swarm lets the policies of one machine do, or keeps from them');
  for (const [effect, description] of [
    ['act', 'have policies use a tool without asking, where the machine’s mode is to ask and the change is reversible'],
    ['approve', 'a standing approval of a disruptive tool, for machines with fewer than four witnesses; each use takes a lease'],
    ['deny', 'keep policies from using a tool'],
  ] as const) {
    const command = grant
      .command(effect)
      .description(description)
      .requiredOption('--node <node>', 'the machine; see: kalos members')
      .requiredOption('--tool <tool>', 'such as service.restart; see: kalos tools')
      .addOption(why())
      .addOption(
        span('--for <time>', 'how long it holds', { least: MINUTE_MS, most: MAX_GRANT_MS, bare: HOUR_MS, default: DAY_MS }),
      )
      .addOption(directory());
    if (effect === 'deny') command.option('--target <target>', 'such as the name of a service (default: whatever it is on)');
    else command.requiredOption('--target <target>', 'such as the name of a service');
    if (effect === 'approve')
      command
        .option('--uses <n>', 'how often', integer(1, MAX_USES), 3)
        .addOption(
          span('--within <time>', 'in how long', { least: MINUTE_MS, most: MAX_GRANT_MS, bare: HOUR_MS, default: HOUR_MS }),
        );
    command.action(async (options: GrantOptions) => ends((await grants()).give(effect, options)));
  }
  grant
    .command('list', { isDefault: true })
    .description('what holds')
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, output }: Common) => ends((await grants()).list(dir, output)));
  grant
    .command('revoke')
    .description('take a grant back')
    .argument('<grant>', 'its id, or how it begins; see: kalos grant list')
    .addOption(why())
    .addOption(directory())
    .action(async (id: string, { dir, reason }: Common & { reason: string }) => ends((await grants()).revoke(dir, id, reason)));
}

function addRecover(program: Command): void {
  program
    .command('recover')
    .description('have the committee begin again, by root keys, once most of it is lost for good: says what it would do, first')
    .option('--on <node>', 'who begins it (default: of those that are there, who knows most)')
    .option('--yes', 'do it', false)
    .addOption(rootKey())
    .addOption(directory())
    .action(async (options: RecoverOptions) => ends((await import('../node/cli/recover.ts')).recover(options)));
}

function addPardon(program: Command): void {
  program
    .command('pardon')
    .description('let a member that signed two different votes be a witness again')
    .argument('<node>', 'see: kalos nova status')
    .addOption(why())
    .addOption(directory())
    .action(async (node: string, { dir, reason }: Common & { reason: string }) => ends((await load()).pardon(dir, node, reason)));
}
