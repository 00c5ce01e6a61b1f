// Audit and memory: every edit, removal and reordering is found and located; what is remembered survives a restart.
import { describe, expect, it } from 'vitest';
import { AuditLog, type AuditRecord, recordBytes } from '../../node/audit/audit-log.ts';
import { leafHash } from '../../node/audit/merkle.ts';
import { checkProof, consistencyText, inclusionText, proofSchema } from '../../node/audit/proof.ts';
import { closeIncident, openIncident } from '../../node/detection/incident.ts';
import { MAX_INCIDENTS, Memory } from '../../node/memory/memory.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { makeVerifier } from '../../swarm/libp2p/identity.ts';
import { makePeer } from '../support/crypto.ts';
import { PlainStore } from '../support/store.ts';

const crypto = await makePeer();
const clock = { wallMs: () => 1_000, monotonicMs: () => 0, after: () => ({ cancel: () => undefined }) };

async function filled(): Promise<{ store: PlainStore; log: AuditLog }> {
  const store = new PlainStore();
  const log = new AuditLog(store, clock, crypto);
  await log.open();
  await Promise.all(['a', 'b', 'c', 'd'].map((subject) => log.append('intent', subject, `text ${subject}`)));
  return { store, log };
}

const keyOf = (index: number): string => `audit/record/${String(index).padStart(12, '0')}`;
const LEAF_1 = 'audit/node/0/1';

