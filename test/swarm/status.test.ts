// The replicated status: small, exact, and merged to the same state in whatever order it arrives.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Envelope, sealEnvelope } from '../../swarm/dissemination/envelope.ts';
import { Roster } from '../../swarm/identity/roster.ts';
import type { Ed25519Crypto } from '../../swarm/libp2p/identity.ts';
import { encodeReport } from '../../swarm/membership/report.ts';
import { Digest } from '../../swarm/state/digest.ts';
import { Replica } from '../../swarm/state/replica.ts';
import { decodeStatus, encodeStatus, MAX_STATUS_BYTES, type Status, unknownConditions } from '../../swarm/state/status.ts';
import { StatusPacing } from '../../swarm/state/status-pacing.ts';
import { StatusTable } from '../../swarm/state/status-table.ts';
import { makePeers } from '../support/crypto.ts';

const SWARM = 'c'.repeat(32);
const peers = await makePeers(3);

const largest: Status = {
  name: 'a-name-of-twenty-four-ch',
  version: '10.20.30',
  atMs: 1_900_000_000_000,
  zone: 65_535,
  address: '/ip4/203.113.213.113/tcp/65535',
  loadCenti: 640_000,
  memoryPermille: 1_000,
  cpuPermille: 1_000,
  pressureCenti: [10_000, 10_000, undefined],
  conditions: { ...unknownConditions(), Ready: 'False', DiskPressure: 'True' },
  openIncidents: 999,
  term: 1_000_000,
  coordinator: true,
  decided: 12,
  mode: 'act',
};

describe('status', () => {
  it('decodes to what was encoded', () => {
    expect(decodeStatus(encodeStatus(largest))).toEqual(largest);
  });

  it(`fits ${MAX_STATUS_BYTES} bytes with its envelope, even with every field at its largest`, () => {
    const { bytes } = sealEnvelope(peers[0] as (typeof peers)[0], SWARM, 'status', 1_900_000_000_000, encodeStatus(largest));
    expect(bytes.length).toBeLessThanOrEqual(MAX_STATUS_BYTES);
  });

  it('of an unknown version or shape is not decoded', () => {
    expect(decodeStatus(new Uint8Array([0x82, 2, 1]))).toBeUndefined();
    expect(decodeStatus(new Uint8Array())).toBeUndefined();
  });
});

describe('the pacing of a status', () => {
  /** What is said each second, as it was due: u urgent, c calm, - not. */
  const said = (members: number, seconds: number, at: (second: number) => Partial<Status>): string => {
    const pacing = new StatusPacing({ uint32: () => 0 } as never);
    const due = (second: number) => pacing.due({ ...largest, ...at(second) }, members, second * 1_000);
    return Array.from({ length: seconds }, (_, second) => due(second)?.at(0) ?? '-').join('');
  };

  it('is at once where a condition changed, and else when the last one grew old', () => {
    const text = said(10, 100, (second) => ({ openIncidents: second < 3 ? 0 : 1 }));
    expect(text.slice(0, 10)).toBe('u--u------');
    expect(text.slice(4).replaceAll('-', '')).toBe('cuc');
  });

  it('by who flaps is a few times at once, and then now and then, and never not at all', () => {
    const flapping = said(10, 120, (second) => ({ openIncidents: second % 2 }));
    expect(flapping.slice(0, 6)).toBe('uuuu--');
    expect(flapping.slice(60).replaceAll('-', '').length).toBe(12);
    const large = said(1_000, 600, (second) => ({ openIncidents: second % 2 }));
    expect(large.slice(300).replaceAll('-', '').length).toBe(20);
    expect(said(10, 60, (second) => ({ openIncidents: second < 40 ? second % 2 : 7 })).slice(40, 50)).toContain('u');
  });

  it('is no sooner where figures go up and down: a noisy machine says no more than a calm one', () => {
    const figures = (second: number): Partial<Status> => {
      const value = second % 2 === 0 ? 0 : 9_000;
      return { pressureCenti: [value, value, value], loadCenti: value, cpuPermille: value / 10, memoryPermille: value / 10 };
    };
    const noisy = said(10, 120, (second) => ({ ...figures(second), openIncidents: second < 50 ? 0 : 1 }));
    expect(noisy).toBe(said(10, 120, (second) => ({ openIncidents: second < 50 ? 0 : 1 })));
    expect(noisy[50]).toBe('u');
  });
});

