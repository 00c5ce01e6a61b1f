// What an incident's story says and keeps: claims, votes, decisions, approvals, outcomes; and exactly when each thing is tried again.
import { describe, expect, it } from 'vitest';
import { encodeCertificate } from '../../consensus/vote/certificate.ts';
import type { Claim, Vote } from '../../consensus/vote/claim.ts';
import { CLAIM_LIFE_MS } from '../../consensus/vote/voting.ts';
import type { PlanEvent, Purpose } from '../../node/agent/executor.ts';
import { ESCALATE_AFTER_MS } from '../../node/agent/incident-loop.ts';
import type { Incident } from '../../node/detection/incident.ts';
import { decodeCbor } from '../../swarm/dissemination/cbor.ts';
import { FINDING, healing } from '../support/healer.ts';

const NOW_MS = 1_700_000_000_000;
const vote = (witness: string): Vote => ({
  claimId: 'claim',
  witness,
  verdict: 'yes',
  reason: 'port-refused',
  confidence: 90,
  signature: new Uint8Array(64),
});
const incidentIn = ({ memory }: ReturnType<typeof healing>, nth = 0): Incident => memory.incidents()[nth] as Incident;
/** In seconds, without the vote, which takes 0.1 s. */
const gapsS = (atMs: readonly number[]): number[] => atMs.slice(1).map((at, nth) => (at - (atMs[nth] ?? 0) - 100) / 1_000);
const starts = ({ log }: ReturnType<typeof healing>): number[] => log.plans.map(({ atS }) => atS);

describe('the story of an incident that was mended', () => {
  it('has each step with what backs it, in the log and the memory too', async () => {
    const world = healing({ finding: { evidence: { starts: 3 } } });
    world.fire();
    await world.pump(10_000);
    const incident = incidentIn(world);
    const { id } = incident;
    expect(incident.steps).toEqual([
      { atMs: NOW_MS, stage: 'detect', text: 'the service has exited: web', data: { starts: 3 } },
      {
        atMs: NOW_MS + 100,
        stage: 'vote',
        text: 'no witnesses: this machine is alone',
        data: { claim: 'claim', outcome: 'unasked', votes: 0, asked: 0 },
      },
      {
        atMs: NOW_MS + 100,
        stage: 'decide',
        text: 'service.start web, by the reactive tier: policy service-exited declares service.start; observed by this machine only; not tried here before',
        data: { tier: 'reactive', what: 'service.start web', confidence: 0.8 },
      },
      { atMs: NOW_MS + 100, stage: 'verify', text: 'it helped: seen', data: { plan: `${id}-1`, phase: 'confirmed', audit: 1 } },
      { atMs: NOW_MS + 100, stage: 'remember', text: 'service.start helped 1 of 1 times on web' },
    ]);
    expect(incident).toMatchObject({
      state: 'resolved',
      closedMs: NOW_MS + 100,
      outcome: 'service.start helped',
      tool: 'service.start',
    });
    expect(world.log.lines).toEqual([`warn: ${id}: the service has exited: web`, `info: ${id}: service.start helped`]);
    expect([world.log.rearmed, world.log.told.at(-1)?.state]).toEqual([['service-exited web'], 'resolved']);
  });

  it('keeps what the machine looked like, for others of its kind', async () => {
    const world = healing();
    world.its.features = [1, 0, 1];
    world.fire();
    await world.pump(10_000);
    expect(world.memory.cases.similar('service-exited', 'db', 'service.start', [1, 0, 1])).toEqual({ worked: 1, failed: 0 });
  });

  it('is dated by the clock since it opened, however the wall clock is set meanwhile', async () => {
    const world = healing();
    world.its.onVote = () => {
      world.its.wallStepMs = -3_600_000;
    };
    world.fire();
    await world.pump(10_000);
    expect(incidentIn(world).steps.map(({ atMs }) => atMs - NOW_MS)).toEqual([0, 100, 100, 100, 100]);
    expect(incidentIn(world).closedMs).toBe(NOW_MS + 100);
  });

  it('names who keeps the machine busy where it is of the machine as a whole, and not of one service', async () => {
    for (const [finding, named] of [
      [{ claim: 'pressure' }, true],
      [{ claim: 'anomaly', condition: 'Anomalous' }, true],
      [{}, false],
    ] as const) {
      const world = healing({ finding });
      world.its.suspects = 'most of the CPU: make (pid 7)';
      world.fire();
      await world.pump(1_000);
      expect(incidentIn(world).steps[1]?.text === 'most of the CPU: make (pid 7)').toBe(named);
    }
    const quiet = healing({ finding: { claim: 'pressure' } });
    quiet.fire();
    await quiet.pump(1_000);
    expect(incidentIn(quiet).steps[1]?.stage).toBe('vote');
  });
});

