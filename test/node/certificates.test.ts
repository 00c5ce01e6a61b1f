// How an agent comes by its certificate and keeps it: where it brings its token and for how long, whom it asks for renewal, and whom it lets go.
import { describe, expect, it } from 'vitest';
import { Certificates } from '../../node/link/certificates.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import type { JoinToken } from '../../swarm/identity/token.ts';
import { pass } from '../support/virtual.ts';

const tokenOf = (...addresses: string[]): JoinToken => ({
  swarmId: 's',
  issuer: 'issuer',
  addresses,
  id: new Uint8Array(),
  secret: new Uint8Array(),
  networkKey: undefined,
});

function world() {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler);
  const said: string[] = [];
  const dials: string[] = [];
  const its = {
    isMember: false,
    lastRefusal: undefined as { by: string; text: string } | undefined,
    onDial: (_address: string): void => {
      throw new Error('no route');
    },
    isDue: false,
    issuers: [] as { subject: string; ended?: boolean }[],
    /** Of a request for renewal; undefined: it is out of reach. */
    answers: new Map<string, string>(),
    renews: 'good',
    connected: [] as string[],
    honoured: [] as string[],
    fails: false,
    untilMs: 5_000 as number | undefined,
  };
  const admission = {
    get isMember() {
      return its.isMember;
    },
    get lastRefusal() {
      return its.lastRefusal;
    },
    roster: {
      issuers: () => its.issuers,
      isIssuer: (peer: string) => its.issuers.some(({ subject, ended }) => subject === peer && ended !== true),
      member: () => its.untilMs && { untilMs: its.untilMs },
    },
    issuer: {
      renewOwn: async () => {
        said.push('renews its own');
        if (its.fails) throw new Error('EIO');
      },
      renewalDue: () => its.isDue,
    },
    renewed: async (answer: string) => {
      said.push(`renewed by ${answer}`);
      if (answer === its.renews) its.isDue = false;
    },
    store: { reap: async () => void said.push('reaps') },
    honours: (peer: string) => its.honoured.includes(peer),
  };
  const transport = {
    self: 'self',
    dial: async (address: string) => {
      dials.push(address);
      its.onDial(address);
    },
    lookAround: () => void said.push('looks around'),
    connectedPeers: () => its.connected,
    disconnect: (peer: string) => void said.push(`lets ${peer} go`),
    request: async (peer: string, protocol: string, _body: Uint8Array, withinMs: number) => {
      said.push(`asks ${peer} for ${protocol} within ${withinMs}`);
      const answer = its.answers.get(peer);
      if (answer === undefined) throw new Error('no answer');
      return answer;
    },
  };
  const certificates = new Certificates({ transport, clock } as never, admission as never, 'renew', {
    looking: () => void said.push('looking'),
    dial: async (peer) => void said.push(`dials ${peer}`),
    admitted: (by, address) => void said.push(`let in by ${by} at ${address}`),
    log: (level, text) => void said.push(`${level}: ${text}`),
    failed: (error) => void said.push(`failed: ${(error as Error).message}`),
  });
  /** What comes of it, and when. */
  const join = (token: JoinToken | undefined) => {
    const end = { atMs: -1, text: '' };
    certificates.join(token).then(
      () => Object.assign(end, { atMs: clock.monotonicMs(), text: 'joined' }),
      (error: Error) => Object.assign(end, { atMs: clock.monotonicMs(), text: `${error.constructor.name}: ${error.message}` }),
    );
    return end;
  };
  const take = (): string[] => said.splice(0);
  return { certificates, its, dials, take, join, scheduler, pump: (ms: number) => pass(scheduler, ms) };
}

