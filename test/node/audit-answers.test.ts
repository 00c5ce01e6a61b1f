// A witness of other agents' audits: what it answers who shows a log, and whom it tells of one that was changed.
import { describe, expect, it } from 'vitest';
import { AuditWatch, type AuditWatchEvents } from '../../node/agent/audit-watch.ts';
import { AuditLog } from '../../node/audit/audit-log.ts';
import { cosignBytes, encodeShown, type Shown, shownOf } from '../../node/audit/witness.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { ModelledCrypto, simulatedPeer } from '../../sim/adapters/crypto.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { PlainStore } from '../support/store.ts';
import { pass } from '../support/virtual.ts';

const cryptoOf = (index: number): ModelledCrypto => new ModelledCrypto(simulatedPeer(index, 1), new Uint8Array([1]));
const [self, other, third] = [cryptoOf(0), cryptoOf(1), cryptoOf(2)];

/** The log of an agent after so many records, one of which may say something else. */
async function logOf(records: number, said = 'work'): Promise<AuditLog> {
  const audit = new AuditLog(new PlainStore(), new ProcessClock(new Scheduler(), () => 1_000 + records), other);
  await audit.open();
  for (let i = 0; i < records; i++) await audit.append('control', `r${i}`, i === 0 ? said : 'work');
  return audit;
}
const whole = ({ head }: AuditLog): Shown => ({
  oldSize: 0,
  oldRoot: new Uint8Array(),
  head: head ?? expect.fail('it is empty'),
  path: [],
});
async function since(audit: AuditLog, size: number): Promise<Shown> {
  return shownOf((await audit.proveConsistency(size)) ?? expect.fail('there is no proof'));
}

async function world(own?: AuditLog, store = new PlainStore()) {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler);
  const log: string[] = [];
  const told: { to: string; body: unknown[]; withinMs: number }[] = [];
  const its = { answers: [] as unknown[], fails: false };
  const events: AuditWatchEvents = {
    witnesses: () => {
      if (its.fails) throw new Error('no membership');
      return [third.self];
    },
    alive: () => [self.self, other.self, third.self],
    request: async (to, body, withinMs) => {
      told.push({ to, body: decodeCbor(body) as unknown[], withinMs });
      const answer = its.answers.shift();
      if (answer === undefined) throw new Error('out of reach');
      return encodeCbor(answer);
    },
    nameOf: (peer) => (peer === other.self ? 'beta' : 'gamma'),
    log: (level, text) => void log.push(`${level}: ${text}`),
    failed: (error) => void log.push(`failed: ${(error as Error).message}`),
  };
  const watch = new AuditWatch({ clock, store, crypto: self } as unknown as Ports, own ?? (await logOf(0)), events);
  await watch.open();
  const show = async (shown: Shown | Uint8Array, from = other): Promise<unknown[]> =>
    decodeCbor(
      await watch.answer(from.self, encodeCbor(['show', shown instanceof Uint8Array ? shown : encodeShown(shown)])),
    ) as unknown[];
  return { watch, its, log, told, store, show, scheduler, pump: (ms: number) => pass(scheduler, ms) };
}

describe('who shows its log', () => {
  it('has it signed, asked for from where it was seen last, and signed again', async () => {
    const { show, log } = await world();
    const audit = await logOf(1);
    const one = whole(audit);
    const [kind, signature] = await show(one);
    expect([kind, other.verify(self.self, cosignBytes(one.head), signature as Uint8Array)]).toEqual(['signed', true]);
    for (const subject of ['r1', 'r2']) await audit.append('control', subject, 'work');
    const three = whole(audit);
    expect(await show(three)).toEqual(['since', 1]);
    const [again, next] = await show(await since(audit, 1));
    expect([again, other.verify(self.self, cosignBytes(three.head), next as Uint8Array), log]).toEqual(['signed', true, []]);
  });

  it('in another’s name, or without one, is refused', async () => {
    const { show, watch } = await world();
    expect(await show(whole(await logOf(1)), third)).toEqual(['refused']);
    expect(await show(encodeCbor('nothing'))).toEqual(['refused']);
    for (const body of [
      encodeCbor(['other', new Uint8Array()]),
      encodeCbor(['show', 'text']),
      encodeCbor(7),
      new Uint8Array([255]),
    ])
      await expect(watch.answer(other.self, body)).rejects.toThrow('malformed request');
  });
});

describe('a log that was changed', () => {
  it('is told to a person and to all others that are there, once', async () => {
    const { show, log, told, watch, store } = await world();
    await show(whole(await logOf(2)));
    const changed = await logOf(2, 'never');
    expect(await show(whole(changed))).toEqual(['conflict']);
    expect(log).toEqual([
      'warn: the audit of beta was tampered with: two logs of one size; found by this agent; see: kalos audit conflicts',
    ]);
    expect(told.map(({ to, body: [what], withinMs }) => `${to} ${what} ${withinMs}`)).toEqual([`${third.self} conflict 3000`]);
    expect(await show(whole(changed))).toEqual(['conflict']);
    expect([log.length, told.length, watch.standing.conflicts.map(({ peer }) => peer)]).toEqual([1, 1, [other.self]]);
    const again = await world(undefined, store);
    expect(again.watch.standing.conflicts.length).toBe(1);
  });

  it('is believed of who brings the proof, and told to a person once', async () => {
    const found = await world();
    await found.show(whole(await logOf(2)));
    await found.show(whole(await logOf(2, 'never')));
    const [, proof] = found.told[0]?.body ?? [];
    const { watch, log } = await world();
    const bring = async (what: unknown): Promise<unknown> =>
      decodeCbor(await watch.answer(third.self, encodeCbor(['conflict', what])));
    expect(await bring('no proof')).toEqual(['signed', new Uint8Array()]);
    expect(log).toEqual([]);
    expect([await bring(proof), await bring(proof)]).toEqual([
      ['signed', new Uint8Array()],
      ['signed', new Uint8Array()],
    ]);
    expect(log).toEqual([
      'warn: the audit of beta was tampered with: two logs of one size; found by gamma; see: kalos audit conflicts',
    ]);
  });
});

describe('one’s own log', () => {
  it('is shown from where a witness has seen it, or whole where that is no place in it', async () => {
    const { its, told, watch, pump } = await world(await logOf(3));
    its.answers = [['since', 2], ['since', 2], ['since', 9], ['conflict']];
    await pump(9_999);
    expect(told).toEqual([]);
    await pump(1);
    const sizes = (): number[] =>
      told.map(({ body: [, shown] }) => (decodeCbor(shown as Uint8Array) as { oldSize: number }).oldSize);
    expect([sizes(), told[0]?.withinMs]).toEqual([[0, 2], 3_000]);
    await pump(60_000);
    expect([sizes(), watch.standing.signed]).toEqual([[0, 2, 0, 0], []]);
  });

  it('that is empty is not shown; and what fails is told, and tried again', async () => {
    const { told, its, log, watch, scheduler, pump } = await world();
    await pump(10_000);
    expect(told).toEqual([]);
    its.fails = true;
    await pump(120_000);
    expect(log).toEqual(['failed: no membership', 'failed: no membership']);
    watch.stop();
    const { executed } = scheduler;
    await pump(300_000);
    expect(scheduler.executed).toBe(executed);
  });
});
