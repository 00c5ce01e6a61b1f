// What an agent's link to its swarm hands on and lets go: votes, decisions, clocks, pulls, who is gone, and what is done as time goes by.
import { describe, expect, it, vi } from 'vitest';
import { type Claim, claimIdOf, encodeClaimMessage, encodeVoteMessage, voteBytes } from '../../consensus/vote/claim.ts';
import type { ModelledCrypto } from '../../sim/adapters/crypto.ts';
import { parseEnvelope, sealEnvelope } from '../../swarm/dissemination/envelope.ts';
import { type RecordBody, signRecord } from '../../swarm/identity/record.ts';
import { decodeProbe, encodeProbe } from '../../swarm/membership/probe.ts';
import { decodeReport, encodeReport } from '../../swarm/membership/report.ts';
import type { Status } from '../../swarm/state/status.ts';
import { PlainStore } from '../support/store.ts';
import {
  beta,
  certificate,
  cryptoOf,
  gamma,
  linked,
  names,
  root,
  sealed,
  self,
  statusOf,
  stranger,
  swarmId,
  WALL_MS,
} from '../support/swarm-link.ts';

type Linked = Awaited<ReturnType<typeof linked>>;

const claimOf = (subject: ModelledCrypto): Claim => ({
  subject: subject.self,
  kind: 'pressure',
  target: 'web',
  port: undefined,
  fromMs: WALL_MS,
  expiresAtMs: WALL_MS + 60_000,
  evidenceDigest: subject.hash(new Uint8Array([1])),
});

const yesOf = (witness: ModelledCrypto, claim: Claim): Uint8Array => {
  const vote = {
    claimId: claimIdOf(swarmId, claim, witness.hash),
    witness: witness.self,
    verdict: 'yes',
    reason: 'status-agrees',
    confidence: 80,
  } as const;
  return encodeVoteMessage({ ...vote, signature: witness.sign(voteBytes(swarmId, vote)) });
};

const signed = (body: RecordBody, by = self): Uint8Array => signRecord(self, swarmId, body, [by]).bytes;
const revocationOf = (subject: ModelledCrypto, epoch = 0): Uint8Array =>
  signed({
    kind: 'revocation',
    of: 'member',
    subject: subject.self,
    epoch,
    fromMs: WALL_MS,
    untilMs: WALL_MS,
    reason: '',
  });

/** Answers the probes of those who are there. */
const answering = (all: Linked, peers: readonly ModelledCrypto[]): void => {
  const { handlers, sent } = all;
  const push = sent.push.bind(sent);
  sent.push = (one) => {
    const probe = decodeProbe(one.bytes);
    const from = peers.find((peer) => peer.self === one.to);
    if (probe?.kind === 'ping' && from !== undefined && !all.its.hangs)
      all.link.time.after(5, () =>
        handlers.message(names.protocol('probe'), from.self, encodeProbe({ kind: 'pong', token: probe.token })),
      );
    return push(one);
  };
};

/** With other members, whose statuses have come, and who answer. */
const withMembers = async (peers: readonly ModelledCrypto[], all?: Linked, more: Partial<Status> = {}): Promise<Linked> => {
  const made = all ?? (await linked());
  answering(made, peers);
  for (const [nth, peer] of peers.entries()) {
    made.record(certificate(peer, `m${nth}`));
    made.handlers.connected(peer.self);
    made.said(sealed(peer, 1, statusOf(`m${nth}`, more)), peer.self);
  }
  made.its.connected = peers.map((peer) => peer.self);
  await made.pump(100);
  return made;
};

const many = Array.from({ length: 16 }, (_, nth) => cryptoOf(100 + nth));

