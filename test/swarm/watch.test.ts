// How one observer watches one member: when it probes, how long it waits, when it says something, and when it takes that back.
import { describe, expect, it } from 'vitest';
import { Watch } from '../../swarm/membership/watch.ts';

/** A watch that is probed whenever it is due; `answersAfter`: undefined where there is no answer. */
class Probed {
  readonly watch = new Watch(0);
  readonly probes: number[] = [];
  nowMs = 0;
  #token = 0;

  /** Up to a time. */
  run(untilMs: number, answersAfter: number | undefined): this {
    while (this.watch.dueMs <= untilMs) {
      this.nowMs = Math.max(this.nowMs, this.watch.dueMs);
      if (this.watch.isAwaiting) {
        this.watch.missed(this.nowMs);
        continue;
      }
      this.probes.push(this.nowMs);
      this.watch.sent(++this.#token, this.nowMs);
      if (answersAfter === undefined || this.nowMs + answersAfter >= this.watch.dueMs) continue;
      this.nowMs += answersAfter;
      this.watch.answered(this.#token, this.nowMs);
    }
    this.nowMs = Math.max(this.nowMs, untilMs);
    return this;
  }
  get gaps(): number[] {
    return this.probes.slice(1).map((at, nth) => at - (this.probes[nth] ?? 0));
  }
}

describe('a watch', () => {
  it('measures round trips as TCP does, and forgets no loss of the last thirty-two', () => {
    const watch = new Watch(0);
    expect([watch.roundTrips.rttMs, watch.roundTrips.losses]).toEqual([undefined, { probes: 0, share: 0 }]);
    for (const [nth, rtt] of [100, 200, 20].entries()) {
      watch.sent(nth, nth * 1_000);
      watch.answered(nth, nth * 1_000 + rtt);
    }
    expect(watch.roundTrips.rttMs).toBeCloseTo(100 + 100 / 8 + (20 - 112.5) / 8, 9);
    for (let nth = 10; nth < 50; nth++) {
      watch.sent(nth, nth * 1_000);
      if (nth % 4 === 0) watch.missed(nth * 1_000 + 500);
      else watch.answered(nth, nth * 1_000 + 10);
      if (nth === 12) expect(watch.roundTrips.losses).toEqual({ probes: 6, share: 1 / 6 });
    }
    expect(watch.roundTrips.losses).toEqual({ probes: 32, share: 8 / 32 });
    watch.connected(50_000);
    expect(watch.roundTrips.losses.probes).toBe(0);
  });

  it('knows a late answer by its token, of the last four, and no other', () => {
    const watch = new Watch(0);
    for (let token = 1; token <= 5; token++) {
      watch.sent(token, token * 100);
      watch.missed(token * 100 + 50);
    }
    expect([watch.answered(1, 1_000), watch.roundTrips.rttMs]).toEqual([false, undefined]);
    watch.answered(2, 1_000);
    expect(watch.roundTrips.rttMs).toBe(800);
    expect(watch.answered(3, 1_000)).toBe(false);
    expect(watch.roundTrips.rttMs).toBe(800);
  });

  it('says that one is silent after two probes without an answer, asked at once again', () => {
    const probed = new Probed().run(20_000, 10);
    const [every = 0] = probed.gaps;
    expect(new Set(probed.gaps)).toEqual(new Set([every]));
    const last = probed.probes.at(-1) ?? 0;
    probed.run(last + every + 60_000, undefined);
    expect(probed.watch.alert.kind).toBe('silent');
    const [first = 0, second = 0, third = 0] = probed.probes.filter((at) => at > last);
    expect(second - first).toBeLessThan(every);
    expect(third - second).toBeGreaterThanOrEqual(second - first);
    const gaps = probed.gaps;
    expect(gaps.at(-1)).toBeGreaterThan(gaps.at(-20) ?? gaps[gaps.length - 5] ?? 0); // later more seldom
  });

  it('says once that it is silent, and that nobody listens over that, not the other way round', () => {
    const watch = new Watch(0);
    expect([
      watch.raise('silent', 0),
      watch.raise('silent', 1),
      watch.raise('refused', 2),
      watch.raise('silent', 3),
      watch.alert.kind,
    ]).toEqual([true, false, true, false, 'refused']);
    expect([watch.connected(10), watch.alert.kind, watch.isCalm]).toEqual([true, undefined, true]);
    watch.raise('silent', 20);
    expect([watch.connected(30), watch.alert.kind]).toEqual([false, 'silent']);
  });

  /** Silent for so long, then it answers. @returns after how many answers, and after how long, that is taken back */
  const back = (
    watch: Watch,
    fromMs: number,
    silentMs: number,
  ): { answers: number; ms: number; kinds: (string | undefined)[] } => {
    watch.raise('silent', fromMs);
    const beginMs = fromMs + silentMs;
    const kinds: (string | undefined)[] = [];
    let [answers, nowMs] = [0, beginMs];
    while (watch.alert.kind !== undefined && answers < 1_000) {
      watch.sent(answers + 1, nowMs);
      nowMs += 10;
      watch.answered(++answers, nowMs);
      if (kinds.at(-1) !== watch.alert.kind) kinds.push(watch.alert.kind);
      nowMs = Math.max(nowMs, watch.dueMs);
    }
    return { answers, ms: nowMs - beginMs, kinds };
  };

  it('takes a short one back after three answers, and after twice as many each time again', () => {
    const watch = new Watch(0);
    const answers = [0, 1, 2, 3, 4, 5].map((nth) => back(watch, nth * 60_000, 1_000).answers);
    expect(answers).toEqual([3, 6, 12, 24, 48, 50]);
    expect(back(watch, 5 * 60_000 + 700_000, 1_000).answers).toBe(3); // ten minutes later that is forgotten
  });

  it('takes a long one back after five seconds of answers, ten, and twenty at most, and calls it flapping meanwhile', () => {
    const watch = new Watch(0);
    const all = [0, 1, 2, 3].map((nth) => back(watch, nth * 100_000, 5_000));
    for (const [nth, atLeastMs] of [5_000, 10_000, 20_000, 20_000].entries()) {
      expect(all[nth]?.ms).toBeGreaterThanOrEqual(atLeastMs);
      expect(all[nth]?.ms).toBeLessThan(atLeastMs + 2_500);
    }
    expect(all[0]?.kinds).toEqual(['silent', 'flapping', undefined]);
    expect(back(new Watch(0), 0, 4_980).answers).toBe(3);
  });

  it('does not probe whom it hears, unless it doubts it, or it has not had a round trip for long', () => {
    const watch = new Watch(0);
    watch.sent(1, 0);
    watch.answered(1, 10);
    const every = watch.dueMs - 10;
    watch.heard(500);
    expect(watch.dueMs).toBe(500 + every);
    watch.heard(10 + 3 * every);
    expect(watch.dueMs).toBe(10 + 2 * every);
    watch.raise('silent', 50_000);
    const due = watch.dueMs;
    watch.heard(50_001);
    expect(watch.dueMs).toBe(due);
    watch.stretch(700);
    expect(watch.dueMs).toBe(due + 700);
  });
});
