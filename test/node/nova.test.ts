// NOVA by itself: what the coordinator shows its planner and when, what it has decided, and what it says of machines that are unwell together.
import { describe, expect, it } from 'vitest';
import type { Correlation } from '../../consensus/committee/correlation.ts';
import type { Planned, PlannerView } from '../../consensus/committee/planner.ts';
import type { Wish } from '../../consensus/decisions/decision.ts';
import { claimTarget } from '../../consensus/vote/claim.ts';
import { Nova, type OpenElsewhere } from '../../node/coordination/nova.ts';
import type { Consensus } from '../../node/decisions/consensus.ts';
import { type Incident, incidentIdOf } from '../../node/detection/incident.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { ModelledCrypto } from '../../sim/adapters/crypto.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import type { Member } from '../../swarm/membership/member-table.ts';
import type { Status } from '../../swarm/state/status.ts';
import { fakeMembers } from '../support/members.ts';
import { pass } from '../support/virtual.ts';

const START_MS = 1_700_000_000_000;
/** What the swarm's clock is ahead of this machine's. */
const AHEAD_MS = 4_000;
const NOTHING: Planned = { wish: undefined, correlation: undefined };
const crypto = new ModelledCrypto('sima', new Uint8Array([1]));

type Conditions = Partial<Record<keyof Status['conditions'], string>>;

function world() {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler, () => START_MS);
  const statuses = new Map<string, { status: Status }>();
  const its = {
    leads: true,
    blind: false,
    planned: (_view: PlannerView): Promise<Planned> => Promise.resolve(NOTHING),
    decide: (): Promise<unknown> => Promise.resolve({ ok: true }),
    open: [] as OpenElsewhere[],
    states: new Map<string, Member['state']>(['a', 'b', 'c', 'd', 'e'].map((peer) => [peer, 'alive'])),
    bundle: null as object | null,
    upgrade: null as object | null,
  };
  const log = {
    views: [] as PlannerView[],
    planWithin: [] as number[],
    asked: [] as (readonly string[])[],
    wishes: [] as [Wish, number][],
    saved: [] as Incident[],
    lines: [] as string[],
  };
  const members = fakeMembers({
    self: 'a',
    nameOf: (peer) => `node-${peer}`,
    all: () => [...its.states].map(([peer, state]) => ({ peer, state }) as Member),
    statusOf: (peer) => statuses.get(peer)?.status,
  });
  const consensus = {
    committee: {
      log: {
        get leading() {
          return its.leads ? {} : undefined;
        },
      },
      seats: { voters: () => ['a', 'b'] },
      candidates: { domainName: (zone: number) => `rack ${zone}` },
    },
    vitals: {
      get isBlind() {
        return its.blind;
      },
    },
    decisions: {
      proven: { drained: () => new Map() },
      wallMs: () => clock.wallMs() + AHEAD_MS,
      state: {
        bundles: {
          get state() {
            return { candidate: its.bundle };
          },
        },
        upgrades: {
          get state() {
            return { candidate: its.upgrade };
          },
        },
        placements: () => ['placed'],
      },
      decide: (wish: Wish, withinMs: number) => {
        log.wishes.push([wish, withinMs]);
        return its.decide();
      },
    },
  } as unknown as Consensus;
  const compute = {
    plan: (view: PlannerView, withinMs: number) => {
      log.views.push(view);
      log.planWithin.push(withinMs);
      return its.planned(view);
    },
  };
  const nova = new Nova({ clock, crypto, compute } as unknown as Ports, members, consensus, {
    openOn: async (peers) => {
      log.asked.push(peers);
      return its.open;
    },
    save: async (incident) => void log.saved.push(structuredClone(incident)),
    log: (level, text) => void log.lines.push(`${level} ${text}`),
    failed: (error) => {
      throw error;
    },
  });
  const says = (peer: string, conditions: Conditions, more: Partial<Status> = {}): void =>
    void statuses.set(peer, { status: { conditions, version: '0.4.0', zone: 0, ...more } as Status });
  const unwell = (...peers: string[]): void => {
    for (const peer of peers) says(peer, { Ready: 'False' });
  };
  nova.start();
  return { nova, its, log, says, unwell, scheduler, clock, pump: (ms: number) => pass(scheduler, ms) };
}

type World = ReturnType<typeof world>;

const trying = (canary: string[], wave?: string[]) => ({ id: 'x', canary, wave });

