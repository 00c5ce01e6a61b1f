// Authorizations as checked for the actuator: by their signatures alone, for exactly the steps that it is about to arm, once.
import { describe, expect, it } from 'vitest';
import { type AuthorizationAnswer, judgeAuthorization } from '../../node/action/authorization.ts';
import { type Step, stepToWire } from '../../node/ports/actuator.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { Roster } from '../../swarm/identity/roster.ts';
import { makeVerifier } from '../../swarm/libp2p/identity.ts';
import { AuthorizationWorld } from '../support/authorizations.ts';
import { makePeers } from '../support/crypto.ts';

const NOW = 1_800_000_000_000;
const RESTART: readonly Step[] = [
  { do: ['service.stop', 'web'], undo: ['service.start', 'web'] },
  { do: ['service.start', 'web'], undo: undefined },
];
const NOTHING = new Uint8Array();

interface Asking {
  id?: string;
  steps?: readonly Step[];
  memory?: Uint8Array;
  nowMs?: number;
  pinned?: boolean;
}
const judge = (
  leave: Uint8Array,
  { id = 'plan-1', steps = RESTART, memory = NOTHING, nowMs = NOW, pinned = true }: Asking = {},
) =>
  judgeAuthorization(makeVerifier(), { id, steps: decodeCbor(encodeCbor(steps.map(stepToWire))), leave, memory, nowMs, pinned });
const reasonOf = (answer: AuthorizationAnswer): string | undefined => (answer.ok ? undefined : answer.reason);
const memoryOf = (answer: AuthorizationAnswer): Uint8Array => (answer.ok ? answer.memory : expect.fail(answer.reason));

