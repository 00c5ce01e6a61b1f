// A change that operators sign, on the machine that it is for: what it is drafted from, what it is refused for, and that it is used once.
import { describe, expect, it } from 'vitest';
import { type SignedChange, signChange } from '../../node/action/signed-change.ts';
import type { Snapshot } from '../../node/action/tool.ts';
import type { Executor } from '../../node/agent/executor.ts';
import { ChangeRefused, SignedChanges } from '../../node/agent/signed-changes.ts';
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
      progress: { unchanged(now: Snapshot[]): string | undefined; authorization: Uint8Array },
    ) => {
      log.performed.push([plan.reason, authority, progress.authorization.length > 0, [...store.content.keys()]]);
      log.unchanged = progress.unchanged([{ state: 'running', pid: 7, critical: 1 }]);
      return { kind: 'held' };
    },
  } as unknown as Executor;
  const roster = {
    swarmId: SWARM,
    authority: { genesis: { bytes: new Uint8Array() } },
    operators: () =>
      [alice, bob].map(({ self: subject }) => ({ subject, name: subject.replace('sim-', ''), untilMs: NOW_MS + DAY_MS })),
    issuers: () => [],
    member: () => undefined,
    members: () => [],
    records: { all: () => [] },
  } as unknown as Roster;
  const ports = {
    crypto: self,
    store,
    clock: { wallMs: () => its.nowMs },
    random: new SeededRandom(1, 'change'),
  } as unknown as Ports;
  const changes = new SignedChanges(ports, { name: 'alpha', swarmId: SWARM, roster, executor });
  const draft = () => changes.draft(CALLS, 'the disk is full', 3_600_000);
  const signed = async (change: SignedChange): Promise<SignedChange> => signChange(await signChange(change, alice), bob);
  return { changes, store, its, log, draft, signed };
}

describe('a change', () => {
  it('is drafted with what would change, how it is now, and until when it holds', async () => {
    const { draft, log } = world();
    const change = await draft();
    expect(change).toEqual({
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
    expect(change.nonce).not.toBe((await draft()).nonce);
    expect(log.previews[0]).toEqual([CALLS, 'operators']);
  });

  it.each([
    [{ kind: 'refused', reason: 'maintenance' }, 'maintenance'],
    [{ kind: 'ask' }, 'the change is not permitted'],
  ])('is neither drafted nor executed if it is not permitted: %o', async (verdict, why) => {
    const { changes, its, draft, signed } = world();
    const change = await signed(await draft());
    its.verdict = verdict;
    await expect(draft()).rejects.toEqual(new ChangeRefused(why));
    await expect(changes.commit(change)).rejects.toEqual(new ChangeRefused(why));
  });

  it('is refused unsigned, for another machine, changed, or where what it is on has changed', async () => {
    const { changes, its, store, draft, signed } = world();
    const change = await signed(await draft());
    await expect(changes.commit({ ...change, signatures: [] })).rejects.toThrow('2 operators must sign the change, and 0 have');
    await expect(changes.commit({ ...change, peer: 'other' })).rejects.toThrow('the change is for alpha, not for this machine');
    const other = await signed({ ...change, callsDigest: '00'.repeat(32) });
    await expect(changes.commit(other)).rejects.toEqual(
      new ChangeRefused('the change is for other arguments, or another version of the tool'),
    );
    its.before = [{ state: 'running', pid: 7, critical: 1 }];
    await expect(changes.commit(change)).rejects.toEqual(
      new ChangeRefused('the target has changed since the draft: draft a new one'),
    );
    expect(store.content.size).toBe(0);
  });
});

describe('what was used', () => {
  it('is remembered over restarts, and forgotten after three days', async () => {
    const { changes, store, its } = world();
    const usedAt = (ms: number): Uint8Array => encodeCbor(ms);
    store.content.set('order-used/old', usedAt(NOW_MS - 3 * DAY_MS - 1));
    store.content.set('order-used/kept', usedAt(NOW_MS - 3 * DAY_MS));
    its.nowMs = NOW_MS;
    await changes.open();
    expect([...store.content.keys()]).toEqual(['order-used/kept']);
    store.write = () => Promise.reject(new Error('written for nothing'));
    await changes.open();
    expect(decodeCbor(store.content.get('order-used/kept') ?? expect.fail())).toBe(NOW_MS - 3 * DAY_MS);
  });
});

describe('a change that two operators have signed', () => {
  it('is executed once, recorded before it starts, if its targets have not changed', async () => {
    const { changes, log, draft, signed } = world();
    const change = await signed(await draft());
    expect(await changes.commit(change)).toEqual({ kind: 'held', plan: 'act-1' });
    expect(log.performed).toEqual([
      ['the disk is full; signed by alice and bob', 'operators', true, [`order-used/${change.nonce}`]],
    ]);
    expect(log.unchanged).toBe('the target has changed since the draft: draft a new one');
    await expect(changes.commit(change)).rejects.toEqual(
      new ChangeRefused('the change was already executed or started: draft a new one'),
    );
    expect(log.performed.length).toBe(1);
  });
});
