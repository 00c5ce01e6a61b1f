// Whether a machine takes what was pushed to all: signed by who may, and of now; what was taken back stays back, also over a restart.
import { describe, expect, it } from 'vitest';
import { type Kind, NOTHING_PUSHED, type Pushed, Rollout, type RolloutState } from '../../consensus/decisions/rollout.ts';
import { Pushes } from '../../node/coordination/pushes.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { ModelledCrypto, simulatedPeer } from '../../sim/adapters/crypto.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { StoreOperation } from '../../swarm/ports/store.ts';
import { PlainStore } from '../support/store.ts';

const SWARM = 'd'.repeat(32);
const NOW_MS = 1_700_000_000_000;
const DAY_MS = 86_400_000;
const crypto = (nth: number): ModelledCrypto => new ModelledCrypto(simulatedPeer(nth, 1), new Uint8Array([1]));
const [self, issuer, other] = [crypto(0), crypto(1), crypto(2)];

type Content = Pushed & { text: string };
const KIND: Kind<Content> = {
  name: 'bundle',
  contentOf: ({ id, by, atMs, pushedMs, signature, text }) => ({ id, by, atMs, pushedMs, signature, text }),
  bytesOf: (swarmId, { by, pushedMs, text }) => encodeCbor([swarmId, by, pushedMs ?? null, text]),
};
const OLDER = 'it is older than the newest one seen here';

class CountingStore extends PlainStore {
  writes = 0;
  override async write(operations: readonly StoreOperation[]) {
    this.writes++;
    await super.write(operations);
  }
}

function world(store = new CountingStore()) {
  const rollout = new Rollout(KIND);
  const its = { wallMs: NOW_MS, issuers: new Set([issuer.self]) };
  const clock = { wallMs: () => its.wallMs };
  const pushes = new Pushes<Content, unknown>({
    ports: { crypto: self, clock, store } as unknown as Ports,
    swarmId: SWARM,
    rollout: () => rollout,
    members: {
      mayDecide: (peer) => its.issuers.has(peer),
      nameOf: (peer) => (peer === other.self ? 'other' : peer),
    },
  });
  const set = (state: Partial<RolloutState<Content>>): void => rollout.restore({ ...NOTHING_PUSHED, ...state });
  const kept = (): unknown => decodeCbor(store.content.get('pushed/bundle') ?? encodeCbor(null));
  return { pushes, its, set, store, kept };
}

/** @param pushedMs after now; undefined: as a version before 0.3.0 had it */
function pushed(text: string, pushedMs: number | undefined, by = issuer): Content {
  const content = { by: by.self, pushedMs: pushedMs === undefined ? undefined : NOW_MS + pushedMs, text };
  return { ...content, id: `id of ${text}`, atMs: 0, signature: by.sign(KIND.bytesOf(SWARM, content)) };
}
const newestMs = (ms: number) => ({ newestMs: NOW_MS + ms });

