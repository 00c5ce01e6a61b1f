// The members as an agent sees them, faked: what a test does not say is nothing.
import type { Members } from '../../node/decisions/members.ts';
import type { Roster } from '../../swarm/identity/roster.ts';

export function fakeMembers({ roster = {}, ...given }: Partial<Omit<Members, 'roster'>> & { roster?: object } = {}): Members {
  return {
    self: 'self',
    roster: roster as Roster,
    all: () => [],
    of: (peer) => (given.all?.() ?? []).find((one) => one.peer === peer),
    alive: () => (given.all?.() ?? []).flatMap(({ peer, state }) => (state === 'alive' ? [peer] : [])),
    statusOf: () => undefined,
    rttMs: () => undefined,
    mayDecide: () => false,
    nameOf: (peer) => peer,
    ...given,
  };
}
