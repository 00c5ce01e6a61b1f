// Incidents of other machines: what is told of one's own, to whom and how often; and what is taken of others', and kept.
import { describe, expect, it } from 'vitest';
import { Stories } from '../../node/agent/stories.ts';
import { addStep, type Incident, openIncident } from '../../node/detection/incident.ts';
import { readStory } from '../../node/memory/story.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { ModelledCrypto, simulatedPeer } from '../../sim/adapters/crypto.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { PlainStore } from '../support/store.ts';
import { pass } from '../support/virtual.ts';

const SWARM = 'swarm';
const SECRET = new Uint8Array([1]);
const cryptoOf = (index: number): ModelledCrypto => new ModelledCrypto(simulatedPeer(index, 1), SECRET);
const [self, other, third] = [cryptoOf(0), cryptoOf(1), cryptoOf(2)];

/** The `nth` incident of a machine. */
function incidentOf(crypto: ModelledCrypto, nth: number, given: Partial<Incident> = {}): Incident {
  const finding = { policy: 'service-exited', target: `s${nth}`, severity: 'critical' as const, summary: 'it ended' };
  return { ...openIncident(finding, crypto.self, 'there', 1_000 + nth, crypto.hash), ...given };
}

function world(store = new PlainStore(), swarm = SWARM, crypto = self) {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler);
  const its = { watched: [other.self, third.self], witnesses: ['w1', 'w2', 'w3', 'w4'], fails: false };
  const told: { atMs: number; to: string; body: Uint8Array; withinMs: number }[] = [];
  const stories = new Stories({ clock, store, crypto } as unknown as Ports, swarm, {
    witnesses: () => its.witnesses,
    isWitnessOf: (peer) => its.watched.includes(peer),
    tell: async (to, body, withinMs) => {
      told.push({ atMs: clock.monotonicMs(), to, body, withinMs });
      if (its.fails) throw new Error('out of reach');
    },
    failed: (error) => {
      throw error;
    },
  });
  /** As its machine tells it. */
  const storyBy = async (by: ModelledCrypto, incident: Incident): Promise<unknown> => {
    const there = world(new PlainStore(), SWARM, by);
    there.stories.tell(incident);
    await there.pump(500);
    return (decodeCbor(there.told[0]?.body ?? new Uint8Array()) as unknown[])[1];
  };
  return { stories, its, told, store, storyBy, pump: (ms: number) => pass(scheduler, ms) };
}
const storyOf = (crypto: ModelledCrypto, nth: number, given: Partial<Incident> = {}): Promise<unknown> =>
  world().storyBy(crypto, incidentOf(crypto, nth, given));

describe('an incident of this machine', () => {
  it('is told half a second after it changed, to three witnesses, signed, as it stands by then', async () => {
    const { stories, told, pump } = world();
    const incident = incidentOf(self, 1);
    stories.tell(incident);
    await pump(499);
    expect(told).toEqual([]);
    incident.state = 'watching';
    stories.tell(incident);
    await pump(1);
    expect(told.map(({ to, withinMs }) => [to, withinMs])).toEqual([
      ['w1', 2_000],
      ['w2', 2_000],
      ['w3', 2_000],
    ]);
    const [kind, story] = decodeCbor(told[0]?.body ?? new Uint8Array()) as [string, unknown];
    expect([kind, readStory(other, SWARM, story)?.incident]).toEqual(['keep', { ...incident, state: 'watching' }]);
    expect(readStory(other, 'another swarm', story)).toBeUndefined();
    await pump(60_000);
    expect(told.length).toBe(3);
  });

  it('is told after the one before, 1.1 s apart, and again from half a second on once none waits', async () => {
    const { stories, told, its, pump } = world();
    its.witnesses = ['w1'];
    for (const nth of [1, 2, 3]) stories.tell(incidentOf(self, nth));
    await pump(10_000);
    stories.tell(incidentOf(self, 4));
    await pump(10_000);
    expect(told.map(({ atMs }) => atMs)).toEqual([500, 1_600, 2_700, 10_500]);
  });

  it('is one of 256 that wait: the oldest are left out', async () => {
    const { stories, told, its, pump } = world();
    its.witnesses = ['w1'];
    for (let nth = 0; nth < 258; nth++) stories.tell(incidentOf(self, nth));
    await pump(600_000);
    const targets = told.map(({ body }) => (decodeCbor(body) as [string, { incident: Incident }])[1].incident.target);
    expect([told.length, targets[0], targets.at(-1)]).toEqual([256, 's2', 's257']);
  });

  it('that is long is told by its first ten steps and its last thirty', async () => {
    const [forty, fortyOne] = [40, 41].map((steps) => {
      const incident = incidentOf(other, steps);
      for (let i = 0; i < steps; i++) addStep(incident, i, 'decide', `step ${i}`);
      return incident;
    });
    const stepsOf = async (incident: Incident | undefined) =>
      readStory(self, SWARM, await world().storyBy(other, incident as Incident))?.incident.steps.map(({ text }) => text);
    expect((await stepsOf(forty))?.length).toBe(40);
    const shown = (await stepsOf(fortyOne)) ?? [];
    expect([shown.length, shown[9], shown[10], shown[39]]).toEqual([40, 'step 9', 'step 11', 'step 40']);
  });

  it('that no reader would take, or that is too large, is not told; nor is any once all has stopped', async () => {
    const { stories, told, pump } = world();
    stories.tell(incidentOf(self, 1, { summary: 'x'.repeat(401) }));
    const large = incidentOf(self, 2);
    for (let i = 0; i < 30; i++) addStep(large, i, 'decide', 'x'.repeat(1_100));
    stories.tell(large);
    await pump(10_000);
    stories.tell(incidentOf(self, 3));
    stories.stop();
    stories.tell(incidentOf(self, 4));
    await pump(10_000);
    expect(told).toEqual([]);
  });

  it('is lost where no witness hears it, and the next is told all the same', async () => {
    const { stories, its, told, pump } = world();
    its.fails = true;
    stories.tell(incidentOf(self, 1));
    await pump(2_000);
    stories.tell(incidentOf(self, 2));
    await pump(2_000);
    expect(told.length).toBe(6);
  });
});

