// An agent's place in the swarm, by what its transport hears and is told: who belongs, who spoke, what it says of itself, and its end.
import { describe, expect, it } from 'vitest';
import { decodeCbor } from '../../swarm/dissemination/cbor.ts';
import { parseEnvelope, sealEnvelope } from '../../swarm/dissemination/envelope.ts';
import { signRecord } from '../../swarm/identity/record.ts';
import { encodeProbe } from '../../swarm/membership/probe.ts';
import { encodeReport } from '../../swarm/membership/report.ts';
import { Replica } from '../../swarm/state/replica.ts';
import {
  beta,
  certificate,
  conditions,
  cryptoOf,
  gamma,
  names,
  sealed,
  self,
  statusOf,
  stranger,
  swarmId,
  WALL_MS,
  linked as world,
} from '../support/swarm-link.ts';

describe('the link of an agent', () => {
  it('offers what the swarm’s protocols are, and knows itself', async () => {
    const { link, offered } = await world();
    const word = (protocol: string): string => protocol.split('/')[3] ?? '';
    expect(offered.topics).toEqual([names.statusTopic, names.rosterTopic]);
    expect(offered.messages.map(word)).toEqual(['probe', 'vote', 'raft', 'attest']);
    expect(offered.requests.map(word)).toEqual([
      'sync',
      'renew',
      'twin',
      'token',
      'table',
      'explain',
      'audit',
      'release',
      'committee',
      'decisions',
    ]);
    expect([
      link.members.self,
      link.admission.name,
      link.members.all().length,
      link.members.alive(),
      link.ballots.waiting,
    ]).toEqual([self.self, 'alpha', 1, [self.self], 0]);
  });

  it('stops with a farewell, and says nothing after it', async () => {
    const { link, published, did, scheduler, pump } = await world();
    await pump(1_000);
    published.length = 0;
    const stopping = link.stop();
    await pump(10_000);
    await stopping;
    expect(published.filter(({ topic }) => topic === names.statusTopic).map(({ urgent }) => urgent)).toEqual([true]);
    expect(did.at(-1)).toBe('stop');
    published.length = 0;
    await pump(200_000);
    expect([published, scheduler.waiting < 100]).toEqual([[], true]);
  });

  it('tells who sends too much', async () => {
    const { handlers, log, withBeta } = await world();
    await withBeta();
    handlers.flooded(beta.self, 'requests');
    expect(log.at(-1)).toBe('warn: beta sends too many requests: blocked for a minute');
  });
});

describe('who belongs', () => {
  it('is added by a certificate, once, also where its status came before', async () => {
    const { link, said, record, store, pump } = await world();
    expect(said(sealed(beta, 1, statusOf('beta')))).not.toBe('accept');
    expect(link.members.all().length).toBe(1);
    expect([record(certificate(beta, 'beta')), record(certificate(beta, 'beta'))]).toEqual(['accept', 'ignore']);
    await pump(600);
    expect(
      link.members
        .all()
        .map(({ peer }) => link.members.nameOf(peer))
        .sort(),
    ).toEqual(['alpha', 'beta']);
    expect(link.members.statuses.get(beta.self)?.status.address).toBe('/at/beta'); // it was kept for a while
    expect(new TextDecoder().decode(store.content.get(`peer/${beta.self}`))).toBe('/at/beta');
    expect(record(new Uint8Array([1, 2, 3]))).toBe('reject');
    expect([link.members.nameOf(stranger.self), link.members.everyone().length]).toEqual([stranger.self.slice(-8), 2]);
  });

  it('is removed by a revocation: nothing of it counts, and it is not talked to', async () => {
    const { link, record, withBeta, log, did, store, pump } = await world();
    await withBeta();
    await pump(600);
    const body = {
      kind: 'revocation',
      of: 'member',
      subject: beta.self,
      epoch: 0,
      fromMs: WALL_MS,
      untilMs: WALL_MS,
      reason: 'stolen',
    } as const;
    expect(record(signRecord(self, swarmId, body, [self]).bytes)).toBe('accept');
    await pump(600);
    expect([link.members.all().length, link.members.statuses.get(beta.self), store.content.has(`peer/${beta.self}`)]).toEqual([
      1,
      undefined,
      false,
    ]);
    expect(log).toContain('info: beta is no longer a member: stolen');
    expect(did).toContain(`disconnect ${beta.self}`);
  });

  it('is tried where the local network says that it is, and strangers are not', async () => {
    const { handlers, withBeta, did } = await world();
    await withBeta();
    handlers.found(stranger.self, '/x');
    expect(did.filter((one) => one.startsWith('dial /'))).toEqual([]);
    handlers.found(beta.self, '/x');
    expect(did.filter((one) => one.startsWith('dial /'))).toEqual([`dial /x/p2p/${beta.self}`]);
  });
});

