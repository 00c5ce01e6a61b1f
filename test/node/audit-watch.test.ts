// An agent that shows its audit to its witnesses: what they signed counts, and only what they signed.
import { describe, expect, it } from 'vitest';
import { AuditWatch, type AuditWatchEvents } from '../../node/agent/audit-watch.ts';
import { AuditLog } from '../../node/audit/audit-log.ts';
import { AuditWitness } from '../../node/audit/witness.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Disk, SimulatedStore } from '../../sim/machine/disk.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import { makePeers } from '../support/crypto.ts';
import { pass, settleIn } from '../support/virtual.ts';

const [self, first, second] = (await makePeers(3)) as Crypto[] as [Crypto, Crypto, Crypto];

/** An agent with one record, and its two witnesses, one of which answers as it is made to. */
async function world(lie: (body: Uint8Array, honest: (body: Uint8Array) => Promise<Uint8Array>) => Promise<Uint8Array>) {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler);
  const storeOf = () => new SimulatedStore(new Disk(), scheduler);
  const store = storeOf();
  const audit = new AuditLog(store, clock, self);
  await settleIn(scheduler, audit.open());
  await settleIn(scheduler, audit.append('control', 'test', 'one'));
  const witnesses = new Map([first, second].map((crypto) => [crypto.self, new AuditWitness(storeOf(), crypto)]));
  const asked: string[] = [];
  const events: AuditWatchEvents = {
    witnesses: () => [...witnesses.keys()],
    alive: () => [],
    request: async (to, body) => {
      const honest = async (shown: Uint8Array): Promise<Uint8Array> => {
        const [, argument] = decodeCbor(shown) as [string, Uint8Array];
        const judged = await (witnesses.get(to) as AuditWitness).judge(self.self, argument);
        if (judged.kind === 'signed') return encodeCbor(['signed', judged.signature]);
        return encodeCbor(judged.kind === 'since' ? ['since', judged.size] : [judged.kind]);
      };
      asked.push(to);
      return to === second.self ? lie(body, honest) : honest(body);
    },
    nameOf: (peer) => peer,
    log: () => undefined,
    failed: (error) => {
      throw error;
    },
  };
  const watch = new AuditWatch({ clock, store, crypto: self } as unknown as Ports, audit, events);
  await settleIn(scheduler, watch.open());
  return { watch, audit, scheduler, asked, pump: (ms: number) => pass(scheduler, ms) };
}

describe('what witnesses signed of an audit', () => {
  it('counts, for as much as they signed', async () => {
    const { watch, audit, scheduler, pump } = await world((body, honest) => honest(body));
    await pump(15_000);
    const both = (size: number) => [first.self, second.self].map((witness) => ({ witness, size }));
    expect(watch.standing).toEqual({ signed: both(1), conflicts: [] });
    await settleIn(scheduler, audit.append('control', 'test', 'two'));
    expect(watch.standing.signed).toEqual(both(1));
    await pump(60_000);
    expect(watch.standing.signed).toEqual(both(2));
  });

  it.each([
    ['nothing', async () => encodeCbor(['signed', new Uint8Array(64)])],
    ['something else', async () => encodeCbor(['signed', second.sign(new Uint8Array([1]))])],
    ['no bytes', async () => encodeCbor(['signed', 'yes'])],
    ['what it refused', async () => encodeCbor(['refused'])],
    ['by another key', async (body: Uint8Array) => (body.length > 0 ? encodeCbor(['signed', first.sign(body)]) : body)],
    ['without an end', async () => encodeCbor(['since', 0])],
  ])('does not count of one that signed %s', async (_what, lie) => {
    const { watch, asked, pump } = await world(lie);
    await pump(15_000);
    expect(watch.standing.signed).toEqual([{ witness: first.self, size: 1 }]);
    expect(asked.filter((peer) => peer === second.self).length).toBeLessThanOrEqual(2); // it is not asked in circles
  });

  it('is asked for again each minute until it stops', async () => {
    const { watch, asked, pump } = await world((body, honest) => honest(body));
    await pump(15_000);
    expect(asked.length).toBe(2);
    await pump(120_000);
    expect(asked.length).toBe(6);
    watch.stop();
    await pump(300_000);
    expect(asked.length).toBe(6);
  });
});