describe('what was pushed', () => {
  it('is taken where who may has signed it, as it is tried, in force, or was before', async () => {
    const { pushes, set } = world();
    const [a, b, c] = [pushed('a', 1), pushed('b', 2), pushed('c', 3)];
    set({
      before: a,
      good: b,
      candidate: { ...c, canary: [], soakMs: 0, phase: 'all', sinceMs: 0, reports: [] },
      ...newestMs(3),
    });
    expect([pushes.isCurrent, pushes.refusal(b)]).toEqual([false, OLDER]);
    await pushes.look();
    expect([pushes.isCurrent, ...[a, b, c].map((one) => pushes.refusal(one))]).toEqual([true, undefined, undefined, undefined]);
    expect(pushes.refusal(pushed('d', 4))).toBe(OLDER); // it was not decided
  });

  it('is refused of who is no issuer, and where that one did not sign it', async () => {
    const { pushes, set } = world();
    const [theirs, forged] = [pushed('a', 1, other), { ...pushed('a', 1, other), by: issuer.self }];
    set({ good: theirs, before: forged });
    await pushes.look();
    expect([pushes.refusal(theirs), pushes.refusal(forged)]).toEqual([
      'other is not an issuer',
      'it is not signed by the member that pushed it',
    ]);
  });

  it('is not taken again once it was taken back, though it is decided again, nor after a restart', async () => {
    const { pushes, set, store, kept } = world();
    const [a, b] = [pushed('a', 1), pushed('b', 2)];
    set({ good: a });
    await pushes.look();
    set({ good: b });
    await pushes.look();
    expect([pushes.refusal(a), pushes.refusal(b)]).toEqual([OLDER, undefined]);
    expect(kept()).toMatchObject({ newestMs: NOW_MS + 2, keys: [expect.stringMatching(/^[0-9a-f]{32}$/)] });
    for (const { pushes: now, set: decide } of [{ pushes, set }, world(store)]) {
      decide({ good: a, before: b });
      await now.look();
      expect([now.refusal(a), now.refusal(b)]).toEqual([OLDER, undefined]);
    }
  });

  it('goes on counting where who pushed it was an issuer when it was seen', async () => {
    const { pushes, set, its } = world();
    const a = pushed('a', 1);
    set({ good: a });
    await pushes.look();
    its.issuers.clear();
    set({ good: a, ...newestMs(2) });
    await pushes.look();
    expect(pushes.refusal(a)).toBe(`${issuer.self} is not an issuer`);
    its.issuers.add(issuer.self);
    expect(pushes.refusal(a)).toBeUndefined();
  });

  it('is looked at again where the roster did not tell yet who may', async () => {
    const { pushes, set, its } = world();
    const a = pushed('a', 1, other);
    set({ good: a });
    await pushes.look();
    expect([pushes.refusal(a), pushes.isCurrent]).toEqual(['other is not an issuer', true]);
    its.issuers.add(other.self);
    expect(pushes.refusal(a)).toBe(OLDER);
    await pushes.look();
    expect(pushes.refusal(a)).toBeUndefined();
  });

  it('is looked at until nothing was decided meanwhile', async () => {
    const { pushes, set, store } = world();
    const [a, b] = [pushed('a', 1), pushed('b', 2)];
    set({ good: a });
    const write = store.write.bind(store);
    store.write = async (operations) => {
      store.write = write;
      set({ good: b, before: a });
      await write(operations);
    };
    await pushes.look();
    expect([pushes.isCurrent, pushes.refusal(b), pushes.refusal(a)]).toEqual([true, undefined, undefined]);
  });

  it('is written down where it is news, and once', async () => {
    const { pushes, set, store } = world();
    set({ good: pushed('a', 1) });
    await pushes.look();
    await pushes.look();
    set({ good: { ...pushed('a', 1), id: 'another' } });
    expect(pushes.isCurrent).toBe(false);
    await pushes.look();
    expect([store.writes, pushes.isCurrent]).toEqual([1, true]);
    set({ good: pushed('b', 1) });
    await pushes.look();
    expect(store.writes).toBe(2); // it was of the same time: it is of the past
  });

  it('by a version that said no time of it counts where nothing else was seen', async () => {
    const { pushes, set } = world();
    const [a, b] = [pushed('a', undefined), pushed('b', undefined)];
    set({ good: a });
    await pushes.look();
    expect(pushes.refusal(a)).toBeUndefined();
    set({ good: b });
    await pushes.look();
    expect(pushes.refusal(b)).toBe(OLDER);
  });

  it('goes on being looked at after its disk refused a write', async () => {
    const { pushes, set, store } = world();
    const a = pushed('a', 1);
    set({ good: a });
    const write = store.write.bind(store);
    store.write = async () => Promise.reject(new Error('ENOSPC'));
    await expect(pushes.look()).rejects.toThrow('ENOSPC');
    expect(pushes.refusal(a)).toBe(OLDER);
    store.write = write;
    await pushes.look();
    expect(pushes.refusal(a)).toBeUndefined();
  });
});

describe('who pushes', () => {
  it('dates it by its clock, and later than all that was, unless that lies more than a day ahead', async () => {
    const { pushes, its, set } = world();
    its.wallMs = NOW_MS + 0.6;
    expect(pushes.nowMs()).toBe(NOW_MS + 1);
    set({ ...newestMs(DAY_MS) });
    its.wallMs = NOW_MS;
    await pushes.look();
    expect(pushes.nowMs()).toBe(NOW_MS + DAY_MS + 1);
    const { pushes: later, set: decide } = world();
    decide({ ...newestMs(DAY_MS + 1) });
    await later.look();
    expect(later.nowMs()).toBe(NOW_MS);
  });

  it('signs what others hold it to', () => {
    const { pushes, set } = world();
    const content = { by: self.self, pushedMs: NOW_MS, text: 'a' };
    const signature = pushes.sign(content);
    set({});
    expect(self.verify(self.self, KIND.bytesOf(SWARM, content), signature)).toBe(true);
  });
});