describe('a certificate', () => {
  it('of the machine’s witnesses over these steps is accepted once', async () => {
    const world = await AuthorizationWorld.of(9, NOW);
    const leave = world.leave(world.certificate(RESTART));
    const first = judge(leave);
    expect(reasonOf(first)).toBeUndefined();
    expect(reasonOf(judge(leave, { memory: memoryOf(first) }))).toBe('the authorization was used already');
    const second = judge(world.leave(world.certificate(RESTART, { plan: 'plan-2' })), { id: 'plan-2', memory: memoryOf(first) });
    expect(reasonOf(second)).toBeUndefined();
    // Both are remembered.
    expect(reasonOf(judge(leave, { memory: memoryOf(second) }))).toBe('the authorization was used already');
  });

  it('is valid for one change, its steps, this machine, this membership, and a limited time', async () => {
    const world = await AuthorizationWorld.of(9, NOW);
    const certificate = world.certificate(RESTART);
    const leave = world.leave(certificate);
    const others: readonly Step[] = [{ do: ['service.stop', 'web'], undo: undefined }];
    const reason = 'the certificate is for other arguments, or another version of the tool';
    expect(reasonOf(judge(leave, { id: 'plan-2' }))).toBe('the certificate is for another change');
    expect(reasonOf(judge(leave, { steps: others }))).toBe(reason);
    expect(reasonOf(judge(leave, { steps: RESTART.map((step) => ({ ...step, undo: undefined })) }))).toBe(reason);
    expect(reasonOf(judge(leave, { nowMs: NOW + 300_000 }))).toBe('the certificate has expired');
    expect(reasonOf(judge(leave, { nowMs: NOW - 60_000 }))).toBe('the certificate has expired');
    const elsewhere = world.certificate(RESTART, { claim: { subject: world.others[0]?.self ?? '' } });
    expect(reasonOf(judge(world.leave(elsewhere)))).toBe('the certificate is for another change');
    const earlier = world.certificate(RESTART, { warrant: { epoch: 1 } });
    expect(reasonOf(judge(world.leave(earlier)))).toBe('the certificate is of another membership');
  });

  it('of an earlier term than a known one is rejected', async () => {
    const world = await AuthorizationWorld.of(9, NOW);
    const { memory } = { memory: memoryOf(judge(world.leave(world.certificate(RESTART)))) };
    const old = world.certificate(RESTART, { plan: 'plan-2', warrant: { term: 6 } });
    expect(reasonOf(judge(world.leave(old), { id: 'plan-2', memory }))).toBe('the certificate is of an earlier term');
  });

  it('of members that are not its witnesses, of strangers, of too few, or with a forged vote is rejected', async () => {
    const world = await AuthorizationWorld.of(24, NOW);
    const watching = world.witnesses();
    const notDrawn = world.others.filter((one) => !watching.includes(one)).slice(-7);
    expect(reasonOf(judge(world.leave(world.certificate(RESTART, { by: notDrawn }))))).toBe(
      'its witnesses are not this machine’s witnesses',
    );
    expect(reasonOf(judge(world.leave(world.certificate(RESTART, { by: watching.slice(0, 4) }))))).toBe(
      'its witnesses are not this machine’s witnesses',
    );
    const strangers = await makePeers(7);
    expect(reasonOf(judge(world.leave(world.certificate(RESTART, { by: strangers }))))).toBe(
      'the certificate has too few witnesses that are members',
    );
    expect(reasonOf(judge(world.leave(world.certificate(RESTART, { by: watching.slice(0, 3) }))))).toBe(
      'the certificate has too few witnesses that are members',
    );
    const certificate = world.certificate(RESTART);
    const forged = certificate.slice();
    forged.set([(forged.at(-1) ?? 0) ^ 1], forged.length - 1);
    expect(reasonOf(judge(world.leave(forged)))).toBe('the certificate is invalid: a signature is wrong');
  });

  it('is checked with the known records too: an agent can neither omit members nor add revoked ones to choose its voters', async () => {
    const world = await AuthorizationWorld.of(24, NOW);
    const memory = memoryOf(judge(world.leave(world.certificate(RESTART))));
    const friends = world.others.filter((one) => !world.witnesses().includes(one)).slice(0, 7);
    const fewer = new Roster(world.self, world.roster.swarmId);
    fewer.authority.adopt(world.roster.authority.genesis?.bytes ?? NOTHING);
    const shown = new Set([world.self, ...friends].map((one) => one.self));
    for (const { body, bytes } of world.roster.records.all())
      if (body.kind !== 'member' || shown.has(body.subject)) fewer.offer(bytes, NOW);
    const chosen = world.leave(world.certificate(RESTART, { plan: 'plan-2', by: friends }), fewer);
    expect(reasonOf(judge(chosen, { id: 'plan-2' }))).toBeUndefined(); // to an actuator that has seen nothing yet
    expect(reasonOf(judge(chosen, { id: 'plan-2', memory }))).toBe('its witnesses are not this machine’s witnesses');

    const before = world.leave(world.certificate(RESTART, { plan: 'plan-3' }));
    const [out] = world.witnesses();
    world.revoke(out ?? world.self);
    const since = judge(world.leave(world.certificate(RESTART, { plan: 'plan-4' })), { id: 'plan-4', memory });
    expect(reasonOf(judge(before, { id: 'plan-3', memory }))).toBeUndefined();
    expect(reasonOf(judge(before, { id: 'plan-3', memory: memoryOf(since) }))).toBe(
      'the certificate has too few witnesses that are members',
    );
  });

  it('is checked with them even if the agent waits until their certificates have expired, and shows renewed ones of others', async () => {
    const world = await AuthorizationWorld.of(24, NOW);
    const memory = memoryOf(judge(world.leave(world.certificate(RESTART))));
    const friends = world.others.filter((one) => !world.witnesses().includes(one)).slice(0, 7);
    world.nowMs = NOW + 30 * 3_600_000;
    const fewer = new Roster(world.self, world.roster.swarmId);
    fewer.authority.adopt(world.roster.authority.genesis?.bytes ?? NOTHING);
    for (const { body, bytes } of world.roster.records.all()) if (body.kind === 'issuer') fewer.offer(bytes, world.nowMs);
    for (const [nth, one] of [world.self, ...friends].entries())
      expect(fewer.offer(world.member(one, `m-${nth}`, world.nowMs), world.nowMs).verdict).toBe('accept');
    const chosen = world.leave(world.certificate(RESTART, { plan: 'plan-2', by: friends }), fewer);
    expect(reasonOf(judge(chosen, { id: 'plan-2', nowMs: world.nowMs }))).toBeUndefined(); // to one that has seen nothing yet
    expect(reasonOf(judge(chosen, { id: 'plan-2', nowMs: world.nowMs, memory }))).toBe(
      'its witnesses are not this machine’s witnesses',
    );
  });

  it('carries only the records that its check needs, in a swarm of any size', async () => {
    const world = await AuthorizationWorld.of(200, NOW);
    const leave = world.leave(world.certificate(RESTART));
    expect(leave.length).toBeLessThan(8_000);
    expect(memoryOf(judge(leave)).length).toBeLessThan(8_000);
  });
});

