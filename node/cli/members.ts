// `kalos members | token | operator | leave | root`: the members, join tokens, operators and root keys of the swarm.
import { chmodSync, copyFileSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex, toHex } from '../../swarm/dissemination/cbor.ts';
import type { MemberCertificate, OperatorCertificate, Role } from '../../swarm/identity/record.ts';
import type { IssuedToken } from '../../swarm/identity/token-ledger.ts';
import { counted } from '../../swarm/words.ts';
import { callAgent, callForAll } from '../api/client.ts';
import type { GrantAnswer } from '../api/grant-routes.ts';
import { stateDirectory } from '../config/adapters/state-directory.ts';
import { keyFrom, makeKey } from '../config/adapters/swarm-files.ts';
import { KalosError, reasonOf } from '../errors.ts';
import type { MemberRow, RootAction, RootDraft } from '../link/membership-admin.ts';
import { INSPECT } from '../query/inspectors.ts';
import { printRows, printWhole } from './data.ts';
import { EXIT } from './exit-codes.ts';
import { type Format, paint, printable } from './output.ts';
import { duration, Moment, moment, when } from './times.ts';

type Directory = string | undefined;

const ago = (ms: number | null): string => (ms === null ? 'never' : ms < 1000 ? 'now' : `${duration(ms)} ago`);
const heard = (ms: number | null): Moment | string => (ms === null ? 'never' : new Moment(Date.now() - ms, ago(ms)));

// Members

/** @throws KalosError for an empty name, which must not mean all members. */
function memberPath(name: string, rest = ''): string {
  if (name === '') throw new KalosError('usage', 'no member is called ""', 'see: kalos members');
  return `/v1/members/${encodeURIComponent(name)}${rest}`;
}

export async function listMembers(directory: Directory, all: boolean, format: Format): Promise<number> {
  const known = await callForAll<MemberRow>(directory, '/v1/members/all');
  const members = known.filter(({ state }) => all || state !== 'removed').map((one) => ({ ...one, status: wordsOf(one) }));
  const role = ({ role: given, issuer, deputy, coordinator }: MemberRow): string =>
    [given, ...(issuer ? [deputy ? 'deputy issuer' : 'issuer'] : []), ...(coordinator ? ['leader'] : [])].join(', ');
  printRows(format, {
    headers: ['name', 'status', 'role', 'heard', 'version', 'address'],
    rows: members.map((one) => [one.name, one.status, role(one), heard(one.heardMs), one.version, one.address]),
    wide: {
      headers: [
        'name',
        'status',
        'role',
        'heard',
        'version',
        'address',
        'certificate until',
        'unreachable from',
        'unhealthy',
        'peer',
      ],
      rows: members.map((one) => [
        one.name,
        one.status,
        role(one),
        heard(one.heardMs),
        one.version,
        one.address,
        moment(one.certificateUntilMs),
        one.accusedBy.join(' '),
        (one.unhealthy ?? []).join(' '),
        one.peer,
      ]),
    },
    data: { members },
  });
  for (const { twin } of members)
    if (twin !== null && format === 'table') process.stderr.write(`${paint('red', printable(twin))}\n`);
  return members.some(({ state, twin }) => state === 'unreachable' || state === 'down' || twin !== null)
    ? EXIT.degraded
    : EXIT.ok;
}

/** The state and conditions of a member, as Consul and Kubernetes show them. An older agent sends fewer. */
function wordsOf({ state, pausedSinceMs, drainedUntilMs, unhealthy }: Partial<MemberRow> & Pick<MemberRow, 'state'>): string {
  return [
    state === 'left' ? 'stopped' : state,
    ...(typeof pausedSinceMs === 'number' ? ['paused'] : []),
    ...(typeof drainedUntilMs === 'number' ? ['drained'] : []),
    ...((unhealthy ?? []).length > 0 ? ['unhealthy'] : []),
  ].join(', ');
}

/** The same, each with its time or cause. */
function details({ state, heardMs, pausedSinceMs, drainedUntilMs, unhealthy = [] }: Partial<MemberRow>): string[] {
  return [
    ...(state === 'left'
      ? [`  stopped      cleanly${typeof heardMs === 'number' ? `, ${ago(heardMs)}` : ''}; it stays a member`]
      : []),
    ...(typeof pausedSinceMs === 'number' ? [`  paused       since ${when(pausedSinceMs)}`] : []),
    ...(typeof drainedUntilMs === 'number' ? [`  drained      until ${when(drainedUntilMs)}`] : []),
    ...(unhealthy.length === 0 ? [] : [`  unhealthy    ${unhealthy.join(' ')}`]),
  ];
}

