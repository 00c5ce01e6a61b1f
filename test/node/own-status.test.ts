// What an agent tells the others of itself, and how it lists the members: a few figures, in the units of the wire.
import { describe, expect, it } from 'vitest';
import { membersOf } from '../../node/agent/agent-status.ts';
import { ownStatus } from '../../node/agent/own-status.ts';
import type { Member } from '../../swarm/membership/member-table.ts';
import { fakeMembers } from '../support/members.ts';

const conditions = { ServicesReady: 'True' } as never;

describe('the status of an agent', () => {
  const of = (metrics: Record<string, number>, change: object = {}, addresses = ['/ip4/10.0.0.1/tcp/1/p2p/self']) => {
    const members = fakeMembers({ nameOf: () => 'alpha' });
    const committee = { coordinator: 'self', term: 4, ...change };
    const order = { committee, vitals: { zone: 'north' }, decisions: { state: { index: 9 } } };
    const ports = { transport: { addresses: () => addresses }, clock: { wallMs: () => 77 } };
    const state = { metrics: new Map(Object.entries(metrics)), conditions, openIncidents: 2, isHalted: false, ...change };
    return ownStatus(ports as never, { version: '0.4.0', mode: 'act' }, members, order as never, state);
  };

  it('has its figures in hundredths and thousandths', () => {
    const metrics = {
      'system.load.1m': 1.5,
      'system.memory.utilization': 0.25,
      'system.cpu.utilization': 0.5,
      'system.psi.cpu.some': 1,
      'system.psi.memory.some': 2,
      'system.psi.io.some': 3,
    };
    expect(of(metrics)).toEqual({
      name: 'alpha',
      version: '0.4.0',
      atMs: 77,
      zone: 'north',
      address: '/ip4/10.0.0.1/tcp/1',
      loadCenti: 150,
      memoryPermille: 250,
      cpuPermille: 500,
      pressureCenti: [100, 200, 300],
      conditions,
      openIncidents: 2,
      term: 4,
      coordinator: true,
      decided: 9,
      mode: 'act',
    });
  });

  it('leaves out what is unknown, and says that acting is halted', () => {
    expect(of({}, { coordinator: 'other', isHalted: true }, [])).toMatchObject({
      address: '',
      loadCenti: undefined,
      memoryPermille: undefined,
      cpuPermille: undefined,
      pressureCenti: [undefined, undefined, undefined],
      coordinator: false,
      mode: 'halted',
    });
  });
});

describe('the members as an agent lists them', () => {
  it('have a name, a state, and one is the coordinator', () => {
    const all = [
      { peer: 'a', state: 'alive' },
      { peer: 'b', state: 'down' },
    ] as Member[];
    expect(membersOf(fakeMembers({ all: () => all, nameOf: (peer) => peer.toUpperCase() }), 'b')).toEqual([
      { name: 'A', peer: 'a', state: 'alive', role: 'member' },
      { name: 'B', peer: 'b', state: 'down', role: 'coordinator' },
    ]);
  });
});
