// The swarm's policies on one machine: when they are taken, and refused, what is reported of them, and what was taken back stays so.
import { describe, expect, it } from 'vitest';
import { newBundles } from '../../consensus/decisions/bundles.ts';
import type { Wish } from '../../consensus/decisions/decision.ts';
import type { Outcome } from '../../consensus/decisions/state.ts';
import { SwarmPolicies } from '../../node/coordination/swarm-policies.ts';
import type { Decisions } from '../../node/decisions/decisions.ts';
import type { Incident } from '../../node/detection/incident.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { ModelledCrypto } from '../../sim/adapters/crypto.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { decodeCbor } from '../../swarm/dissemination/cbor.ts';
import { fakeMembers } from '../support/members.ts';
import { PlainStore } from '../support/store.ts';
import { pass } from '../support/virtual.ts';

const SWARM = 'd'.repeat(32);
const START_MS = 1_700_000_000_000;
const DAY_MS = 86_400_000;
const SOAK_MS = 20_000;
const [self, issuer] = ['sim-self', 'sim-issuer'].map((peer) => new ModelledCrypto(peer, new Uint8Array([1]))) as [
  ModelledCrypto,
  ModelledCrypto,
];
const idOf = (nth: number): string => `${nth}`.repeat(32);

function world(store = new PlainStore()) {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler, () => START_MS);
  const bundles = newBundles();
  const its = {
    issuers: [issuer.self],
    bundle: '',
    names: [] as string[],
    incidents: [] as Incident[],
    ready: true,
    refuses: undefined as Error | undefined,
    outcome: { ok: true, index: 7 } as Outcome,
  };
  const log = {
    followed: [] as [string, readonly unknown[]][],
    wishes: [] as [Wish, number][],
    caughtUp: [] as [number, number][],
    lines: [] as string[],
    noted: [] as string[],
  };
  const decisions = {
    state: { bundles },
    decide: async (wish: Wish, withinMs: number) => {
      log.wishes.push([wish, withinMs]);
      if (wish.kind === 'bundle-report') bundles.report(wish.bundle, { peer: self.self, ok: wish.ok, reason: wish.reason });
      return its.outcome;
    },
    reads: { caughtUp: async (index: number, withinMs: number) => void log.caughtUp.push([index, withinMs]) },
  } as unknown as Decisions;
  const members = fakeMembers({
    mayDecide: (peer) => its.issuers.includes(peer),
    nameOf: (peer) => peer.replace('sim-', ''),
  });
  const agent = new SwarmPolicies({ clock, crypto: self, store } as unknown as Ports, SWARM, decisions, members, {
    follow: async (bundle, policies) => {
      if (its.refuses !== undefined) throw its.refuses;
      log.followed.push([bundle, policies]);
      Object.assign(its, { bundle, names: policies.map((one) => (one as { name: string }).name) });
    },
    bundle: () => its.bundle,
    names: () => its.names,
    incidents: () => its.incidents,
    isReady: () => its.ready,
    noted: async (text) => void log.noted.push(text),
    log: (level, text) => void log.lines.push(`${level} ${text}`),
  });
  const contentOf = (nth: number, pushedMs: number, by = issuer) => {
    const bundle = { by: by.self, policies: JSON.stringify([{ name: 'hot' }, { name: 'cold' }]), pushedMs };
    return { id: idOf(nth), atMs: clock.wallMs(), ...bundle, signature: by.sign(bundles.kind.bytesOf(SWARM, bundle)) };
  };
  /** Somebody pushes policies. */
  const push = (
    nth: number,
    canary: string[],
    given: { by?: ModelledCrypto; signature?: Uint8Array; pushedMs?: number } = {},
  ) => {
    const content = contentOf(nth, given.pushedMs ?? START_MS + nth, given.by);
    const signed = given.signature === undefined ? content : { ...content, signature: given.signature };
    expect(bundles.push({ ...signed, canary, soakMs: SOAK_MS, findings: 1 })).toBeUndefined();
  };
  const opened = (id: string, policy: string, given: Partial<Incident> = {}): void =>
    void its.incidents.push({ id, policy, target: 'cpu', summary: 'it is hot', state: 'open', steps: [], ...given } as Incident);
  return {
    agent,
    its,
    log,
    bundles,
    store,
    push,
    contentOf,
    opened,
    clock,
    scheduler,
    pump: (ms: number) => pass(scheduler, ms),
  };
}

