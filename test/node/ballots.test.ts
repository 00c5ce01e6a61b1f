// Votes on an agent's claims, and its own on others': what is sent to whom by what they read, what a witness says, and what is kept.
import { describe, expect, it } from 'vitest';
import { type Claim, claimIdOf, decodeVoteMessage, encodeClaimMessage, type Vote } from '../../consensus/vote/claim.ts';
import { VOTE_DEADLINE_MS, type VoteResult } from '../../consensus/vote/voting.ts';
import { Ballots } from '../../node/link/ballots.ts';
import { unbatched } from '../../node/link/batches.ts';
import type { Evidence } from '../../node/link/evidence.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { StatusTable } from '../../swarm/state/status-table.ts';
import { makePeers } from '../support/crypto.ts';
import { PlainStore } from '../support/store.ts';
import { pass } from '../support/virtual.ts';

const SWARM = 'd'.repeat(32);
const crypto = (await makePeers(5)) as Crypto[] as [Crypto, Crypto, Crypto, Crypto, Crypto];
const WALL = 1_700_000_000_000;

const claimOf = (subject: Crypto, given: Partial<Claim> = {}): Claim => ({
  subject: subject.self,
  kind: 'service-unresponsive',
  target: 'web',
  port: 80,
  check: { kind: 'http', path: '/health' },
  fromMs: WALL,
  expiresAtMs: WALL + 60_000,
  evidenceDigest: subject.hash(new Uint8Array([1])),
  ...given,
});

/** Agents that vote with each other; each one's version, and what it sees, can be set. */
function world(count = 5) {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler, () => WALL);
  const its = {
    versions: new Map<string, string>(),
    http: 'mute' as string,
    measured: { verdict: 'yes', reason: 'own-measure', confidence: 80 } as Evidence,
    blind: new Set<string>(),
  };
  const log = { sent: [] as { from: number; to: string; bytes: Uint8Array }[], voted: [] as Vote[] };
  const statuses = {
    get: (peer: string) => ({ heardMs: 0, status: { version: its.versions.get(peer) ?? '0.4.0', conditions: {} } }),
  } as unknown as StatusTable;
  const stores = crypto.map(() => new PlainStore());
  const make = (nth: number): Ballots => {
    const own = crypto[nth] as Crypto;
    const transport = { probeHttp: async () => its.http, probePort: async () => 'open' };
    const ports = { clock, crypto: own, store: stores[nth], transport } as unknown as Ports;
    return new Ballots(ports, SWARM, statuses, {
      send: (to, bytes) => {
        log.sent.push({ from: nth, to, bytes });
        const at = crypto.findIndex(({ self }) => self === to);
        scheduler.after(1, () => all[at]?.receive(own.self, bytes));
      },
      voted: (_claim, vote) => void log.voted.push(vote),
      measured: () => its.measured,
      isBlind: () => its.blind.has(own.self),
      equivocated: () => undefined,
      failed: (error) => {
        throw error;
      },
    });
  };
  const all = crypto.slice(0, count).map((_, nth) => make(nth));
  const vote = async (claim: Claim, witnesses = crypto.slice(1, count)): Promise<VoteResult> => {
    const voting = all[0]?.vote(
      claim,
      witnesses.map(({ self }) => self),
    );
    await pass(scheduler, VOTE_DEADLINE_MS + 1_000);
    return (await voting) ?? expect.fail();
  };
  return { all, its, log, vote, make, stores, pump: (ms: number) => pass(scheduler, ms) };
}
const claimsSent = (log: ReturnType<typeof world>['log']): Claim[] =>
  log.sent.flatMap(({ bytes }) =>
    unbatched(bytes).flatMap((one) => {
      const message = decodeVoteMessage(one);
      return message?.type === 'claim' ? [message.claim] : [];
    }),
  );

