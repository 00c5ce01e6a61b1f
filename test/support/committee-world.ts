// A swarm of which only the committee is there, over a plain network.
import { expect } from 'vitest';
import type { Vitals } from '../../consensus/committee/fitness.ts';
import { Committee } from '../../node/decisions/committee.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { ModelledCrypto } from '../../sim/adapters/crypto.ts';
import { stepAll } from '../../sim/adapters/drain.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { decodeCbor } from '../../swarm/dissemination/cbor.ts';
import { FOUNDER_KEY } from '../../swarm/identity/roster-store.ts';
import type { Member } from '../../swarm/membership/member-table.ts';
import { fakeMembers } from './members.ts';
import { PlainStore } from './store.ts';

export const CALM: Vitals = { lagMs: 5, diskMs: 5, domain: '' };
export const STATUS_EVERY_MS = 500;

export type State = Member['state'];

/** A swarm of which only the committee is there. */
export class World {
  readonly scheduler = new Scheduler();
  readonly names: string[];
  readonly states = new Map<string, State>();
  readonly #sinceMs = new Map<string, number>();
  readonly drained = new Set<string>();
  readonly issuers: string[] = ['a'];
  readonly vitals = new Map<string, Vitals>();
  readonly stores = new Map<string, PlainStore>();
  readonly committees = new Map<string, Committee>();
  readonly lines: string[] = [];
  readonly failed: unknown[] = [];
  readonly asked: string[] = [];
  /** Who hears and says nothing. */
  readonly cut = new Set<string>();
  roles: string[] = [];
  isFounderAlone = false;

  constructor(names = 'abc') {
    this.names = [...names];
    for (const name of this.names) {
      this.states.set(name, 'alive');
      this.stores.set(name, new PlainStore());
      this.#make(name);
    }
    this.#statuses();
  }

  #make(self: string): void {
    const { scheduler } = this;
    const clock = new ProcessClock(scheduler);
    const store = this.stores.get(self) as PlainStore;
    const crypto = new ModelledCrypto(self, new Uint8Array([1]));
    const ports = { clock, store, crypto, random: new SeededRandom(1, self), transport: { self } } as unknown as Ports;
    const reaches = (to: string): boolean => !this.cut.has(self) && !this.cut.has(to);
    const members = fakeMembers({
      self,
      all: () =>
        [...this.states].map(([peer, state]) => ({ peer, state, sinceMs: this.#sinceMs.get(peer) ?? 0 })) as unknown as Member[],
      rttMs: () => 2,
      mayDecide: (peer) => this.issuers.includes(peer),
      nameOf: (peer) => `node-${peer}`,
      roster: {
        isForCommittee: (peer: string) => this.roles.includes(peer),
        members: () => (this.isFounderAlone ? [{ subject: self }] : []),
        isIssuer: () => true,
      },
    });
    const committee = new Committee(ports, members, {
      send: (to, bytes) => void scheduler.after(1, () => reaches(to) && this.of(to).receive(self, bytes)),
      request: (to, body) => {
        this.asked.push(`${self} ${to} ${decodeCbor(body)}`);
        return new Promise((resolve, reject) => {
          const isThere = (): boolean => to !== self && reaches(to);
          scheduler.after(1, () =>
            isThere() ? this.of(to).answer(self, body).then(resolve, reject) : reject(new Error('gone')),
          );
        });
      },
      vitals: () => this.vitals.get(self) ?? CALM,
      isDrained: (peer) => this.drained.has(peer),
      elected: (term, peer) => void this.lines.push(`${self}: term ${term}: ${peer}`),
      leading: () => undefined,
      applied: () => undefined,
      log: (level, text) => void this.lines.push(`${self}: ${level} ${text}`),
      failed: (error) => void this.failed.push(error),
    });
    this.committees.set(self, committee);
  }

  of(name: string): Committee {
    return this.committees.get(name) ?? expect.fail(`no ${name}`);
  }

  /** What each says of itself, now and then. */
  #statuses(): void {
    this.scheduler.after(STATUS_EVERY_MS, () => {
      for (const [self, committee] of this.committees)
        for (const [other, one] of this.committees)
          if (other !== self && !this.cut.has(self) && !this.cut.has(other))
            one.heard(self, committee.term, committee.log.leading !== undefined);
      this.#statuses();
    });
  }

  pump(ms: number): Promise<void> {
    const untilMs = this.scheduler.nowMs + ms;
    return stepAll(() => this.scheduler.step(untilMs));
  }

  async open(...names: string[]): Promise<void> {
    for (const name of names) await this.of(name).open();
    await this.pump(0);
  }

  /** It ended, and nobody hears of it any more. */
  end(name: string): void {
    this.of(name).stop();
    this.committees.delete(name);
    this.states.set(name, 'down');
    this.#sinceMs.set(name, this.scheduler.nowMs);
    this.cut.add(name);
    for (const one of this.committees.values()) one.disconnected(name);
  }

  again(name: string): Promise<void> {
    this.cut.delete(name);
    this.states.set(name, 'alive');
    this.#make(name);
    return this.open(name);
  }

  leader(): string {
    const all = this.names.filter((name) => this.committees.get(name)?.log.leading !== undefined);
    expect(all.length, all.join()).toBe(1);
    return all[0] ?? '';
  }

  votersAt(name: string): string[] | undefined {
    return this.of(name).seats.voters()?.sort();
  }
}

/** Three that have a committee; the first has founded it, and leads. */
export async function settled(names = 'abc'): Promise<World> {
  const world = new World(names);
  world.stores.get('a')?.content.set(FOUNDER_KEY, new Uint8Array());
  await world.open(...world.names);
  await world.pump(15_000);
  expect([world.leader(), world.votersAt('a')]).toEqual(['a', ['a', 'b', 'c']]);
  return world;
}

export const outcomeOf = (work: Promise<unknown>): { done?: true; error?: string } => {
  const out: { done?: true; error?: string } = {};
  work.then(
    () => {
      out.done = true;
    },
    (error: Error) => {
      out.error = error.message;
    },
  );
  return out;
};