describe('the claim of an incident', () => {
  it('is of this machine, its target, port and time, and of the evidence', async () => {
    const world = healing();
    world.its.services = [
      { name: 'db', port: 1 },
      { name: 'web', port: 8080 },
    ];
    world.fire();
    await world.pump(1_000);
    const [claim] = world.log.claims;
    expect(claim).toEqual({
      subject: 'self',
      kind: 'service-down',
      target: 'web',
      port: 8080,
      check: undefined,
      fromMs: NOW_MS,
      expiresAtMs: NOW_MS + CLAIM_LIFE_MS,
      evidenceDigest: expect.any(Uint8Array),
    });
    const other = healing({ finding: { evidence: { starts: 4 } } });
    other.fire();
    await other.pump(1_000);
    expect(other.log.claims[0]?.evidenceDigest).not.toEqual(claim?.evidenceDigest);
  });

  it('names the check of a service that does not answer', async () => {
    const world = healing({ finding: { claim: 'service-unresponsive' } });
    world.fire();
    await world.pump(1_000);
    expect([world.log.claims[0]?.check, world.log.claims[0]?.port]).toEqual([{ kind: 'http', path: '/web' }, undefined]);
  });

  it('is told with what each witness said, and its certificate is kept', async () => {
    const world = healing({ outcome: 'certified' });
    const claim: Claim = {
      subject: 'self',
      kind: 'service-down',
      target: 'web',
      port: undefined,
      fromMs: 1,
      expiresAtMs: 2,
      evidenceDigest: new Uint8Array(32),
    } as Claim;
    const certificate = { claim, witnesses: ['a', 'b'], votes: [vote('a'), vote('b')] };
    world.its.vote = { witnesses: ['a', 'b', 'c'], votes: [vote('a'), vote('b')], certificate };
    world.fire();
    await world.pump(1_000);
    expect(incidentIn(world).steps[1]).toMatchObject({
      text: 'certified by 3 witnesses: a yes (port-refused, 90 %), b yes (port-refused, 90 %)',
      data: { claim: 'claim', outcome: 'certified', votes: 2, asked: 3 },
    });
    expect(Uint8Array.from(Buffer.from(incidentIn(world).certificate, 'base64'))).toEqual(
      Uint8Array.from(encodeCertificate(certificate)),
    );
    expect(decodeCbor(encodeCertificate(certificate))).toBeDefined();
    const silent = healing({ outcome: 'undecided' });
    silent.fire();
    await silent.pump(1_000);
    expect([incidentIn(silent).steps[1]?.text, incidentIn(silent).certificate]).toEqual([
      'undecided by 1 witnesses: no answer in time',
      '',
    ]);
  });
});

const intended = (diff: string[], index: number): PlanEvent => ({ kind: 'intended', diff, record: { index } as never });

