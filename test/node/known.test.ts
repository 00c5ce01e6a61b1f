// What the API says of names that are not known, on which members something is tried first, how a rollout is told, and what is news.
import { describe, expect, it } from 'vitest';
import type { Agent } from '../../node/agent/agent.ts';
import { canariesOf } from '../../node/api/canaries.ts';
import { Feed, type Topic } from '../../node/api/feed.ts';
import { memberNamed, mistypedTarget, noSuchPlacement, noSuchPolicy, noSuchTarget, notLive } from '../../node/api/known.ts';
import { rolloutOf } from '../../node/api/rollouts.ts';

const incident = { id: 'i1', policy: 'theirs', target: 'far', nodeName: 'bob', summary: 's', state: 'open', outcome: '' };
const steps = (...stages: string[]) => stages.map((stage, atMs) => ({ stage, text: `${stage}!`, atMs }));
const members = [
  { name: 'ada', subject: 'peer-ada' },
  { name: 'twin', subject: 'peer-1' },
  { name: 'twin2', subject: 'peer-2' },
];
const its = {
  alive: ['self'],
  conditions: {} as Record<string, string>,
  members: [] as { name: string; state: string; peer: string }[],
  incidents: [{ ...incident, steps: steps() }],
};
const swarm = {
  members: { self: 'self', alive: () => its.alive, nameOf: (peer: string) => peer.toUpperCase() },
  admission: {
    roster: {
      members: () => members,
      find: (text: string) => members.filter(({ name, subject }) => name.startsWith(text) || subject === text),
    },
  },
};
const committee = { coordinator: undefined as string | undefined };
const agent = {
  swarm,
  committee,
  decisions: { state: { placements: () => [{ service: 'db' }] } },
  wallMs: () => 5,
  status: () => ({ services: [{ name: 'web' }] }),
  parts: {
    watcher: { targets: () => ['web', '/'], conditions: () => its.conditions },
    policies: {
      all: () => (['shipped', 'own', 'swarm', 'live'] as const).map((origin) => ({ policy: { name: `${origin}-one` }, origin })),
    },
    memory: { incidents: () => its.incidents },
    membershipAdmin: { members: () => its.members },
  },
} as unknown as Agent;
const words = (failure: unknown): string | undefined =>
  failure === undefined
    ? undefined
    : ((of) => `${of.status} ${of.body.error}`)(failure as { status: number; body: { error: string } });

describe('a name', () => {
  it('of a policy is one of this machine, or of an incident of another', () => {
    expect([undefined, 'live-one', 'theirs'].map((name) => noSuchPolicy(agent, name))).toEqual([undefined, undefined, undefined]);
    expect(words(noSuchPolicy(agent, 'own-noe'))).toBe(
      '404 no policy is called own-noe; did you mean own-one? see: kalos policy list',
    );
  });

  it('of a target may be of another machine, unless it looks like a slip', () => {
    expect([undefined, 'web', 'far', '/'].map((name) => noSuchTarget(agent, name))).toEqual(Array(4).fill(undefined));
    const slip =
      '404 no service, mount, metric or other target is called wbe; did you mean web? see: kalos status, kalos incidents';
    expect([words(noSuchTarget(agent, 'wbe')), words(mistypedTarget(agent, 'wbe'))]).toEqual([slip, slip]);
    expect(words(noSuchTarget(agent, 'elsewhere'))).toMatch(/^404 no service/);
    expect([undefined, 'web', 'elsewhere'].map((name) => mistypedTarget(agent, name))).toEqual(Array(3).fill(undefined));
  });

  it('of a service for fail-over is one that is placed, or declared here', () => {
    expect(['db', 'web'].map((name) => noSuchPlacement(agent, name))).toEqual([undefined, undefined]);
    expect(words(noSuchPlacement(agent, 'bd'))).toBe(
      '404 no service for fail-over is called bd; did you mean db? see: kalos nova status',
    );
  });

  it('of a member is that of one alone', () => {
    const of = (name: string) => {
      const named = memberNamed(agent, name);
      return 'peer' in named ? named.peer : words(named.unknown);
    };
    expect(['ada', 'peer-1', 'twin', 'adda', ''].map(of)).toEqual([
      'peer-ada',
      'peer-1',
      '404 twin is ambiguous: twin or twin2',
      '404 no member is called adda; did you mean ada? see: kalos members',
      '404 no member is called ""; see: kalos members',
    ]);
  });

  it('of a policy that is not live says what can be done instead', () => {
    expect(
      ['shipped-one', 'own-one', 'swarm-one', 'live-one', 'theirs', 'live-oen'].map((name) => words(notLive(agent, name))),
    ).toEqual([
      '409 shipped-one is built in and cannot be deleted; turn it off with: kalos policy disable shipped-one',
      '409 own-one is in this machine’s configuration: delete it there, then run kalos config reload',
      '409 swarm-one is from the swarm’s bundle; turn it off here with: kalos policy disable swarm-one',
      '404 there is no live policy live-one; see: kalos policy list',
      '404 there is no live policy theirs; see: kalos policy list',
      '404 no policy is called live-oen; did you mean live-one? see: kalos policy list',
    ]);
  });
});

