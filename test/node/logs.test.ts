// Following logs as they are really written: rotated, truncated, in halves, in megabytes, in no encoding at all.
import { appendFileSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Actuator } from '../../node/ports/actuator.ts';
import type { Sensors } from '../../node/ports/sensors.ts';
import { LogFollower } from '../../node/telemetry/adapters/log-follower.ts';
import { DeclaredReader, NOTHING_DECLARED } from '../../node/telemetry/declared.ts';
import { LogGrowth } from '../../node/telemetry/log-growth.ts';
import { ClockOffsets } from '../../swarm/state/clock-offsets.ts';

let place: string;
let log: string;
let follower: LogFollower;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'kalos-log-'));
  log = join(place, 'app.log');
  follower = new LogFollower();
  writeFileSync(log, 'history\n');
  expect(lines()).toEqual([]);
});
afterEach(() => rmSync(place, { recursive: true }));

function lines(): string[] {
  const read = follower.newLines(log);
  if (!read.ok) throw new Error(read.reason);
  return read.lines;
}

describe('a log', () => {
  it('is begun at its end, and read line by line as it grows, a half line once it is whole', () => {
    appendFileSync(log, 'one\ntw');
    expect(lines()).toEqual(['one']);
    appendFileSync(log, 'o\nthree\n');
    expect(lines()).toEqual(['two', 'three']);
    expect(lines()).toEqual([]);
  });

  it('that is rotated by renaming loses nothing', () => {
    appendFileSync(log, 'before\n');
    renameSync(log, `${log}.1`);
    writeFileSync(log, 'after\n');
    expect(lines()).toEqual(['before', 'after']);
    appendFileSync(log, 'more\n');
    expect(lines()).toEqual(['more']);
  });

  it('that is truncated is read from its beginning', () => {
    appendFileSync(log, 'a line that is long enough\n');
    lines();
    truncateSync(log);
    appendFileSync(log, 'new\n');
    expect(lines()).toEqual(['new']);
  });

  it('may hold lines of a megabyte, of which the beginning is kept, and bytes of no encoding', () => {
    appendFileSync(log, `${'x'.repeat(3_000_000)}\nshort\n`);
    const all = [...lines(), ...lines(), ...lines(), ...lines()];
    expect(all.map((line) => line.length)).toEqual([4_096, 5]);
    appendFileSync(log, Buffer.from([0xff, 0xfe, 0x00, 0x41, 0x0a]));
    expect(lines()).toEqual(['ÿþA']); // NULs are left out, and what is no UTF-8 is Latin-1
  });

  it('that is far ahead is skipped to where it is now, and says so', () => {
    appendFileSync(log, `${'y'.repeat(99)}\n`.repeat(200_000));
    const read = follower.newLines(log);
    expect(read).toMatchObject({ ok: true, skippedBytes: 20_000_000 - 1024 * 1024 });
  });

  it('that is not there is unknown, with the reason; once it is, it is read from its beginning', () => {
    const late = join(place, 'late.log');
    expect(follower.newLines(late)).toEqual({ ok: false, reason: 'there is no such file' });
    writeFileSync(late, 'first\n');
    expect(follower.newLines(late)).toMatchObject({ ok: true, lines: ['first'] });
  });

  it('with an alert shows what matched for a while, however often it is looked at', async () => {
    let [nowMs, wallMs] = [1_000, 1_700_000_000_000];
    const actuator = { read: async () => ({ ok: true, value: [log, 'file', 1, 0o644, 0, 0, 0, 1, 1] }) } as unknown as Actuator;
    const sensors = {
      newLines: async (path: string, pattern: string) => {
        const read = follower.newLines(path);
        const all = read.ok ? read.lines : [];
        return { ok: true, lines: all.length, matching: all.filter((line) => new RegExp(pattern).test(line)), skippedBytes: 0 };
      },
    } as unknown as Sensors;
    const crypto = { hash: (bytes: Uint8Array) => bytes, certificateEndMs: () => undefined, certificateNames: () => [] };
    const declared = {
      ...NOTHING_DECLARED,
      logs: [{ path: log, maxBytes: 1e6, keep: 3, reload: undefined, alert: 'ERROR|panic' }],
    };
    const reader = new DeclaredReader(declared, {
      actuator,
      sensors,
      crypto,
      clock: { monotonicMs: () => nowMs, wallMs: () => wallMs },
    });
    const look = async () => (await reader.look()).views[0]?.fields;
    appendFileSync(log, 'fine\nERROR one\nkernel panic two\n');
    expect(await look()).toMatchObject({ lines: 3, matches: 2, last_match: 'kernel panic two' });
    nowMs += 5_000;
    wallMs -= 7_200_000; // the clock is set meanwhile: back, and then forth
    expect(await look()).toMatchObject({ lines: 0, matches: 2 });
    nowMs += 4_000;
    wallMs += 90_000_000;
    expect(await look()).toMatchObject({ lines: 0, matches: 2 });
    nowMs += 2_000;
    expect(await look()).toMatchObject({ matches: 0, last_match: '' });
  });
});

