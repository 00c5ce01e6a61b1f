// What the swarm allows this agent, or keeps from it, as this agent judges it itself: by signature, right, target, time and use.
import { describe, expect, it } from 'vitest';
import { type Wish, wished } from '../../consensus/decisions/decision.ts';
import { type Granted, grantBytes } from '../../consensus/decisions/grants.ts';
import { DecisionState } from '../../consensus/decisions/state.ts';
import { Grants } from '../../node/agent/grants.ts';
import type { Decisions } from '../../node/decisions/decisions.ts';
import type { Ports } from '../../node/ports/ports.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import { makePeers } from '../support/crypto.ts';
import { fakeMembers } from '../support/members.ts';
import { PlainStore } from '../support/store.ts';

const SWARM = 'd'.repeat(32);
const [self, issuer, stranger] = (await makePeers(3)) as Crypto[] as [Crypto, Crypto, Crypto];
const DAY = 86_400_000;
const NOW = 1_700_000_000_000;
const restart = { tool: 'service.restart', service: 'web' };

function world(store = new PlainStore(), its = { wallMs: NOW, monotonicMs: 5_000_000 }) {
  const state = new DecisionState();
  const issuers = new Set([issuer.self]);
  const ports = {
    store,
    crypto: self,
    clock: { wallMs: () => its.wallMs, monotonicMs: () => its.monotonicMs },
  } as unknown as Ports;
  const names = new Map([
    [self.self, 'here'],
    [stranger.self, 'stranger'],
  ]);
  const members = fakeMembers({
    self: self.self,
    nameOf: (peer) => names.get(peer) ?? 'issuer',
    roster: { decides: (peer: string) => issuers.has(peer) },
  });
  const decisions = { state, wallMs: () => its.wallMs } as unknown as Decisions;
  let nth = 0;
  /** Decided by the issuer, unless another signs it, or says that it was another. */
  const give = (given: Partial<Granted>, by = issuer, said = by): void => {
    const granted: Granted = {
      effect: 'deny',
      peer: self.self,
      tool: 'service.restart',
      target: 'web',
      uses: 2,
      withinMs: 60_000,
      untilMs: NOW + DAY,
      ...given,
    };
    const signature = by.sign(grantBytes(SWARM, said.self, granted));
    const wish = { kind: 'grant', ...granted, signature, reason: 'agreed' } as const;
    const outcome = state.apply(wished(wish, said.self, (++nth).toString(16).padStart(32, '0'), NOW), { index: nth, term: 1 });
    expect(outcome).toMatchObject({ ok: true });
  };
  const decide = (wish: Wish): void => {
    state.apply(wished(wish, issuer.self, (++nth).toString(16).padStart(32, '0'), NOW), { index: nth, term: 1 });
  };
  const twins = new Map<string, string>();
  const grants = new Grants(ports, SWARM, members, decisions, { conflictOf: (peer) => twins.get(peer) });
  return { grants, give, decide, its, issuers, store, twins };
}

describe('an agent that the swarm keeps still', () => {
  it('is one that it has paused, or whose key another agent has', () => {
    const { grants, decide, twins } = world();
    expect(grants.paused()).toBeUndefined();
    decide({ kind: 'pause', peer: self.self, reason: 'a drill' });
    expect(grants.paused()).toBe('the swarm has paused this agent: a drill (kalos wake here)');
    twins.set(self.self, 'two agents have this key');
    expect(grants.paused()).toBe('two agents have this key');
  });

  it('has findings silenced until the silence ends by the time of the swarm', () => {
    const { grants, decide, its } = world();
    decide({ kind: 'silence', policy: 'load-high', target: null, untilMs: NOW + DAY, reason: 'work' });
    expect([grants.silenceOn('load-high', 'web')?.reason, grants.silenceOn('other', 'web')]).toEqual(['work', undefined]);
    its.wallMs = NOW + DAY;
    expect(grants.silenceOn('load-high', 'web')).toBeUndefined();
  });
});