describe('what is new', () => {
  it('is tried first on those that are named, or on one in ten of the others, one to five, not on the coordinator', () => {
    expect(canariesOf(agent, ['ada', 'peer-1'])).toEqual(['peer-ada', 'peer-1']);
    expect(words(canariesOf(agent, ['ada', 'nobody', 'nothing']))).toBe('404 no member is called nobody; see: kalos members');
    const drawn = (others: number, coordinator?: string): string[] => {
      committee.coordinator = coordinator;
      its.alive = ['self', ...Array.from({ length: others }, (_, nth) => `m${nth}`)];
      return canariesOf(agent, undefined) as string[];
    };
    expect([drawn(0), drawn(1, 'm0'), drawn(1)]).toEqual([['self'], ['self'], ['m0']]);
    expect([2, 18, 19, 29, 48, 49, 59, 200].map((others) => drawn(others, 'm0').length)).toEqual([1, 1, 2, 3, 4, 5, 5, 5]);
    expect(drawn(200, 'm0')).not.toContain('self');
    expect(drawn(2, 'm0')).toEqual(['m1']);
  });

  it('is told by names, with whose turn it is and who has it', () => {
    const one = { id: 'a', by: 'eve', atMs: 1, signature: new Uint8Array(), text: 'x' };
    const trial = { canary: ['c'], soakMs: 5, sinceMs: 6, reports: [{ peer: 'c', ok: false, reason: 'r' }] };
    const told = (candidate: Record<string, unknown> | null) =>
      rolloutOf(agent, { good: null, before: one, candidate, ended: null } as never, ({ text }: { text: string } & never) => ({
        text,
      }));
    const shown = { id: 'a', by: 'EVE', atMs: 1, text: 'x' };
    expect(told(null)).toEqual({ good: null, before: shown, candidate: null, ended: null });
    const how = { ...shown, canary: ['C'], soakMs: 5, sinceMs: 6, reports: [{ node: 'C', ok: false, reason: 'r' }] };
    expect(told({ ...one, ...trial, phase: 'canary' }).candidate).toEqual({ ...how, phase: 'canary', turn: ['C'], done: [] });
    expect(told({ ...one, ...trial, phase: 'wave', wave: ['d'], before: ['b'] }).candidate).toEqual({
      ...{ ...how, phase: 'wave', turn: ['D'], done: ['C', 'B'] },
    });
    expect(told({ ...one, ...trial, phase: 'wave', wave: ['d'] }).candidate?.done).toEqual(['C']);
  });
});

describe('news', () => {
  const newsOf = (topic: Topic, change: () => void) => {
    const feed = new Feed(agent, topic);
    expect(feed.news(6)).toEqual([]);
    change();
    const news = feed.news(7);
    expect(feed.news(8)).toEqual([]); // told once
    return news.map(({ subject, text, data }) => [subject, text, data]);
  };

  it('is what is there now and was not, is another, or is gone', () => {
    its.conditions = { Ready: 'True', Old: 'True', Same: 'True' };
    const change = (): void => {
      its.conditions = { Ready: 'False', Same: 'True', New: 'True' };
    };
    expect(newsOf('conditions', change)).toEqual([
      ['Ready', 'False', {}],
      ['New', 'True', {}],
      ['Old', 'gone', {}],
    ]);
    its.members = [{ name: 'ada', state: 'alive', peer: 'p' }];
    const left = (): void => {
      its.members = [{ name: 'ada', state: 'left', peer: 'p' }];
    };
    expect(newsOf('members', left)).toEqual([['ada', 'left', { peer: 'p' }]]);
  });

  it('of incidents is how they stand, of decisions and actions each step', () => {
    const about = { policy: 'theirs', target: 'far', node: 'bob' };
    its.incidents = [{ ...incident, steps: steps('detect') }];
    const ended = (): void => {
      its.incidents = [{ ...incident, state: 'resolved', outcome: 'healed', steps: [] }];
    };
    expect(newsOf('incidents', ended)).toEqual([['i1', 'healed', { ...about, summary: 's' }]]);
    const went = (): void => {
      its.incidents = [{ ...incident, steps: steps('detect', 'vote', 'decide', 'act', 'verify', 'undo', 'other') }];
    };
    const step = (nth: number, stage: string) => [`i1 ${nth}`, `${stage}!`, { incident: 'i1', ...about, stage, atMs: nth }];
    its.incidents = [];
    expect(newsOf('decisions', went)).toEqual([step(1, 'vote'), step(2, 'decide')]);
    its.incidents = [];
    expect(newsOf('actions', went)).toEqual([step(3, 'act'), step(4, 'verify'), step(5, 'undo')]);
  });
});