type World = ReturnType<typeof world>;

const reportsOf = ({ log }: World): [boolean, string][] =>
  log.wishes.flatMap(([wish]) => (wish.kind === 'bundle-report' ? [[wish.ok, wish.reason] as [boolean, string]] : []));

async function trying(): Promise<World> {
  const made = world();
  made.opened('old', 'hot', { state: 'escalated' });
  made.push(1, [self.self]);
  made.agent.start();
  await made.pump(500);
  return made;
}

describe('policies whose turn it is here', () => {
  it('are taken within half a second, once, and none of them where it is not', async () => {
    const { agent, log, its, push, pump } = world();
    push(1, [self.self]);
    agent.start();
    await pump(499);
    expect(log.followed).toEqual([]);
    await pump(1);
    expect(log.followed).toEqual([[idOf(1), [{ name: 'hot' }, { name: 'cold' }]]]);
    const text = 'policies of bundle 11111111 (hot, cold) are active';
    expect([log.lines, log.noted]).toEqual([[`info ${text}`], [text]]);
    await pump(10_000);
    expect(log.followed.length).toBe(1);
    const other = world();
    other.push(1, ['c']);
    other.agent.start();
    await other.pump(10_000);
    expect([other.log.followed, other.log.wishes]).toEqual([[], []]);
    expect(its.bundle).toBe(idOf(1));
  });

  it('are given up again where they are withdrawn', async () => {
    const { log, bundles, pump } = await trying();
    bundles.withdraw({ id: idOf(1), atMs: START_MS + 1_000 }, 'x');
    await pump(500);
    expect(log.followed.at(-1)).toEqual(['', []]);
    expect(log.lines.at(-1)).toBe('info no policy bundle is active');
    await pump(5_000);
    expect(log.followed.length).toBe(2);
  });

  it('are reported where they cannot be given up', async () => {
    const { log, its, bundles, pump } = await trying();
    its.refuses = new Error('no disk');
    bundles.withdraw({ id: idOf(1), atMs: START_MS + 1_000 }, 'x');
    await pump(500);
    expect(log.lines.at(-1)).toBe('warn the withdrawn policies cannot be removed: no disk');
  });

  it.each<[string, Parameters<World['push']>[2], string]>([
    ['are not signed', { signature: new Uint8Array(64) }, 'it is not signed by the member that pushed it'],
    ['are pushed by no issuer', { by: self }, 'self is not an issuer'],
  ])('that %s are not taken, and that is reported at once, with no finding of theirs', async (_title, given, reason) => {
    const made = world();
    made.push(1, [self.self], given);
    made.agent.start();
    await made.pump(500);
    expect(made.log.followed).toEqual([]);
    const text = `policies of bundle 11111111 are rejected: ${reason}`;
    expect([made.log.lines, made.log.noted]).toEqual([[`warn ${text}`], [text]]);
    // It says so where the bundle is what it goes by: what it does not take, it does not try.
    await made.pump(10_000);
    expect(made.log.lines[0]).toBe(`warn ${text}`);
    expect(reportsOf(made)).toEqual([[false, reason]]);
  });

  it('that cannot be used here are not taken, for the reason that there is', async () => {
    const made = world();
    made.its.refuses = new Error(`policy hot: ${'x'.repeat(300)}`);
    made.push(1, [self.self]);
    made.agent.start();
    await made.pump(1_500);
    expect(made.log.lines[0]).toBe(`warn policies of bundle 11111111 are rejected: policy hot: ${'x'.repeat(300)}`);
    expect(reportsOf(made)).toEqual([[false, `policy hot: ${'x'.repeat(188)}`]]);
  });

  it('of somebody who comes to be an issuer later are believed then', async () => {
    const made = world();
    made.its.issuers = [];
    made.push(1, [self.self]);
    const content = made.contentOf(1, START_MS + 1);
    made.bundles.withdraw({ id: idOf(1), atMs: START_MS }, 'x');
    made.bundles.restore({ ...made.bundles.state, good: content, newestMs: START_MS });
    made.agent.start();
    await made.pump(500);
    expect(made.log.lines[0]).toContain('issuer is not an issuer');
    made.its.issuers = [issuer.self];
    await made.pump(1_000);
    const again = world(made.store);
    again.bundles.restore(made.bundles.state);
    again.agent.start();
    await again.pump(500);
    expect(again.log.followed.length).toBe(1);
  });
});