describe('the coordinator plans', () => {
  it.each<[string, (made: World) => void, number]>([
    ['nothing at rest', () => undefined, 0],
    ['nothing where two are unwell', ({ unwell }) => unwell('b', 'c'), 0],
    ['where three say that they are not ready', ({ unwell }) => unwell('b', 'c', 'd'), 3],
    [
      'where three are unwell, each in another way',
      ({ says, its, unwell }) => {
        unwell('b');
        says('c', { ServicesReady: 'False' });
        its.states.set('d', 'unreachable');
      },
      3,
    ],
    [
      'nothing where it is not known how they do',
      ({ says }) => {
        for (const peer of ['a', 'b', 'c', 'd']) says(peer, { Ready: 'Unknown', ServicesReady: 'True', CpuPressure: 'Unknown' });
      },
      0,
    ],
    ['where one is short of CPU', ({ says }) => says('e', { CpuPressure: 'True' }), 3],
    ['where one is short of memory', ({ says }) => says('e', { MemoryPressure: 'True' }), 3],
    ['where one is short of I/O', ({ says }) => says('e', { IoPressure: 'True' }), 3],
    [
      'nothing for one that was short, and is gone',
      ({ says, its }) => {
        says('e', { IoPressure: 'True' });
        its.states.set('e', 'down');
      },
      0,
    ],
    ['while policies are tried', ({ its }) => void Object.assign(its, { bundle: trying(['b']) }), 3],
    ['while a release is tried', ({ its }) => void Object.assign(its, { upgrade: trying(['b']) }), 3],
    [
      'nothing while another coordinates',
      ({ its, unwell }) => {
        its.leads = false;
        unwell('b', 'c', 'd');
      },
      0,
    ],
    [
      'nothing while its own loop is late',
      ({ its, unwell }) => {
        its.blind = true;
        unwell('b', 'c', 'd');
      },
      0,
    ],
  ])('%s', async (_title, arrange, plans) => {
    const made = world();
    arrange(made);
    await made.pump(999);
    expect(made.log.views).toEqual([]);
    await made.pump(2_001);
    expect(made.log.planWithin).toEqual(Array(plans).fill(5_000));
    expect(made.log.lines).toEqual([]);
  });

  it('with what it sees of each member, dated by the swarm’s clock', async () => {
    const { log, its, says, unwell, pump } = world();
    unwell('b');
    says('c', { ServicesReady: 'False' }, { zone: 7 });
    says('d', { MemoryPressure: 'True' }, { version: '0.3.0' });
    await pump(1_500);
    its.states.set('e', 'down');
    its.bundle = trying(['b'], ['gone']);
    its.upgrade = trying(['c']);
    its.open = [
      { peer: 'b', id: 'inc-1', target: 'web' },
      { peer: 'c', id: 'inc-2', target: 'api' },
      { peer: 'b', id: 'inc-3', target: 'db' },
    ];
    await pump(500);
    const nowMs = START_MS + AHEAD_MS + 2_000;
    const well = { isAlive: true, ill: undefined, unwellMs: undefined, shortMs: undefined, services: [], domain: '' };
    expect(log.views.at(-1)).toEqual({
      nowMs,
      self: 'a',
      voters: ['a', 'b'],
      members: [
        { ...well, peer: 'a', name: 'node-a', version: '' },
        {
          ...well,
          peer: 'b',
          name: 'node-b',
          version: '0.4.0',
          unwellMs: nowMs - 1_000,
          services: ['web', 'db'],
          ill: 'is not ready',
        },
        {
          ...well,
          peer: 'c',
          name: 'node-c',
          version: '0.4.0',
          domain: 'rack 7',
          unwellMs: nowMs - 1_000,
          services: ['api'],
          ill: 'is not ready',
        },
        { ...well, peer: 'd', name: 'node-d', version: '0.3.0', shortMs: nowMs - 1_000 },
        { ...well, peer: 'e', name: 'node-e', version: '', isAlive: false, ill: 'is down', unwellMs: nowMs },
      ],
      names: new Map([
        ['b', 'node-b'],
        ['gone', 'node-gone'],
        ['c', 'node-c'],
      ]),
      bundles: { candidate: its.bundle },
      upgrades: { candidate: its.upgrade },
      placements: ['placed'],
      movedMs: Number.NEGATIVE_INFINITY,
    });
    says('b', { Ready: 'True' });
    await pump(1_000);
    unwell('b');
    await pump(1_000);
    expect(log.views.map(({ members }) => members[1]?.unwellMs)).toEqual([
      nowMs - 1_000,
      nowMs - 1_000,
      undefined,
      nowMs + 2_000,
    ]);
  });

  it('having asked those that are there what is open, each ten seconds, and not of fewer than three', async () => {
    const { log, its, says, unwell, pump } = world();
    unwell('b', 'c', 'd');
    its.states.set('d', 'down');
    its.open = [{ peer: 'b', id: 'inc-1', target: 'web' }];
    await pump(10_999);
    expect(log.asked).toEqual([['b', 'c']]);
    await pump(1);
    expect(log.asked.length).toBe(2);
    its.bundle = trying([]);
    says('c', { Ready: 'True' });
    await pump(1_000);
    unwell('c');
    await pump(1_000);
    const services = log.views.map(({ members }) => members[1]?.services);
    expect(services.slice(-3)).toEqual([['web'], [], []]);
    await pump(8_000);
    expect([log.asked.length, log.views.at(-1)?.members[1]?.services]).toEqual([3, ['web']]);
  });

  it('begins again once it coordinates again: what it saw before is forgotten', async () => {
    const { log, its, unwell, says, pump } = world();
    unwell('b', 'c', 'd');
    says('e', { CpuPressure: 'True' });
    await pump(3_000);
    its.leads = false;
    await pump(1_000);
    its.leads = true;
    await pump(1_000);
    const nowMs = START_MS + AHEAD_MS + 5_000;
    expect([log.views.at(-1)?.members[1]?.unwellMs, log.views.at(-1)?.members[4]?.shortMs]).toEqual([nowMs, nowMs]);
  });

  it('no more once it is stopped', async () => {
    const { nova, log, unwell, pump, scheduler } = world();
    unwell('b', 'c', 'd');
    await pump(1_000);
    nova.stop();
    await pump(10_000);
    expect([log.views.length, scheduler.step(Number.POSITIVE_INFINITY)]).toEqual([1, false]);
  });
});