describe('a signed change', () => {
  it('with two signatures of operators is accepted once; with one signature, or altered, it is rejected', async () => {
    const world = await AuthorizationWorld.of(3, NOW);
    const leave = await world.order(RESTART);
    const memory = memoryOf(judge(leave, { id: 'act-1' }));
    expect(reasonOf(judge(leave, { id: 'act-2', memory }))).toBe('the authorization was used already');
    expect(reasonOf(judge(await world.order(RESTART, world.operators.slice(0, 1))))).toMatch(
      /^2 operators must sign the change, and 1 has/,
    );
    expect(reasonOf(judge(await world.order(RESTART, world.others.slice(0, 2))))).toMatch(
      /^2 operators must sign the change, and 0 have/,
    );
    expect(reasonOf(judge(await world.order(RESTART, undefined, { peer: world.others[0]?.self ?? '' })))).toMatch(
      /^the change is for m-0/,
    );
    expect(reasonOf(judge(await world.order(RESTART, undefined, { untilMs: NOW - 1 })))).toBe(
      'the signed change has expired: draft a new one',
    );
    const steps: readonly Step[] = [{ do: ['service.stop', 'db'], undo: undefined }];
    expect(reasonOf(judge(leave, { steps }))).toBe('the signed change is for other calls');
  });
});

describe('a judge', () => {
  it('rejects the genesis of another swarm, another version, and an unknown kind of proof', async () => {
    const [world, other] = [await AuthorizationWorld.of(9, NOW), await AuthorizationWorld.of(9, NOW)];
    const leave = decodeCbor(world.leave(world.certificate(RESTART))) as unknown[];
    const altered = (at: number, value: unknown): string | undefined => reasonOf(judge(encodeCbor(leave.with(at, value))));
    expect(altered(3, other.roster.authority.genesis?.bytes)).toBe('its genesis record is of another swarm');
    expect(altered(3, NOTHING)).toBe('its genesis record is of another swarm');
    expect(altered(0, 2)).toBe('that is not an authorization');
    expect(altered(6, ['certificate', NOTHING])).toBe('that is not a certificate for a change');
    expect(altered(6, ['order', '{'])).toBe('that is not a signed change');
    expect(altered(6, ['order', '{}'])).toBe('that is not a signed change');
    expect(altered(6, leave[6])).toBeUndefined();
  });

  it('accepts only the swarm that the actuator’s policy names', async () => {
    const world = await AuthorizationWorld.of(9, NOW);
    const leave = world.leave(world.certificate(RESTART));
    const of = (ofSwarm: string): string | undefined =>
      reasonOf(
        judgeAuthorization(makeVerifier(), {
          id: 'plan-1',
          steps: decodeCbor(encodeCbor(RESTART.map(stepToWire))),
          leave,
          ofSwarm,
          memory: NOTHING,
          nowMs: NOW,
          pinned: true,
        }),
      );
    expect([of(world.roster.swarmId), of(''), of('other')]).toEqual([
      undefined,
      undefined,
      'the authorization is for another swarm than the actuator’s policy names',
    ]);
  });

  it('accepts only the first machine and swarm if the system runs the actuator, but any if the agent started it', async () => {
    const world = await AuthorizationWorld.of(9, NOW);
    const memory = memoryOf(judge(world.leave(world.certificate(RESTART))));
    const other = await AuthorizationWorld.of(9, NOW);
    const leave = other.leave(other.certificate(RESTART));
    expect(reasonOf(judge(leave, { memory }))).toMatch(/^the authorization is for another machine or swarm/);
    expect(reasonOf(judge(leave, { memory, pinned: false }))).toBeUndefined();
  });

  it('rejects bytes that are not an authorization, or not its memory', async () => {
    const world = await AuthorizationWorld.of(9, NOW);
    const leave = world.leave(world.certificate(RESTART));
    for (const bytes of [NOTHING, new Uint8Array([0xff]), leave.slice(0, -3), encodeCbor([1, 'x'])])
      expect(reasonOf(judge(bytes))).toBe('that is not an authorization');
    expect(reasonOf(judge(leave, { memory: new Uint8Array([1, 2, 3]) }))).toMatch(/^earlier authorizations cannot be read/);
  });
});
