// What the command line prints, character by character: tables, sizes, bars, and the forms for programs.
import { describe, expect, it } from 'vitest';
import { csvLine, printRows, printWhole, yaml } from '../../node/cli/data.ts';
import { exitsOf, exitsText, unknownExits } from '../../node/cli/exit-codes.ts';
import { bytes, type Format, printable, printableJson, shortened, sparkline, table } from '../../node/cli/output.ts';
import { duration, exactly, localTimes, Moment, moment, readable, when, withMoments } from '../../node/cli/times.ts';
import { fakeAgent } from '../support/fake-agent.ts';

const agent = fakeAgent();
const AT_MS = Date.UTC(2026, 10, 30, 12, 4, 5, 678);
const AT = '2026-11-30T12:04:05.678Z';
const printed = async (print: () => void): Promise<string> =>
  (
    await agent.run(() => {
      print();
      return 0;
    })
  ).out;

describe('a table', () => {
  it('has numbers to the right, text to the left, and a dash for nothing', () => {
    const rows = [
      ['a', 1, 1.23456, null],
      ['long\tname\n', 100, 12_345.678, undefined],
    ];
    expect(table(['name', 'n', 'figure', 'x'], rows).split('\n')).toEqual([
      'NAME          N  FIGURE  X',
      'a             1   1.235  -',
      'long name   100   12350  -',
    ]);
    expect(table(['n'], [[1], [null]])).toBe('N\n1\n-');
    expect(table(['name', 'n'], [])).toBe('NAME  N');
    expect(
      table(
        ['figure', 'after'],
        [
          [5, ''],
          ['x', 'y'],
        ],
      ),
    ).toBe('FIGURE  AFTER\n5\nx       y');
  });

  it('shortens the last text to its least before the one before it, and then leaves columns out', () => {
    const row = ['a'.repeat(20), 'b'.repeat(20), 12_345];
    const at = (width: number): string | undefined => table(['one', 'two', 'n'], [row], width).split('\n')[1];
    expect([49, 48, 45, 44, 41, 40, 36, 30, 26, 24, 22, 21].map((width) => [width, at(width)])).toEqual([
      [49, `${'a'.repeat(20)}  ${'b'.repeat(20)}  12345`],
      [48, `${'a'.repeat(20)}  ${'b'.repeat(18)}…  12345`],
      [45, `${'a'.repeat(20)}  ${'b'.repeat(15)}…  12345`],
      [44, `${'a'.repeat(18)}…  ${'b'.repeat(15)}…  12345`],
      [41, `${'a'.repeat(15)}…  ${'b'.repeat(15)}…  12345`],
      [40, `${'a'.repeat(15)}…  ${'b'.repeat(14)}…  12345`],
      [36, `${'a'.repeat(15)}…  ${'b'.repeat(10)}…  12345`],
      [30, `${'a'.repeat(10)}…  ${'b'.repeat(9)}…  12345`],
      [26, `${'a'.repeat(9)}…  ${'b'.repeat(6)}…  12345`],
      [24, `${'a'.repeat(8)}…  ${'b'.repeat(5)}…  12345`],
      [22, `${'a'.repeat(6)}…  ${'b'.repeat(5)}…  12345`],
      [21, `${'a'.repeat(5)}…  ${'b'.repeat(5)}…  12345`],
    ]);
  });
});

describe('a table that does not fit', () => {
  const [one, two, three] = [111_111_111_111_111, 222_222_222_222_222, 333_333_333_333_333]; // 15 digits each
  const row = (cells: unknown[], width: number): string | undefined =>
    table(
      cells.map((_, nth) => 'abcd'[nth] ?? ''),
      [cells],
      width,
    ).split('\n')[1];

  it('leaves numbers out whole, the last first, with a mark that has room of its own; the first column stays', () => {
    expect([50, 49, 48, 35, 34, 18, 17].map((width) => row([one, two, three], width))).toEqual([
      `${one}  ${two}  ${three}`,
      `${one}  ${two}  ${three}`,
      `${one}  ${two}  …`,
      `${one}  ${two}  …`,
      `${one}  …`,
      `${one}  …`,
      `${one} …`.slice(0, 17),
    ]);
  });

  it('gives the room of what was left out to the first texts, as much as they need', () => {
    const [a, b] = ['a'.repeat(20), 'b'.repeat(20)];
    expect(row([a, one, two], 30)).toBe(`${'a'.repeat(9)}…  ${one}  …`);
    expect(row([a, b, one, two], 40)).toBe(`${'a'.repeat(11)}…  ${'b'.repeat(5)}…  ${one}  …`);
    expect(row(['a'.repeat(8), b, one, two], 47)).toBe(`${'a'.repeat(8)}  ${'b'.repeat(16)}…  ${one}  …`);
  });

  it('shortens headers as texts where there are no rows', () => {
    const headers = ['a'.repeat(20), 'b'.repeat(20)];
    expect(table(headers, [], 30)).toBe(`${'A'.repeat(15)}…  ${'B'.repeat(11)}…`);
    expect(table(headers, [[1, null]], 30).split('\n')[0]).toBe(`${'A'.repeat(20)}  …`);
  });
});

