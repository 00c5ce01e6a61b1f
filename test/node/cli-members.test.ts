// What `kalos members`, `token`, `operator` and `root` ask of an agent, what they print, and which files they leave behind.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { EXIT } from '../../node/cli/exit-codes.ts';
import {
  addOperator,
  createToken,
  exportRoot,
  leave,
  listMembers,
  listOperators,
  listTokens,
  promoteMember,
  renameMember,
  revokeMember,
  revokeOperator,
  revokeToken,
  rotateNetworkKey,
  showMember,
} from '../../node/cli/members.ts';
import { when } from '../../node/cli/times.ts';
import { fakeAgent, linesOf } from '../support/fake-agent.ts';

const agent = fakeAgent();
const directory = mkdtempSync(join(tmpdir(), 'kalos-members-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const NOW_MS = Date.UTC(2030, 0, 2, 3, 4, 5);
const member = (given: Record<string, unknown> = {}) => ({
  ...{ name: 'ada', peer: 'peer-of-ada', state: 'alive', role: 'member', issuer: false, deputy: false, coordinator: false },
  ...{ heardMs: 500, version: '0.4.0', address: '10.0.0.1:7700', certificateUntilMs: NOW_MS, accusedBy: [], twin: null },
  ...{ unhealthy: [], pausedSinceMs: null, drainedUntilMs: null },
  ...given,
});
/** What was asked, but for the readings. */
const sent = () => agent.asked.filter(({ method }) => method !== 'GET').map(({ path, body }) => [path, body]);

describe('a member', () => {
  const heard = async (heardMs: number | null) => {
    agent.answers['GET /v1/members/all'] = [member({ heardMs })];
    return (await agent.run((dir) => listMembers(dir, false, 'table'))).out.split('\n')[1]?.split(/ {2,}/)[3];
  };

  it('was heard now, a while ago or never', async () => {
    expect([await heard(999), await heard(1_000), await heard(1_999), await heard(61_000), await heard(null)]).toEqual([
      'now',
      '1 s ago',
      '2 s ago',
      '1 min 1 s ago',
      'never',
    ]);
  });

  it('was heard at a moment, for programs', async () => {
    vi.spyOn(Date, 'now').mockReturnValue(NOW_MS);
    agent.answers['GET /v1/members/all'] = [member({ heardMs: 5_000 })];
    const { out } = await agent.run((dir) => listMembers(dir, false, 'csv'));
    vi.restoreAllMocks();
    expect(out.split('\n')[1]).toBe(
      'ada,alive,member,2030-01-02T03:04:00.000Z,0.4.0,10.0.0.1:7700,2030-01-02T03:04:05.000Z,,,peer-of-ada',
    );
  });

  it('that is not well makes the list of all end degraded, as does one alone', async () => {
    const of = async (...states: string[]) => {
      agent.answers['GET /v1/members/all'] = states.map((state, nth) => member({ name: `m${nth}`, state }));
      return (await agent.run((dir) => listMembers(dir, false, 'csv'))).code;
    };
    expect([await of('alive', 'down'), await of('unreachable', 'alive'), await of('alive', 'left')]).toEqual([
      EXIT.degraded,
      EXIT.degraded,
      EXIT.ok,
    ]);
  });

  it('is shown whole', async () => {
    agent.answers['GET /v1/grants'] = { grants: [] };
    const shown = async (given: Record<string, unknown>, format: 'table' | 'json' = 'table') => {
      agent.answers['GET /v1/members/ada'] = member(given);
      return agent.run((dir) => showMember(dir, 'ada', format));
    };
    const plain = await shown({ address: '', version: '', certificateUntilMs: null });
    expect([plain.code, linesOf(plain.out)]).toEqual([
      EXIT.ok,
      [
        'ada  alive',
        'peer  peer-of-ada',
        'role  member',
        'inspects  no other member',
        'heard  now',
        'address  unknown',
        'version  unknown',
        'certificate  -',
        '',
      ],
    ]);
    const bad = { state: 'left', accusedBy: ['bob', 'eve'], issuer: true, coordinator: true, heardMs: 61_000, twin: 'twins!' };
    const other = await shown({ ...bad, pausedSinceMs: NOW_MS, drainedUntilMs: NOW_MS, unhealthy: ['A=True', 'B=True'] });
    expect([other.code, linesOf(other.out)]).toEqual([
      EXIT.degraded,
      [
        'ada  stopped, paused, drained, unhealthy; unreachable from bob, eve',
        'stopped  cleanly, 1 min 1 s ago; it stays a member',
        `paused  since ${when(NOW_MS)}`,
        `drained  until ${when(NOW_MS)}`,
        'unhealthy  A=True B=True',
        'key  twins!',
        'peer  peer-of-ada',
        'role  member, an issuer: it admits members, leader',
        'inspects  all members, as an issuer',
        'heard  1 min 1 s ago',
        'address  10.0.0.1:7700',
        'version  0.4.0',
        `certificate  until ${when(NOW_MS)}`,
        '',
      ],
    ]);
    const json = await shown({ state: 'left' }, 'json');
    expect([json.code, JSON.parse(json.out)]).toEqual([
      EXIT.degraded,
      expect.objectContaining({ name: 'ada', state: 'left', status: 'stopped' }),
    ]);
  });

  it('is revoked, renamed, made an issuer, and leaves', async () => {
    agent.answers['POST /v1/members/a%20b/revocation'] = { name: 'ada' };
    expect(await agent.run((dir) => revokeMember(dir, 'a b', 'sold'))).toEqual({
      code: EXIT.ok,
      out: 'ada is no longer a member; it can rejoin only with a new token\n',
      err: '',
    });
    agent.answers['POST /v1/members/ada/name'] = {};
    expect(await agent.run((dir) => renameMember(dir, 'ada', 'eve'))).toEqual({
      code: EXIT.ok,
      out: 'ada was renamed to eve\n',
      err: '',
    });
    agent.answers['POST /v1/root/draft'] = { kind: 'issuer', body: '00', toSign: '00', needed: 1, atHand: 1 };
    agent.answers['POST /v1/root/commit'] = {};
    expect(await agent.run((dir) => promoteMember(dir, 'ada', []))).toEqual({
      code: EXIT.ok,
      out: 'ada is now an issuer: it creates tokens and renews certificates\n',
      err: '',
    });
    agent.answers['POST /v1/leave'] = {};
    agent.answers['POST /v1/stop'] = {};
    expect(await agent.run((dir) => leave(dir, true))).toEqual({
      code: EXIT.ok,
      out: 'left the swarm for good: rejoining needs a token\n',
      err: '',
    });
    expect(sent()).toEqual([
      ['/v1/members/a%20b/revocation', { reason: 'sold' }],
      ['/v1/members/ada/name', { name: 'eve' }],
      ['/v1/root/draft', { kind: 'issuer', member: 'ada' }],
      ['/v1/root/commit', { kind: 'issuer', body: '00', signatures: [] }],
      ['/v1/leave', { force: true }],
      ['/v1/stop', undefined],
    ]);
  });
});

describe('a token', () => {
  it('is told with its uses and its time', async () => {
    agent.answers['POST /v1/tokens'] = { token: 'kalos1.x', reachable: true };
    const options = { role: 'member', ttl: 3_600_000, uses: 1, quiet: false } as const;
    expect(await agent.run((dir) => createToken(dir, options, 'table'))).toEqual({
      code: EXIT.ok,
      out: 'kalos1.x\n',
      err: 'valid for 1 machine and 1 h 0 min; use: kalos up --join TOKEN\n',
    });
    agent.answers['POST /v1/tokens'] = { token: 'kalos1.x', reachable: false };
    const json = await agent.run((dir) => createToken(dir, options, 'json'));
    expect([json.err, JSON.parse(json.out)]).toEqual([
      'this agent listens on loopback only, so other machines cannot reach it; start it with --listen 0.0.0.0:7700\n',
      { outputVersion: 1, token: 'kalos1.x', reachable: false, role: 'member', ttlMs: 3_600_000, uses: 1 },
    ]);
  });

  it('is expired at its last moment, and lets nobody in once it is removed', async () => {
    vi.spyOn(Date, 'now').mockReturnValue(NOW_MS);
    const token = (id: string, expiresMs: number, usesLeft: number) => ({ id, role: 'member', expiresMs, usesLeft });
    agent.answers['GET /v1/tokens'] = [token('a', NOW_MS, 1), token('b', NOW_MS + 1, 1), token('c', NOW_MS + 1, 0)];
    const listed = await agent.run((dir) => listTokens(dir, 'csv'));
    vi.restoreAllMocks();
    expect([listed.code, listed.out]).toEqual([
      EXIT.ok,
      [
        'id,role,state,uses left,expires',
        'a,member,expired,1,2030-01-02T03:04:05.000Z',
        'b,member,open,1,2030-01-02T03:04:05.001Z',
        'c,member,used,0,2030-01-02T03:04:05.001Z\n',
      ].join('\n'),
    ]);
    agent.answers['POST /v1/tokens/a%2Fb/removal'] = {};
    expect(await agent.run((dir) => revokeToken(dir, 'a/b'))).toEqual({
      code: EXIT.ok,
      out: 'token a/b is revoked\n',
      err: '',
    });
    expect(sent()).toHaveLength(1);
  });
});

describe('an operator', () => {
  beforeEach(() => {
    agent.answers['POST /v1/root/draft'] = { kind: 'operator', body: '01', toSign: '02', needed: 1, atHand: 1 };
    agent.answers['POST /v1/root/commit'] = {};
  });

  it('gets a key in a file, which is away again where the root keys do not sign', async () => {
    const keyFile = join(directory, 'eve.key');
    expect(await agent.run((dir) => addOperator(dir, 'eve', { keyFile, rootKey: [] }))).toEqual({
      code: EXIT.ok,
      out: `eve is an operator; the key is in ${keyFile}: keep it with eve, not on the machines\n`,
      err: '',
    });
    expect(agent.asked[0]?.body).toEqual({ kind: 'operator', name: 'eve', key: expect.stringMatching(/^12D3/) });
    expect(statSync(keyFile).mode & 0o777).toBe(0o600);
    await expect(addOperator(agent.directory, 'eve', { keyFile, rootKey: [] })).rejects.toThrow('exists already');
    expect(existsSync(keyFile)).toBe(true);
    const other = join(directory, 'other.key');
    agent.answers['POST /v1/root/draft'] = { kind: 'operator', body: '01', toSign: '02', needed: 2, atHand: 0 };
    const signing = addOperator(agent.directory, 'bob', { keyFile: other, rootKey: [keyFile] });
    await expect(signing).rejects.toThrow('2 root keys must sign, 1 available');
    expect(existsSync(other)).toBe(false);
  });

  it('is signed for by the keys of files, whose signatures alone are sent', async () => {
    const rootKey = [join(directory, 'eve.key')];
    const keyFile = join(directory, 'bob.key');
    agent.answers['POST /v1/root/draft'] = { kind: 'operator', body: '01', toSign: '02', needed: 2, atHand: 1 };
    await agent.run((dir) => addOperator(dir, 'bob', { keyFile, rootKey }));
    expect(agent.asked.at(-1)?.body).toEqual({
      kind: 'operator',
      body: '01',
      signatures: [{ by: expect.stringMatching(/^12D3/), signature: expect.stringMatching(/^[0-9a-f]{128}$/) }],
    });
  });

  it('is listed, and revoked by the root keys', async () => {
    agent.answers['GET /v1/operators'] = [{ name: 'eve', untilMs: NOW_MS, subject: 'key-of-eve' }];
    expect(await agent.run((dir) => listOperators(dir, 'csv'))).toEqual({
      code: EXIT.ok,
      out: 'name,until,key\neve,2030-01-02T03:04:05.000Z,key-of-eve\n',
      err: '',
    });
    expect(await agent.run((dir) => revokeOperator(dir, 'eve', []))).toEqual({
      code: EXIT.ok,
      out: 'eve is no longer an operator\n',
      err: '',
    });
    expect(sent()[0]).toEqual(['/v1/root/draft', { kind: 'revoke', of: 'operator', subject: 'eve', reason: '' }]);
  });
});

describe('a key of the swarm', () => {
  it('is made again, with the time that the older ones have', async () => {
    agent.answers['POST /v1/network-key'] = { usedFromMs: NOW_MS, olderUntilMs: NOW_MS + 60_000 };
    expect(await agent.run((dir) => rotateNetworkKey(dir, 60_000))).toEqual({
      code: EXIT.ok,
      out: [
        `the swarm has a new network key; members use it from ${when(NOW_MS)}`,
        `older keys stay valid until ${when(NOW_MS + 60_000)}; a member offline for longer needs a new token to rejoin`,
        'tokens created before this contain the old key\n',
      ].join('\n'),
      err: '',
    });
    expect(sent()).toEqual([['/v1/network-key', { keepMs: 60_000 }]]);
  });

  it('of the root is copied or moved elsewhere, private there', async () => {
    const root = join(agent.directory, 'root');
    const exported = (to: string, remove: boolean) => agent.run((dir) => exportRoot(dir, to, remove));
    await expect(exported(join(directory, 'none'), false)).rejects.toThrow(`no root keys in ${root}`);
    mkdirSync(root);
    writeFileSync(join(root, 'notes.txt'), '');
    await expect(exported(join(directory, 'none'), false)).rejects.toThrow(`no root keys in ${root}`);
    expect(existsSync(join(directory, 'none'))).toBe(false);
    writeFileSync(join(root, '1.key'), 'one', { mode: 0o644 });
    const to = join(directory, 'far', 'away');
    expect(await exported(to, false)).toEqual({ code: EXIT.ok, out: `1 root key copied to ${to}\n`, err: '' });
    writeFileSync(join(root, '2.key'), 'two', { mode: 0o644 });
    const moved = await exported(to, true);
    expect([moved.code, moved.out]).toEqual([
      EXIT.ok,
      `2 root keys moved to ${to}\nthe agent drops them at its next restart; then sign with --root-key FILE\n`,
    ]);
    expect(['1.key', '2.key'].map((file) => [readFileSync(join(to, file), 'utf8'), existsSync(join(root, file))])).toEqual([
      ['one', false],
      ['two', false],
    ]);
    expect([to, join(to, '1.key'), join(to, '2.key')].map((path) => statSync(path).mode & 0o777)).toEqual([0o700, 0o600, 0o600]);
    writeFileSync(join(root, '3.key'), 'three');
    const file = join(to, '1.key');
    await expect(exported(file, true)).rejects.toThrow(`cannot write to ${file}: `);
    expect(existsSync(join(root, '3.key'))).toBe(true);
  });
});