describe('while a plan is on its way', () => {
  const during = async (work: (purpose: Purpose, incident: () => Incident) => Promise<void>, step = 3) => {
    const world = healing();
    world.its.onPerform = (purpose) => work(purpose, () => incidentIn(world));
    world.fire();
    await world.pump(1_000);
    return { world, incident: incidentIn(world), step: incidentIn(world).steps[step] };
  };

  it('the story says that it waits for a person, and how one answers', async () => {
    const states: string[] = [];
    const { incident, step, world } = await during(async ({ on }, its) => {
      await on?.({ kind: 'asked', diff: ['one', 'two'] });
      states.push(its().state);
    });
    expect(step).toMatchObject({
      stage: 'act',
      text: `approval needed (kalos approve ${incident.id}-1): one; two`,
      data: { plan: `${incident.id}-1` },
    });
    expect([states, world.log.told.some(({ state }) => state === 'waiting')]).toEqual([['waiting'], true]);
  });

  it('the story says what is done, once its intent is written', async () => {
    const states: string[] = [];
    const { incident, step } = await during(async ({ on }, its) => {
      await on?.(intended(['one', 'two'], 7));
      states.push(its().state);
    });
    expect([states, step]).toEqual([
      ['acting'],
      {
        atMs: NOW_MS + 100,
        stage: 'act',
        text: 'service.start web, attempt 1: one; two',
        data: { plan: `${incident.id}-1`, audit: 7 },
      },
    ]);
  });

  it('the story says who allowed it: witnesses, or a standing approval', async () => {
    const permit = { lease: 'lease-1', fence: 42, approvals: [{ id: '0123456789ab', reason: 'agreed' }] } as never;
    const voted = await during(async ({ on }) =>
      on?.({ kind: 'permitted', permit, votes: { claimId: 'c2', outcome: 'certified', votes: [vote('a')] } as never }),
    );
    expect([voted.step, voted.incident.certificate]).toEqual([
      {
        atMs: NOW_MS + 100,
        stage: 'vote',
        text: 'witnesses and the swarm allow it: a yes (port-refused, 90 %); lease 42',
        data: { claim: 'c2', outcome: 'certified', lease: 'lease-1' },
      },
      'encoded lease-1',
    ]);
    const standing = await during(async ({ on }) => on?.({ kind: 'permitted', permit, votes: undefined }));
    expect(standing.step).toMatchObject({
      text: 'a standing approval allows it: agreed (01234567); lease 42',
      data: { lease: 'lease-1' },
    });
    const neither = await during(async ({ on }) => on?.({ kind: 'unpermitted', reason: 'too few witnesses' }));
    expect(neither.step).toMatchObject({ stage: 'vote', text: 'needs approval by a person: too few witnesses' });
  });

  it('what is wrong still is looked at again, and claimed as it is now', async () => {
    const seen: unknown[] = [];
    const { world } = await during(async ({ stillWrong, claim }) => {
      seen.push(stillWrong?.(), claim?.().fromMs);
    });
    expect([seen, world.log.looks]).toEqual([['the service has exited', NOW_MS + 100], 1]);
  });

  it('what clears for a moment, but is still said, is waited for and not done', async () => {
    const seen: unknown[] = [];
    const world = healing();
    world.its.onPerform = async ({ unchanged }) => {
      world.its.holds = false;
      seen.push(unchanged?.([]));
    };
    world.its.answers = [{ kind: 'refused', reason: 'the finding is clearing' }, { phase: 'confirmed' }];
    world.fire();
    await world.pump(15_000);
    expect([seen, starts(world), incidentIn(world).state]).toEqual([['the finding is clearing'], [0], 'watching']);
    world.its.holds = true;
    await world.pump(2_000);
    expect(starts(world)).toEqual([0, 15]);
    expect(world.story().some((step) => step.includes('not done'))).toBe(false);
  });

  it('nothing is said any more once it is over', async () => {
    const world = healing();
    world.its.onPerform = async ({ on, unchanged }) => {
      world.clear();
      await on?.(intended(['x'], 1));
      expect(unchanged?.([])).toBe('cleared before it was acted on');
    };
    world.fire();
    await world.pump(5_000);
    expect([world.end(), world.story().some((step) => step.startsWith('act'))]).toEqual([
      'resolved: cleared without a repair',
      false,
    ]);
  });
});