describe('a claim', () => {
  it('is certified where enough witnesses see the same, and nothing waits after it', async () => {
    const { all, log, vote } = world();
    const result = await vote(claimOf(crypto[0]));
    expect([result.outcome, result.votes.every(({ reason }) => reason === 'check-silent'), all[0]?.waiting]).toEqual([
      'certified',
      true,
      0,
    ]);
    expect(result.certificate).toBeDefined();
    expect(log.voted.length).toBe(4);
  });

  it('names its check only where all witnesses read that', async () => {
    const newer = world();
    await newer.vote(claimOf(crypto[0]));
    expect(claimsSent(newer.log).every(({ check }) => check?.kind === 'http')).toBe(true);
    const mixed = world();
    mixed.its.versions.set(crypto[2].self, '0.3.9');
    const result = await mixed.vote(claimOf(crypto[0]));
    expect(claimsSent(mixed.log).map(({ check }) => check)).toEqual([undefined, undefined, undefined, undefined]);
    expect(result.claim.check).toBeUndefined();
  });

  it('is undecided at the deadline where nobody can tell', async () => {
    const { all, its, vote } = world();
    its.http = 'unknown';
    const result = await vote(claimOf(crypto[0]));
    expect([result.outcome, result.certificate, all[0]?.waiting]).toEqual(['undecided', undefined, 0]);
  });

  it('is refuted where they see the check pass', async () => {
    const { its, vote } = world();
    its.http = 'passed';
    expect((await vote(claimOf(crypto[0]))).outcome).toBe('refuted');
  });

  it('of a gray failure is judged by what each has measured', async () => {
    const { its, vote } = world();
    const gray = { kind: 'slow', target: '', port: undefined, check: undefined } as const;
    expect((await vote(claimOf(crypto[0], gray))).votes.map(({ reason }) => reason)).toContain('own-measure');
    its.measured = { verdict: 'abstain', reason: 'no-evidence', confidence: 0 };
    expect((await vote(claimOf(crypto[0], { ...gray, target: 'x' }))).outcome).not.toBe('certified');
  });
});

describe('a witness', () => {
  it('that is late itself says nothing of what was late, or what it measured', async () => {
    const late = world();
    for (const { self } of crypto) late.its.blind.add(self);
    expect((await late.vote(claimOf(crypto[0]))).votes.every(({ verdict }) => verdict === 'abstain')).toBe(true);
    const refused = world();
    for (const { self } of crypto) refused.its.blind.add(self);
    refused.its.http = 'failed';
    expect((await refused.vote(claimOf(crypto[0]))).outcome).toBe('certified'); // an answer that came is one
  });

  it('has its vote on disk, and gives the same one after a restart', async () => {
    const { its, log, stores, make, pump, vote } = world(2);
    const claim = claimOf(crypto[0]);
    await vote(claim, [crypto[1]]);
    const first = log.voted[0];
    expect(stores[1]?.content.size).toBeGreaterThan(0);
    its.http = 'passed';
    const again = make(1);
    await again.open();
    log.sent.length = 0;
    again.receive(crypto[0].self, encodeClaimMessage(claim));
    await pump(2_000);
    const votes = log.sent
      .flatMap(({ bytes }) => unbatched(bytes).map(decodeVoteMessage))
      .flatMap((one) => (one?.type === 'vote' ? [one.vote] : []));
    expect(votes.map(({ verdict, claimId }) => [verdict, claimId])).toEqual([
      [first?.verdict, claimIdOf(SWARM, claim, crypto[0].hash)],
    ]);
  });

  it('reads nothing that is no message, and says nothing once it is stopped', async () => {
    const { all, log, pump } = world(2);
    all[1]?.receive(crypto[0].self, new Uint8Array([1, 2, 3]));
    all[1]?.stop();
    all[1]?.receive(crypto[0].self, encodeClaimMessage(claimOf(crypto[0])));
    await pump(3_000);
    expect(log.sent).toEqual([]);
  });
});

describe('messages to one peer', () => {
  it('go together where it reads batches, up to sixteen, and one by one where it does not', async () => {
    const many = async (version: string): Promise<number[]> => {
      const { all, its, log, pump } = world(2);
      its.versions.set(crypto[1].self, version);
      for (let nth = 0; nth < 20; nth++) void all[0]?.vote(claimOf(crypto[0], { target: `s${nth}` }), [crypto[1].self]);
      await pump(50);
      return log.sent.filter(({ from }) => from === 0).map(({ bytes }) => unbatched(bytes).length);
    };
    expect(await many('0.3.0')).toEqual([16, 4]);
    expect(await many('0.2.9')).toEqual(Array(20).fill(1));
  });
});