describe('a newcomer', () => {
  it('needs a token', async () => {
    const { join, pump } = world();
    const end = join(undefined);
    await pump(0);
    expect(end.text).toBe('JoinRefused: this agent is not a member and has no join token: use kalos up --join TOKEN');
  });

  it('brings it to its maker, and to other issuers by what the token says of them', async () => {
    const { its, join, dials, take, pump } = world();
    its.onDial = (address) => {
      if (address === '/b/p2p/other') its.isMember = true;
      else throw new Error('no route');
    };
    const end = join(tokenOf('/a', '/b/p2p/other', '/c'));
    await pump(0);
    expect([end, dials, take()]).toEqual([
      { atMs: 0, text: 'joined' },
      ['/a/p2p/issuer', '/b/p2p/other'],
      ['let in by other at /b'],
    ]);
  });

  it('looks around and tries again each second, for fifteen seconds, and says what it met', async () => {
    const { join, dials, take, pump } = world();
    const end = join(tokenOf('/a', '/b/p2p/other'));
    await pump(60_000);
    expect(end).toEqual({
      atMs: 15_000,
      text: 'JoinRefused: the issuer of the token cannot be reached: /a: no route; /b/p2p/other: no route',
    });
    expect([dials.length, take().filter((one) => one === 'looks around').length]).toEqual([32, 15]);
  });

  it('tries at least five times, however long a try takes', async () => {
    const { its, join, dials, scheduler, pump } = world();
    its.onDial = () => {
      scheduler.nowMs += 10_000;
      throw new Error('no route');
    };
    const end = join(tokenOf('/a'));
    await pump(100_000);
    expect([dials.length, end.text.startsWith('JoinRefused')]).toEqual([5, true]);
  });

  it('takes a no of the maker for one, and of another for none', async () => {
    const { its, join, pump } = world();
    its.onDial = (address) => {
      its.lastRefusal = address.endsWith('/other') ? { by: 'other', text: 'not known here' } : undefined;
      if (address.startsWith('/a')) throw new Error('no route');
    };
    const tried = join(tokenOf('/a', '/b/p2p/other'));
    await pump(20_000);
    expect(tried.text).toContain('cannot be reached: /a: no route; /b/p2p/other: not known here');
    its.onDial = () => {
      its.lastRefusal = { by: 'issuer', text: 'it was used already' };
    };
    const refused = join(tokenOf('/a'));
    await pump(0);
    expect(refused.text).toBe('JoinRefused: it was used already');
  });

  it('tries where the local network says that the maker is, eight places at most', async () => {
    const { certificates, its, join, dials, take, pump } = world();
    const end = join(tokenOf('/a'));
    await pump(0);
    certificates.found('somebody', '/no');
    for (let i = 0; i < 9; i++) certificates.found('issuer', `/found-${i}`);
    take();
    dials.length = 0;
    its.onDial = (address) => {
      if (address === '/found-7/p2p/issuer') its.isMember = true;
      else throw new Error('no route');
    };
    await pump(1_000);
    expect([end.text, dials.length, take()]).toEqual(['joined', 9, ['let in by issuer at /found-7']]);
    its.isMember = false;
    its.onDial = () => {
      throw new Error('no route');
    };
    join(tokenOf('/a'));
    await pump(20_000);
    expect(take()).not.toContain('looks around'); // somebody has said where
    expect(dials).not.toContain('/found-8/p2p/issuer');
  });
});

describe('a member', () => {
  it('looks after its certificate each minute, until it stops', async () => {
    const { certificates, take, scheduler, pump } = world();
    certificates.watch();
    await pump(59_999);
    expect(take()).toEqual([]);
    await pump(60_001);
    expect(take()).toEqual(['looking', 'renews its own', 'reaps', 'looking', 'renews its own', 'reaps']);
    certificates.stop();
    certificates.watch();
    const { executed } = scheduler;
    await pump(200_000);
    expect([take(), scheduler.executed]).toEqual([[], executed]);
  });

  it('asks one issuer after the other until one renews it, not itself, and none whose right has ended', async () => {
    const { certificates, its, take, pump } = world();
    its.isDue = true;
    its.issuers = [
      { subject: 'self' },
      { subject: 'ended', ended: true },
      ...['a', 'b', 'c', 'd'].map((subject) => ({ subject })),
    ];
    its.answers = new Map([
      ['b', 'bad'],
      ['c', 'good'],
      ['d', 'good'],
    ]);
    certificates.watch();
    await pump(60_000);
    expect(take()).toEqual([
      'looking',
      'renews its own',
      'dials a',
      'asks a for renew within 5000',
      'dials b',
      'asks b for renew within 5000',
      'renewed by bad',
      'dials c',
      'asks c for renew within 5000',
      'renewed by good',
      'reaps',
    ]);
  });

  it('tells a person where nobody renews it, and when it ends', async () => {
    const { certificates, its, take, pump } = world();
    its.isDue = true;
    its.untilMs = 1_700_000_000_000;
    certificates.watch();
    await pump(60_000);
    expect(take()).toContain(
      'warn: no issuer can renew this agent’s certificate (expires 2023-11-14T22:13:20.000Z); see kalos members promote',
    );
    its.untilMs = undefined;
    await pump(60_000);
    expect(take().join()).toContain('(expires 1970-01-01T00:00:00.000Z)');
  });

  it('lets go of those whose certificates are honoured no more, also where its own work failed', async () => {
    const { certificates, its, take, pump } = world();
    its.connected = ['a', 'b'];
    its.honoured = ['b'];
    its.fails = true;
    certificates.watch();
    await pump(60_000);
    expect(take()).toEqual(['looking', 'renews its own', 'failed: EIO', 'lets a go']);
  });

  it('that was stopped while it looked lets nobody go', async () => {
    const { certificates, its, take, pump } = world();
    its.connected = ['a'];
    its.isDue = true;
    its.issuers = [{ subject: 'x' }];
    certificates.watch();
    const looked = pump(60_000);
    await looked;
    take();
    its.answers = new Map([['x', 'good']]);
    const next = pump(60_000);
    certificates.stop();
    await next;
    expect(take()).toEqual([]);
  });
});