describe('an incident is judged again', () => {
  it('where witnesses refute it: after 15, 15, 30, 60, 120 and then each 300 s', async () => {
    const world = healing({ outcome: 'refuted' });
    const atMs: number[] = [];
    world.its.onVote = () => void atMs.push(world.nowMs());
    world.fire();
    await world.pump(900_000);
    expect(gapsS(atMs)).toEqual([15, 15, 30, 60, 120, 300, 300]);
  });

  it('where the actuator would not take it, without counting against the remedy', async () => {
    const world = healing();
    world.its.answers = [{ phase: 'failed', reason: 'nothing was done: refused' }, { phase: 'confirmed' }];
    world.fire();
    await world.pump(14_000);
    expect([incidentIn(world).state, world.story().at(-1)]).toEqual(['watching', 'undo: failed: nothing was done: refused']);
    expect(world.memory.remedyRecord('service-exited', 'web', 'service.start')).toEqual({ worked: 0, failed: 0 });
    await world.pump(3_000);
    expect([starts(world).length, world.end()]).toEqual([2, 'resolved: service.start helped']);
  });

  it('where it did not help: the learned pause first, then as a trial after one, two and four minutes', async () => {
    const world = healing();
    world.its.answers = [{ phase: 'undone', reason: 'no effect' }];
    world.fire();
    await world.pump(2_000);
    expect(world.story().slice(3)).toEqual(['undo: undone: no effect', 'remember: service.start helped 0 of 1 times on web']);
    expect([incidentIn(world).state, world.log.rearmed]).toEqual(['open', []]);
    await world.pump(20_000);
    expect(incidentIn(world).state).toBe('escalated');
    expect(world.story().at(-1)).toBe('decide: escalated to a person: the repair did not help');
    expect(world.log.lines.at(-1)).toBe(`warn: ${incidentIn(world).id} needs a person: the repair did not help`);
  });

  it('where others come first: two seconds later, then four, and twenty at the most', async () => {
    const world = healing();
    world.its.answers = [{ kind: 'refused', reason: 'a lease is out', later: true }];
    const atMs: number[] = [];
    world.its.onPerform = async () => void atMs.push(world.nowMs());
    world.fire();
    await world.pump(200_000);
    expect(gapsS(atMs).slice(0, 11)).toEqual([2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 20]);
    expect(incidentIn(world).tool).toBe(''); // nothing was tried
  });

  it('where others come first and go on: every twenty seconds all the same', async () => {
    for (const busy of [{ taken: true }, { mayLease: false }]) {
      const world = healing();
      Object.assign(world.its, busy);
      world.its.answers = [{ kind: 'refused', reason: 'a lease is out', later: true }];
      world.fire();
      await world.pump(65_000);
      expect(starts(world)).toEqual([0, 20, 40, 60]);
    }
  });
});

describe('a person is told of what is open for long', () => {
  it.each<[string, (world: ReturnType<typeof healing>) => void, string]>([
    [
      'a brake',
      ({ its }) => Object.assign(its, { brake: 'used 3 times', answers: [{ kind: 'refused', reason: 'braked' }] }),
      'used 3 times',
    ],
    [
      'others',
      ({ its }) => Object.assign(its, { taken: true, answers: [{ kind: 'refused', reason: 'a lease is out', later: true }] }),
      'not done: a lease is out',
    ],
    [
      'the mode',
      ({ its }) => Object.assign(its, { answers: [{ kind: 'shown', reason: 'mode is observe' }] }),
      'not done: mode is observe',
    ],
  ])('%s stands in the way', async (_what, set, reason) => {
    const world = healing();
    set(world);
    world.fire();
    await world.pump(ESCALATE_AFTER_MS - 1_500);
    expect(incidentIn(world).state).toBe('watching');
    await world.pump(3_000);
    expect([incidentIn(world).state, incidentIn(world).outcome]).toEqual(['escalated', 'escalated to a person']);
    expect(world.story().filter((step) => step.includes('escalated to a person'))).toEqual([
      `decide: escalated to a person: ${reason}`,
    ]);
  });

  it('and stays told: it ends as what was escalated', async () => {
    const world = healing({ finding: { remedies: [] } });
    world.fire();
    await world.pump(ESCALATE_AFTER_MS + 400_000);
    expect(world.story().filter((step) => step.includes('escalated to a person')).length).toBe(1);
    world.clear();
    await world.pump(1_000);
    expect(world.end()).toBe('resolved: cleared after it was escalated');
  });
});

