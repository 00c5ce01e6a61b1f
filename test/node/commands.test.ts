// The commands as they are typed: what each hands over, with what where nothing is given, up to its limits; and mistakes, on one line each.
import { Command, CommanderError } from 'commander';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { addActCommands } from '../../bin/act-commands.ts';
import { addApiCommands } from '../../bin/api-commands.ts';
import { addBudgetCommands } from '../../bin/budget-commands.ts';
import { addBundleCommands } from '../../bin/bundle-commands.ts';
import { addDecisionCommands } from '../../bin/decision-commands.ts';
import { acceptFormerNames, describeEdges, groupCommands, HELP, modelOf } from '../../bin/edges.ts';
import { span } from '../../bin/options.ts';
import { addSignedChangeCommands } from '../../bin/signed-change-commands.ts';
import { addSwarmCommands } from '../../bin/swarm-commands.ts';
import { addUpgradeCommands } from '../../bin/upgrade-commands.ts';
import { exitsText } from '../../node/cli/exit-codes.ts';

const its = vi.hoisted(() => {
  const handed: unknown[][] = [];
  const handing = () =>
    new Proxy(
      {},
      {
        has: () => true,
        get: (_target, name) => {
          if (name === 'then') return undefined;
          return async (...given: unknown[]) => {
            handed.push([name, ...given]);
            return 7;
          };
        },
      },
    );
  return { handed, handing };
});
vi.mock('../../node/cli/act.ts', its.handing);
vi.mock('../../node/cli/budgets.ts', its.handing);
vi.mock('../../node/cli/bundle.ts', its.handing);
vi.mock('../../node/cli/grants.ts', its.handing);
vi.mock('../../node/cli/log.ts', its.handing);
vi.mock('../../node/cli/members.ts', its.handing);
vi.mock('../../node/cli/decisions.ts', its.handing);
vi.mock('../../node/cli/recover.ts', its.handing);
vi.mock('../../node/cli/signed-change.ts', its.handing);
vi.mock('../../node/cli/upgrade.ts', its.handing);
vi.mock('../../node/cli/watch.ts', its.handing);

function program(): Command {
  const kalos = new Command('kalos');
  for (const add of [addActCommands, addApiCommands, addBudgetCommands, addDecisionCommands, addSignedChangeCommands]) add(kalos);
  for (const add of [addSwarmCommands, addUpgradeCommands]) add(kalos);
  addBundleCommands(kalos.command('policy'));
  return kalos;
}
/** What was handed over, or what is said where it is a mistake. */
async function typed(line: string): Promise<unknown> {
  const kalos = program();
  const said: string[] = [];
  describeEdges(kalos);
  const quiet = (command: Command): void => {
    const { outputError } = command.configureOutput();
    command.exitOverride().configureOutput({ outputError, writeErr: (text) => said.push(text) });
    command.commands.forEach(quiet);
  };
  quiet(kalos);
  its.handed.length = 0;
  try {
    await kalos.parseAsync(['node', 'kalos', ...line.split(' ')]);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return said.join('');
  }
  expect(process.exitCode).toBe(7);
  process.exitCode = undefined;
  return its.handed;
}
beforeEach(() => {
  process.exitCode = undefined;
});