describe('a text', () => {
  it('holds nothing that a terminal obeys', () => {
    const obeyed = [
      '\u0000',
      '\u0008',
      '\u000b',
      '\u001b',
      '\u007f',
      '\u009f',
      '\u061c',
      '\u200e',
      '\u202e',
      '\u2066',
      '\u2069',
      '\ufeff',
    ];
    expect(obeyed.map(printable).join('')).toBe('�'.repeat(obeyed.length));
    expect(['\t', '\n', ' ', 'é', '日', '\u00a0'].map(printable)).toEqual(['\t', '\n', ' ', 'é', '日', '\u00a0']);
    expect(printableJson('a\u001b[2J\u202e')).toBe('a\\u001b[2J\\u202e');
  });

  it('is cut to a width with an ellipsis', () => {
    expect([0, 1, 2, 3, 4].map((width) => shortened('abc', width))).toEqual(['', '…', 'a…', 'abc', 'abc']);
  });
});

describe('a size', () => {
  it.each([
    [0, '0 B'],
    [1_023, '1023 B'],
    [1_024, '1.0 KiB'],
    [1_536, '1.5 KiB'],
    [102_348, '99.9 KiB'],
    [102_400, '100 KiB'],
    [1_048_575, '1024 KiB'],
    [1_048_576, '1.0 MiB'],
    [5 * 1_024 ** 3, '5.0 GiB'],
    [5 * 1_024 ** 4, '5.0 TiB'],
    [5_000 * 1_024 ** 4, '5000 TiB'],
  ])('of %i bytes is %s', (value, text) => {
    expect(bytes(value)).toBe(text);
  });

  it('is drawn as bars, the highest full where nothing else is', () => {
    expect(sparkline([0, 1, 2, 3, 4, 5, 6, 7, 8])).toBe('▁▂▃▄▅▆▇██');
    expect([sparkline([-1, 9], 3, 8), sparkline([0, 0]), sparkline([4], 1, 8)]).toEqual([' ▁█', '▁▁', '▅']);
  });
});

describe('a form for programs', () => {
  const rows = { headers: ['a', 'b'], rows: [['x', 'y']], data: { all: [{ untilMs: AT_MS }] } };
  const wide = { headers: ['a', 'b', 'c'], rows: [['x', 'y', 'z']] };

  it.each<[Format, string]>([
    ['table', 'A  B\nx  y\n'],
    ['wide', 'A  B  C\nx  y  z\n'],
    ['csv', 'a,b,c\nx,y,z\n'],
    ['yaml', `outputVersion: 1\nall:\n  - untilMs: ${AT_MS}\n    until: ${AT}\n`],
    ['json', `${JSON.stringify({ outputVersion: 1, all: [{ untilMs: AT_MS, until: AT }] }, null, 2)}\n`],
  ])('of a list is, as %s, whole', async (format, text) => {
    expect(await printed(() => printRows(format, { ...rows, wide }))).toBe(text);
  });

  it('of a list without more columns is the same, wide and as CSV', async () => {
    expect(await printed(() => printRows('wide', rows))).toBe('A  B\nx  y\n');
    expect(await printed(() => printRows('csv', rows))).toBe('a,b\nx,y\n');
  });

  it('of what is no list is its words, or a line for each value', async () => {
    const data = { a: 1, b: { c: [true, null], d: {}, e: undefined }, untilMs: AT_MS };
    const print = (format: Format) => printed(() => printWhole(format, data, () => 'words'));
    expect([await print('table'), await print('wide')]).toEqual(['words\n', 'words\n']);
    expect(await print('csv')).toBe(`key,value\na,1\nb.c.0,true\nb.c.1,\nb.d,{}\nuntilMs,${AT_MS}\nuntil,${AT}\n`);
    expect(await printed(() => printWhole('csv', {}, () => ''))).toBe('key,value\n');
    expect(JSON.parse(await print('json'))).toEqual({
      outputVersion: 1,
      a: 1,
      b: { c: [true, null], d: {} },
      untilMs: AT_MS,
      until: AT,
    });
    expect(await printed(() => printWhole('json', { a: '\u001b' }, () => ''))).toContain('"\\u001b"');
    expect(yaml({ a: [1] })).toBe('a:\n  - 1\n');
  });

  it('of a line of CSV quotes what must be', () => {
    const row = ['a,b', 'say "x"', 'one\ntwo', 'a\rb', 'plain', null, undefined, 1.5, { a: 1 }, false];
    expect(csvLine(row)).toBe('"a,b","say ""x""","one\ntwo","a\rb",plain,,,1.5,"{""a"":1}",false\n');
  });
});