describe('a vote', () => {
  it('is asked of the witnesses, who are its observers, and decided by what they answer', async () => {
    const { link, handlers, did, sent, pump } = await withMembers([beta, gamma]);
    const claim = claimOf(self);
    expect(link.selection.witnesses().toSorted()).toEqual([beta.self, gamma.self].toSorted());
    sent.length = 0;
    const voting = link.ballots.vote(claim, link.selection.witnesses());
    await pump(50);
    expect([link.ballots.waiting, did.filter((one) => one.startsWith('send vote')).toSorted()]).toEqual([
      1,
      [`send vote ${beta.self}`, `send vote ${gamma.self}`].toSorted(),
    ]);
    for (const witness of [beta, gamma]) handlers.message(names.protocol('vote'), witness.self, yesOf(witness, claim));
    await pump(0);
    expect(await voting).toMatchObject({ outcome: 'certified', votes: [{ verdict: 'yes' }, { verdict: 'yes' }] });
    expect(link.ballots.waiting).toBe(0);
  });

  it('of its own goes to who asks for it, once, also after a restart', async () => {
    const store = new PlainStore();
    const before = await withMembers([beta], await linked(store));
    const ask = ({ handlers }: Linked): void =>
      handlers.message(names.protocol('vote'), beta.self, encodeClaimMessage(claimOf(beta)));
    const votes = ({ did }: Linked): string[] => did.filter((one) => one.includes('vote'));
    ask(before);
    await before.pump(500);
    const answer = ['voted abstain on web', `send vote ${beta.self}`];
    expect(votes(before).toSorted()).toEqual(answer.toSorted());
    const after = await linked(store);
    ask(after);
    await after.pump(500);
    expect(votes(after)).toEqual([answer[1]]); // the same again
  });

  it('is of nobody who has stopped', async () => {
    const { link, handlers, did, pump } = await withMembers([beta]);
    const stopping = link.stop();
    await pump(10_000);
    await stopping;
    did.length = 0;
    handlers.message(names.protocol('vote'), beta.self, encodeClaimMessage(claimOf(beta)));
    await pump(100);
    expect(did).toEqual([]);
  });
});

describe('in a swarm of more than sixteen', () => {
  const large = async (): Promise<Linked> => {
    const made = await linked();
    for (const [nth, peer] of many.entries()) made.record(certificate(peer, `m${nth}`));
    await made.pump(100);
    made.did.length = 0;
    return made;
  };
  const [first, second] = many as [ModelledCrypto, ModelledCrypto];
  const asked = ({ did }: Linked, peer: ModelledCrypto): string[] =>
    did.filter((one) => one.includes(peer.self)).map((one) => one.split(' ').slice(0, -2).join(' ') || one.split(' ')[0] || '');

  it('who is not connected is dialed for what is to be sent, and who is, is not', async () => {
    const made = await large();
    made.handlers.connected(second.self);
    await made.pump(0);
    made.did.length = 0;
    void made.link.ballots.vote(claimOf(self), [first.self, second.self]);
    await made.pump(20);
    const of = (peer: ModelledCrypto): string[] => made.did.filter((one) => one.includes(peer.self) && !one.includes('sync'));
    expect([of(first), of(second)]).toEqual([[`dial ${first.self} `, `send vote ${first.self}`], [`send vote ${second.self}`]]);
  });

  it('what is for one who is out of reach is lost', async () => {
    const made = await large();
    made.its.away.add(first.self);
    void made.link.ballots.vote(claimOf(self), [first.self]);
    await made.pump(20);
    expect(asked(made, first)).toEqual(['dial']);
  });

  it('nobody is dialed for that in one of sixteen', async () => {
    const made = await linked();
    for (const [nth, peer] of many.slice(1).entries()) made.record(certificate(peer, `m${nth}`));
    await made.pump(100);
    expect(made.link.members.all().length).toBe(16);
    made.did.length = 0;
    void made.link.ballots.vote(claimOf(self), [second.self]);
    await made.pump(20);
    expect(made.did.filter((one) => one.includes(second.self))).toEqual([`send vote ${second.self}`]);
  });

  it('connections with some are wanted, and with all in one of sixteen', async () => {
    const dials = async (members: readonly ModelledCrypto[]): Promise<number> => {
      const made = await linked();
      for (const peer of members) made.its.away.add(peer.self);
      for (const [nth, peer] of members.entries()) made.record(certificate(peer, `m${nth}`));
      await made.pump(7_000);
      return new Set(made.did.filter((one) => one.startsWith('dial ')).map((one) => one.split(' ')[1])).size;
    };
    expect(await dials(many)).toBeLessThan(16);
    expect(await dials(many.slice(1))).toBe(15);
  });
});