describe('a status', () => {
  it('is taken once, of members, and says that they are alive', async () => {
    const { link, said, record, handlers, log, pump } = await world();
    record(certificate(beta, 'beta'));
    handlers.connected(beta.self);
    await pump(100);
    const first = sealed(beta, 5, statusOf('beta'));
    expect([said(first), said(first), said(sealed(beta, 4, statusOf('beta')))]).toEqual(['accept', 'ignore', 'ignore']);
    await pump(100);
    expect([log.filter((line) => line.endsWith('beta is alive')).length, link.members.alive().includes(beta.self)]).toEqual([
      1,
      true,
    ]);
    said(sealed(beta, 6, statusOf('beta', { address: '' })));
    await pump(600);
    expect(link.members.statuses.get(beta.self)?.sequence).toBe(6);
    const forged = sealed(beta, 7, statusOf('beta'));
    forged[forged.length - 1] = (forged[forged.length - 1] ?? 0) ^ 1;
    expect(said(forged)).toBe('reject');
  });

  it('that is a farewell ends its time as a member, until it comes back', async () => {
    const { link, said, withBeta, store, log, pump } = await world();
    await withBeta();
    log.length = 0;
    said(sealed(beta, 2, statusOf('beta'), 'leave'));
    await pump(100);
    expect(log).toEqual(['info: beta has left the swarm']);
    expect([link.members.all().length, link.members.everyone().find(({ peer }) => peer === beta.self)?.state]).toEqual([
      1,
      'left',
    ]);
    await pump(600);
    expect(store.content.has(`peer/${beta.self}`)).toBe(false);
    said(sealed(beta, 3, statusOf('beta')));
    await pump(100);
    expect(link.members.alive()).toContain(beta.self);
  });

  it('of its own is published where it is news, and at once', async () => {
    const { link, published } = await world();
    link.announcements.publish(statusOf('alpha'));
    link.announcements.publish(statusOf('alpha'));
    const own = published.filter(({ topic }) => topic === names.statusTopic);
    expect([own.length, own[0]?.urgent, link.members.statuses.get(self.self)?.status.name]).toEqual([1, true, 'alpha']);
    link.announcements.publish(statusOf('alpha', { conditions: conditions({ Ready: 'False' }) }));
    expect(published.filter(({ topic }) => topic === names.statusTopic).length).toBe(2);
  });

  it('of its own from an earlier life that is newer has it go on from there', async () => {
    const { link, said, published, store, pump } = await world();
    link.announcements.publish(statusOf('alpha'));
    const before = link.members.statuses.get(self.self)?.sequence ?? 0;
    expect(before).toBeGreaterThan(WALL_MS);
    said(sealed(self, before + 5_000, statusOf('alpha')));
    await pump(100);
    link.announcements.publish(statusOf('alpha')); // said again, though it is no news
    expect([link.members.statuses.get(self.self)?.sequence, published.length > 1]).toEqual([before + 5_001, true]);
    expect(decodeCbor(store.content.get('status/sequence') as Uint8Array)).toBe(before + 5_000 + 1_000_000);
    said(sealed(self, before + 9_000, statusOf('alpha'), 'leave'));
    await pump(100);
    link.announcements.publish(statusOf('alpha'));
    expect([link.members.statuses.get(self.self)?.sequence, link.members.alive()]).toEqual([before + 9_001, [self.self]]);
  });

  it('never has a sequence of before a restart again', async () => {
    const { link, store } = await world();
    link.announcements.publish(statusOf('alpha'));
    const before = link.members.statuses.get(self.self)?.sequence ?? 0;
    const again = await world(store);
    again.link.announcements.publish(statusOf('alpha'));
    expect(again.link.members.statuses.get(self.self)?.sequence).toBe(before + 1_000_000);
  });
});

