// Membership: own eyes at once, observers' verdicts when enough of them agree, and no one removed by silence.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { silenceMs } from '../../swarm/membership/ages.ts';
import { cutParameters } from '../../swarm/membership/cut-table.ts';
import { LONG_ALERT_MS } from '../../swarm/membership/damped-alert.ts';
import { REDIAL_GRACE_MS } from '../../swarm/membership/liveness.ts';
import { Membership, type MembershipInput } from '../../swarm/membership/membership.ts';
import { MAX_OBSERVERS, observedBy, observersOf } from '../../swarm/membership/observers.ts';
import { decodeProbe, encodeProbe } from '../../swarm/membership/probe.ts';
import { type AlertKind, decodeReport, encodeReport } from '../../swarm/membership/report.ts';
import { PROBE_EVERY_MS } from '../../swarm/membership/watch.ts';
import { at } from '../support/clock.ts';
import { makePeers } from '../support/crypto.ts';

const peersOf = (count: number): string[] => Array.from({ length: count }, (_, i) => `peer-${i}`);

/** A membership with a clock and timers of its own: what a runtime would be, without I/O. */
class Bench {
  readonly core: Membership;
  readonly sent: { to: string; kind: string; token: number; atMs: number }[] = [];
  readonly changes: string[] = [];
  readonly redials: string[] = [];
  readonly reports: [string, AlertKind][][] = [];
  readonly #timers = new Map<string, number>();
  readonly #said = new Map<string, Map<string, AlertKind>>();
  nowMs = 0;

  constructor(members: readonly string[]) {
    this.core = new Membership('self');
    this.post({ kind: 'start', members });
    for (const peer of members) this.post({ kind: 'connected', peer });
    this.changes.length = 0;
  }

  post(input: Parameters<Membership['step']>[0]): void {
    for (const effect of this.core.step(input, at(this.nowMs))) {
      if (effect.kind === 'timer') this.#timers.set(effect.id, this.nowMs + effect.afterMs);
      if (effect.kind === 'send') this.sent.push({ to: effect.to, ...effect.message, atMs: this.nowMs });
      if (effect.kind !== 'notice') continue;
      const { notice } = effect;
      if (notice.kind === 'changed') this.changes.push(`${notice.peer} ${notice.state}`);
      else if (notice.kind === 'redial') this.redials.push(notice.peer);
      else if (notice.kind === 'report') this.reports.push([...notice.alerts]);
    }
  }