describe('an incident of another machine', () => {
  it('is taken of that machine, where this agent watches it, and kept over a restart', async () => {
    const { stories, its, store } = world();
    const [newer, older] = [await storyOf(other, 2), await storyOf(other, 1)];
    expect([await stories.keep(other.self, newer), await stories.keep(other.self, older)]).toEqual([true, true]);
    expect(await stories.keep(third.self, await storyOf(other, 3))).toBe(false);
    its.watched = [];
    expect(await stories.keep(other.self, await storyOf(other, 4))).toBe(false);
    expect(await stories.keep(other.self, { incident: 'none' })).toBe(false);
    const again = world(store).stories;
    await again.open();
    // The oldest first: by when they came, and after a restart by when they opened.
    expect([stories.all().map(({ target }) => target), again.all().map(({ target }) => target)]).toEqual([
      ['s2', 's1'],
      ['s1', 's2'],
    ]);
    const { id } = incidentOf(other, 1);
    expect([again.of(id)?.incident.target, readStory(self, SWARM, again.of(id))?.incident.id, again.of('x')]).toEqual([
      's1',
      id,
      undefined,
    ]);
  });

  it('is replaced by what the machine says of it later, and by nobody else’s under its id', async () => {
    const { stories } = world();
    await stories.keep(other.self, await storyOf(other, 1));
    await stories.keep(other.self, await storyOf(other, 2));
    await stories.keep(other.self, await storyOf(other, 1, { state: 'resolved' }));
    expect(stories.all().map(({ target, state }) => `${target} ${state}`)).toEqual(['s2 open', 's1 resolved']);
    const { id } = incidentOf(other, 1);
    expect(await stories.keep(third.self, await storyOf(third, 1, { id }))).toBe(false);
    expect(stories.of(id)?.incident.node).toBe(other.self);
  });

  it('is taken sixty times a minute at most, of each machine', async () => {
    const { stories, pump } = world();
    const story = await storyOf(other, 1);
    const taken: boolean[] = [];
    for (let i = 0; i < 61; i++) taken.push(await stories.keep(other.self, story));
    expect([taken.filter(Boolean).length, taken.at(-1)]).toEqual([60, false]);
    expect(await stories.keep(third.self, await storyOf(third, 1))).toBe(true);
    await pump(59_999);
    expect(await stories.keep(other.self, story)).toBe(false);
    await pump(1);
    expect(await stories.keep(other.self, story)).toBe(true);
  });

  it('is one of 64 of its machine, and of 512 in all: the oldest go', async () => {
    const { stories, its, store, pump } = world();
    for (let nth = 0; nth < 66; nth++) {
      await stories.keep(other.self, await storyOf(other, nth));
      await pump(1_000);
    }
    const targets = stories.all().map(({ target }) => target);
    expect([targets.length, targets[0], store.content.size]).toEqual([64, 's2', 64]);
    const peers = Array.from({ length: 8 }, (_, i) => cryptoOf(10 + i));
    its.watched = peers.map((one) => one.self);
    for (const peer of peers) for (let nth = 0; nth < 60; nth++) await stories.keep(peer.self, await storyOf(peer, nth));
    expect([stories.all().length, store.content.size, stories.all()[0]?.target]).toEqual([512, 512, 's34']);
  });

  it('that cannot be read is passed over at the start', async () => {
    const store = new PlainStore();
    store.content.set('story/x', encodeCbor({ incident: 'none' }));
    const { stories } = world(store);
    await stories.open();
    expect(stories.all()).toEqual([]);
  });
});
