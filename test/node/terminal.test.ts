// What is printed for people: tables that fit the terminal, and times in one form for each audience. In this process, without an agent.
import { afterEach, describe, expect, it } from 'vitest';
import { parseSpan } from '../../bin/options.ts';
import { csvLine } from '../../node/cli/data.ts';
import { shortened, table, widthOfText } from '../../node/cli/output.ts';
import { duration, exactly, iso, localTimes, Moment, readable, when, withMoments } from '../../node/cli/times.ts';
import { TABLES } from '../../node/query/catalogue/catalogue.ts';

const AT_MS = Date.UTC(2026, 10, 30, 12, 4, 5, 678);
const zone = process.env.TZ;
afterEach(() => {
  if (zone === undefined) delete process.env.TZ;
  else process.env.TZ = zone;
});

const HEADERS = ['id', 'opened', 'cpu', 'what'];
const ROWS = [
  ['inc-0123456789', new Moment(AT_MS), 0.5, 'the file system 日本語 is nearly full: 設定ファイルを確認してください'],
  ['inc-1', new Moment(AT_MS), 12, 'short'],
  ['inc-2', null, 3, '👩‍👩‍👧 e\u0301tat'],
];
const widest = (text: string): number => Math.max(...text.split('\n').map(widthOfText));

describe('a table', () => {
  it('is never wider than the terminal, whatever it holds, and keeps its first column', () => {
    const wide = Array.from({ length: 30 }, (_, i) => `column-${i}`);
    const rows = [wide.map((name, i) => (i % 3 === 0 ? i * 1e9 : name.repeat(3)))];
    for (let width = 1; width <= 130; width++) {
      for (const text of [table(HEADERS, ROWS, width), table(wide, rows, width), table(['a'], [['日'.repeat(40)]], width)])
        expect([width, widest(text)]).toEqual([width, Math.min(width, widest(text))]);
    }
    expect(table(HEADERS, ROWS, 60).split('\n')[1]).toMatch(/^inc-0123456789 {2}20\d\d-/);
  });

  it('shortens text from the last column on, with an ellipsis, and no numbers', () => {
    const lines = table(['name', 'figure', 'why'], [['first-name', 123_456_789, 'because of this and that']], 40).split('\n');
    expect(lines[1]).toBe('first-name  123456789  because of this …');
  });

  it('says that columns are left out where nothing else helps', () => {
    const headers = ['a', 'b', 'c', 'd'];
    const text = table(headers, [[1e14, 2e14, 3e14, 4e14]], 40);
    expect(text.split('\n')[0]).toMatch(/A +B +…$/);
    expect(text).toContain('100000000000000  200000000000000  …');
  });

  it('is as wide as it is where nothing bounds it, and where there is room', () => {
    expect(table(HEADERS, ROWS, undefined)).toBe(table(HEADERS, ROWS, 1_000));
    expect(table(HEADERS, ROWS, undefined)).toContain('設定ファイルを確認してください');
  });

  it('counts what takes two columns, and what takes none', () => {
    expect(['abc', '日本', 'e\u0301', '👩‍👩‍👧', '…', 'ｱ', 'Ａ', '한국'].map(widthOfText)).toEqual([3, 4, 1, 2, 1, 1, 2, 4]);
    expect([shortened('日本語', 5), shortened('日本語', 6), shortened('日本語', 4), shortened('ab', 1)]).toEqual([
      '日本…',
      '日本語',
      '日…',
      '…',
    ]);
  });
});

describe('a moment', () => {
  it('is local for people and ISO 8601 in UTC with ms for programs', () => {
    for (const [name, local] of [
      ['UTC', '2026-11-30 12:04:05'],
      ['Asia/Tokyo', '2026-11-30 21:04:05'],
      ['America/St_Johns', '2026-11-30 08:34:05'],
    ] as const) {
      process.env.TZ = name;
      expect([when(AT_MS), String(new Moment(AT_MS)), iso(AT_MS)]).toEqual([local, local, '2026-11-30T12:04:05.678Z']);
      expect(table(['at'], [[new Moment(AT_MS)]], 80)).toContain(local);
      expect(csvLine([new Moment(AT_MS), new Moment(AT_MS, '3 s ago')])).toBe(
        '2026-11-30T12:04:05.678Z,2026-11-30T12:04:05.678Z\n',
      );
      expect(localTimes('ends 2026-11-30T12:04:05.678Z, at last')).toBe(`ends ${local}, at last`);
    }
  });

  it('of another machine may be any number: one that cannot be dated is unknown, and hides nothing beside it', () => {
    for (const ms of [1e300, -1e300, 8.64e15 + 1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect([when(ms), String(new Moment(ms))]).toEqual(['unknown', 'unknown']);
      expect(JSON.stringify([new Moment(ms), 1])).toBe('[null,1]');
      expect(csvLine([new Moment(ms), 1])).toBe(',1\n');
    }
  });

  it('stands in data for programs beside the ms that were there before; a duration does not', () => {
    const data = {
      atMs: AT_MS,
      uptimeMs: 86_400_000,
      closedMs: 0,
      rows: [{ opened_ms: AT_MS, untilMs: null }],
      sinceMs: AT_MS,
      since: 'here already',
    };
    const at = iso(AT_MS);
    expect(withMoments(data)).toEqual({ ...data, at, rows: [{ ...data.rows[0], opened: at }] });
  });
});

describe('a duration', () => {
  it('is in words with its unit', () => {
    expect([500, 1_500, 5_000, 90_000, 600_000, 5_400_000, 7_200_000].map(exactly)).toEqual([
      '500 ms',
      '1.5 s',
      '5 s',
      '90 s',
      '10 min',
      '90 min',
      '2 h',
    ]);
    expect([-5, 59_400, 61_000, 7_260_000, 90_000_000].map(duration)).toEqual([
      '0 s',
      '59 s',
      '1 min 1 s',
      '2 h 1 min',
      '1 d 1 h',
    ]);
    expect([readable('withinMs', 600_000), readable('untilMs', AT_MS), readable('uses', 3)]).toEqual([
      ['within', '10 min'],
      ['until', when(AT_MS)],
      ['uses', '3'],
    ]);
  });

  it('is given in any unit, or in several', () => {
    const cases: [string, number | undefined][] = [
      ['500ms', 500],
      ['5s', 5_000],
      ['5 s', 5_000],
      ['2m', 120_000],
      ['10 min', 600_000],
      ['1h30m', 5_400_000],
      ['1.5h', 5_400_000],
      ['2d', 172_800_000],
      ['5', 5_000],
      ['', undefined],
      ['5x', undefined],
      ['s', undefined],
      ['1h-30m', undefined],
      ['1h 30m x', undefined],
    ];
    expect(cases.map(([text]) => [text, parseSpan(text, 1_000)])).toEqual(cases);
    expect(parseSpan('3', 3_600_000)).toBe(10_800_000);
  });

  it('has its unit in the name of its column, or in what is said of it', () => {
    const timed = TABLES.flatMap(({ name, columns }) => columns.map((column) => ({ ...column, table: name }))).filter(
      ({ name, type }) => type !== 'TEXT' && /time$|age$|since|until|expires|_from$|took|opened|closed|_ms$|_s$|heard/.test(name),
    );
    expect(timed.length).toBeGreaterThan(25);
    const without = timed.filter(
      ({ name, description }) => !/_(ms|s|us)$/.test(name) && !/\bin (s|ms)\b|^ms |microseconds|second/.test(description),
    );
    expect(without.map(({ table: of, name, description }) => `${of}.${name}: ${description}`)).toEqual([]);
  });
});