describe('what concerns decisions', () => {
  it('goes to the committee: its messages, what statuses say of it, and whose connection ends', async () => {
    const all = await withMembers([beta]);
    const { link, handlers, said, pump } = all;
    const [received, heard, ended] = [
      vi.spyOn(link.consensus, 'receive'),
      vi.spyOn(link.consensus, 'heard'),
      vi.spyOn(link.consensus.committee, 'disconnected'),
    ];
    const bytes = new Uint8Array([7]);
    handlers.message(names.protocol('raft'), beta.self, bytes);
    handlers.message(names.protocol('attest'), beta.self, bytes);
    handlers.message(names.protocol('vote'), beta.self, bytes);
    handlers.message('/other/1', beta.self, bytes);
    const [answered, other] = [
      vi.spyOn(link.consensus, 'answer').mockResolvedValue(new Uint8Array([8])),
      vi.spyOn(link.admission.instances, 'answer').mockResolvedValue(new Uint8Array([9])),
    ];
    expect(await handlers.request(names.protocol('decisions'), beta.self, bytes)).toEqual(new Uint8Array([8]));
    expect(await handlers.request(names.protocol('twin'), beta.self, bytes)).toEqual(new Uint8Array([9]));
    expect([answered.mock.calls, other.mock.calls]).toEqual([[['decisions', beta.self, bytes]], [[bytes]]]);
    expect(received.mock.calls).toEqual([
      ['raft', beta.self, bytes],
      ['attest', beta.self, bytes],
    ]);
    said(sealed(beta, 2, statusOf('beta', { term: 3 })));
    said(sealed(self, WALL_MS * 2, statusOf('alpha', { term: 9 })));
    expect(heard.mock.calls.map(([origin, { term }]) => [origin, term])).toEqual([[beta.self, 3]]);
    handlers.disconnected(beta.self);
    await pump(0);
    expect(ended.mock.calls).toEqual([[beta.self]]);
  });

  it('is what a member said before it was seen alive, too', async () => {
    const { link, record, said, handlers, pump } = await linked();
    record(certificate(beta, 'beta'));
    record(certificate(gamma, 'gamma'));
    const heard = vi.spyOn(link.consensus, 'heard');
    // By another: known, and not seen yet.
    const old = sealed(gamma, 1, statusOf('gamma', { term: 5 }));
    said(old);
    await pump(0);
    heard.mockClear();
    handlers.disconnected(gamma.self);
    handlers.disconnected(gamma.self);
    await pump(2_500);
    expect(link.members.everyone().find(({ peer }) => peer === gamma.self)?.state).toBe('unreachable');
    expect(heard.mock.calls).toEqual([]);
    handlers.connected(gamma.self);
    await pump(0);
    expect(heard.mock.calls.map(([origin, { term }]) => [origin, term])).toEqual([[gamma.self, 5]]);
  });

  it('is begun again where root keys say so, and by nobody else', async () => {
    const { link, record } = await linked();
    const recover = vi.spyOn(link.consensus, 'recover').mockResolvedValue();
    const body = {
      kind: 'recovery',
      subject: self.self,
      epoch: 1,
      fromMs: WALL_MS,
      untilMs: WALL_MS,
      index: 9,
      term: 9,
    } as const;
    expect([record(signed(body)), recover.mock.calls.length]).toEqual(['reject', 0]);
    expect([record(signed(body, root)), recover.mock.calls.length]).toEqual(['accept', 1]);
    record(certificate(beta, 'beta'));
    expect(recover.mock.calls.length).toBe(1);
  });
});