describe('an end', () => {
  it('is not that of a finding which clears while it is acted on', async () => {
    const world = healing();
    world.its.onPerform = async ({ on }) => {
      await on?.(intended(['x'], 1));
      world.clear();
      await world.sleep(1_000);
      expect(incidentIn(world).closedMs).toBe(0);
    };
    world.fire();
    await world.pump(5_000);
    expect([world.end(), world.log.withdrawn]).toEqual(['resolved: service.start helped', []]);
  });

  it('is none after the agent has stopped: nothing more is tried or said', async () => {
    const world = healing();
    world.its.answers = [{ phase: 'undone' }];
    world.fire();
    await world.pump(1_000);
    world.healer.incidents.stop();
    const steps = world.story().length;
    await world.pump(200_000);
    world.its.firing = [{ ...FINDING, target: 'db' }];
    world.healer.onChanges([{ kind: 'fired', finding: { ...FINDING, target: 'db' } }]);
    await world.pump(1_000);
    expect([world.log.plans.length, world.story().length, world.memory.incidents().length]).toEqual([1, steps, 1]);
  });

  it('is none where it stopped while witnesses were asked', async () => {
    const world = healing();
    world.its.onVote = () => world.healer.incidents.stop();
    world.fire();
    await world.pump(5_000);
    expect([world.log.plans, incidentIn(world).closedMs]).toEqual([[], 0]);
  });

  it('by a hand-over says to whom, and what was asked', async () => {
    const world = healing({ handedOver: { kind: 'moved', to: 'beta' } as never });
    world.its.answers = [{ kind: 'escalate', reason: 'used 3 times' }];
    world.fire();
    await world.pump(5_000);
    expect([world.log.handedOver, world.end(), world.story().at(-1)]).toEqual([
      ['web: used 3 times'],
      'resolved: web runs on beta now',
      'act: asks the others',
    ]);
    const tried = healing({ handedOver: { kind: 'nowhere' } as never });
    tried.its.answers = [{ phase: 'undone' }];
    tried.fire();
    await tried.pump(5_000);
    expect(tried.log.handedOver).toEqual(['web: service.start did not help on here']);
  });
});

describe('after a restart', () => {
  it('what opens within a minute of an incident of before belongs to it still', async () => {
    for (const [afterMs, belongs] of [
      [59_000, true],
      [61_000, false],
    ] as const) {
      const before = healing({ finding: { remedies: [] } });
      before.fire();
      await before.pump(1_000);
      before.healer.incidents.stop();
      const again = healing({ finding: { policy: 'service-frozen', remedies: [] } });
      for (const incident of before.memory.incidents()) await again.memory.save(structuredClone(incident));
      again.its.wallStepMs = afterMs;
      await again.healer.incidents.recover();
      again.fire();
      await again.pump(500);
      const [first, second] = again.memory.incidents();
      expect([first?.state, first?.closedMs, first?.outcome]).toEqual([
        'resolved',
        NOW_MS + afterMs,
        'interrupted by a restart of the agent',
      ]);
      expect(second?.cause === first?.id).toBe(belongs);
    }
  });
});