describe('status table', () => {
  const sealed = (peer: number, sequence: number): Envelope =>
    sealEnvelope(
      peers[peer] as (typeof peers)[0],
      SWARM,
      'status',
      sequence,
      encodeStatus({ ...largest, name: `n${peer}`, openIncidents: sequence }),
    );
  const table = (): StatusTable => new StatusTable(peers[0] as (typeof peers)[0], SWARM, () => true);
  const content = (of: StatusTable): unknown[] =>
    of
      .entries()
      .map(({ origin, sequence }) => [origin, sequence])
      .sort();

  const replicaOf = (statuses: StatusTable): Replica => new Replica(new Roster(peers[0] as (typeof peers)[0], SWARM), statuses);
  /** What one table's holder would send another's. */
  const lacking = (from: StatusTable, to: StatusTable, nowMs: number) =>
    Replica.parseSync(replicaOf(from).answerSync(replicaOf(to).encodeDigests(0), nowMs) ?? new Uint8Array()).envelopes;

  it('accepts newer, ignores older and the same, rejects forged', () => {
    const statuses = table();
    const newer = sealed(1, 5);
    expect(statuses.offer(newer.bytes, 0).verdict).toBe('accept');
    expect(statuses.offer(newer.bytes, 1).verdict).toBe('ignore');
    expect(statuses.offer(sealed(1, 4).bytes, 2).verdict).toBe('ignore');
    const forged = sealed(1, 6).bytes.slice();
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
    expect(statuses.offer(forged, 3).verdict).toBe('reject');
    expect(statuses.get(peers[1]?.self ?? '')?.sequence).toBe(5);
  });

  it('ends in the same state in any order of arrival, with repetitions', () => {
    const all = [0, 1, 2].flatMap((peer) => [1, 2, 3].map((sequence) => sealed(peer, sequence)));
    const reference = table();
    for (const { bytes } of all) reference.offer(bytes, 0);
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...all), { maxLength: 20 }),
        fc.shuffledSubarray(all, { minLength: all.length }),
        (noise, order) => {
          const other = table();
          for (const { bytes } of [...noise, ...order]) other.offer(bytes, 0);
          expect(content(other)).toEqual(content(reference));
        },
      ),
      { numRuns: 30 },
    );
  });

  it('brings another table up to date by a digest of what it has seen, and sends only what lies where they differ', () => {
    const full = table();
    for (const peer of [0, 1, 2]) full.offer(sealed(peer, 9).bytes, 0);
    const behind = table();
    behind.offer(sealed(1, 9).bytes, 0);
    const missing = lacking(full, behind, 700);
    const bucket = (peer: number): number => Digest.bucketOf(peers[peer]?.self ?? '') % 16; // who shares a bucket with what is lacking comes along
    const shared = [0, 2].some((peer) => bucket(peer) === bucket(1));
    expect(missing.length).toBe(shared ? 3 : 2);
    expect(lacking(full, full, 700)).toEqual([]);
    expect(new Set(missing.map(({ ageMs }) => ageMs))).toEqual(new Set([700]));
    for (const { envelope } of missing) behind.offer(envelope, 0);
    expect(content(behind)).toEqual(content(full));
    expect(replicaOf(full).answerSync(new Uint8Array([0xff]), 0)).toBeUndefined();
  });

  it('sends much in parts: each answer says that there is more, and pulls from here and there bring all of it', async () => {
    const many = await makePeers(1_500);
    const said = many.map((peer) => sealEnvelope(peer, SWARM, 'status', 1, new Uint8Array(encodeStatus(largest))).bytes);
    const [one, other, behind] = [table(), table(), table()];
    for (const bytes of said) for (const holder of [one, other]) holder.offer(bytes, 0);
    let pulls = 0;
    for (let more = true; more && pulls < 20; pulls++) {
      const answer = replicaOf(pulls % 2 === 0 ? one : other).answerSync(replicaOf(behind).encodeDigests(pulls * 7_919), 0);
      expect(answer?.length).toBeLessThan(140 * 1024);
      const lacks = Replica.parseSync(answer ?? new Uint8Array());
      for (const { envelope } of lacks.envelopes) behind.offer(envelope, 0);
      more = lacks.more;
    }
    expect(content(behind)).toEqual(content(one));
    expect(pulls).toBeGreaterThan(1);
    const starts = [0, 30_000].map((start) =>
      Replica.parseSync(replicaOf(one).answerSync(replicaOf(table()).encodeDigests(start), 0) as Uint8Array),
    );
    const [first, second] = starts.map(({ envelopes }) => new Set(envelopes.map(({ envelope }) => envelope.join())));
    expect([...(first ?? [])].filter((one) => second?.has(one)).length).toBeLessThan((first?.size ?? 0) / 2);
  });

  it('hears one that floods for a while only, checks no more of it, and hears it again later', () => {
    const crypto = peers[0] as (typeof peers)[0];
    let checked = 0;
    const counting = new Proxy(crypto, {
      get: (of, name) => {
        const value: unknown = Reflect.get(of, name);
        if (name === 'verify') checked++;
        return typeof value === 'function' ? value.bind(of) : value;
      },
    });
    const statuses = new StatusTable(counting, SWARM, () => true);
    const verdicts = Array.from({ length: 300 }, (_, index) => statuses.offer(sealed(1, 20_000 + index).bytes, 0).verdict);
    expect([verdicts.indexOf('ignore'), checked]).toEqual([100, 100]);
    expect(statuses.offer(sealed(2, 19_000).bytes, 0).verdict).toBe('accept');
    expect(statuses.offer(sealed(1, 30_000).bytes, 1_000).verdict).toBe('accept');
    // What others forge in its name is not held against it.
    for (let index = 0; index < 300; index++) {
      const forged = sealed(2, 20_000 + index).bytes.slice();
      forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
      expect(statuses.offer(forged, 0).verdict).toBe('reject');
    }
    expect(statuses.offer(sealed(2, 30_000).bytes, 0).verdict).toBe('accept');
  });

  it('listens to members only; what came before its origin’s certificate counts once that has come', () => {
    const members = new Set<string>();
    const statuses = new StatusTable(peers[0] as (typeof peers)[0], SWARM, (peer) => members.has(peer));
    const stranger = peers[1]?.self ?? '';
    expect(statuses.offer(sealed(1, 5).bytes, 0).verdict).toBe('ignore');
    expect(statuses.get(stranger)).toBeUndefined();
    members.add(stranger);
    const [early] = statuses.takeEarly(stranger);
    expect(statuses.offer(early?.envelope ?? new Uint8Array(), 0).verdict).toBe('accept');
    statuses.forget(stranger);
    expect([statuses.get(stranger), [...statuses.held()].length]).toEqual([undefined, 0]);
  });

  it('keeps an observer’s newest report beside its status, until it leaves', () => {
    const statuses = table();
    const [, observer, subject] = peers as [Ed25519Crypto, Ed25519Crypto, Ed25519Crypto];
    const report = (sequence: number, accused: string[]): Uint8Array =>
      sealEnvelope(observer, SWARM, 'report', sequence, encodeReport(observer, new Map(accused.map((peer) => [peer, 'silent']))))
        .bytes;
    expect(statuses.offer(report(8, [subject.self]), 0)).toMatchObject({
      verdict: 'accept',
      kind: 'report',
      origin: observer.self,
    });
    expect(statuses.offer(sealed(1, 7).bytes, 0).verdict).toBe('accept'); // sequences of their own
    expect(statuses.offer(report(6, []), 0).verdict).toBe('ignore');
    const missed = table();
    for (const { envelope } of lacking(statuses, missed, 1)) missed.offer(envelope, 1);
    expect([...missed.held()].map(([key]) => key)).toEqual([`report ${observer.self}`, observer.self]);
    statuses.offer(sealEnvelope(observer, SWARM, 'leave', 9, new Uint8Array()).bytes, 2);
    expect([...statuses.held()].map(([key]) => key)).toEqual([observer.self]);
  });

  it('keeps nothing of one that was removed, neither its status nor its farewell', () => {
    const [, removed] = peers as [unknown, (typeof peers)[0]];
    for (const kind of ['status', 'leave'] as const) {
      const statuses = table();
      statuses.offer(sealed(1, 5).bytes, 0);
      if (kind === 'leave') statuses.offer(sealEnvelope(removed, SWARM, 'leave', 6, new Uint8Array()).bytes, 0);
      expect([...statuses.held()].length).toBe(1);
      statuses.forget(removed.self);
      expect([[...statuses.held()], statuses.size, statuses.digest.seen(removed.self)]).toEqual([[], 0, undefined]);
      expect(statuses.offer(sealed(1, 5).bytes, 1).verdict).toBe('accept'); // as of somebody new
    }
  });

  it('forgets a peer that left and does not take its older status back', () => {
    const statuses = table();
    const [, leaver] = peers;
    statuses.offer(sealed(1, 5).bytes, 0);
    const leave = sealEnvelope(leaver as (typeof peers)[0], SWARM, 'leave', 6, new Uint8Array());
    expect(statuses.offer(leave.bytes, 0)).toMatchObject({ verdict: 'accept', kind: 'leave' });
    expect(statuses.offer(sealed(1, 5).bytes, 0).verdict).toBe('ignore');
    expect(statuses.get(leaver?.self ?? '')).toBeUndefined();
    const missed = table();
    missed.offer(sealed(1, 5).bytes, 0);
    for (const { envelope } of lacking(statuses, missed, 1)) missed.offer(envelope, 1);
    expect(missed.get(leaver?.self ?? '')).toBeUndefined();
  });
});
