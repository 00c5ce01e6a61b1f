// The exit codes of every command, once: help texts and docs/EXIT-CODES.md are made of this table, and tests hold commands to it.
import type { ErrorCode } from '../errors.ts';

export const EXIT = {
  ok: 0,
  error: 1,
  usage: 2,
  degraded: 3,
  pending: 4,
  refused: 5,
  partial: 6,
  noQuorum: 7,
  auditBroken: 8,
} as const;
type ExitName = keyof typeof EXIT;

/** What each code means, whatever the command. */
const MEANINGS: Readonly<Record<ExitName, string>> = {
  ok: 'done, or all is well',
  error: 'error: no agent runs, the disk or the network fails, or what was asked for did not succeed',
  usage:
    'a mistake in the command: a wrong argument, value or file, an unknown name, or something that cannot be done in this state; one line says what to do',
  degraded: 'something is not well',
  pending: 'waits for a person',
  refused: 'refused: by a guard, by the swarm, or because the token does not allow it (any command with --address)',
  partial: 'partial: not all nodes answered',
  noQuorum: 'the swarm has no leader, so that nothing can be decided now',
  auditBroken: 'an audit log was changed, or a proof is not valid',
};

/** What an error ends a command with. */
export const EXIT_OF: Readonly<Record<ErrorCode, number>> = {
  usage: EXIT.usage,
  config: EXIT.usage,
  'not-found': EXIT.usage,
  refused: EXIT.refused,
  'no-quorum': EXIT.noQuorum,
  'not-running': EXIT.error,
  'already-running': EXIT.error,
  io: EXIT.error,
  damaged: EXIT.error,
  internal: EXIT.error,
};

type Exits = Partial<Record<ExitName, string>>;

/** Of all commands; a command's own words come over these. */
const COMMON: Exits = { ok: 'done', error: 'error', usage: 'usage' };
const DECIDES: Exits = { ok: 'decided', usage: 'usage, or the swarm does not take it', noQuorum: 'the swarm has no leader' };
const READS_LOG: Exits = { noQuorum: 'the swarm has no leader' };
const ASKS_NODES: Exits = { partial: 'not all nodes answered' };
const ACTS: Exits = { ok: 'confirmed', error: 'failed or undone', refused: 'refused' };
const SIMULATES: Exits = { ok: 'everything held', error: 'something did not', usage: 'usage, or a wrong scenario' };
const PROVES: Exits = { ok: 'valid', usage: 'usage, or no proof', auditBroken: 'not valid' };
const ANSWERS: Exits = { ok: 'answered, or nothing waits', pending: 'something waits' };