describe('the offset of a clock', () => {
  it('is known at once when its own clock is set', () => {
    const clocks = new ClockOffsets();
    for (const peer of ['a', 'b', 'c']) clocks.heard(peer, 1_000_000, 1_000);
    expect(clocks.behindMs(545_000, 1_000)).toBe(455_000);
    expect(clocks.behindMs(1_000_500, 1_500)).toBe(0); // it was set right: what was heard before still holds
    expect(clocks.behindMs(1_000_500 - 73 * 3_600_000, 1_500)).toBe(73 * 3_600_000);
  });

  it('is not off by what made its peers’ words late', () => {
    const clocks = new ClockOffsets();
    for (const peer of ['a', 'b', 'c']) clocks.heard(peer, 1_000_000, 1_000, { byMs: 5_000, ourMs: 1_004_000 });
    expect(clocks.behindMs(1_004_000, 1_000)).toBe(0);
    const ahead = new ClockOffsets();
    for (const peer of ['a', 'b', 'c']) ahead.heard(peer, 1_000_000, 1_000, { byMs: 5_000, ourMs: 1_030_000 });
    expect(ahead.behindMs(1_030_000, 1_000)).toBe(-25_000);
    const behind = new ClockOffsets();
    for (const peer of ['a', 'b', 'c']) behind.heard(peer, 1_030_000, 1_000, { byMs: 5_000, ourMs: 1_000_000 });
    expect(behind.behindMs(1_000_000, 1_000)).toBe(30_000);
  });

  it('is the median of the peers’ nearest statuses; with one peer nobody knows who is off', () => {
    const clocks = new ClockOffsets();
    clocks.heard('a', 5_000, 0);
    expect(clocks.behindMs(0, 0)).toBeUndefined();
    clocks.heard('a', 6_100, 2_000); // it was on its way for 0.9 s
    clocks.heard('b', 5_050, 0);
    clocks.heard('c', -90_000, 0); // a clock that is off itself
    expect(clocks.behindMs(2_000, 2_000)).toBe(5_000);
    clocks.forget('c');
    expect(clocks.behindMs(12_000, 12_000)).toBe(5_025); // it is made again every ten seconds
    expect(clocks.behindMs(100_000, 100_000)).toBeUndefined();
  });

  it('makes the swarm’s time of this clock: by most, its own among them, and one that lies moves nothing', () => {
    const correction = (ownMs: number, ...theirs: number[]): number => {
      const clocks = new ClockOffsets();
      for (const [i, theirMs] of theirs.entries()) clocks.heard(`${i}`, theirMs, 0);
      return clocks.correctionMs(ownMs, 0);
    };
    const day = 86_400_000;
    expect(correction(day)).toBe(0);
    expect(correction(day, 3 * day)).toBe(0); // nobody knows which of the two is off
    expect(correction(day, day, 9 * day)).toBe(0);
    expect(correction(day, 4 * day, 4 * day)).toBe(3 * day);
    expect(correction(4 * day, day, day, day)).toBe(-3 * day);
    expect(correction(day, day + 1_500, day + 1_500)).toBe(0);
  });
});

describe('the growth of a log', () => {
  const KIB = 1024;
  /** Looks every two seconds; `perS` bytes are written into the log of that moment. */
  function run(seconds: readonly number[], { rotatedAt = [] as number[], reopens = true } = {}) {
    const growth = new LogGrowth(100 * KIB); // a flood from 1 KiB a second on
    let [current, old] = [{ inode: 1, sizeBytes: 0 }, undefined as { inode: number; sizeBytes: number } | undefined];
    return seconds.map((perS, i) => {
      if (rotatedAt.includes(i)) [current, old] = [{ inode: current.inode + 1, sizeBytes: 0 }, current];
      const into = reopens || old === undefined ? current : old;
      into.sizeBytes += perS * 2;
      return growth.look({ ...current }, old && { ...old }, i * 2_000);
    });
  }

  it('is a flood where it goes on without a break, and over once it has calmed', () => {
    const looks = run([0, ...Array.from({ length: 8 }, () => 5 * KIB), ...Array.from({ length: 8 }, () => 10)]);
    expect(looks.findIndex(({ flooding }) => flooding)).toBe(4); // eight seconds
    expect(looks.at(-1)).toMatchObject({ flooding: false, floods: 1 });
  });

  it('is none after a burst, however large, nor where it is slow', () => {
    expect(run([0, 0, 5_000 * KIB, 0, 0, 0, 900, 900, 900, 900, 900]).some(({ flooding }) => flooding)).toBe(false);
  });

  it('counts what is written to the log that was rotated away, which whoever did not open the new one goes on with', () => {
    const seconds = [0, ...Array.from({ length: 12 }, () => 5 * KIB)];
    const looks = run(seconds, { rotatedAt: [7], reopens: false });
    expect(looks.at(-1)).toMatchObject({ flooding: true });
    expect(looks.at(-1)?.sizeBytes).toBe(12 * 10 * KIB);
    expect(run(seconds, { rotatedAt: [7] }).at(-1)?.sizeBytes).toBe(6 * 10 * KIB);
  });

  it('that comes back is counted', () => {
    const flood = [...Array.from({ length: 7 }, () => 5 * KIB), ...Array.from({ length: 6 }, () => 0)];
    expect(run([0, ...flood, ...flood, ...flood]).at(-1)).toMatchObject({ flooding: false, floods: 3 });
  });
});