describe('a grant that denies', () => {
  it('keeps a tool from policies here, on its target or on any, until it ends', () => {
    const { grants, give, its } = world();
    give({});
    expect(grants.denial(restart)).toBe('a grant denies service.restart to this agent: agreed (kalos grant list)');
    expect(grants.denial({ ...restart, service: 'db' })).toBeUndefined();
    expect(grants.denial({ tool: 'service.start', service: 'web' })).toBeUndefined();
    give({ tool: 'service.start', target: null });
    expect(grants.denial({ tool: 'service.start', service: 'anything' })).toBeDefined();
    its.wallMs = NOW + DAY;
    expect(grants.denial(restart)).toBeUndefined();
  });

  it.each([
    ['is for another member', (give: ReturnType<typeof world>['give']) => give({ peer: stranger.self })],
    ['is of one who may not decide', (give: ReturnType<typeof world>['give']) => give({}, stranger)],
    ['another has signed', (give: ReturnType<typeof world>['give']) => give({}, stranger, issuer)],
    ['allows', (give: ReturnType<typeof world>['give']) => give({ effect: 'act' })],
  ])('counts for nothing where it %s', (_why, given) => {
    const { grants, give } = world();
    given(give);
    expect(grants.denial(restart)).toBeUndefined();
  });

  it('ends with the right of who gave it', () => {
    const { grants, give, issuers } = world();
    give({});
    expect(grants.denial(restart)).toBeDefined();
    issuers.clear();
    expect(grants.denial(restart)).toBeUndefined();
  });
});

describe('a grant that allows', () => {
  it('lets policies act without asking, on its target alone', () => {
    const { grants, give } = world();
    expect(grants.mayAct(restart)).toBe(false);
    give({ effect: 'act' });
    expect([grants.mayAct(restart), grants.mayAct({ ...restart, service: 'db' })]).toEqual([true, false]);
  });

  it('approves so often in so long, each call of a plan by its own', async () => {
    const { grants, give, its } = world();
    const stop = { tool: 'service.stop', service: 'web' };
    give({ effect: 'approve' });
    expect([grants.approvals([restart])?.length, grants.approvals([restart, stop]), grants.approvals([])]).toEqual([
      1,
      undefined,
      [],
    ]);
    give({ effect: 'approve', tool: 'service.stop' });
    expect(grants.approvals([restart, stop])?.map(({ tool }) => tool)).toEqual(['service.restart', 'service.stop']);
    const use = async (): Promise<void> => grants.use(grants.approvals([restart]) ?? []);
    await use();
    its.monotonicMs += 30_000;
    await use();
    expect(grants.approvals([restart])).toBeUndefined();
    its.monotonicMs += 29_999;
    expect(grants.approvals([restart])).toBeUndefined();
    its.monotonicMs += 1;
    expect(grants.approvals([restart])?.length).toBe(1);
  });

  it('is not good again by a restart, nor by a clock that was set', async () => {
    const before = world();
    before.give({ effect: 'approve' });
    for (let nth = 0; nth < 2; nth++) await before.grants.use(before.grants.approvals([restart]) ?? []);
    const restarted = async (its: { wallMs: number; monotonicMs: number }) => {
      const made = world(before.store, its);
      await made.grants.open();
      made.give({ effect: 'approve' });
      return made.grants.approvals([restart])?.length;
    };
    // The machine booted meanwhile: the wall clock tells.
    expect(await restarted({ wallMs: NOW + 59_000, monotonicMs: 1_000 })).toBeUndefined();
    expect(await restarted({ wallMs: NOW + 60_000, monotonicMs: 1_000 })).toBe(1);
    // What lies ahead is no older than now.
    expect(await restarted({ wallMs: NOW - DAY, monotonicMs: 1_000 })).toBeUndefined();
  });
});

describe('who may look into this machine', () => {
  const inspect = (given: Partial<Granted>): Partial<Granted> => ({
    tool: 'machine.inspect',
    target: 'here',
    peer: stranger.self,
    ...given,
  });

  it('are issuers, and whom a grant lets; nobody where it says so, and all where it says so', () => {
    const { grants, give } = world();
    const refusal = (peer: Crypto, inspectors?: 'members' | 'nobody') => grants.inspectionRefusal(peer.self, inspectors);
    expect(refusal(issuer)).toBeUndefined();
    expect(refusal(stranger)).toMatch(/^stranger may not inspect here: it is not an issuer/);
    expect(refusal(stranger, 'members')).toBeUndefined();
    expect(refusal(issuer, 'nobody')).toMatch(/^here does not let other members/);
    give(inspect({ effect: 'act', target: 'there' }));
    expect(refusal(stranger)).toBeDefined();
    give(inspect({ effect: 'act' }));
    expect(refusal(stranger)).toBeUndefined();
    give(inspect({ effect: 'deny', target: null }));
    expect([refusal(stranger), refusal(stranger, 'members')]).toEqual([
      'a grant denies machine.inspect to stranger: agreed',
      'a grant denies machine.inspect to stranger: agreed',
    ]);
  });
});
