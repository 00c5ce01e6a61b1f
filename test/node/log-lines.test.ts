// The lines of a log as bytes come, however those are cut: each end of line, each encoding, and lines that are too long.
import { describe, expect, it } from 'vitest';
import { type Encoding, encodingOf, LineSplitter } from '../../node/telemetry/log-lines.ts';

const bytes = (...values: number[]): Buffer => Buffer.from(values);
/** All of it at once, and byte by byte: the lines, and what is left. */
function linesOf(all: Buffer, encoding: Encoding = 'bytes'): string[] {
  const [whole, single] = [new LineSplitter(encoding), new LineSplitter(encoding)];
  const lines = [...whole.take(all), whole.flush() ?? '(none)'];
  expect([...[...all].flatMap((byte) => single.take(bytes(byte))), single.flush() ?? '(none)']).toEqual(lines);
  return lines;
}

describe('lines', () => {
  it.each<[string, Buffer, string[]]>([
    ['LF', Buffer.from('a\nb\n\nc'), ['a', 'b', '', 'c']],
    ['CRLF', Buffer.from('a\r\nb\r\n'), ['a', 'b', '(none)']],
    ['CR', Buffer.from('a\rb\r\rc'), ['a', 'b', '', 'c']],
    ['NUL between CR and LF', Buffer.from('a\r\0\nb'), ['a', 'b']],
    ['NULs within', Buffer.from('\0a\0b\0\n\0'), ['ab', '(none)']],
    ['a byte order mark', Buffer.from('\ufeffa\nb'), ['a', 'b']],
    ['UTF-8', Buffer.from('é😀\n'), ['é😀', '(none)']],
    ['Latin-1', bytes(0x61, 0xe9, 0x0a), ['aé', '(none)']],
    ['UTF-8 with one bad byte', Buffer.concat([Buffer.from('é'), bytes(0xff)]), ['é\ufffd']],
    ['nothing', Buffer.from(''), ['(none)']],
  ])('end with or have %s', (_what, all, lines) => {
    expect(linesOf(all)).toEqual(lines);
  });

  it('are of UTF-16 where the file begins with its mark', () => {
    const little = Buffer.from('\ufeffaé\nb', 'utf16le');
    expect([encodingOf(little), encodingOf(Buffer.from(little).swap16()), encodingOf(Buffer.from('ab'))]).toEqual([
      'utf-16le',
      'utf-16be',
      'bytes',
    ]);
    for (const odd of [bytes(0xff), bytes(0xfe), bytes(0xff, 0xff), bytes(0xfe, 0xfe), bytes()])
      expect(encodingOf(odd)).toBe('bytes');
    expect(linesOf(little, 'utf-16le')).toEqual(['aé', 'b']);
    expect(linesOf(Buffer.from(little).swap16(), 'utf-16be')).toEqual(['aé', 'b']);
    expect([new LineSplitter('bytes').isWide, new LineSplitter('utf-16be').isWide]).toEqual([false, true]);
  });

  it('that are longer than 4,096 bytes are cut there, at a whole character', () => {
    const long = 'x'.repeat(4_096);
    expect(linesOf(Buffer.from(`${long}\n${long}y\nz`))).toEqual([long, long, 'z']);
    expect(linesOf(Buffer.from(`${'x'.repeat(4_095)}é\n`))).toEqual(['x'.repeat(4_095), '(none)']);
    expect(linesOf(Buffer.from(`${'x'.repeat(4_093)}😀é\n`))).toEqual(['x'.repeat(4_093), '(none)']);
  });

  it('leave the bytes of what has no end yet', () => {
    const splitter = new LineSplitter('bytes');
    const pending = (text: string): number => {
      splitter.take(Buffer.from(text));
      return splitter.pendingBytes;
    };
    expect([pending('abc'), pending('de'), pending('f\ngh'), pending('\r'), pending('\n'), pending('i')]).toEqual([
      3, 5, 2, 0, 0, 1,
    ]);
    expect([splitter.flush(), splitter.pendingBytes, splitter.flush()]).toEqual(['i', 0, undefined]);
  });
});