export async function showMember(directory: Directory, name: string, format: Format): Promise<number> {
  const one = await callAgent<MemberRow>(directory, 'GET', memberPath(name));
  if (format !== 'table' && format !== 'wide') printWhole(format, { ...one, status: wordsOf(one) }, () => '');
  else {
    const accused = one.accusedBy.length === 0 ? '' : `; unreachable from ${one.accusedBy.join(', ')}`;
    const lines = [
      `${paint('bold', printable(one.name))}  ${wordsOf(one)}${accused}`,
      ...details(one),
      ...(one.twin === null ? [] : [paint('red', `  key          ${printable(one.twin)}`)]),
      `  peer         ${one.peer}`,
      `  role         ${one.role}${one.issuer ? `, ${one.deputy ? 'a deputy issuer' : 'an issuer'}: it admits members` : ''}${one.coordinator ? ', leader' : ''}`,
      `  inspects     ${await inspects(directory, one)}`,
      `  heard        ${ago(one.heardMs)}`,
      `  address      ${one.address || 'unknown'}`,
      `  version      ${one.version || 'unknown'}`,
      `  certificate  ${one.certificateUntilMs === null ? '-' : `until ${when(one.certificateUntilMs)}`}`,
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
  }
  return one.state === 'alive' && one.twin === null ? EXIT.ok : EXIT.degraded;
}

/** The machines that it may inspect, if their own configuration allows it. */
async function inspects(directory: Directory, { name, issuer, deputy }: MemberRow): Promise<string> {
  const { grants } = await callAgent<{ grants: GrantAnswer[] }>(directory, 'GET', '/v1/grants');
  const of = (effect: string): string[] =>
    grants
      .filter((one) => one.node === name && one.tool === INSPECT && one.effect === effect)
      .map(({ target }) => printable(target ?? 'any'));
  const allowed = issuer && !deputy ? 'all members, as an issuer' : of('act').join(', ') || 'no other member';
  const denied = of('deny');
  return denied.length === 0 ? allowed : `${allowed}; denied: ${denied.join(', ')}`;
}

export async function revokeMember(directory: Directory, name: string, reason: string): Promise<number> {
  const member = await callAgent<MemberCertificate>(directory, 'POST', memberPath(name, '/revocation'), { reason });
  process.stdout.write(`${member.name} is no longer a member; it can rejoin only with a new token\n`);
  return EXIT.ok;
}

export async function renameMember(directory: Directory, name: string, to: string): Promise<number> {
  await callAgent(directory, 'POST', memberPath(name, '/name'), { name: to });
  process.stdout.write(`${name} was renamed to ${to}\n`);
  return EXIT.ok;
}

export async function promoteMember(directory: Directory, name: string, rootKeys: readonly string[]): Promise<number> {
  await signedByRoot(directory, { kind: 'issuer', member: name }, rootKeys);
  process.stdout.write(`${name} is now an issuer: it creates tokens and renews certificates\n`);
  return EXIT.ok;
}

export async function leave(directory: Directory, force: boolean): Promise<number> {
  await callAgent(directory, 'POST', '/v1/leave', { force });
  await callAgent(directory, 'POST', '/v1/stop');
  process.stdout.write('left the swarm for good: rejoining needs a token\n');
  return EXIT.ok;
}

// Tokens

export async function createToken(
  directory: Directory,
  { role, ttl, uses, quiet }: { role: Role; ttl: number; uses: number; quiet: boolean },
  format: Format,
): Promise<number> {
  const made = await callAgent<{ token: string; reachable: boolean }>(directory, 'POST', '/v1/tokens', {
    role,
    ttlMs: ttl,
    uses,
  });
  if (format !== 'table' && format !== 'wide') printWhole(format, { ...made, role, ttlMs: ttl, uses }, () => '');
  else {
    process.stdout.write(`${made.token}\n`);
    if (!quiet)
      process.stderr.write(
        paint('dim', `valid for ${counted(uses, 'machine')} and ${duration(ttl)}; use: kalos up --join TOKEN\n`),
      );
  }
  if (!made.reachable && !quiet)
    process.stderr.write(
      paint(
        'yellow',
        'this agent listens on loopback only, so other machines cannot reach it; start it with --listen 0.0.0.0:7700\n',
      ),
    );
  return EXIT.ok;
}

export async function listTokens(directory: Directory, format: Format): Promise<number> {
  const tokens = await callAgent<IssuedToken[]>(directory, 'GET', '/v1/tokens');
  const state = ({ expiresMs, usesLeft }: IssuedToken): string =>
    expiresMs <= Date.now() ? 'expired' : usesLeft === 0 ? 'used' : 'open';
  printRows(format, {
    headers: ['id', 'role', 'state', 'uses left', 'expires'],
    rows: tokens.map((one) => [one.id, one.role, state(one), one.usesLeft, moment(one.expiresMs)]),
    data: { tokens },
  });
  return EXIT.ok;
}

export async function revokeToken(directory: Directory, id: string): Promise<number> {
  await callAgent(directory, 'POST', `/v1/tokens/${encodeURIComponent(id)}/removal`);
  process.stdout.write(`token ${id} is revoked\n`);
  return EXIT.ok;
}

// Operators and root keys

/** Signs with root keys: those of the agent, and those of the given files. The files are read here, and their keys stay here. */
export async function signedByRoot(directory: Directory, action: RootAction, files: readonly string[]): Promise<void> {
  const draft = await callAgent<RootDraft>(directory, 'POST', '/v1/root/draft', action);
  const signers = await Promise.all(files.map(keyFrom));
  if (signers.length + draft.atHand < draft.needed) {
    throw new KalosError(
      'usage',
      `${draft.needed} root keys must sign, ${signers.length + draft.atHand} available`,
      'give each key file with --root-key FILE',
    );
  }
  const signatures = signers.map((signer) => ({ by: signer.self, signature: toHex(signer.sign(fromHex(draft.toSign))) }));
  await callAgent(directory, 'POST', '/v1/root/commit', { kind: draft.kind, body: draft.body, signatures });
}

export async function addOperator(
  directory: Directory,
  name: string,
  { keyFile, rootKey }: { keyFile: string | undefined; rootKey: readonly string[] },
): Promise<number> {
  const path = keyFile ?? `${name}.operator.key`;
  const key = await makeKey(path);
  try {
    await signedByRoot(directory, { kind: 'operator', name, key: key.self }, rootKey);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  }
  process.stdout.write(`${name} is an operator; the key is in ${path}: keep it with ${name}, not on the machines\n`);
  return EXIT.ok;
}

export async function listOperators(directory: Directory, format: Format): Promise<number> {
  const operators = await callAgent<OperatorCertificate[]>(directory, 'GET', '/v1/operators');
  printRows(format, {
    headers: ['name', 'until', 'key'],
    rows: operators.map(({ name, untilMs, subject }) => [name, moment(untilMs), subject]),
    data: { operators },
  });
  return EXIT.ok;
}

export async function revokeOperator(directory: Directory, name: string, rootKeys: readonly string[]): Promise<number> {
  await signedByRoot(directory, { kind: 'revoke', of: 'operator', subject: name, reason: '' }, rootKeys);
  process.stdout.write(`${name} is no longer an operator\n`);
  return EXIT.ok;
}

export async function rotateNetworkKey(directory: Directory, keepMs: number): Promise<number> {
  const { usedFromMs, olderUntilMs } = await callAgent<{ usedFromMs: number; olderUntilMs: number }>(
    directory,
    'POST',
    '/v1/network-key',
    { keepMs },
  );
  process.stdout.write(
    [
      `the swarm has a new network key; members use it from ${when(usedFromMs)}`,
      `older keys stay valid until ${when(olderUntilMs)}; a member offline for longer needs a new token to rejoin`,
      'tokens created before this contain the old key\n',
    ].join('\n'),
  );
  return EXIT.ok;
}

/** Copies the root keys of the state directory to another directory; or moves them, so that they can be kept offline. */
export function exportRoot(given: Directory, to: string, remove: boolean): number {
  const { rootKeys } = stateDirectory(given);
  let files: string[] = [];
  try {
    files = readdirSync(rootKeys).filter((file) => file.endsWith('.key'));
  } catch {
    // reported below
  }
  if (files.length === 0) throw new KalosError('not-found', `no root keys in ${rootKeys}`);
  try {
    mkdirSync(to, { recursive: true, mode: 0o700 });
    for (const file of files) {
      copyFileSync(join(rootKeys, file), join(to, file));
      chmodSync(join(to, file), 0o600);
    }
  } catch (error) {
    throw new KalosError('io', `cannot write to ${to}: ${reasonOf(error)}`);
  }
  if (remove) for (const file of files) rmSync(join(rootKeys, file));
  process.stdout.write(`${counted(files.length, 'root key')} ${remove ? 'moved' : 'copied'} to ${to}\n`);
  if (remove) process.stdout.write('the agent drops them at its next restart; then sign with --root-key FILE\n');
  return EXIT.ok;
}