describe('the audit log', () => {
  it('keeps concurrent appends in one log, and goes on after a restart', async () => {
    const { store, log } = await filled();
    expect(await log.verify()).toMatchObject({ ok: true, records: 4 });
    const again = new AuditLog(store, clock, crypto);
    await again.open();
    await again.append('outcome', 'e', 'after');
    expect(await again.verify()).toMatchObject({ ok: true, records: 5 });
    expect((await again.tail(2)).map(({ subject }) => subject)).toEqual(['d', 'e']);
  });

  it('dates records by the clock as it is, and heads never before the one that they follow', async () => {
    let wallMs = 5_000;
    const store = new PlainStore();
    const log = new AuditLog(store, { ...clock, wallMs: () => wallMs }, crypto);
    await log.open();
    const heads: (number | undefined)[] = [];
    for (const at of [5_000, 90_000, 1_000]) {
      wallMs = at;
      await log.append('intent', 'a', 'text');
      heads.push(log.head?.atMs);
    }
    const again = new AuditLog(store, { ...clock, wallMs: () => 2_000 }, crypto);
    await again.open();
    await again.append('intent', 'a', 'text');
    expect([...heads, again.head?.atMs]).toEqual([5_000, 90_000, 90_000, 90_000]);
    expect((await again.tail(4)).map(({ atMs }) => atMs)).toEqual([5_000, 90_000, 1_000, 2_000]);
    expect(await again.verify()).toMatchObject({ ok: true, records: 4 });
  });

  it('locates an edit, of the record alone or with its leaf', async () => {
    const { store, log } = await filled();
    const record = decodeCbor(store.content.get(keyOf(1)) ?? new Uint8Array()) as AuditRecord;
    const edited = { ...record, text: 'another story' };
    store.content.set(keyOf(1), encodeCbor(edited));
    expect(await log.verify()).toEqual({ ok: false, index: 1, reason: 'the record was changed' });
    store.content.set(LEAF_1, leafHash(recordBytes(edited), crypto.hash));
    expect(await log.verify()).toMatchObject({ ok: false, reason: 'the records do not match the signed root' });
  });

  it('locates a removal, a reordering, a record beyond the head and a head that was cut back', async () => {
    const removed = await filled();
    removed.store.content.delete(keyOf(2));
    expect(await removed.log.verify()).toMatchObject({ ok: false, index: 2, reason: 'the record is missing' });

    const swapped = await filled();
    const [first, second] = [swapped.store.content.get(keyOf(1)), swapped.store.content.get(keyOf(2))];
    if (first && second) swapped.store.content.set(keyOf(1), second).set(keyOf(2), first);
    expect(await swapped.log.verify()).toMatchObject({ ok: false, index: 1 });

    const beyond = await filled();
    const oldHead = beyond.store.content.get('audit/head') ?? new Uint8Array();
    await beyond.log.append('intent', 'e', 'the fifth');
    beyond.store.content.set('audit/head', oldHead);
    expect(await beyond.log.verify()).toMatchObject({ ok: false, index: 4, reason: 'the log was cut back to an older head' });
    const reopened = new AuditLog(beyond.store, clock, crypto);
    await reopened.open();
    expect(await reopened.verify()).toMatchObject({ ok: false, index: 4, reason: 'a record is beyond the head' });
  });

  it('does not open under a head that another signed, cannot be read, or is gone', async () => {
    const { store } = await filled();
    await expect(new AuditLog(store, clock, await makePeer()).open()).rejects.toThrow(/not signed by this agent/);
    store.content.set('audit/head', new Uint8Array([1]));
    await expect(new AuditLog(store, clock, crypto).open()).rejects.toThrow(/cannot be read/);
    store.content.delete('audit/head');
    await expect(new AuditLog(store, clock, crypto).open()).rejects.toThrow(/no head/);
  });

  it('is whole while it is empty, and not once its head is gone or its records cannot be read', async () => {
    const empty = new AuditLog(new PlainStore(), clock, crypto);
    await empty.open();
    expect([
      await empty.verify(),
      await empty.tail(9),
      empty.head,
      await empty.prove(0),
      await empty.proveConsistency(1),
    ]).toEqual([{ ok: true, records: 0, root: undefined }, [], undefined, undefined, undefined]);
    const { store, log } = await filled();
    const whole = new Map(store.content);
    const put = (key: string, value: unknown): void => {
      store.content.clear();
      for (const [one, bytes] of whole) store.content.set(one, bytes);
      if (value === undefined) store.content.delete(key);
      else store.content.set(key, encodeCbor(value));
    };
    const noHead = 'the head cannot be read or is not signed by this agent';
    const noRecord = 'the record cannot be read or is out of place';
    const record = { index: 2, atMs: 1, kind: 'intent', subject: 'c', text: 't' };
    for (const [key, value, index, reason] of [
      ['audit/head', undefined, 0, noHead],
      ['audit/head', { size: 4 }, 0, noHead],
      [keyOf(2), { ...record, index: 1 }, 2, noRecord],
      [keyOf(2), { ...record, kind: 'other' }, 2, noRecord],
      ['audit/node/0/2', undefined, 2, 'the record was changed'],
      [keyOf(4), { ...record, index: 4 }, 4, 'a record is beyond the head'],
    ] as const) {
      put(key, value);
      expect(await log.verify()).toEqual({ ok: false, index, reason });
    }
    put('audit/node/1/1', undefined);
    expect(await log.verify()).toMatchObject({ ok: true }); // by the records alone
    put('audit/node/2/0', undefined);
    await expect(log.append('intent', 'e', 'text')).rejects.toThrow('the audit log has no subtree 2/0');
    put('none', undefined);
    expect((await log.append('intent', 'f', 'goes on')).index).toBe(4);
  });

  it('gives the newest thousand at most, and proofs of what it has', async () => {
    const { log } = await filled();
    for (let nth = 4; nth < 1_002; nth++) await log.append('control', `${nth}`, '');
    const tail = await log.tail(5_000);
    expect([tail.length, tail[0]?.index, tail.at(-1)?.index]).toEqual([1_000, 2, 1_001]);
    expect([(await log.prove(1_001))?.record.index, await log.prove(1_002)]).toEqual([1_001, undefined]);
    expect([await log.proveConsistency(0), await log.proveConsistency(1_003)]).toEqual([undefined, undefined]);
    expect((await log.proveConsistency(1_002))?.oldSize).toBe(1_002);
  });

  it('proves every record and every growth to somebody who has only the proof', async () => {
    const { log } = await filled();
    for (const subject of ['e', 'f', 'g']) await log.append('outcome', subject, '…');
    for (let index = 0; index < 7; index++) {
      const proof = await log.prove(index);
      const text = JSON.parse(JSON.stringify(proof && inclusionText(proof)));
      expect(checkProof(proofSchema.parse(text), makeVerifier())).toEqual({ valid: true });
      text.record.text = 'forged';
      expect(checkProof(proofSchema.parse(text), makeVerifier())).toMatchObject({ valid: false });
    }
    for (let size = 1; size <= 7; size++) {
      const proof = await log.proveConsistency(size);
      const text = JSON.parse(JSON.stringify(proof && consistencyText(proof)));
      expect(checkProof(proofSchema.parse(text), makeVerifier())).toEqual({ valid: true });
      expect(checkProof(proofSchema.parse({ ...text, oldRoot: 'ab'.repeat(32) }), makeVerifier())).toMatchObject({
        valid: false,
      });
      expect(checkProof(proofSchema.parse({ ...text, head: { ...text.head, size: 9 } }), makeVerifier())).toMatchObject({
        valid: false,
      });
    }
    expect([await log.prove(7), await log.proveConsistency(0), await log.proveConsistency(8)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('memory', () => {
  const finding = {
    policy: 'p',
    target: 't',
    severity: 'info' as const,
    summary: 's',
    condition: undefined,
    claim: 'anomaly' as const,
    remedies: [],
    evidence: {},
  };

  it('gives back incidents and the record of remedies after a restart', async () => {
    const store = new PlainStore();
    const memory = new Memory(store);
    const incident = openIncident(finding, 'peer', 'node', 5, crypto.hash);
    incident.steps.push({ atMs: 5, stage: 'detect', text: 'seen', data: { z: 8.5, service: 'web', ok: true, none: null } });
    await memory.save(incident);
    await memory.learn('p', 't', 'service.restart', true);
    await memory.learn('p', 't', 'service.restart', false);
    const again = new Memory(store);
    await again.open();
    expect(again.incident(incident.id)).toEqual(incident);
    expect(again.remedyRecord('p', 't', 'service.restart')).toEqual({ worked: 1, failed: 1 });
  });

  it('is bounded: the oldest closed incidents go first', async () => {
    const store = new PlainStore();
    const memory = new Memory(store);
    for (let ms = 1; ms <= MAX_INCIDENTS + 5; ms++) {
      const incident = openIncident(finding, 'peer', 'node', ms, crypto.hash);
      if (ms > 3) closeIncident(incident, ms, 'resolved', 'done');
      await memory.save(incident);
    }
    expect(memory.incidents().length).toBe(MAX_INCIDENTS);
    expect(memory.incidents().filter(({ closedMs }) => closedMs === 0).length).toBe(3);
    expect([...store.content.keys()].filter((key) => key.startsWith('incident/')).length).toBe(MAX_INCIDENTS);
  });
});
