// A change that operators sign, on the machine that it is for: what it is drafted from, what it is refused for, and that it is used once.
import { describe, expect, it } from 'vitest';
import { type SignedOrder, signOrder } from '../../node/action/signed-order.ts';
import type { Snapshot } from '../../node/action/tool.ts';
import type { Executor } from '../../node/agent/executor.ts';
import { OrderRefused, SignedOrders } from '../../node/agent/signed-orders.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { ModelledCrypto } from '../../sim/adapters/crypto.ts';
import { SeededRandom } from '../../sim/random.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Roster } from '../../swarm/identity/roster.ts';
import { PlainStore } from '../support/store.ts';

const SWARM = 'd'.repeat(32);
const NOW_MS = 1_700_000_000_000;
const DAY_MS = 86_400_000;
const [self, alice, bob] = ['sim-self', 'sim-alice', 'sim-bob'].map((peer) => new ModelledCrypto(peer, new Uint8Array([1]))) as [
  ModelledCrypto,
  ModelledCrypto,
  ModelledCrypto,
];
const CALLS = [{ tool: 'service.restart', service: 'web' }];

function world() {
  const store = new PlainStore();
  const its = {
    nowMs: NOW_MS + 0.4,
    verdict: { kind: 'go' } as { kind: string; reason?: string },
    before: [{ state: 'exited', pid: 0, critical: 1 }] as Snapshot[],
  };
  const log = { previews: [] as unknown[], performed: [] as unknown[], unchanged: undefined as string | undefined };
  const executor = {
    preview: async (inputs: readonly unknown[], authority: string) => {
      log.previews.push([inputs, authority]);
      return { verdict: its.verdict, diff: ['- a', '+ b'], calls: inputs, before: its.before, risk: 'R3' };
    },
    operatorPlan: (calls: unknown, reason: string) => ({ id: 'act-1', calls, reason }),
    perform: async (
      plan: { reason: string },
      authority: string,
      progress: { unchanged(now: Snapshot[]): string | undefined; leave(): Uint8Array },
    ) => {
      log.performed.push([plan.reason, authority, progress.leave().length > 0, [...store.content.keys()]]);
      log.unchanged = progress.unchanged([{ state: 'running', pid: 7, critical: 1 }]);
      return { kind: 'held' };
    },
  } as unknown as Executor;
  const roster = {
    swarmId: SWARM,
    genesis: { bytes: new Uint8Array() },
    operators: () =>
      [alice, bob].map(({ self: subject }) => ({ subject, name: subject.replace('sim-', ''), untilMs: NOW_MS + DAY_MS })),
    issuers: () => [],
    member: () => undefined,
    members: () => [],
    records: () => [],
  } as unknown as Roster;
  const ports = {
    crypto: self,
    store,
    clock: { wallMs: () => its.nowMs },
    random: new SeededRandom(1, 'order'),
  } as unknown as Ports;
  const orders = new SignedOrders(ports, { name: 'alpha', swarmId: SWARM, roster, executor });
  const draft = () => orders.draft(CALLS, 'the disk is full', 3_600_000);
  const signed = async (order: SignedOrder): Promise<SignedOrder> => signOrder(await signOrder(order, alice), bob);
  return { orders, store, its, log, draft, signed };
}

describe('an order', () => {
  it('is drafted with what would change, how it is now, and until when it holds', async () => {
    const { draft, log } = world();
    const order = await draft();
    expect(order).toEqual({
      v: 1,
      swarm: SWARM,
      node: 'alpha',
      peer: self.self,
      calls: CALLS,
      diff: ['- a', '+ b'],
      reason: 'the disk is full',
      callsDigest: expect.stringMatching(/^[0-9a-f]{64}$/),
      before: expect.stringMatching(/^[0-9a-f]{64}$/),
      nonce: expect.stringMatching(/^[0-9a-f]{32}$/),
      untilMs: NOW_MS + 3_600_000,
      signatures: [],
    });
    expect(order.nonce).not.toBe((await draft()).nonce);
    expect(log.previews[0]).toEqual([CALLS, 'operators']);
  });

  it.each([
    [{ kind: 'refused', reason: 'maintenance' }, 'maintenance'],
    [{ kind: 'ask' }, 'it may not be done'],
  ])('is neither drafted nor carried out where it may not be done: %o', async (verdict, why) => {
    const { orders, its, draft, signed } = world();
    const order = await signed(await draft());
    its.verdict = verdict;
    await expect(draft()).rejects.toEqual(new OrderRefused(why));
    await expect(orders.commit(order)).rejects.toEqual(new OrderRefused(why));
  });

  it('is refused unsigned, for another machine, changed, or where what it is on has changed', async () => {
    const { orders, its, store, draft, signed } = world();
    const order = await signed(await draft());
    await expect(orders.commit({ ...order, signatures: [] })).rejects.toThrow('2 operators must sign it, and 0 have');
    await expect(orders.commit({ ...order, peer: 'other' })).rejects.toThrow('it is for alpha, not for this machine');
    const other = await signed({ ...order, callsDigest: '00'.repeat(32) });
    await expect(orders.commit(other)).rejects.toEqual(
      new OrderRefused('it is for other arguments, or another version of the tool'),
    );
    its.before = [{ state: 'running', pid: 7, critical: 1 }];
    await expect(orders.commit(order)).rejects.toEqual(
      new OrderRefused('what it is on has changed since it was drafted: draft it again'),
    );
    expect(store.content.size).toBe(0);
  });
});

describe('what was used', () => {
  it('is remembered over restarts, and forgotten after three days', async () => {
    const { orders, store, its } = world();
    const usedAt = (ms: number): Uint8Array => encodeCbor(ms);
    store.content.set('order-used/old', usedAt(NOW_MS - 3 * DAY_MS - 1));
    store.content.set('order-used/kept', usedAt(NOW_MS - 3 * DAY_MS));
    its.nowMs = NOW_MS;
    await orders.open();
    expect([...store.content.keys()]).toEqual(['order-used/kept']);
    store.write = () => Promise.reject(new Error('written for nothing'));
    await orders.open();
    expect(decodeCbor(store.content.get('order-used/kept') ?? expect.fail())).toBe(NOW_MS - 3 * DAY_MS);
  });
});

describe('an order that two operators have signed', () => {
  it('is carried out once, on record before it is begun, while all is as it was', async () => {
    const { orders, log, draft, signed } = world();
    const order = await signed(await draft());
    expect(await orders.commit(order)).toEqual({ kind: 'held', plan: 'act-1' });
    expect(log.performed).toEqual([
      ['the disk is full; signed by alice and bob', 'operators', true, [`order-used/${order.nonce}`]],
    ]);
    expect(log.unchanged).toBe('what it is on has changed since it was drafted: draft it again');
    await expect(orders.commit(order)).rejects.toEqual(new OrderRefused('it was carried out already, or begun: draft it again'));
    expect(log.performed.length).toBe(1);
  });
});
