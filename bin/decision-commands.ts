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
  new Option('--read <mode>', 'local: this agent’s copy; lease: at most one second old; linearizable: up to date')
    .choices(['local', 'lease', 'linearizable'])
    .default('local');
const why = (): Option => new Option('--reason <text>', 'reason, for the log').default('manual');

export function addDecisionCommands(program: Command): void {
  const nova = program.command('nova').description('the leader (coordinator) and the voters (committee)');
  nova
    .command('status', { isDefault: true })
    .description('the leader, the voters, and the decisions in force')
    .addOption(read())
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, read: mode, output }: Common) => ends((await load()).novaStatus(dir, mode, output)));
  nova
    .command('transfer')
    .description('transfer leadership to another voter')
    .argument('<node>', 'see: kalos nova status')
    .addOption(directory())
    .action(async (node: string, { dir }: Common) => ends((await load()).novaTransfer(dir, node)));
  addLog(program);
  program
    .command('pause')
    .description('stop automatic changes on a member until kalos wake; it still monitors, reports and votes')
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
    .description('move a fail-over service to another member that declares it')
    .argument('<service>', 'see: kalos nova status')
    .addOption(why())
    .addOption(directory())
    .action(async (service: string, { dir, reason }: Common & { reason: string }) =>
      ends((await load()).failOver(dir, service, reason)),
    );
  program
    .command('wake')
    .description('end the pause of a member')
    .argument('<node>', 'see: kalos nova status')
    .addOption(why())
    .addOption(directory())
    .action(async (node: string, { dir, reason }: Common & { reason: string }) => ends((await load()).wake(dir, node, reason)));
}

function addLog(program: Command): void {
  const log = program.command('log').description('the swarm’s decision log');
  log
    .command('tail', { isDefault: true })
    .description('the newest decisions')
    .option('-n, --lines <n>', 'number of decisions', integer(1, MAX_SHOWN), 20)
    .addOption(read())
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, read: mode, output, lines }: Common & { lines: number }) =>
      ends((await load()).logTail(dir, mode, lines, output)),
    );
  log
    .command('show')
    .description('one decision in full')
    .argument('<decision>', 'its index or id; see: kalos log tail -o wide')
    .addOption(read())
    .addOption(directory())
    .addOption(format())
    .action(async (which: string, { dir, read: mode, output }: Common) => ends((await load()).logShow(dir, which, mode, output)));
  log
    .command('agent')
    .description('the newest lines of this agent’s own log')
    .option('-n, --lines <n>', 'number of lines', integer(1, MAX_LINES), 50)
    .addOption(new Option('--level <level>', 'minimum level').choices(LOG_LEVELS).default('debug'))
    .addOption(span('--since <time>', 'only lines newer than this, such as 10m', { least: 1_000, most: 30 * DAY_MS }))
    .option('-f, --follow', 'print new lines as they come', false)
    .addOption(directory())
    .addOption(format())
    .action(async (options: AgentLogOptions) => ends((await import('../node/cli/log.ts')).agentLog(options)));
}

function addDrain(program: Command): void {
  program
    .command('drain')
    .description('drain a member for a while: its placed services move, and it cannot be leader')
    .argument('<node>', 'see: kalos members')
    .addOption(span('--for <time>', 'how long, such as 2h', { least: MINUTE_MS, most: DAY_MS, bare: HOUR_MS, default: HOUR_MS }))
    .addOption(why())
    .addOption(directory())
    .action(async (node: string, { dir, for: forMs, reason }: Common & { for: number; reason: string }) =>
      ends((await load()).drain(dir, node, forMs, reason)),
    );
  program
    .command('undrain')
    .description('end the drain of a member')
    .argument('<node>', 'see: kalos nova status')
    .addOption(why())
    .addOption(directory())
    .action(async (node: string, { dir, reason }: Common & { reason: string }) =>
      ends((await load()).undrain(dir, node, reason)),
    );
}

function addGrantCommands(program: Command): void {
  const grants = () => import('../node/cli/grants.ts');
  const grant = program.command('grant').description('allow or deny tools to the policies of one machine');
  for (const [effect, description] of [
    ['act', 'in mode advise: let policies use a tool without approval, if the change is reversible'],
    ['approve', 'pre-approve a disruptive tool on a machine with fewer than four witnesses; each use takes a lease'],
    ['deny', 'deny a tool to policies'],
  ] as const) {
    const command = grant
      .command(effect)
      .description(description)
      .requiredOption('--node <node>', 'the machine; see: kalos members')
      .requiredOption('--tool <tool>', 'such as service.restart; see: kalos tools')
      .addOption(why())
      .addOption(
        span('--for <time>', 'how long it is valid', { least: MINUTE_MS, most: MAX_GRANT_MS, bare: HOUR_MS, default: DAY_MS }),
      )
      .addOption(directory());
    if (effect === 'deny') command.option('--target <target>', 'such as a service name (default: all targets)');
    else command.requiredOption('--target <target>', 'such as a service name');
    if (effect === 'approve')
      command.option('--uses <n>', 'number of uses', integer(1, MAX_USES), 3).addOption(
        span('--within <time>', 'time window of --uses', {
          least: MINUTE_MS,
          most: MAX_GRANT_MS,
          bare: HOUR_MS,
          default: HOUR_MS,
        }),
      );
    command.action(async (options: GrantOptions) => ends((await grants()).give(effect, options)));
  }
  grant
    .command('list', { isDefault: true })
    .description('list the grants')
    .addOption(directory())
    .addOption(format())
    .action(async ({ dir, output }: Common) => ends((await grants()).list(dir, output)));
  grant
    .command('revoke')
    .description('revoke a grant')
    .argument('<grant>', 'its id or a prefix; see: kalos grant list')
    .addOption(why())
    .addOption(directory())
    .action(async (id: string, { dir, reason }: Common & { reason: string }) => ends((await grants()).revoke(dir, id, reason)));
}

function addRecover(program: Command): void {
  program
    .command('recover')
    .description('recover the committee with root keys after a permanent loss of quorum; shows the plan first')
    .option('--on <node>', 'first voter (default: the reachable member with the newest log)')
    .option('--yes', 'execute the plan', false)
    .addOption(rootKey())
    .addOption(directory())
    .action(async (options: RecoverOptions) => ends((await import('../node/cli/recover.ts')).recover(options)));
}

function addPardon(program: Command): void {
  program
    .command('pardon')
    .description('end the quarantine of a member that signed two different votes')
    .argument('<node>', 'see: kalos nova status')
    .addOption(why())
    .addOption(directory())
    .action(async (node: string, { dir, reason }: Common & { reason: string }) => ends((await load()).pardon(dir, node, reason)));
}
