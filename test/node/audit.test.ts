// Audit and memory: every edit, removal and reordering is found and located; what is remembered survives a restart.
import { describe, expect, it } from 'vitest';
import { AuditLog } from '../../node/audit/audit-log.ts';
import { closeIncident, openIncident } from '../../node/detection/incident.ts';
import { MAX_INCIDENTS, Memory } from '../../node/memory/memory.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Store, StoreOperation } from '../../swarm/ports/store.ts';
import { makePeer } from '../support/crypto.ts';

class PlainStore implements Store {
  readonly content = new Map<string, Uint8Array>();
  async get(key: string) {
    return this.content.get(key);
  }
  async write(operations: readonly StoreOperation[]) {
    for (const operation of operations) {
      if (operation.kind === 'put') this.content.set(operation.key, operation.value);
      else this.content.delete(operation.key);
    }
  }
  async range(prefix: string, { limit, reverse = false }: { limit: number; reverse?: boolean }) {
    const found = [...this.content].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1));
    return (reverse ? found.reverse() : found).slice(0, limit);
  }
  async close() {}
}

const crypto = await makePeer();
const clock = { wallMs: () => 1_000, monotonicMs: () => 0, after: () => ({ cancel: () => undefined }) };

async function filled(): Promise<{ store: PlainStore; log: AuditLog }> {
  const store = new PlainStore();
  const log = new AuditLog(store, clock, crypto);
  await log.open();
  await Promise.all(['a', 'b', 'c', 'd'].map((subject) => log.append('intent', subject, `text ${subject}`)));
  return { store, log };
}

const keyOf = (index: number): string => `audit/${String(index).padStart(12, '0')}`;

describe('the audit log', () => {
  it('keeps concurrent appends in one chain, and goes on after a restart', async () => {
    const { store, log } = await filled();
    expect(await log.verify()).toMatchObject({ ok: true, records: 4 });
    const again = new AuditLog(store, clock, crypto);
    await again.open();
    await again.append('outcome', 'e', 'after');
    expect(await again.verify()).toMatchObject({ ok: true, records: 5 });
    expect((await again.tail(2)).map(({ subject }) => subject)).toEqual(['d', 'e']);
  });

  it('locates an edit, a removal and a reordering', async () => {
    const edited = await filled();
    const record = decodeCbor(edited.store.content.get(keyOf(1)) ?? new Uint8Array()) as Record<string, unknown>;
    edited.store.content.set(keyOf(1), encodeCbor({ ...record, text: 'another story' }));
    expect(await edited.log.verify()).toEqual({ ok: false, index: 1, reason: 'it was changed' });

    const removed = await filled();
    removed.store.content.delete(keyOf(2));
    expect(await removed.log.verify()).toMatchObject({ ok: false, index: 2 });

    const swapped = await filled();
    const [first, second] = [swapped.store.content.get(keyOf(1)), swapped.store.content.get(keyOf(2))];
    if (first && second) swapped.store.content.set(keyOf(1), second).set(keyOf(2), first);
    expect(await swapped.log.verify()).toMatchObject({ ok: false, index: 1 });
  });

  it('does not go on past a newest record that cannot be read', async () => {
    const { store } = await filled();
    store.content.set(keyOf(3), new Uint8Array([1, 2]));
    await expect(new AuditLog(store, clock, crypto).open()).rejects.toThrow(/cannot be read/);
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
    remedy: undefined,
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
    expect(again.record('p', 't', 'service.restart')).toEqual({ worked: 1, failed: 1 });
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
