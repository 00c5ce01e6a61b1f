// The exit codes of all commands. Help and docs/EXIT-CODES.md are generated from this table, and tests check the commands against it.
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

/** The meaning of each code, for all commands. */
const MEANINGS: Readonly<Record<ExitName, string>> = {
  ok: 'done, or healthy',
  error: 'error: no agent runs, the disk or the network fails, or the request did not succeed',
  usage:
    'usage error: a wrong argument, value or file, an unknown name, or something that is not possible in this state; one line says what to do',
  degraded: 'degraded: something is unhealthy',
  pending: 'pending: needs a person',
  refused: 'refused: by a guard, by the swarm, or because the token does not allow it (any command with --address)',
  partial: 'partial: not all nodes answered',
  noQuorum: 'the swarm has no leader, so it cannot decide anything now',
  auditBroken: 'an audit log was changed, or a proof is not valid',
};

/** The exit code for each error. */
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

/** Of all commands; a command's own entry replaces these. */
const COMMON: Exits = { ok: 'done', error: 'error', usage: 'usage error' };
const DECIDES: Exits = { ok: 'decided', usage: 'usage error, or the swarm rejects it', noQuorum: 'the swarm has no leader' };
const READS_LOG: Exits = { noQuorum: 'the swarm has no leader' };
const ASKS_NODES: Exits = { partial: 'not all nodes answered' };
const ACTS: Exits = { ok: 'confirmed', error: 'failed or undone', refused: 'refused' };
const SIMULATES: Exits = { ok: 'all checks passed', error: 'a check failed', usage: 'usage error, or an invalid scenario' };
const PROVES: Exits = { ok: 'valid', usage: 'usage error, or not a proof', auditBroken: 'not valid' };
const ANSWERS: Exits = { ok: 'answered, or none pending', pending: 'approvals are pending' };

/** By command: meanings that are more specific than `COMMON`, and additional codes. */
const OWN: Readonly<Record<string, Exits>> = {
  up: { ok: 'stopped on request', usage: 'usage error, or invalid configuration', refused: 'not admitted' },
  status: { ok: 'healthy', degraded: 'degraded', noQuorum: 'no majority of the members is reachable' },
  query: { ok: 'complete', usage: 'usage error, or invalid SQL', ...ASKS_NODES },
  top: ASKS_NODES,
  metrics: ASKS_NODES,
  incidents: ASKS_NODES,
  conditions: { ok: 'healthy', degraded: 'degraded' },
  doctor: { ok: 'no check failed', degraded: 'a check failed' },
  watch: { error: 'lost the agent' },
  'members list': { ok: 'all are alive or cleanly stopped', degraded: 'some are not' },
  'members show': { ok: 'alive', degraded: 'not alive' },
  leave: { ok: 'left', usage: 'usage error, or the only issuer' },
  'token create': { ok: 'created', usage: 'usage error, or not an issuer' },
  'network-key rotate': { ok: 'rotated', usage: 'usage error, not an issuer, or no network key' },
  'nova status': { ok: 'the swarm has a leader', ...READS_LOG },
  'nova transfer': { ok: 'it is leader', usage: 'usage error, or it cannot lead', ...READS_LOG },
  'log tail': READS_LOG,
  'log show': READS_LOG,
  'log agent': { error: 'with --follow: lost the agent' },
  ...Object.fromEntries(
    ['pause', 'wake', 'drain', 'undrain', 'pardon', 'failover', 'budget set', 'budget lift', 'policy withdraw'].map((path) => [
      path,
      DECIDES,
    ]),
  ),
  ...Object.fromEntries(
    ['grant act', 'grant approve', 'grant deny', 'grant revoke', 'upgrade withdraw'].map((path) => [path, DECIDES]),
  ),
  silence: { usage: 'usage error, or no such policy', noQuorum: 'with --everywhere: the swarm has no leader' },
  recover: { ok: 'the swarm has a leader', pending: 'confirm with --yes', refused: 'still no leader' },
  act: ACTS,
  rollback: ACTS,
  'change draft': { ok: 'drafted', usage: 'usage error, or not permitted' },
  'change commit': { ok: 'confirmed', error: 'failed or undone', usage: 'usage error, or not permitted' },
  approve: ANSWERS,
  reject: ANSWERS,
  'audit verify': { ...PROVES, ok: 'log or proof valid', auditBroken: 'log or proof invalid' },
  'audit check': PROVES,
  'audit conflicts': { ok: 'none', auditBroken: 'some' },
  'policy test': { ok: 'all tests pass', error: 'a test fails', usage: 'usage error, or an invalid policy' },
  'policy add': { ok: 'applied', usage: 'usage error, or invalid policy: nothing changed' },
  'policy apply': { ok: 'applied', usage: 'usage error, or an invalid policy: nothing changed' },
  'policy push': { ok: 'active on all members', ...READS_LOG, refused: 'rolled back' },
  'upgrade push': { ok: 'active on all members', usage: 'usage error, or not a release', ...READS_LOG, refused: 'rolled back' },
  'config show': { ok: 'valid', usage: 'usage error, or invalid' },
  ...Object.fromEntries(
    ['config reload', 'reload'].map((path) => [path, { ok: 'reloaded', usage: 'invalid: the old one stays active' }]),
  ),
  'sim run': SIMULATES,
  'sim replay': SIMULATES,
  'sim real': SIMULATES,
};

/** The codes of a command, ascending, with their meanings. @param path such as `policy apply` */
export function exitsOf(path: string): [code: number, meaning: string][] {
  const all: Exits = { ...COMMON, ...OWN[path] };
  return (Object.keys(EXIT) as ExitName[]).flatMap((name) => (all[name] === undefined ? [] : [[EXIT[name], all[name]]]));
}

/** The text in help. */
export function exitsText(path: string): string {
  return `\nExit codes: ${exitsOf(path)
    .map(([code, meaning]) => `${code} ${meaning}`)
    .join(', ')}`;
}

/** @returns commands in the table that do not exist. */
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
    'This page is generated from `node/cli/exit-codes.ts`, as the exit codes in `--help` are. A code means the same for every command:',
    '',
    row('code', 'means'),
    row('---', '---'),
    ...(Object.keys(EXIT) as ExitName[]).map((name) => row(EXIT[name], MEANINGS[name])),
    '',
    'These commands have more specific meanings. Commands that are not listed exit with 0 (done), 1 (error) or 2 (usage error):',
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
    'Before 0.4.0 the exit code was 1 for an unknown name, an invalid configuration or scenario, and a decision without a leader.',
    '',
  ].join('\n');
}