describe('what was pushed', () => {
  it('is remembered over a restart: what was taken back is not taken again', async () => {
    const { store, bundles, pump, contentOf, push } = await trying();
    const old = contentOf(1, START_MS + 1);
    bundles.withdraw({ id: idOf(1), atMs: START_MS }, 'x');
    push(2, [self.self]);
    await pump(500);
    const known = decodeCbor(store.content.get('pushed/bundle') ?? expect.fail());
    expect(known).toEqual({ newestMs: START_MS + 2, keys: [expect.stringMatching(/^[0-9a-f]{32}$/)] });
    // What was in force, and is so still, stays.
    const same = world(store);
    same.bundles.restore(bundles.state);
    same.agent.start();
    await same.pump(500);
    expect(same.log.followed.length).toBe(1);
    const again = world(store);
    again.bundles.restore({ good: { ...old, id: idOf(3) }, before: null, candidate: null, ended: null });
    again.agent.start();
    await again.pump(500);
    expect(again.log.lines).toEqual(['warn policies of bundle 33333333 are rejected: it is older than the newest one seen here']);
  });

  it('is not written again where nothing has changed', async () => {
    const made = await trying();
    made.store.write = () => Promise.reject(new Error('it was written again'));
    await made.pump(5_000);
    expect(made.log.lines.filter((line) => line.includes('written again'))).toEqual([]);
  });

  it('is looked at until it is believed, and written where what is known has changed, no sooner', async () => {
    const made = world();
    const { write } = made.store;
    let writes = 0;
    made.store.write = (operations) => {
      writes++;
      return write.call(made.store, operations);
    };
    const known = () =>
      decodeCbor(made.store.content.get('pushed/bundle') ?? expect.fail()) as { newestMs: number; keys: string[] };
    made.its.issuers = [];
    made.push(1, ['c']);
    made.agent.start();
    await made.pump(5_000);
    expect([writes, known()]).toEqual([1, { newestMs: START_MS + 1, keys: [] }]);
    made.bundles.withdraw({ id: idOf(1), atMs: START_MS }, 'x');
    made.its.issuers = [issuer.self];
    made.push(2, ['c']);
    await made.pump(5_000);
    expect([writes, known().newestMs, known().keys.length]).toEqual([2, START_MS + 2, 1]);
    made.bundles.withdraw({ id: idOf(2), atMs: START_MS }, 'x');
    await made.pump(5_000);
    expect([writes, known()]).toEqual([3, { newestMs: START_MS + 2, keys: [] }]);
  });

  it('is looked at again where that failed', async () => {
    const made = world();
    const { write } = made.store;
    made.store.write = () => Promise.reject(new Error('full'));
    made.push(1, [self.self]);
    made.agent.start();
    await made.pump(1_000);
    expect(made.log.lines).toEqual(['warn swarm policies: full', 'warn swarm policies: full']);
    made.store.write = write;
    await made.pump(500);
    expect(made.log.followed.length).toBe(1);
  });

  it('is dated later than all before it, and signed by this member', async () => {
    const made = await trying();
    const how = { canary: ['c'], soakMs: SOAK_MS, findings: 3 };
    const pushOf = async (agent: SwarmPolicies): Promise<unknown> => agent.push([{ name: 'new' }], how);
    expect(await pushOf(made.agent)).toEqual({ ok: true, index: 7 });
    const bundle = { policies: '[{"name":"new"}]', pushedMs: START_MS + 500 };
    const signature = self.sign(made.bundles.kind.bytesOf(SWARM, { by: self.self, ...bundle }));
    expect(made.log.wishes.at(-1)).toEqual([{ kind: 'bundle', ...bundle, signature, ...how }, 5_000]);
    for (const [aheadMs, pushedMs] of [
      [1_000, START_MS + 1_001],
      [DAY_MS, START_MS + DAY_MS + 1],
      [DAY_MS + 1, START_MS], // that cannot be: whoever coordinated made it up
    ] as const) {
      const other = world();
      other.bundles.restore({ ...other.bundles.state, newestMs: START_MS + aheadMs });
      await pushOf(other.agent);
      expect(other.log.wishes.at(-1)?.[0]).toMatchObject({ pushedMs });
    }
  });
});