describe('a time', () => {
  it('is an age in its two largest units', () => {
    const s = 1_000;
    expect([499, 500, 59_499, 59_500, 60 * s, 3_599 * s, 3_600 * s, 86_399 * s, 86_400 * s, 200_000 * s].map(duration)).toEqual([
      ...['0 s', '1 s', '59 s', '1 min 0 s', '1 min 0 s', '59 min 59 s'],
      ...['1 h 0 min', '23 h 59 min', '1 d 0 h', '2 d 7 h'],
    ]);
    expect([999, 1_000, 60_000, 61_000, 3_600_000, 3_660_000, 86_400_000, 90_000_000, 2_592_000_000].map(exactly)).toEqual([
      '999 ms',
      '1 s',
      '1 min',
      '61 s',
      '1 h',
      '61 min',
      '1 d',
      '25 h',
      '30 d',
    ]);
  });

  it('is a moment from September 2001 to what can be dated; anything else is no moment', () => {
    const of = (value: unknown) => withMoments({ untilMs: value });
    expect(of(1e12)).toEqual({ untilMs: 1e12, until: '2001-09-09T01:46:40.000Z' });
    expect([of(1e12 - 1), of(8.64e15 + 1), of('1e12')]).toEqual([
      { untilMs: 1e12 - 1 },
      { untilMs: 8.64e15 + 1 },
      { untilMs: '1e12' },
    ]);
    expect(of(8.64e15)).toEqual({ untilMs: 8.64e15, until: '+275760-09-13T00:00:00.000Z' });
    expect(withMoments({ ms: AT_MS, at_ms: AT_MS, until: AT_MS, Ms: AT_MS })).toEqual({
      ...{ ms: AT_MS, at_ms: AT_MS, until: AT_MS, Ms: AT_MS },
      at: AT,
    });
    const one = new Moment(AT_MS);
    expect([withMoments([1, null, 'x']), withMoments({ one })]).toEqual([[1, null, 'x'], { one }]);
    expect(withMoments({ one })).toHaveProperty('one', one);
    expect([moment(0)?.ms, moment(null), moment(undefined), String(new Moment(0, 'now'))]).toEqual([0, null, null, 'now']);
    expect([when(8.64e15), when(-8.64e15)].every((text) => text !== 'unknown')).toBe(true);
    expect([readable('at_ms', AT_MS), readable('atMs', 'x'), readable('at', AT_MS), readable('forMs', 500)]).toEqual([
      ['at', when(AT_MS)],
      ['atMs', 'x'],
      ['at', String(AT_MS)],
      ['for', '500 ms'],
    ]);
  });

  it('in a text is as who reads has it, with or without parts of a second', () => {
    const words = `from 2026-11-30T12:04:05Z to ${AT}; 2026-11-30 and 12026-11-30T12:04:05Z stay`;
    expect(localTimes(words)).toBe(`from ${when(AT_MS)} to ${when(AT_MS)}; 2026-11-30 and 12026-11-30T12:04:05Z stay`);
  });
});

describe('exit codes', () => {
  it('are those of every command, and what one says of its own', () => {
    expect(exitsOf('nothing special')).toEqual([
      [0, 'done'],
      [1, 'error'],
      [2, 'usage error'],
    ]);
    expect(exitsOf('silence').at(-1)).toEqual([7, 'with --everywhere: the swarm has no leader']);
    expect(exitsText('act')).toBe('\nExit codes: 0 confirmed, 1 failed or undone, 2 usage error, 5 refused');
    expect(exitsText('pause')).toBe(
      '\nExit codes: 0 decided, 1 error, 2 usage error, or the swarm rejects it, 7 the swarm has no leader',
    );
    expect(unknownExits(['up'])).not.toContain('up');
    expect(unknownExits([])).toContain('up');
  });
});
