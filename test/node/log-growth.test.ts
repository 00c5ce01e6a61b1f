// How fast a log grows, to the byte and the second: what counts as growth over rotations, and when it is a flood.
import { describe, expect, it } from 'vitest';
import { LogGrowth } from '../../node/telemetry/log-growth.ts';

/** Flooding is more than 100 bytes a second. */
const growing = () => new LogGrowth(10_000);
const part = (inode: number, sizeBytes: number) => ({ inode, sizeBytes });

describe('the growth of a log', () => {
  it('is over the last eight seconds, and nothing at first', () => {
    const log = growing();
    const rates = Array.from(
      { length: 12 },
      (_, s) => log.look(part(1, s < 6 ? 0 : (s - 5) * 80), undefined, s * 1_000).bytesPerS,
    );
    expect(rates).toEqual(
      [0, 0, 0, 0, 0, 0, 80 / 6, 160 / 7, 30, 320 / 8, 400 / 8, 480 / 8].map((rate) => expect.closeTo(rate, 6)),
    );
  });

  it('takes no looks that come sooner than most of a second', () => {
    const log = growing();
    log.look(part(1, 0), undefined, 0);
    expect(log.look(part(1, 500), undefined, 899).bytesPerS).toBe(0);
    expect(log.look(part(1, 900), undefined, 900).bytesPerS).toBe(1_000);
  });

  it('counts what was rotated away, a log that is new, and one that was cut off', () => {
    const log = growing();
    const rate = (current: ReturnType<typeof part>, rotated: ReturnType<typeof part> | undefined, s: number) =>
      log.look(current, rotated, s * 1_000);
    rate(part(1, 1_000), undefined, 0);
    // Renamed, and still written to; the new one began.
    expect(rate(part(2, 50), part(1, 1_100), 1)).toMatchObject({ bytesPerS: 150, sizeBytes: 1_150 });
    expect(rate(part(2, 60), part(1, 1_100), 2)).toMatchObject({ bytesPerS: 80, sizeBytes: 60 });
    // Cut off: what is in it now is new.
    expect(rate(part(2, 20), part(1, 1_100), 3).bytesPerS).toBe(60);
    // What became smaller, and is not the log itself, has not grown.
    expect(rate(part(2, 20), part(1, 500), 4).bytesPerS).toBe(45);
    // Another old one is no growth.
    expect(rate(part(2, 20), part(9, 9_000), 5).bytesPerS).toBe(36);
    expect(rate(part(2, 20), undefined, 6).bytesPerS).toBe(30);
  });
});

describe('a flood', () => {
  const flood = (perS: (s: number) => number, seconds: number) => {
    const log = growing();
    let size = 0;
    return Array.from({ length: seconds }, (_, s) => {
      size += perS(s);
      return log.look(part(1, size), undefined, s * 1_000);
    });
  };
  const begins = (looks: ReturnType<typeof flood>) => looks.findIndex(({ flooding }) => flooding);

  it('is growth without a break, faster than rotations keep up with, for most of the time that is looked at', () => {
    expect(begins(flood(() => 101, 12))).toBe(6);
    expect(begins(flood(() => 100, 30))).toBe(-1);
    expect(begins(flood((s) => (s % 5 === 0 ? 0 : 1_000), 30))).toBe(-1); // bursts
    expect(flood(() => 101, 12).at(-1)?.floods).toBe(1);
  });

  it('lasts while the mean is still above, and is remembered for ten minutes', () => {
    const looks = flood((s) => (s < 10 ? 200 : 0), 20);
    expect(looks.map(({ flooding }) => flooding).lastIndexOf(true)).toBe(12);
    const log = growing();
    let size = 0;
    let seen = { floods: 0 };
    for (let s = 0; s < 700; s++) {
      size += s < 10 || (s >= 100 && s < 110) ? 200 : 0;
      seen = log.look(part(1, size), undefined, s * 1_000);
      if (s === 50) expect(seen.floods).toBe(1);
      if (s === 120) expect(seen.floods).toBe(2);
      if (s === 606) expect(seen.floods).toBe(1);
    }
    expect(seen.floods).toBe(1);
  });
});
