// A member’s decisions, with the log and the other members faked.
import { type Decision, type Wish, wished } from '../../consensus/decisions/decision.ts';
import { drainBytes } from '../../consensus/decisions/drains.ts';
import { DecisionState, type Outcome } from '../../consensus/decisions/state.ts';
import { encodeVoteMessage, type Vote, voteBytes } from '../../consensus/vote/claim.ts';
import type { Committee } from '../../node/decisions/committee.ts';
import { Decisions, type DecisionsEvents } from '../../node/decisions/decisions.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { ModelledCrypto } from '../../sim/adapters/crypto.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Member } from '../../swarm/membership/member-table.ts';
import type { Clock } from '../../swarm/ports/clock.ts';
import type { Status } from '../../swarm/state/status.ts';
import { fakeMembers } from './members.ts';
import { PlainStore } from './store.ts';
import { pass } from './virtual.ts';

export const SWARM = 'd'.repeat(32);
export const START_MS = 1_700_000_000_000;
export const [self, issuer, plain, third] = ['sim-self', 'sim-issuer', 'sim-plain', 'sim-third'].map(
  (peer) => new ModelledCrypto(peer, new Uint8Array([1])),
) as [ModelledCrypto, ModelledCrypto, ModelledCrypto, ModelledCrypto];

export const idOf = (nth: number): string => nth.toString(16).padStart(32, '0');

/** A log of one: what is proposed is applied at once. */
class FakeLog {
  readonly machine = new DecisionState();
  state = { term: 3 };
  proposed: [Decision, number][] = [];
  readableMs: number[] = [];
  fails: Error | undefined;

  async propose(decision: Decision, withinMs: number): Promise<Outcome> {
    this.proposed.push([decision, withinMs]);
    if (this.fails !== undefined) throw this.fails;
    return this.machine.apply(decision, { index: this.machine.index + 1, term: this.state.term });
  }

  async readable(withinMs: number): Promise<void> {
    this.readableMs.push(withinMs);
    if (this.fails !== undefined) throw this.fails;
  }
}

export function world(coordinator: string | undefined = self.self) {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler, () => START_MS);
  const log = new FakeLog();
  const store = new PlainStore();
  const its = {
    coordinator: coordinator as string | undefined,
    leads: coordinator === self.self,
    log: log as FakeLog | undefined,
    lacking: undefined as string | undefined,
    voters: [self.self, plain.self, third.self],
    alive: [self.self, issuer.self, plain.self],
    decided: 0,
    versions: new Map<string, string>(),
    answer: (_to: string, _asked: unknown): Promise<unknown> => Promise.reject(new Error('gone')),
  };
  const seen = {
    lines: [] as string[],
    sent: [] as string[],
    asked: [] as [string, unknown, number][],
    failed: [] as unknown[],
  };
  const committee = {
    get coordinator() {
      return its.coordinator;
    },
    log: {
      get current() {
        return its.log;
      },
      get leading() {
        return its.leads ? its.log : undefined;
      },
    },
    get lacking() {
      return its.lacking;
    },
    seats: { voters: () => its.voters },
  } as unknown as Committee;
  const members = fakeMembers({
    self: self.self,
    // Two of thirty are sick.
    all: () => Array.from({ length: 30 }, (_, nth) => ({ peer: `${nth}`, state: nth < 2 ? 'down' : 'alive' }) as Member),
    alive: () => its.alive,
    statusOf: (peer) => ({ version: its.versions.get(peer), decided: its.decided, conditions: {} }) as Status,
    mayDecide: (peer) => peer === issuer.self,
    nameOf: (peer) => peer.replace('sim-', ''),
    roster: { isMember: () => true, members: () => its.alive.map((subject) => ({ subject })) },
  });
  const events: DecisionsEvents = {
    send: (to) => void seen.sent.push(to),
    request: async (to, body, withinMs) => {
      const asked = decodeCbor(body);
      seen.asked.push([to, asked, withinMs]);
      return encodeCbor(await its.answer(to, asked));
    },
    log: (level, text) => void seen.lines.push(`${level} ${text}`),
    failed: (error) => void seen.failed.push(error),
  };
  const swarmClock: Clock = {
    wallMs: () => clock.wallMs() + 0.4,
    monotonicMs: () => clock.monotonicMs(),
    after: (ms, run) => clock.after(ms, run),
  };
  const ports = { clock: swarmClock, store, crypto: self, random: new SeededRandom(1, 'decisions') } as unknown as Ports;
  const decisions = new Decisions(ports, SWARM, members, committee, events);
  let nth = 0;
  /** What the coordinator answers to a member's wish. */
  const propose = async (from: string, what: Wish, given: { by?: string; atMs?: number } = {}): Promise<unknown> => {
    const decision = wished(what, given.by ?? from, idOf(++nth), given.atMs ?? clock.wallMs());
    return decodeCbor(await decisions.answer(from, encodeCbor(['propose', decision])));
  };
  return { decisions, its, seen, log, store, propose, clock, scheduler, pump: (ms: number) => pass(scheduler, ms) };
}

export type World = ReturnType<typeof world>;

/** What becomes of a promise, to look at while time passes. */
export function outcomeOf<T>(promise: Promise<T>): { value?: T; error?: unknown } {
  const out: { value?: T; error?: unknown } = {};
  promise.then(
    (value) => {
      out.value = value;
    },
    (error: unknown) => {
      out.error = error;
    },
  );
  return out;
}

export const PAUSE: Wish = { kind: 'pause', peer: third.self, reason: 'x' };
export const NO_ISSUER = ' may not decide about others: it is not an issuer (kalos members promote)';
export const SIGNATURE = new Uint8Array(64);

export function drainBy(by: ModelledCrypto, peer: string, forMs = 60_000): Wish {
  const wishedMs = START_MS;
  const proof = by.sign(drainBytes(SWARM, { by: by.self, peer, forMs, wishedMs }));
  return { kind: 'drain', peer, forMs, wishedMs, proof, members: 1, isOrdered: true, reason: 'x' };
}

export function lieOf(witness: ModelledCrypto): { first: Uint8Array; second: Uint8Array } {
  const [first, second] = (['yes', 'no'] as const).map((verdict) => {
    const unsigned = { claimId: idOf(9), witness: witness.self, verdict, reason: 'port-open', confidence: 90 } as const;
    const vote: Vote = { ...unsigned, signature: witness.sign(voteBytes(SWARM, unsigned)) };
    return encodeVoteMessage(vote);
  });
  return { first: first as Uint8Array, second: second as Uint8Array };
}