describe('what the plan wishes for', () => {
  const move: Wish = { kind: 'move', service: 'web', reason: 'x' };

  it('is decided within two seconds, and a move is dated by the swarm’s clock', async () => {
    const { log, its, unwell, pump } = world();
    unwell('b', 'c', 'd');
    const other: Wish = { kind: 'pause', peer: 'b', reason: 'x' };
    its.planned = async () => ({ wish: log.views.length === 2 ? move : other, correlation: undefined });
    await pump(4_000);
    expect(log.wishes).toEqual([
      [other, 2_000],
      [move, 2_000],
      [other, 2_000],
      [other, 2_000],
    ]);
    const movedMs = START_MS + AHEAD_MS + 2_000;
    const never = Number.NEGATIVE_INFINITY;
    expect(log.views.map((view) => view.movedMs)).toEqual([never, never, movedMs, movedMs]);
  });

  it('may come to nothing: it plans again; what goes wrong with planning is said', async () => {
    const { log, its, unwell, pump } = world();
    unwell('b', 'c', 'd');
    its.planned = async () => ({ wish: move, correlation: undefined });
    its.decide = () => Promise.reject(new Error('no majority'));
    await pump(2_000);
    expect([log.wishes.length, log.lines]).toEqual([2, []]);
    its.planned = () => Promise.reject(new Error('no thread'));
    await pump(2_000);
    expect(log.lines).toEqual(['warn planning: no thread', 'warn planning: no thread']);
  });

  it.each<[string, (made: World) => void]>([
    ['another has come to coordinate', ({ its }) => void Object.assign(its, { leads: false })],
    ['it was stopped', ({ nova }) => nova.stop()],
  ])('is nothing where %s meanwhile', async (_title, meanwhile) => {
    const made = world();
    made.unwell('b', 'c', 'd');
    let answer: (planned: Planned) => void = () => undefined;
    made.its.planned = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    await made.pump(1_500);
    meanwhile(made);
    answer({ wish: move, correlation: undefined });
    await made.pump(5_000);
    expect(made.log.wishes).toEqual([]);
  });
});