describe('a request', () => {
  it('goes to whom it is for', async () => {
    const { handlers, withBeta } = await world();
    await withBeta();
    const ask = async (name: 'table' | 'release' | 'renew' | 'sync' | 'token', body = new Uint8Array(3)): Promise<unknown> =>
      decodeCbor(await handlers.request(names.protocol(name), beta.self, body));
    expect([await ask('table'), await ask('release')]).toEqual([
      ['table', beta.self, 3],
      ['release', beta.self, 3],
    ]);
    expect(await ask('renew')).toBeDefined();
    await expect(ask('token')).rejects.toThrow('only an issuer may ask for this');
    await expect(ask('sync')).rejects.toThrow('malformed digest');
    await expect(handlers.request(names.protocol('renew'), stranger.self, new Uint8Array())).rejects.toThrow(
      'this agent is not an issuer',
    );
  });

  it('to a member that cannot be reached fails, and is tried', async () => {
    const { link, did, withBeta } = await world();
    await withBeta();
    await expect(link.messenger.ask(beta.self, 'audit', new Uint8Array(), 1_000)).rejects.toThrow('nobody is there');
    expect(did).toContain(`request audit ${beta.self}`);
  });
});

describe('connections', () => {
  it('are wanted with every member, and made', async () => {
    const { record, did, pump } = await world();
    record(certificate(beta, 'beta'));
    await pump(7_000);
    expect(did.some((one) => one.startsWith(`dial ${beta.self}`))).toBe(true);
  });

  it('bring what gossip did not', async () => {
    const { withBeta, did, its, pump } = await world();
    await withBeta();
    expect(did).toContain(`request sync ${beta.self}`);
    did.length = 0;
    its.connected = [beta.self];
    await pump(5_000);
    expect(did.some((one) => one === `request sync ${beta.self}`)).toBe(true);
  });
});

describe('what a pull brings', () => {
  const pulled = async (
    envelopes: [Uint8Array, number][],
    records = [certificate(beta, 'beta'), certificate(gamma, 'gamma')],
    more = false,
  ) => {
    const all = await world();
    all.its.lacking = [records, envelopes, more];
    all.its.connected = [beta.self];
    all.handlers.connected(beta.self);
    await all.pump(40);
    const { link, did } = all;
    const pulls = (): number => did.filter((one) => one.startsWith('request sync')).length;
    const stateOf = (peer: string) => link.members.everyone().find((one) => one.peer === peer)?.state;
    return { ...all, pulls, stateOf };
  };

  it('counts as what gossip would have brought: who belongs, how it is, and when that was heard', async () => {
    const { link, stateOf, store } = await pulled([[sealed(gamma, 4, statusOf('gamma')), 250]]);
    expect([link.members.nameOf(gamma.self), link.members.statuses.get(gamma.self)?.sequence, stateOf(gamma.self)]).toEqual([
      'gamma',
      4,
      'alive',
    ]);
    expect(link.members.statuses.get(gamma.self)?.heardMs).toBe(-250);
    expect([...store.content.keys()].filter((key) => key.startsWith('roster/') && key.includes(gamma.self)).length).toBe(1);
  });

  it('of long ago is known, and no sign of life', async () => {
    const { link, stateOf } = await pulled([[sealed(gamma, 4, statusOf('gamma')), 3_600_000]]);
    expect([link.members.statuses.get(gamma.self)?.sequence, stateOf(gamma.self)]).toEqual([4, 'joining']);
  });

  it('of a farewell is one', async () => {
    const { stateOf } = await pulled([
      [sealed(gamma, 4, statusOf('gamma')), 100],
      [sealed(gamma, 5, statusOf('gamma'), 'leave'), 50],
    ]);
    expect(stateOf(gamma.self)).toBe('left');
  });

  it('and was not all has more asked for at once, where it was news', async () => {
    const news = await pulled([[sealed(gamma, 4, statusOf('gamma')), 1]], undefined, true);
    await news.pump(60);
    expect(news.pulls()).toBe(2);
    await news.pump(200);
    expect(news.pulls()).toBe(2); // it brought the same again
  });

  it('that is no record or envelope is passed over', async () => {
    const { link } = await pulled([[new Uint8Array([1]), 1]], [new Uint8Array([2])]);
    expect(link.members.all().length).toBe(1);
  });
});

