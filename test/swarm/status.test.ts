// The replicated status: small, exact, and merged to the same state in whatever order it arrives.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Envelope, sealEnvelope } from '../../swarm/dissemination/envelope.ts';
import { decodeStatus, encodeStatus, MAX_STATUS_BYTES, type Status, unknownConditions } from '../../swarm/state/status.ts';
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

describe('status table', () => {
  const sealed = (peer: number, sequence: number): Envelope =>
    sealEnvelope(
      peers[peer] as (typeof peers)[0],
      SWARM,
      'status',
      sequence,
      encodeStatus({ ...largest, name: `n${peer}`, openIncidents: sequence }),
    );
  const table = (): StatusTable => new StatusTable(peers[0] as (typeof peers)[0], SWARM);
  const content = (of: StatusTable): unknown[] =>
    of
      .entries()
      .map(({ origin, sequence }) => [origin, sequence])
      .sort();

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
    const answer = full.answerSync(behind.encodeDigest(), 700);
    const missing = StatusTable.parseSync(answer ?? new Uint8Array());
    expect(missing.length).toBe(2);
    expect(StatusTable.parseSync(full.answerSync(full.encodeDigest(), 700) ?? new Uint8Array())).toEqual([]);
    expect(missing.map(({ ageMs }) => ageMs)).toEqual([700, 700]);
    for (const { envelope } of missing) behind.offer(envelope, 0);
    expect(content(behind)).toEqual(content(full));
    expect(full.answerSync(new Uint8Array([0xff]), 0)).toBeUndefined();
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
    for (const { envelope } of StatusTable.parseSync(statuses.answerSync(missed.encodeDigest(), 1) ?? new Uint8Array()))
      missed.offer(envelope, 1);
    expect(missed.get(leaver?.self ?? '')).toBeUndefined();
  });
});