describe('the network key', () => {
  it('is dialed with once a change of it is due, and looked after each minute', async () => {
    const kept: number[][] = [];
    const key = (first: number): Uint8Array => new Uint8Array(32).fill(first);
    const { record, did, link, pump } = await linked(undefined, {
      keys: [key(1)],
      keep: (keys) => void kept.push(keys.map(([first]) => first ?? 0)),
    });
    const taken = (): string[] => did.splice(0).filter((one) => one.startsWith('network'));
    const times = { fromMs: WALL_MS + 30_000, untilMs: WALL_MS + 90_000 };
    expect(record(signed({ kind: 'network', subject: self.self, epoch: 1, ...times, key: key(2) }))).toBe('accept');
    expect([taken(), kept, link.enrolment.networkKeys.size]).toEqual([['network keys 1,2'], [[2, 1]], 2]);
    expect(link.enrolment.networkKeys.newest).toEqual(key(2));
    await pump(59_999);
    expect(taken()).toEqual([]);
    await pump(1);
    expect(taken()).toEqual(['network keys 2,1']);
    await pump(60_000);
    expect([taken(), kept]).toEqual([['network keys 2'], [[2, 1], [2]]]);
    await pump(60_000);
    expect([taken(), kept.length]).toEqual([['network keys 2'], 2]);
  });
});

describe('as time goes by', () => {
  it('who is connected and no member is let go, each minute', async () => {
    const { its, did, pump } = await withMembers([beta]);
    its.connected = [beta.self, stranger.self];
    await pump(59_899);
    expect(did.filter((one) => one.startsWith('disconnect'))).toEqual([]);
    await pump(1);
    expect(did.filter((one) => one.startsWith('disconnect'))).toEqual([`disconnect ${stranger.self}`]);
  });

  it('whose certificate ended goes, where an issuer could have renewed it', async () => {
    const { its, record, did, link, pump } = await linked();
    const body = {
      kind: 'member',
      name: 'beta',
      role: 'member',
      capabilities: [],
      epoch: 0,
      fromMs: WALL_MS - 10_000_000,
    } as const;
    // With what clocks may differ by.
    record(signed({ ...body, subject: beta.self, untilMs: WALL_MS - 7_200_000 + 50_000 }));
    its.connected = [beta.self];
    await pump(60_000);
    expect([link.admission.roster.standing(beta.self, link.time.wallMs()), did.includes(`disconnect ${beta.self}`)]).toEqual([
      'expired',
      true,
    ]);
  });

  it('a status is said again three seconds after the start, for who could not hear the first', async () => {
    const { link, published, pump } = await linked();
    const own = (): number => published.filter(({ topic }) => topic === names.statusTopic).length;
    link.announcements.publish(statusOf('alpha'));
    await pump(2_999);
    link.announcements.publish(statusOf('alpha'));
    expect(own()).toBe(1);
    await pump(1);
    link.announcements.publish(statusOf('alpha'));
    expect(own()).toBe(2);
  });

  it('nothing is left to do once it has stopped, and what comes then changes nothing', async () => {
    const { link, handlers, record, store, log, published, did, scheduler, pump } = await withMembers([beta]);
    const stopping = link.stop();
    await pump(10_000);
    await stopping;
    const [{ size }, lines] = [store.content, log.length];
    for (const list of [published, did]) list.length = 0;
    record(certificate(gamma, 'gamma'));
    handlers.disconnected(beta.self);
    await pump(300_000);
    expect([store.content.size, log.length, published, did, scheduler.waiting]).toEqual([size, lines, [], [], 0]);
  });

  it('where members are is known after a restart', async () => {
    const store = new PlainStore();
    const before = await withMembers([beta], await linked(store));
    await before.pump(600);
    const { did, pump } = await linked(store);
    await pump(0);
    expect(did).toContain(`dial ${beta.self} /at/m0`);
  });
});

describe('the clocks of the others', () => {
  it('are heard by their statuses: most of them are right, and who has left counts no more', async () => {
    const late = { atMs: WALL_MS + 60_000 };
    const { link, said, record, pump } = await withMembers([beta, gamma], undefined, late);
    expect([link.time.wallMs() - WALL_MS, link.time.behindMs()]).toEqual([60_100, 60_000]);
    const measured = (peer: ModelledCrypto) => link.selection.measured(peer.self);
    await pump(1_000);
    expect([measured(beta).offsetMs, measured(gamma).offsetMs]).toEqual([0, 0]);
    said(sealed(gamma, 2, statusOf('gamma'), 'leave'), gamma.self);
    await pump(100);
    expect([measured(gamma).offsetMs, link.time.behindMs()]).toEqual([undefined, expect.any(Number)]);
    await pump(10_000);
    expect(link.time.behindMs()).toBeUndefined();
    record(certificate(stranger, 'other'));
    said(sealed(stranger, 1, statusOf('other', { atMs: WALL_MS + 70_000 })), stranger.self);
    await pump(100);
    expect(link.time.behindMs()).toBeDefined();
    record(revocationOf(stranger));
    await pump(20_000);
    expect(link.time.behindMs()).toBeUndefined();
  });
});