  /** Lets time pass; who is in `answering` answers each ping at once. */
  pass(forMs: number, answering: (peer: string) => boolean = () => true): void {
    const untilMs = this.nowMs + forMs;
    for (;;) {
      const [id, dueMs] = [...this.#timers].reduce((a, b) => (b[1] < a[1] ? b : a));
      if (dueMs > untilMs) break;
      this.nowMs = Math.max(this.nowMs, dueMs);
      this.#timers.delete(id);
      const from = this.sent.length;
      this.post({ kind: 'timer', id: id as 'sweep' });
      for (const { to, kind, token } of this.sent.slice(from))
        if (kind === 'ping' && answering(to)) this.post({ kind: 'message', from: to, message: { kind: 'pong', token } });
    }
    this.nowMs = untilMs;
  }

  /** The process is held: timers come late. */
  stall(forMs: number): void {
    this.nowMs += forMs;
  }

  state(peer: string): string | undefined {
    return this.core.members.get(peer)?.state;
  }

  /** Each of them says one more that it cannot reach. */
  reported(by: readonly string[], accused: string, kind: AlertKind = 'silent'): void {
    for (const peer of by) {
      const alerts = new Map(this.#said.get(peer)).set(accused, kind);
      this.#said.set(peer, alerts);
      this.post({ kind: 'report', peer, alerts });
    }
  }
}

const bench = (count: number): Bench => {
  const made = new Bench(peersOf(count));
  made.pass(1_000); // who is observed is drawn within a second
  return made;
};

describe('what an agent sees itself', () => {
  it('starts with itself alive and remembered peers unreachable', () => {
    const core = new Membership('self');
    core.step({ kind: 'start', members: ['old'] }, at(0));
    expect(core.members.present().map(({ peer, state }) => [peer, state])).toEqual([
      ['self', 'alive'],
      ['old', 'unreachable'],
    ]);
  });

  it('holds who was admitted for joining until it is heard', () => {
    const world = bench(3);
    world.post({ kind: 'added', peer: 'new' });
    world.pass(5_000, (peer) => peer !== 'new');
    expect(world.state('new')).toBe('joining');
    world.post({ kind: 'spoke', peer: 'new', ageMs: 0 });
    expect(world.state('new')).toBe('alive');
  });

  it('asks for a redial when a connection closes; refused is lost at once, silence after the grace', () => {
    const world = bench(2);
    world.post({ kind: 'disconnected', peer: 'peer-0' });
    world.post({ kind: 'disconnected', peer: 'peer-1' });
    expect(world.redials).toEqual(['peer-0', 'peer-1']);
    world.post({ kind: 'dialed', peer: 'peer-0', outcome: 'refused' });
    expect([world.state('peer-0'), world.state('peer-1')]).toEqual(['unreachable', 'alive']);
    world.pass(REDIAL_GRACE_MS + 1_000);
    expect(world.state('peer-1')).toBe('unreachable');
  });

  it('forgives a connection that comes back within the grace', () => {
    const world = bench(2);
    world.post({ kind: 'disconnected', peer: 'peer-0' });
    world.post({ kind: 'connected', peer: 'peer-0' });
    world.pass(5_000);
    expect(world.changes).toEqual([]);
  });

  it('doubts who was silent for long though nobody says anything, and takes it back when it speaks', () => {
    const world = bench(20);
    const [stranger = ''] = peersOf(20).filter((peer) => !world.core.detector.subjects.has(peer));
    for (let waited = 0; waited <= silenceMs(21) + 1_000; waited += 1_000) {
      world.pass(1_000);
      for (const peer of peersOf(20)) if (peer !== stranger) world.post({ kind: 'heard', peer });
    }
    expect(world.state(stranger)).toBe('unreachable');
    world.post({ kind: 'heard', peer: stranger });
    expect(world.state(stranger)).toBe('alive');
  });

  it('takes what is pulled for a sign of life from when it was said: not of one that was lost since', () => {
    const world = bench(3);
    world.post({ kind: 'disconnected', peer: 'peer-0' });
    world.post({ kind: 'dialed', peer: 'peer-0', outcome: 'refused' });
    world.pass(10_000, (peer) => peer !== 'peer-0');
    const before = world.state('peer-0');
    world.post({ kind: 'spoke', peer: 'peer-0', ageMs: 20_000 });
    expect([before, world.state('peer-0')]).toEqual(['unreachable', 'unreachable']);
  });

  it('believes no sign of life of before a loss, of one that it does not watch either', () => {
    const world = bench(20);
    const [stranger = ''] = peersOf(20).filter((peer) => !world.core.detector.subjects.has(peer));
    world.post({ kind: 'disconnected', peer: stranger });
    world.post({ kind: 'dialed', peer: stranger, outcome: 'refused' });
    expect(world.state(stranger)).toBe('unreachable');
    world.pass(5_000, (peer) => peer !== stranger);
    world.post({ kind: 'spoke', peer: stranger, ageMs: 15_000 });
    expect(world.state(stranger)).toBe('unreachable');
    world.post({ kind: 'spoke', peer: stranger, ageMs: 1_000 });
    expect(world.state(stranger)).toBe('alive');
  });

  it('drops who left, at once; only what it says again brings it back, not what was under way', () => {
    const world = bench(3);
    world.post({ kind: 'left', peer: 'peer-0' });
    world.post({ kind: 'heard', peer: 'peer-0' });
    expect(world.core.members.present().map(({ peer }) => peer)).not.toContain('peer-0');
    world.post({ kind: 'spoke', peer: 'peer-0', ageMs: 0 });
    expect(world.state('peer-0')).toBe('alive');
  });

  it('knows nobody whom the roster does not', () => {
    const world = bench(2);
    for (const kind of ['connected', 'heard', 'disconnected', 'left'] as const) world.post({ kind, peer: 'stranger' });
    world.post({ kind: 'report', peer: 'stranger', alerts: new Map([['peer-0', 'silent']]) });
    expect([world.state('stranger'), world.core.reports.accusersOf('peer-0')]).toEqual([undefined, undefined]);
    world.post({ kind: 'removed', peer: 'peer-0' });
    expect(world.state('peer-0')).toBeUndefined();
  });
});

describe('an observer', () => {
  it('probes whom it watches again and again, unless something else came from it', () => {
    const world = bench(3);
    world.pass(20_000);
    expect(world.sent.filter(({ to }) => to === 'peer-0').length).toBeGreaterThanOrEqual(6);
    const before = world.sent.length;
    for (let i = 0; i < 20; i++) {
      for (const peer of peersOf(3)) world.post({ kind: 'heard', peer });
      world.pass(PROBE_EVERY_MS / 2);
    }
    // In 30 s each of three is probed five times, to see that what is sent gets there: not ten.
    expect(world.sent.length - before).toBeLessThanOrEqual(18);
  });

  it('reports who does not answer twice, and takes it back after some answers', () => {
    const world = bench(9);
    const [quiet = ''] = world.core.detector.subjects;
    world.pass(PROBE_EVERY_MS + 2_500, (peer) => peer !== quiet);
    expect(world.reports.at(-1)).toEqual([[quiet, 'silent']]);
    world.pass(3_000);
    expect(world.reports.at(-1)).toEqual([]);
    expect(world.state(quiet)).toBe('alive'); // one alert of three
  });

  it('looks at once when another observer says something', () => {
    const world = bench(9);
    const [subject = ''] = world.core.detector.subjects;
    world.pass(PROBE_EVERY_MS);
    const pings = () => world.sent.filter(({ to }) => to === subject).length;
    const before = pings();
    world.reported([observersOf(subject, ['self', ...peersOf(9)]).find((peer) => peer !== 'self') ?? ''], subject);
    world.pass(1);
    expect(pings()).toBe(before + 1);
  });

  it('takes no probe that is overdue for a stall of its own, and lets a sign of life undo a loss at once', () => {
    const world = bench(9);
    const [deaf = ''] = world.core.detector.subjects;
    const other = peersOf(9).find((peer) => !world.core.detector.subjects.has(peer) && peer !== deaf) ?? '';
    // It is gone for a minute, and comes back; meanwhile another goes.
    world.post({ kind: 'disconnected', peer: deaf });
    world.post({ kind: 'dialed', peer: deaf, outcome: 'refused' });
    world.pass(60_000, (peer) => peer !== deaf);
    world.post({ kind: 'disconnected', peer: other });
    world.post({ kind: 'dialed', peer: other, outcome: 'refused' });
    world.post({ kind: 'connected', peer: deaf });
    world.post({ kind: 'heard', peer: deaf });
    world.post({ kind: 'report', peer: deaf, alerts: new Map() });
    world.pass(3_000);
    expect(world.state(other)).toBe('unreachable');
    world.post({ kind: 'connected', peer: other });
    expect(world.state(other)).toBe('alive');
  });

  it('doubts itself first: after a stall of its own it accuses nobody', () => {
    const world = bench(6);
    for (let i = 0; i < 50; i++) {
      world.pass(1_500);
      world.stall(4_000);
    }
    expect([world.reports.flat(), world.changes]).toEqual([[], []]);
  });

  it('takes its word back more slowly the more often it had to', () => {
    const world = bench(9);
    const [flapping = ''] = world.core.detector.subjects;
    const trustedAfterMs: number[] = [];
    for (let i = 0; i < 5; i++) {
      while (world.reports.at(-1)?.length !== 1) world.pass(100, (peer) => peer !== flapping);
      const fromMs = world.nowMs;
      while (world.reports.at(-1)?.length !== 0) world.pass(100);
      trustedAfterMs.push(world.nowMs - fromMs);
    }
    expect(trustedAfterMs.at(-1)).toBeGreaterThan(4 * (trustedAfterMs[0] ?? 0));
    expect(trustedAfterMs.at(-1)).toBeLessThan(20_000);
  });
});

describe('verdicts', () => {
  const all = (count: number) => ['self', ...peersOf(count)];

  it('need L observers for unreachable, and H that agree for a while for down', () => {
    const world = bench(20);
    const [subject = ''] = peersOf(20).filter((peer) => !world.core.detector.subjects.has(peer));
    const observers = observersOf(subject, all(20));
    const { l, h } = cutParameters(21);
    world.reported(observers.slice(0, l - 1), subject);
    expect(world.state(subject)).toBe('alive');
    world.reported(observers.slice(0, l), subject);
    expect(world.state(subject)).toBe('unreachable');
    world.pass(20_000);
    expect(world.state(subject)).toBe('unreachable');
    world.reported(observers.slice(0, h), subject);
    world.pass(LONG_ALERT_MS - 1_000);
    expect(world.state(subject)).toBe('unreachable');
    world.pass(2_000);
    expect(world.state(subject)).toBe('down');
    for (const peer of observers) world.post({ kind: 'report', peer, alerts: new Map() });
    expect(world.state(subject)).toBe('alive');
  });

  it('come at once where the machine refuses connections', () => {
    const world = bench(20);
    const [subject = ''] = peersOf(20).filter((peer) => !world.core.detector.subjects.has(peer));
    world.reported(observersOf(subject, all(20)).slice(0, cutParameters(21).h), subject, 'refused');
    expect(world.state(subject)).toBe('down');
  });

  it('count distinct observers of the subject, and nobody else', () => {
    const world = bench(20);
    const [subject = ''] = peersOf(20).filter((peer) => !world.core.detector.subjects.has(peer));
    const observers = observersOf(subject, all(20));
    const others = peersOf(20).filter((peer) => peer !== subject && !observers.includes(peer));
    world.reported(others, subject, 'refused');
    for (let again = 0; again < 9; again++) world.reported(observers.slice(0, 1), subject, 'refused');
    expect(world.state(subject)).toBe('alive');
  });

  it('count observers that are gone themselves as if they had spoken: a lost rack does not silence its own verdict', () => {
    const world = bench(20);
    const [subject = ''] = peersOf(20).filter((peer) => !world.core.detector.subjects.has(peer));
    const observers = observersOf(subject, all(20)).filter((peer) => peer !== 'self');
    const [witness = '', second = '', ...gone] = observers;
    const lose = (peer: string): void => {
      world.post({ kind: 'disconnected', peer });
      world.post({ kind: 'dialed', peer, outcome: 'refused' });
    };
    world.reported([witness], subject);
    for (const peer of gone.slice(0, 4)) lose(peer);
    // Others could say so too, and one alone may be mistaken.
    expect(world.state(subject)).toBe('alive');
    world.reported([second], subject);
    expect(world.state(subject)).toBe('unreachable');
    world.pass(25_000, (peer) => !gone.includes(peer) && peer !== subject);
    expect(world.state(subject)).toBe('down');
    // Of another all observers are gone but one: its word is all that there is.
    const other =
      peersOf(20).find((peer) => peer !== subject && !gone.includes(peer) && !world.core.detector.subjects.has(peer)) ?? '';
    const [last = '', ...rest] = observersOf(other, all(20)).filter((peer) => peer !== 'self' && !gone.includes(peer));
    for (const peer of rest) lose(peer);
    world.reported([last], other);
    expect(world.state(other)).toBe('unreachable');
  });

  it('do not cut half of the members: then it is this half that may be cut off', () => {
    const world = bench(10);
    const gone = peersOf(10).slice(0, 7);
    world.pass(30_000, (peer) => !gone.includes(peer));
    for (const subject of gone) world.reported(peersOf(10).slice(7), subject);
    world.pass(30_000, (peer) => !gone.includes(peer));
    expect(gone.map((peer) => world.state(peer))).not.toContain('down');
  });

  it.each([
    [4, ['down']],
    [5, ['unreachable']],
  ])('of ten cut %i that are gone only where they are fewer than half', (count, states) => {
    const world = bench(9);
    const gone = peersOf(9).slice(0, count);
    for (const subject of gone) world.reported(peersOf(9).slice(count), subject);
    world.pass(60_000, (peer) => !gone.includes(peer));
    expect([...new Set(gone.map((peer) => world.state(peer)))]).toEqual(states);
  });

  it('do not believe one that accuses many whom nobody else accuses', () => {
    const world = bench(3);
    world.post({
      kind: 'report',
      peer: 'peer-0',
      alerts: new Map([
        ['peer-1', 'silent'],
        ['self', 'silent'],
      ]),
    });
    expect(world.state('peer-1')).toBe('alive');
  });

  it('cut those together that go together', () => {
    const world = bench(30);
    const gone = peersOf(30)
      .filter((peer) => !world.core.detector.subjects.has(peer))
      .slice(0, 4);
    world.changes.length = 0;
    gone.forEach((subject, turn) => {
      world.reported(
        observersOf(subject, all(30)).filter((peer) => peer !== 'self' && !gone.includes(peer)),
        subject,
      );
      world.pass(turn * 300);
    });
    world.pass(20_000);
    const cuts = world.changes.filter((change) => change.endsWith('down'));
    expect(cuts.length).toBe(4);
    const seen = world.changes.slice(world.changes.indexOf(cuts[0] ?? ''));
    expect(seen.slice(0, 4).every((change) => change.endsWith('down'))).toBe(true);
  });

  it('are not moved by two liars among seven observers, whatever they say in whatever order', () => {
    const everybody = peersOf(20);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(0, 1), fc.subarray(everybody), fc.constantFrom('silent', 'refused')), {
          maxLength: 30,
        }),
        (said) => {
          const world = bench(20);
          const [subject = ''] = everybody.filter((peer) => !world.core.detector.subjects.has(peer));
          const liars = observersOf(subject, all(20))
            .filter((peer) => peer !== 'self')
            .slice(0, 2);
          for (const [who, accused, kind] of said) {
            const alerts = new Map(accused.map((peer) => [peer, kind as AlertKind]));
            world.post({ kind: 'report', peer: liars[who] ?? '', alerts } satisfies MembershipInput);
            world.pass(2_000);
          }
          world.pass(20_000);
          expect(everybody.map((peer) => world.state(peer))).toEqual(everybody.map(() => 'alive'));
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('the table of K, L and H', () => {
  it('is as docs/PROTOCOL.md has it', () => {
    const rows = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1000].map((n) => Object.values(cutParameters(n)).join(' '));
    expect(rows).toEqual([
      '0 1 Infinity',
      '1 1 Infinity',
      '2 1 2',
      '3 1 2',
      '4 2 3',
      '5 2 4',
      '6 2 4',
      ...Array.from({ length: 6 }, () => '7 3 5'),
    ]);
  });
});

describe('observers', () => {
  const members = Array.from({ length: 40 }, (_, i) => `peer-${i}`);

  it('are distinct, never the subject, and the same for everybody', () => {
    for (const subject of members) {
      const observers = observersOf(subject, members);
      expect(new Set(observers).size).toBe(MAX_OBSERVERS);
      expect(observers).not.toContain(subject);
      expect(observersOf(subject, [...members].reverse())).toEqual(observers);
    }
  });

  it('know whom they observe', () => {
    for (const self of members) {
      const expected = members.filter((subject) => subject !== self && observersOf(subject, members).includes(self));
      expect([...observedBy(self, members)].sort()).toEqual(expected.sort());
    }
  });

  it('change little when one member goes', () => {
    const fewer = members.slice(1);
    const moved = fewer.filter((subject) => observersOf(subject, members).join() !== observersOf(subject, fewer).join());
    expect(moved.length).toBeLessThan(fewer.length / 2);
  });

  it('are everybody else in a small swarm', () => {
    expect(observersOf('a', ['a', 'b', 'c'])).toEqual(['b', 'c']);
  });
});

describe('on the wire', () => {
  it('probes and reports are read as they were written, and what is malformed is nothing', async () => {
    const [a, b] = await makePeers(2);
    expect(decodeProbe(encodeProbe({ kind: 'pong', token: 4_000_000_000 }))).toEqual({ kind: 'pong', token: 4_000_000_000 });
    for (const bytes of [new Uint8Array(), new Uint8Array(4), new Uint8Array(6), new Uint8Array([2, 0, 0, 0, 0])])
      expect(decodeProbe(bytes)).toBeUndefined();
    if (a === undefined || b === undefined) throw new Error('no peers');
    const alerts = new Map<string, AlertKind>([
      [a.self, 'refused'],
      [b.self, 'silent'],
    ]);
    expect(decodeReport(a, encodeReport(a, alerts))).toEqual(alerts);
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => decodeReport(a, bytes) === undefined || true));
    expect(decodeReport(a, new Uint8Array([0x82, 2, 0x80]))).toBeUndefined();
  });
});