/** By command: what it says more closely than `COMMON`, and the codes that only it has. */
const OWN: Readonly<Record<string, Exits>> = {
  up: { ok: 'stopped on request', usage: 'usage, or a wrong configuration', refused: 'not let in' },
  status: { ok: 'well', degraded: 'degraded', noQuorum: 'half of the members or fewer are within reach' },
  query: { ok: 'complete', usage: 'usage, or wrong SQL', ...ASKS_NODES },
  top: ASKS_NODES,
  metrics: ASKS_NODES,
  incidents: ASKS_NODES,
  conditions: { ok: 'well', degraded: 'degraded' },
  doctor: { ok: 'nothing is broken', degraded: 'something is' },
  watch: { error: 'the agent has gone' },
  'members list': { ok: 'all are alive, or stopped in order', degraded: 'some are not' },
  'members show': { ok: 'it is alive', degraded: 'it is not' },
  leave: { ok: 'left', usage: 'usage, or the only issuer' },
  'token create': { ok: 'made', usage: 'usage, or no issuer' },
  'network-key rotate': { ok: 'made', usage: 'usage, no issuer, or no network key' },
  'nova status': { ok: 'the swarm has a leader', ...READS_LOG },
  'nova transfer': { ok: 'it leads', usage: 'usage, or it cannot', ...READS_LOG },
  'log tail': READS_LOG,
  'log show': READS_LOG,
  'log agent': { error: 'with --follow: the agent has gone' },
  ...Object.fromEntries(
    ['pause', 'wake', 'drain', 'undrain', 'pardon', 'failover', 'budget set', 'budget lift', 'policy withdraw'].map((path) => [
      path,
      DECIDES,
    ]),
  ),
  ...Object.fromEntries(
    ['grant act', 'grant approve', 'grant deny', 'grant revoke', 'upgrade withdraw'].map((path) => [path, DECIDES]),
  ),
  silence: { usage: 'usage, or no such policy', noQuorum: 'with --everywhere: the swarm has no leader' },
  recover: { ok: 'the swarm has a leader', pending: 'to be confirmed with --yes', refused: 'it did not help' },
  act: ACTS,
  rollback: ACTS,
  'change draft': { ok: 'drafted', usage: 'usage, or it may not be done' },
  'change commit': { ok: 'confirmed', error: 'failed or undone', usage: 'usage, or it may not be done' },
  approve: ANSWERS,
  reject: ANSWERS,
  'audit verify': { ...PROVES, ok: 'whole, or the proof is valid', auditBroken: 'broken, or not valid' },
  'audit check': PROVES,
  'audit conflicts': { ok: 'none', auditBroken: 'some' },
  'policy test': { ok: 'all hold', error: 'one does not', usage: 'usage, or a policy is wrong' },
  'policy add': { ok: 'in force', usage: 'usage, or it is wrong: nothing was changed' },
  'policy apply': { ok: 'in force', usage: 'usage, or a policy is wrong: nothing was changed' },
  'policy push': { ok: 'in force on all', ...READS_LOG, refused: 'they were taken back' },
  'upgrade push': { ok: 'everywhere', usage: 'usage, or no release', ...READS_LOG, refused: 'it was taken back' },
  'config show': { ok: 'it is right', usage: 'usage, or it is wrong' },
  ...Object.fromEntries(
    ['config reload', 'reload'].map((path) => [path, { ok: 'reloaded', usage: 'it is wrong: the old one stays in force' }]),
  ),
  'sim run': SIMULATES,
  'sim replay': SIMULATES,
  'sim real': SIMULATES,
};

/** The codes of a command, ascending, each with what it means there. @param path `policy apply` */
export function exitsOf(path: string): [code: number, meaning: string][] {
  const all: Exits = { ...COMMON, ...OWN[path] };
  return (Object.keys(EXIT) as ExitName[]).flatMap((name) => (all[name] === undefined ? [] : [[EXIT[name], all[name]]]));
}

/** What help says of it. */
export function exitsText(path: string): string {
  return `\nExit codes: ${exitsOf(path)
    .map(([code, meaning]) => `${code} ${meaning}`)
    .join(', ')}`;
}

/** @returns commands that the table names and that do not exist. */
export function unknownExits(paths: readonly string[]): string[] {
  return Object.keys(OWN).filter((path) => !paths.includes(path));
}

/** docs/EXIT-CODES.md. @param paths all commands */
export function exitsPage(paths: readonly string[]): string {
  const row = (...cells: (string | number)[]): string => `| ${cells.join(' | ')} |`;
  const own = paths.filter((path) => OWN[path] !== undefined && Object.keys(OWN[path]).length > 0);
  return [
    '# Exit codes',
    '',
    'This page is generated from `node/cli/exit-codes.ts`, which `--help` reads too. A code means the same for every command:',
    '',
    row('code', 'means'),
    row('---', '---'),
    ...(Object.keys(EXIT) as ExitName[]).map((name) => row(EXIT[name], MEANINGS[name])),
    '',
    'These commands have more specific meanings. Commands that are not listed exit with 0 (done), 1 (error) or 2 (usage):',
    '',
    row('command', 'codes'),
    row('---', '---'),
    ...own.map((path) =>
      row(
        `\`kalos ${path}\``,
        exitsOf(path)
          .map(([code, meaning]) => `${code} ${meaning}`)
          .join('; '),
      ),
    ),
    '',
    'Before 0.4.0 an unknown name, a wrong configuration or scenario, and a decision without a leader ended with 1.',
    '',
  ].join('\n');
}