const [MINUTE, HOUR, DAY] = [60_000, 3_600_000, 86_400_000];
const HAND = 'manual';
describe('a command', () => {
  it.each<[line: string, handed: unknown[]]>([
    ['tools', ['showTools', undefined, undefined, 'table']],
    ['tools fs.stat --dir d -o json', ['showTools', 'd', 'fs.stat', 'json']],
    ['act a b=1 c=2', ['act', undefined, ['a', 'b=1', 'c=2'], { dryRun: false, reason: HAND }, 'table']],
    ['act a --dry-run --reason r --dir d', ['act', 'd', ['a'], { dryRun: true, reason: 'r' }, 'table']],
    ['rollback p', ['rollback', undefined, 'p', 'table']],
    ['silence', ['silence', undefined, { reason: HAND, everywhere: false }, 'table']],
    [
      'silence --policy p --target t --for 30d --reason r --everywhere',
      ['silence', undefined, { policy: 'p', target: 't', for: 30 * DAY, reason: 'r', everywhere: true }, 'table'],
    ],
    ['silence --lift s --for 1s', ['silence', undefined, { lift: 's', for: 1_000, reason: HAND, everywhere: false }, 'table']],
    ['stop-all', ['stopAll', undefined, HAND]],
    ['resume --dir d', ['resume', 'd']],
    ['approve', ['answerApproval', undefined, undefined, 'approved', 'table']],
    ['reject i -o csv', ['answerApproval', undefined, 'i', 'rejected', 'csv']],
    ['nova', ['novaStatus', undefined, 'local', 'table']],
    ['nova status --read lease', ['novaStatus', undefined, 'lease', 'table']],
    ['nova transfer n', ['novaTransfer', undefined, 'n']],
    ['log', ['logTail', undefined, 'local', 20, 'table']],
    ['log tail -n 256 --read linearizable', ['logTail', undefined, 'linearizable', 256, 'table']],
    ['log show 7', ['logShow', undefined, '7', 'local', 'table']],
    ['log agent', ['agentLog', { lines: 50, level: 'debug', follow: false, output: 'table' }]],
    [
      'log agent -n 10000 --level warn --since 30d -f',
      ['agentLog', { lines: 10_000, level: 'warn', since: 30 * DAY, follow: true, output: 'table' }],
    ],
    ['pause n', ['pause', undefined, 'n', HAND]],
    ['wake n --reason r', ['wake', undefined, 'n', 'r']],
    ['drain n', ['drain', undefined, 'n', HOUR, HAND]],
    ['drain n --for 2', ['drain', undefined, 'n', 2 * HOUR, HAND]],
    ['drain n --for 1d', ['drain', undefined, 'n', DAY, HAND]],
    ['undrain n', ['undrain', undefined, 'n', HAND]],
    ['pardon n', ['pardon', undefined, 'n', HAND]],
    ['failover s', ['failOver', undefined, 's', HAND]],
    ['recover', ['recover', { yes: false, rootKey: [] }]],
    ['recover --on n --yes --root-key a --root-key b', ['recover', { on: 'n', yes: true, rootKey: ['a', 'b'] }]],
    ['grant', ['list', undefined, 'table']],
    ['grant deny --node n --tool t', ['give', 'deny', { node: 'n', tool: 't', reason: HAND, for: DAY }]],
    [
      'grant act --node n --tool t --target x --for 1m',
      ['give', 'act', { node: 'n', tool: 't', target: 'x', reason: HAND, for: MINUTE }],
    ],
    [
      'grant approve --node n --tool t --target x --for 30d',
      ['give', 'approve', { node: 'n', tool: 't', target: 'x', reason: HAND, for: 30 * DAY, uses: 3, within: HOUR }],
    ],
    [
      'grant approve --node n --tool t --target x --uses 100 --within 720',
      ['give', 'approve', { node: 'n', tool: 't', target: 'x', reason: HAND, for: DAY, uses: 100, within: 720 * HOUR }],
    ],
    ['grant revoke g', ['revoke', undefined, 'g', HAND]],
    ['budget', ['listBudgets', undefined, 'table']],
    ['budget set n --changes 0', ['setBudget', 'n', { each: false, changes: 0, within: HOUR, reason: HAND }]],
    [
      'budget set --each --changes 500 --within 2',
      ['setBudget', undefined, { each: true, changes: 500, within: 2 * MINUTE, reason: HAND }],
    ],
    ['budget lift --each', ['liftBudget', undefined, { each: true, reason: HAND }]],
    ['policy push f', ['pushPolicies', { soak: MINUTE, findings: 0, wait: true }, 'f']],
    [
      'policy push f --soak 5s --findings 1000 --no-wait --canary a b',
      ['pushPolicies', { soak: 5_000, findings: 1_000, wait: false, canary: ['a', 'b'] }, 'f'],
    ],
    ['policy bundle', ['showBundle', undefined, 'table']],
    ['policy withdraw', ['withdrawBundle', undefined, HAND]],
    ['upgrade push f', ['pushRelease', { soak: 10 * MINUTE, wait: true }, 'f']],
    ['upgrade push f --soak 1d --no-wait', ['pushRelease', { soak: DAY, wait: false }, 'f']],
    ['upgrade status', ['showUpgrade', undefined, 'table']],
    ['upgrade withdraw', ['withdrawRelease', undefined, HAND]],
    ['change draft t a=1 --out f', ['draftChange', undefined, ['t', 'a=1'], { out: 'f', reason: HAND, forMs: HOUR }]],
    ['change draft t --out f --for 24', ['draftChange', undefined, ['t'], { out: 'f', reason: HAND, forMs: DAY }]],
    ['change sign f --operator-key k', ['signChangeFile', 'f', 'k']],
    ['change commit f --dir d', ['commitChange', 'd', 'f']],
    ['watch t', ['watch', undefined, 't', 'table']],
    ['api-token create', ['createApiToken', undefined, { name: '', scope: 'read', ttlMs: 30 * DAY }]],
    [
      'api-token create --name n --scope admin --ttl 1s',
      ['createApiToken', undefined, { name: 'n', scope: 'admin', ttlMs: 1_000 }],
    ],
    ['api-token list', ['listApiTokens', undefined, 'table']],
    ['api-token revoke t', ['revokeApiToken', undefined, 't']],
    ['members', ['listMembers', undefined, false, 'table']],
    ['members list --all', ['listMembers', undefined, true, 'table']],
    ['members show m', ['showMember', undefined, 'm', 'table']],
    ['members revoke m', ['revokeMember', undefined, 'm', '']],
    [`members rename m ${'n'.repeat(24)}`, ['renameMember', undefined, 'm', 'n'.repeat(24)]],
    ['members promote m', ['promoteMember', undefined, 'm', []]],
    ['token create', ['createToken', undefined, { role: 'member', ttl: 10 * MINUTE, uses: 1, quiet: false }, 'table']],
    [
      'token create --role committee --ttl 30d --uses 1000 -q',
      ['createToken', undefined, { role: 'committee', ttl: 30 * DAY, uses: 1_000, quiet: true }, 'table'],
    ],
    ['token list', ['listTokens', undefined, 'table']],
    ['token revoke t', ['revokeToken', undefined, 't']],
    ['operator add ann', ['addOperator', undefined, 'ann', { rootKey: [] }]],
    ['operator add ann --key-file f --root-key k', ['addOperator', undefined, 'ann', { keyFile: 'f', rootKey: ['k'] }]],
    ['operator list', ['listOperators', undefined, 'table']],
    ['operator revoke ann', ['revokeOperator', undefined, 'ann', []]],
    ['network-key rotate', ['rotateNetworkKey', undefined, 8 * DAY]],
    ['root export d', ['exportRoot', undefined, 'd', false]],
    ['root export d --remove', ['exportRoot', undefined, 'd', true]],
    ['leave', ['leave', undefined, false]],
    ['leave --force', ['leave', undefined, true]],
  ])('kalos %s', async (line, handed) => {
    expect(await typed(line)).toEqual([handed]);
  });

  const time = (low: string, high: string): string => `a time from ${low} to ${high}, such as 90s, 1h30m or 2d`;
  it.each<[line: string, said: string, of: string]>([
    ['drain', 'the argument <node> is missing', 'drain'],
    ['drain n --for 25h', `--for <time> = "25h": must be ${time('1 min', '1 d')}`, 'drain'],
    ['drain n --for 59s', `--for <time> = "59s": must be ${time('1 min', '1 d')}`, 'drain'],
    ['drain n --for', '--for <time> needs a value', 'drain'],
    ['silence --for 999ms', `--for <time> = "999ms": must be ${time('1 s', '30 d')}`, 'silence'],
    ['log tail -n 257', '-n, --lines <n> = "257": must be a whole number from 1 to 256', 'log tail'],
    ['log tail -n 1.5', '-n, --lines <n> = "1.5": must be a whole number from 1 to 256', 'log tail'],
    ['log agent -n 10001', '-n, --lines <n> = "10001": must be a whole number from 1 to 10000', 'log agent'],
    ['log tail -n 0', '-n, --lines <n> = "0": must be a whole number from 1 to 256', 'log tail'],
    ['nova status --read soon', '--read <mode> = "soon": must be one of local, lease, linearizable', 'nova status'],
    ['tools -o jsn', '-o, --output <format> = "jsn": must be one of table, wide, json, yaml, csv', 'tools'],
    ['budget set n', '--changes <n> is missing', 'budget set'],
    ['budget set n --changes 501', '--changes <n> = "501": must be a whole number from 0 to 500', 'budget set'],
    ['grant act --node n --tool t', '--target <target> is missing', 'grant act'],
    ['grant approve --uses 101', '--uses <n> = "101": must be a whole number from 1 to 100', 'grant approve'],
    ['policy push f --findings 1001', '--findings <n> = "1001": must be a whole number from 0 to 1000', 'policy push'],
    ['policy push f --soak 4999ms', `--soak <time> = "4999ms": must be ${time('5 s', '1 d')}`, 'policy push'],
    ['token create --uses 1001', '--uses <n> = "1001": must be a whole number from 1 to 1000', 'token create'],
    [
      `members rename m ${'n'.repeat(25)}`,
      `name = "${'n'.repeat(25)}": must be letters, digits, dots, dashes and underscores, at most 24`,
      'members rename',
    ],
    ['operator add -- -x', 'name = "-x": must be letters, digits, dots, dashes and underscores, at most 24', 'operator add'],
    ['leave --forc', "unknown option '--forc'; did you mean --force?", 'leave'],
    ['laeve', "unknown command 'laeve'; did you mean leave?", ''],
  ])('kalos %s is a mistake', async (line, said, of) => {
    expect(await typed(line)).toBe(`kalos: ${said}${said.endsWith('?') ? '' : ';'} see: ${`kalos ${of}`.trim()} --help\n`);
    expect(its.handed).toEqual([]);
  });

  it('is data: what it takes, and what help says after', () => {
    const model = modelOf(program());
    const at = (...path: string[]) =>
      path.reduce((one, name) => one.commands.find((sub) => sub.name === name) ?? expect.fail(name), model);
    expect(at('token', 'create').options.map(({ long, short, takes, choices }) => [long, short, takes, choices])).toEqual([
      ['--role', undefined, 'role', ['member', 'committee']],
      ['--ttl', undefined, 'time', []],
      ['--uses', undefined, 'n', []],
      ['--quiet', '-q', undefined, []],
      ['--dir', undefined, 'path', []],
      ['--output', '-o', 'format', ['table', 'wide', 'json', 'yaml', 'csv']],
    ]);
    expect(at('act').arguments.map(({ name, isVariadic }) => [name, isVariadic])).toEqual([
      ['tool', false],
      ['arguments', true],
    ]);
    expect(at('act').notes).toMatch(/^\nExamples:\n {2}kalos act service.restart service=web --dry-run\n/);
  });

  it('stands in its group in help, what is needed first at the top; what is in none at the end', () => {
    const kalos = new Command('kalos');
    for (const name of ['zzz', 'leave', 'status', 'act', 'up']) kalos.command(name).description(`does ${name}`);
    groupCommands(kalos);
    expect(kalos.commands.map((command) => command.name())).toEqual(['up', 'status', 'act', 'leave', 'zzz']);
    expect(kalos.helpInformation()).toMatch(
      /Start here:\n {2}up +does up\n {2}status +does status\n[\s\S]*Act:\n {2}act [\s\S]*Swarm:\n {2}leave /,
    );
  });

  it('is accepted by the name that it had in the release before, with a warning, and listed by its own alone', async () => {
    const kalos = new Command('kalos').configureHelp(HELP);
    const ran: string[] = [];
    kalos
      .command('change')
      .description('a')
      .action(() => void ran.push('change'));
    kalos.command('authorize-check', { hidden: true }).action(() => void ran.push('authorize-check'));
    acceptFormerNames(kalos);
    const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    for (const name of ['change', 'order', 'leave-check']) await kalos.parseAsync(['node', 'kalos', name]);
    expect([ran, said.mock.calls]).toEqual([
      ['change', 'change', 'authorize-check'],
      [['kalos: kalos order is now called kalos change: use the new name\n']],
    ]);
    said.mockRestore();
    expect([kalos.helpInformation(), kalos.commands[0]?.helpInformation()]).toEqual([
      expect.not.stringMatching('order|leave-check'),
      expect.stringContaining('Usage: kalos change [options]'),
    ]);
  });

  it('shows a default time in its largest unit in help, and no preset', () => {
    const days = { least: 1_000, most: 30 * 86_400_000 };
    const kalos = new Command('kalos')
      .configureHelp(HELP)
      .addOption(span('--ttl <time>', 'lifetime', { ...days, default: days.most }))
      .addOption(span('-w, --watch [time]', 'refresh every TIME', days).preset(2_000));
    expect(kalos.helpInformation()).toMatch(
      /--ttl <time> +lifetime \(default: 30 d\)\n +-w, --watch \[time\] +refresh every TIME\n/,
    );
  });

  it('says its exit codes after its help, a group of commands does not', () => {
    const kalos = program();
    const hidden = kalos.command('hidden');
    describeEdges(kalos);
    const afterOf = (command: Command | undefined): string => {
      let help = '';
      command?.configureOutput({
        writeOut: (text) => {
          help += text;
        },
      });
      command?.outputHelp();
      return help.slice(command?.helpInformation().length);
    };
    const named = (name: string) => kalos.commands.find((command) => command.name() === name);
    expect(afterOf(named('leave'))).toBe(`${exitsText('leave')}\n`);
    expect(exitsText('leave')).toMatch(/\d/);
    expect([afterOf(named('members')), afterOf(hidden)]).toEqual(['', '']);
    expect(afterOf(named('members')?.commands[0])).toBe(`${exitsText('members list')}\n`);
  });
});