describe('who belongs', () => {
  it('is not who was revoked before: what comes of it late is for nobody', async () => {
    const { link, record, did } = await linked();
    expect(record(revocationOf(beta))).toBe('accept');
    expect(did).toEqual([`disconnect ${beta.self}`]);
    record(certificate(beta, 'beta'));
    expect(link.members.all().length).toBe(1);
  });

  it('is who was admitted again since: a revocation of before takes nothing', async () => {
    const { link, record, log } = await linked();
    const body = { kind: 'member', name: 'beta', role: 'member', capabilities: [], fromMs: WALL_MS } as const;
    expect(record(signed({ ...body, subject: beta.self, epoch: 2, untilMs: WALL_MS + 60_000 }))).toBe('accept');
    expect(record(revocationOf(beta, 1))).toBe('accept');
    expect([link.members.all().length, log.filter((line) => line.includes('no member'))]).toEqual([2, []]);
  });

  it('is not this agent itself where it is revoked: it says so, and cuts nobody', async () => {
    const { link, record, log, did } = await linked();
    expect(
      record(
        signed({
          ...({ kind: 'revocation', of: 'member', subject: self.self, epoch: 0 } as const),
          fromMs: WALL_MS,
          untilMs: WALL_MS,
          reason: '',
        }),
      ),
    ).toBe('accept');
    expect(log).toContain('info: alpha is no longer a member');
    expect([did.filter((one) => one.startsWith('disconnect')), link.members.all().length]).toEqual([[], 1]);
  });

  it('is alive from the first that it passes on, whoever said that', async () => {
    const { link, record, said, pump } = await linked();
    for (const [peer, name] of [
      [beta, 'beta'],
      [gamma, 'gamma'],
    ] as const)
      record(certificate(peer, name));
    said(sealed(gamma, 1, statusOf('gamma')), beta.self);
    await pump(0);
    expect(link.members.alive().toSorted()).toEqual([self.self, beta.self, gamma.self].toSorted());
  });

  it('is looked for in the local network by who is no member yet alone', async () => {
    const { handlers, record, did } = await linked();
    handlers.found(beta.self, '/x');
    record(certificate(beta, 'beta'));
    handlers.found(beta.self, '/y');
    expect(did.filter((one) => one.startsWith('dial /'))).toEqual([`dial /y/p2p/${beta.self}`]);
  });
});

describe('a member that is gone', () => {
  /** Asks one that never answers. @returns what came of it so far */
  const asks = ({ link, its }: Pick<Linked, 'link' | 'its'>): (() => unknown) => {
    its.answer = () => new Promise(() => undefined);
    let failure: unknown;
    link.messenger.ask(beta.self, 'audit', new Uint8Array(), 60_000).catch((error: unknown) => {
      failure = (error as Error).message;
    });
    return () => failure;
  };

  it('is probed where it does not answer what is asked, and given up with its connection open', async () => {
    const all = await withMembers([beta]);
    await all.pump(4_000);
    const failure = asks(all);
    all.its.hangs = true;
    await all.pump(499);
    const pings = () => all.did.filter((one) => one.startsWith('send probe')).length;
    const before = pings();
    await all.pump(1);
    expect(pings()).toBe(before + 1);
    await all.pump(5_000);
    expect(failure()).toBe('no answer to probes');
  });

  it('is named, dialed at once, and given up by who waits for it', async () => {
    const { link, handlers, its, did, log, pump } = await withMembers([beta]);
    await pump(5_000);
    const failure = asks({ link, its });
    its.away.add(beta.self);
    its.connected = [];
    did.length = 0;
    log.length = 0;
    handlers.disconnected(beta.self);
    await pump(0);
    expect(did).toEqual([`dial ${beta.self} /at/m0`]);
    await pump(10_000);
    expect([log, failure()]).toEqual([['info: m0 is unreachable'], 'no answer to probes']);
    handlers.connected(beta.self);
    await pump(20_000);
    expect(log).toContain('info: m0 is alive');
  });

  it('is reported, and again where a report of before the restart says otherwise', async () => {
    const all = await withMembers([beta]);
    const { link, handlers, its, published, said, pump } = all;
    its.away.add(beta.self);
    its.connected = [];
    handlers.disconnected(beta.self);
    const reports = (): string[][] =>
      published.splice(0).flatMap(({ bytes }) => {
        const envelope = parseEnvelope(self, bytes);
        if (envelope?.kind !== 'report') return [];
        return [[...(decodeReport(self, envelope.payload) ?? new Map())].map(([peer, kind]) => `${kind} ${peer}`)];
      });
    await pump(20_000);
    expect(reports()).toEqual([[`silent ${beta.self}`]]);
    expect(link.members.accusersOf(beta.self)).toEqual([self.self]);
    said(sealEnvelope(self, swarmId, 'report', WALL_MS * 2, encodeReport(self, new Map())).bytes);
    expect(reports()).toEqual([[`silent ${beta.self}`]]);
  });
});

