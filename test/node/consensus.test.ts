// How a swarm looks to one member: who is sick, and why, what fails together, and that an agent that has stopped keeps nothing under way.
import { describe, expect, it } from 'vitest';
import { zoneOf } from '../../consensus/committee/fitness.ts';
import { HEAD_KEY } from '../../node/audit/audit-log.ts';
import { Consensus } from '../../node/decisions/consensus.ts';
import { illnessOf, swarmHealth } from '../../node/decisions/health.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { ModelledCrypto } from '../../sim/adapters/crypto.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Recovery } from '../../swarm/identity/record.ts';
import { FOUNDER_KEY } from '../../swarm/identity/roster-store.ts';
import type { Member } from '../../swarm/membership/member-table.ts';
import type { Status } from '../../swarm/state/status.ts';
import { fakeMembers } from '../support/members.ts';
import { PlainStore } from '../support/store.ts';
import { pass } from '../support/virtual.ts';

function world(given: { domain?: string; members?: string[] } = {}) {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler, () => 1_700_000_000_000);
  const store = new PlainStore();
  const states = new Map<string, Member['state']>((given.members ?? ['a', 'b', 'c']).map((peer) => [peer, 'alive']));
  const statuses = new Map<string, Status>();
  const lines: string[] = [];
  const asked: string[] = [];
  const its = { recovery: undefined as Recovery | undefined };
  const ports = {
    clock,
    store,
    crypto: new ModelledCrypto('a', new Uint8Array([1])),
    random: new SeededRandom(1, 'consensus'),
    transport: { self: 'a' },
    sensors: { waitedMs: () => undefined },
  } as unknown as Ports;
  const roster = {
    members: () => [...states.keys()].map((subject) => ({ subject })),
    isForCommittee: () => false,
    isMember: (peer: string) => states.has(peer),
    isIssuer: (peer: string) => peer === 'a',
    digest: () => new Uint8Array(32),
    records: { single: () => its.recovery },
  };
  const members = fakeMembers({
    self: 'a',
    roster,
    all: () => [...states].map(([peer, state]) => ({ peer, state, sinceMs: 0 })) as unknown as Member[],
    statusOf: (peer) => statuses.get(peer),
    mayDecide: (peer) => peer === 'a',
    nameOf: (peer) => `node-${peer}`,
  });
  const consensus = new Consensus(ports, { swarmId: 'd'.repeat(32), domain: given.domain }, members, clock, {
    send: () => undefined,
    request: (to, name) => {
      asked.push(`${to} ${name}`);
      return Promise.reject(new Error('gone'));
    },
    log: (level, text) => void lines.push(`${level} ${text}`),
    failed: (error) => {
      throw error;
    },
  });
  const says = (peer: string, conditions: Partial<Status['conditions']>): void =>
    void statuses.set(peer, { conditions, version: '0.4.0', decided: 0 } as unknown as Status);
  const ill = (peer: string) => illnessOf(peer, members, consensus.decisions.proven);
  return {
    consensus,
    members,
    ill,
    its,
    asked,
    states,
    says,
    statuses,
    lines,
    store,
    scheduler,
    pump: (ms: number) => pass(scheduler, ms),
  };
}

describe('a member', () => {
  it.each<[string, (made: ReturnType<typeof world>) => void, number, string | undefined]>([
    ['that says nothing yet is well', () => undefined, 0, undefined],
    ['that is ready is well', ({ says }) => says('b', { Ready: 'True', ServicesReady: 'True' }), 0, undefined],
    ['of which that is not known is well', ({ says }) => says('b', { Ready: 'Unknown', ServicesReady: 'Unknown' }), 0, undefined],
    ['that is not ready is sick', ({ says }) => says('b', { Ready: 'False', ServicesReady: 'True' }), 1, 'is not ready'],
    [
      'of which a service is not ready is sick',
      ({ says }) => says('b', { Ready: 'True', ServicesReady: 'False' }),
      1,
      'is not ready',
    ],
    ['that nobody reaches is sick', ({ states }) => void states.set('b', 'unreachable'), 1, 'is unreachable'],
  ])('%s', (_title, arrange, sick, ill) => {
    const made = world();
    arrange(made);
    expect([swarmHealth(made.members), made.ill('b'), made.ill('c')]).toEqual([{ members: 3, sick }, ill, undefined]);
  });

  it('that is none any more is gone; and who is alone counts itself', () => {
    expect(world().ill('nobody')).toBe('is not a member');
    expect(swarmHealth(world({ members: [] }).members)).toEqual({ members: 1, sick: 0 });
  });
});