describe('policies that are tried here', () => {
  it('are reported to do well once they were watched, and not before', async () => {
    const made = await trying();
    await made.pump(SOAK_MS - 1);
    expect(reportsOf(made)).toEqual([]);
    await made.pump(1);
    expect(made.log.wishes).toEqual([[{ kind: 'bundle-report', bundle: idOf(1), ok: true, reason: '' }, 5_000]]);
    expect(made.log.caughtUp).toEqual([[7, 5_000]]);
    await made.pump(20_000);
    expect([made.log.wishes.length, made.log.lines.length]).toEqual([1, 1]);
  });

  it.each<[string, (made: World) => void, string]>([
    [
      'what one did was escalated',
      ({ opened }) => opened('inc-1', 'hot', { state: 'escalated' }),
      'the repair of cpu by hot did not help (kalos explain inc-1)',
    ],
    [
      'what one did was undone',
      ({ opened }) => opened('inc-1', 'cold', { steps: [{ stage: 'act' }, { stage: 'undo' }] as Incident['steps'] }),
      'the repair of cpu by cold did not help (kalos explain inc-1)',
    ],
    ['they find more than they may', ({ opened }) => opened('inc-2', 'cold'), 'hot found "it is hot" on cpu, and 1 more'],
    [
      'the machine is not ready any more',
      ({ its }) => void Object.assign(its, { ready: false }),
      'this machine is no longer ready',
    ],
  ])('do harm where %s', async (_title, arrange, reason) => {
    const made = await trying();
    made.opened('inc-0', 'hot', { steps: [{ stage: 'act' }] as Incident['steps'] }); // as many as they may
    made.opened('other', 'another policy', { state: 'escalated' });
    await made.pump(1_000);
    expect(reportsOf(made)).toEqual([]);
    arrange(made);
    await made.pump(500);
    expect(reportsOf(made)).toEqual([[false, reason]]);
    expect(made.log.lines.at(-1)).toBe(`warn bundle 11111111 fails here: ${reason}`);
    await made.pump(SOAK_MS);
    expect(reportsOf(made).length).toBe(1);
  });

  it('may find nothing where they may not, and are named alone then', async () => {
    const made = await trying();
    const { candidate } = made.bundles.state;
    made.bundles.restore({ ...made.bundles.state, candidate: { ...(candidate ?? expect.fail()), findings: 0 } });
    made.opened('inc-0', 'hot');
    await made.pump(500);
    expect(reportsOf(made)).toEqual([[false, 'hot found "it is hot" on cpu']]);
  });

  it('do no harm by what was not so before either: the machine was not ready', async () => {
    const made = world();
    made.its.ready = false;
    made.push(1, [self.self]);
    made.agent.start();
    await made.pump(SOAK_MS + 1_000);
    expect(reportsOf(made)).toEqual([[true, '']]);
  });

  it('are watched from the beginning after a restart, when what is open already counts for nothing', async () => {
    const made = world();
    Object.assign(made.its, { bundle: idOf(1), names: ['hot'] });
    made.opened('old', 'hot', { state: 'escalated' });
    made.push(1, [self.self]);
    made.agent.start();
    await made.pump(SOAK_MS + 499);
    expect([reportsOf(made), made.log.followed]).toEqual([[], []]);
    await made.pump(1);
    expect(reportsOf(made)).toEqual([[true, '']]);
    const unready = world();
    Object.assign(unready.its, { bundle: idOf(1), ready: false });
    unready.push(1, [self.self]);
    unready.agent.start();
    await unready.pump(500);
    expect(reportsOf(unready)).toEqual([[false, 'this machine is no longer ready']]);
  });

  it('are not waited for where the report was refused; nothing is said once this stops', async () => {
    const made = await trying();
    made.its.outcome = { ok: false, reason: 'x' };
    made.its.ready = false;
    await made.pump(500);
    expect([made.log.wishes.length, made.log.caughtUp]).toEqual([1, []]);
    made.agent.stop();
    expect(made.scheduler.step(Number.POSITIVE_INFINITY)).toBe(false);
  });

  it('are good, and watched no more, once all have them', async () => {
    const made = await trying();
    made.bundles.report(idOf(1), { peer: self.self, ok: true, reason: '' });
    made.bundles.advanceTo({ id: idOf(1), atMs: START_MS + SOAK_MS }, []);
    made.its.ready = false;
    await made.pump(SOAK_MS);
    expect([made.log.wishes, made.log.followed.length]).toEqual([[], 1]);
  });
});