describe('a message', () => {
  it('that is a probe is answered, and nonsense is not', async () => {
    const { handlers, withBeta, did, pump } = await world();
    await withBeta();
    did.length = 0;
    handlers.message(names.protocol('probe'), beta.self, encodeProbe({ kind: 'ping', token: 7 }));
    await pump(10);
    expect(did).toContain(`send probe ${beta.self}`);
    did.length = 0;
    handlers.message(names.protocol('probe'), beta.self, new Uint8Array(3));
    handlers.message(names.protocol('vote'), beta.self, new Uint8Array(3));
    await pump(10);
    expect(did).toEqual([]);
  });

  it('that asks for what is lacking is answered with what there is', async () => {
    const { handlers, withBeta, its, pump } = await world();
    await withBeta();
    await pump(1_000);
    const answer = await handlers.request(names.protocol('sync'), beta.self, its.asked);
    expect(Replica.parseSync(answer)).toMatchObject({ records: [], more: false });
    const { handlers: newcomers, its: theirs, record, pump: passes } = await world();
    record(certificate(beta, 'beta'));
    newcomers.connected(beta.self);
    await passes(100);
    const more = Replica.parseSync(await handlers.request(names.protocol('sync'), beta.self, theirs.asked));
    expect(more.envelopes.length).toBeGreaterThan(0);
  });
});

describe('what an agent says of who belongs', () => {
  it('goes to all at once, and to its disk', async () => {
    const { link, published, store, withBeta, pump } = await world();
    await withBeta();
    published.length = 0;
    const records = (): string[] =>
      [...store.content.keys()].filter((key) => key.startsWith('roster/') && key.includes('revocation'));
    expect(records()).toEqual([]);
    const revoking = link.admission.issuer.revoke(beta.self, 'stolen');
    await pump(100);
    await revoking;
    const own = published.filter(({ topic }) => topic === names.rosterTopic);
    expect([own.length, own[0]?.urgent, link.members.all().length, records().length]).toEqual([1, true, 1, 1]);
  });

  it('that nobody can reach a member is believed of those who say it', async () => {
    const { link, withBeta, record, said, pump } = await world();
    await withBeta();
    record(certificate(gamma, 'gamma'));
    said(sealed(gamma, 1, statusOf('gamma')), gamma.self);
    await pump(100);
    const report = sealEnvelope(beta, swarmId, 'report', 2, encodeReport(beta, new Map([[gamma.self, 'silent']])));
    expect(said(report.bytes)).toBe('accept');
    await pump(100);
    expect(link.members.accusersOf(gamma.self)).toEqual([beta.self]);
  });

  it('of before its restart is said again as it is now', async () => {
    const { said, published, link, withBeta } = await world();
    await withBeta();
    link.announcements.publish(statusOf('alpha'));
    const sequence = (link.members.statuses.get(self.self)?.sequence ?? 0) + 77;
    published.length = 0;
    const report = sealEnvelope(self, swarmId, 'report', sequence, encodeReport(self, new Map([[beta.self, 'silent']])));
    said(report.bytes);
    expect(published.map(({ topic, urgent }) => [topic, urgent])).toEqual([[names.statusTopic, true]]);
    expect(parseEnvelope(self, published[0]?.bytes ?? new Uint8Array())).toMatchObject({
      kind: 'report',
      sequence: sequence + 1,
    });
  });
});

describe('in a large swarm', () => {
  it('an agent is connected with some, and dials whom it has a word for', async () => {
    const { record, did, link, pump } = await world();
    const others = Array.from({ length: 30 }, (_, i) => cryptoOf(100 + i));
    for (const [i, one] of others.entries()) record(certificate(one, `m${i}`));
    await pump(7_000);
    const dialed = new Set(did.filter((one) => one.startsWith('dial ')).map((one) => one.split(' ')[1]));
    expect([link.members.all().length, dialed.size < 30, dialed.size >= 6]).toEqual([31, true, true]);
  });
});