describe('what fails together with a machine', () => {
  it('is called by its name where that is known, else by its number; nothing where nobody said', () => {
    const { vitals, committee } = world({ domain: 'rack-1' }).consensus;
    expect([vitals.zone, ...[vitals.zone, 7].map((zone) => committee.candidates.domainName(zone)), vitals.now.domain]).toEqual([
      zoneOf('rack-1'),
      'rack-1',
      'zone 7',
      'rack-1',
    ]);
    expect([world().consensus.vitals.zone, vitals.lateMs]).toEqual([0, 0]);
  });
});

describe('who founded a swarm', () => {
  it('coordinates it once it is open, says so, has who belongs decided, and can drain itself', async () => {
    const { consensus, ill, store, lines, pump } = world({ members: ['a'] });
    store.content.set(FOUNDER_KEY, new Uint8Array());
    void consensus.open();
    await pump(15_000);
    expect([consensus.committee.coordinator, lines[0]]).toEqual(['a', `info term ${consensus.committee.term}: leader is node-a`]);
    expect(consensus.decisions.state.recent()[0]?.decision).toMatchObject({ kind: 'leads', by: 'a' });
    expect(consensus.decisions.state.epochs.newest).toMatchObject({ epoch: 1, members: 1 });
    expect(store.content.has('vitals')).toBe(true);
    void consensus.decisions.drain('a', 60_000, 'repair', 1_000);
    await pump(500);
    expect([ill('a'), consensus.decisions.proven.drained().has('a')]).toEqual(['is drained', true]);
  });

  it.each([
    ['alone', ['a'], true],
    ['not alone', ['a', 'b'], false],
    ['another', ['b'], false],
    ['nobody', [], false],
  ])('of before there was a log, is a member that is %s', async (_title, members, leads) => {
    const { consensus, store, pump } = world({ members });
    store.content.set(HEAD_KEY, new Uint8Array());
    void consensus.open();
    await pump(10_000);
    expect(consensus.committee.log.leading !== undefined).toBe(leads);
    consensus.stop();
  });

  it('keeps nothing under way once it has stopped', async () => {
    const { consensus, store, scheduler, pump } = world({ members: ['a'] });
    store.content.set(FOUNDER_KEY, new Uint8Array());
    void consensus.open();
    await pump(5_000);
    consensus.stop();
    await pump(60_000);
    expect(scheduler.step(Number.POSITIVE_INFINITY)).toBe(false);
  });
});

describe('what others say', () => {
  it('goes to the committee, or to what was decided, as it is about', async () => {
    const { consensus, store, pump } = world({ members: ['a'] });
    store.content.set(FOUNDER_KEY, new Uint8Array());
    void consensus.open();
    await pump(10_000);
    const [id] = decodeCbor(await consensus.answer('committee', 'b', encodeCbor('invite'))) as unknown[];
    expect(id).toBe(consensus.committee.log.current?.id);
    expect(decodeCbor(await consensus.answer('decisions', 'b', encodeCbor(['index'])))).toBe(consensus.decisions.state.index);
    await expect(consensus.answer('committee', 'b', encodeCbor(['index']))).rejects.toThrow('malformed request');
    consensus.stop();
  });

  it('of themselves tells who coordinates, and how far they are, which is asked for', async () => {
    const { consensus, asked, statuses, pump } = world();
    const status = { conditions: {}, term: 9, coordinator: true, decided: 5 } as unknown as Status;
    statuses.set('b', status);
    consensus.heard('b', status);
    expect([consensus.committee.coordinator, consensus.committee.term]).toEqual(['b', 9]);
    await pump(1_000);
    expect(asked).toEqual(['b decisions']);
    consensus.stop();
  });

  it('by root keys is followed once this agent is open', async () => {
    const { consensus, its, lines, pump } = world();
    its.recovery = { subject: 'a', epoch: 1, index: 1_000, term: 100 } as unknown as Recovery;
    await consensus.recover();
    expect(lines).toEqual([]);
    void consensus.open();
    await pump(10_000);
    expect(lines[0]).toBe('warn root keys recover the committee; first voter: node-a');
    expect([consensus.committee.log.leading !== undefined, consensus.committee.term > 100]).toEqual([true, true]);
    its.recovery = { subject: 'b', epoch: 2, index: 2_000, term: 200 } as unknown as Recovery;
    void consensus.recover();
    await pump(1_000);
    expect([lines.at(-1), consensus.committee.log.leading !== undefined]).toEqual([
      'warn root keys recover the committee; first voter: node-b',
      false,
    ]);
    consensus.stop();
  });
});