describe('what is wrong with several machines', () => {
  const correlation: Correlation = { cause: 'domain', value: 'rack 7', unwell: ['b', 'c', 'd'], having: 4, all: 5 };

  async function told(given: Correlation = correlation) {
    const made = world();
    made.unwell('b', 'c', 'd');
    made.its.open = [{ peer: 'b', id: 'inc-1', target: 'web' }];
    let current: Correlation | undefined = given;
    made.its.planned = async () => ({ wish: undefined, correlation: current });
    const changes = (to: Correlation | undefined): void => {
      current = to;
    };
    await made.pump(5_999);
    expect([made.log.saved, made.log.lines]).toEqual([[], []]);
    await made.pump(1);
    return { ...made, changes };
  }

  it('is one incident of its own once it has been so for five seconds', async () => {
    const { log, pump } = await told();
    const atMs = START_MS + 6_000;
    const target = claimTarget('domain rack 7', crypto.hash);
    const summary = '3 of 5 machines are unhealthy; probable cause: failure domain rack 7 (4 machines)';
    const names = 'node-b, node-c, node-d';
    const id = incidentIdOf('a', { policy: 'together', target }, atMs, crypto.hash);
    expect(log.saved).toEqual([
      {
        id,
        node: 'a',
        nodeName: 'node-a',
        policy: 'together',
        target,
        severity: 'critical',
        summary,
        state: 'escalated',
        openedMs: atMs,
        closedMs: 0,
        outcome: 'escalated to a person',
        tool: '',
        cause: '',
        certificate: '',
        steps: [
          {
            atMs,
            stage: 'detect',
            text: `${summary}: ${names}`,
            data: { cause: 'domain', value: 'rack 7', unwell: 3, all: 5 },
          },
          { atMs, stage: 'detect', text: 'inc-1 on node-b is part of this incident: web' },
        ],
      },
    ]);
    expect(log.lines).toEqual([`warn ${id}: ${summary}: ${names}`]);
    await pump(60_000);
    expect(log.saved.length).toBe(1);
  });

  it.each<[Correlation['cause'], string, string, string]>([
    ['release', '0123456789', 'release 0123456789', 'the release roll-out (01234567, on 4 machines)'],
    ['policies', '0123456789', 'policies 0123456789', 'the policy roll-out (bundle 01234567, on 4 machines)'],
    ['version', '0.3.0', 'version 0.3.0', 'KALOS 0.3.0, which 4 machines run'],
    ['domain', 'rack 7', 'domain rack 7', 'failure domain rack 7 (4 machines)'],
    ['service', 'web', 'service web', 'web, unhealthy on all of them'],
    ['unknown', '', 'unknown', 'unknown: a shared cause that KALOS cannot see'],
  ])('is said with what they have in common: %s', async (cause, value, target, words) => {
    const { log } = await told({ ...correlation, cause, value });
    expect(log.saved[0]).toMatchObject({
      target: claimTarget(target, crypto.hash),
      summary: `3 of 5 machines are unhealthy; probable cause: ${words}`,
    });
  });

  it('becomes a step of it where it is probably something else, and ends thirty seconds after it was last seen', async () => {
    const { log, changes, pump } = await told();
    changes({ ...correlation, cause: 'version', value: '0.3.0', unwell: ['b', 'c'] });
    await pump(2_000);
    expect(log.saved.length).toBe(2);
    expect(log.saved[1]?.steps.at(-1)).toEqual({
      atMs: START_MS + 7_000,
      stage: 'detect',
      text: 'new probable cause: KALOS 0.3.0, which 4 machines run: node-b, node-c',
    });
    changes(undefined);
    await pump(29_000);
    expect(log.saved.length).toBe(2);
    await pump(1_000);
    const outcome = 'ended: fewer machines are unhealthy';
    expect(log.saved[2]).toMatchObject({ state: 'resolved', closedMs: START_MS + 38_000, outcome });
    expect(log.saved[2]?.steps.at(-1)).toEqual({ atMs: START_MS + 38_000, stage: 'remember', text: outcome });
    await pump(60_000);
    expect(log.saved.length).toBe(3);
  });

  it('must be so for five seconds without a break, before it is and after', async () => {
    const { its, log, unwell, pump } = world();
    unwell('b', 'c', 'd');
    its.planned = async () => ({ wish: undefined, correlation: log.views.length % 5 === 0 ? undefined : correlation });
    await pump(30_000);
    expect(log.saved).toEqual([]);
  });

  it('ends here once another coordinates, which is to say it then', async () => {
    const { its, log, pump } = await told();
    its.leads = false;
    await pump(1_000);
    expect(log.saved.at(-1)).toMatchObject({ state: 'resolved', outcome: 'another member is leader now' });
    await pump(5_000);
    its.leads = true;
    await pump(5_999);
    expect(log.saved.length).toBe(2);
    await pump(1);
    expect(log.saved.length).toBe(3);
  });
});