describe('pulls', () => {
  const pulls = ({ did }: Linked): number => did.splice(0).filter((one) => one.startsWith('request sync')).length;

  it('come seldom where all is known, and each three seconds while one that was admitted has not spoken', async () => {
    const all = await withMembers([beta]);
    all.its.lacking = [[], [], false];
    await all.pump(61_000);
    all.said(sealed(beta, 2, statusOf('m0')));
    pulls(all);
    await all.pump(60_000);
    expect(pulls(all)).toBe(2);
    all.record(certificate(gamma, 'gamma'));
    await all.pump(5_000);
    pulls(all);
    await all.pump(30_000);
    expect(pulls(all)).toBe(10);
    await all.pump(60_000); // it is expected no more
    pulls(all);
    all.said(sealed(beta, 3, statusOf('m0')));
    await all.pump(30_000);
    expect(pulls(all)).toBe(3); // after 3 s, 6 s and 12 s
  });

  it('come often while statuses are older than they should be', async () => {
    const all = await withMembers([beta]);
    all.its.lacking = [[], [], false];
    // It answers probes, and nothing that it says of itself comes.
    await all.pump(60_000);
    pulls(all);
    await all.pump(30_000);
    expect(pulls(all)).toBe(10);
  });

  it.each([
    ['come again soon', 3_001, true],
    ['that came in time do not', 3_000, false],
  ])('that bring much of what should have come by itself %s', async (_what, ageMs, again) => {
    const all = await withMembers([beta, gamma]);
    all.its.lacking = [[], [], false];
    const speak = (sequence: number): void => {
      for (const peer of [beta, gamma]) all.said(sealed(peer, sequence, statusOf('m')), peer.self);
    };
    for (let sequence = 2; sequence < 6; sequence++) {
      await all.pump(20_000);
      speak(sequence);
    }
    pulls(all);
    all.its.lacking = [[], [[sealed(beta, 6, statusOf('m0')), ageMs]], false];
    for (let second = 0; second < 31 && !all.did.some((one) => one.startsWith('request sync')); second++) await all.pump(1_000);
    pulls(all);
    await all.pump(8_000);
    expect(pulls(all) > 0).toBe(again);
  });

  it('say of how long ago a status is, and one that is young is a sign of life', async () => {
    const all = await linked();
    for (const [peer, name] of [
      [beta, 'beta'],
      [gamma, 'gamma'],
    ] as const)
      all.record(certificate(peer, name));
    await all.pump(60_000);
    all.its.connected = [beta.self];
    all.its.lacking = [
      [],
      [
        [sealed(beta, 1, statusOf('beta')), 34_990],
        [sealed(gamma, 1, statusOf('gamma')), 35_000],
      ],
      false,
    ];
    all.handlers.connected(stranger.self);
    await all.pump(10);
    const { link } = all;
    expect(link.members.alive().toSorted()).toEqual([self.self, beta.self].toSorted());
    expect(link.members.statuses.get(gamma.self)?.heardMs).toBe(60_000 - 35_000);
  });
});
