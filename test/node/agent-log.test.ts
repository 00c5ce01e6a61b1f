// The agent's own log: levels, forms, what is kept of it and what is never in it.
import { closeSync, fstatSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { AgentLog, isJournalStream } from '../../node/cli/agent-log.ts';
import { when } from '../../node/cli/times.ts';

const AT_MS = Date.UTC(2026, 10, 30, 12, 4, 5, 678);

function made(isJournal = false) {
  const lines: string[] = [];
  return {
    lines,
    log: new AgentLog(
      (line) => lines.push(line),
      () => AT_MS,
      isJournal,
    ),
  };
}

describe('the log of an agent', () => {
  it('has a line each, with the time, the level and what; less than the level is neither written nor kept', () => {
    const { lines, log } = made();
    log.log('debug', 'a request');
    log.log('info', 'up');
    log.configure({ level: 'warn' });
    log.log('info', 'more');
    log.log('error', 'two\nlines\u001b[2J');
    expect(lines).toEqual([`${when(AT_MS)} info  up\n`, `${when(AT_MS)} error two\n  lines�[2J\n`]);
    expect(log.after(0)).toEqual({
      last: 2,
      entries: [
        { seq: 1, atMs: AT_MS, level: 'info', text: 'up' },
        { seq: 2, atMs: AT_MS, level: 'error', text: 'two\nlines\u001b[2J' },
      ],
    });
    expect(log.after(1).entries.map(({ text }) => text)).toEqual(['two\nlines\u001b[2J']);
  });

  it('is JSON where that is asked, a line each', () => {
    const { lines, log } = made();
    log.configure({ format: 'json' });
    log.log('warn', 'two\nlines\u0085');
    expect(lines).toHaveLength(1);
    expect(lines[0]?.trim()).not.toMatch(/[\n\u0085]/);
    expect(JSON.parse(lines[0] ?? '')).toEqual({ time: '2026-11-30T12:04:05.678Z', level: 'warn', text: 'two\nlines\u0085' });
  });

  it('begins its lines with a priority where the journal reads them, and there alone', () => {
    const { lines, log } = made(true);
    log.configure({ level: 'debug' });
    for (const level of ['debug', 'info', 'warn', 'error'] as const) log.log(level, 'a\nb');
    expect(lines.flatMap((line) => line.trimEnd().split('\n')).map((line) => line.slice(0, 3))).toEqual([
      ...['<7>', '<7>', '<6>', '<6>', '<4>', '<4>', '<3>', '<3>'],
    ]);
    const place = mkdtempSync(join(tmpdir(), 'kalos-log-'));
    const fd = openSync(join(place, 'file'), 'w');
    const { dev, ino } = fstatSync(fd);
    expect([
      isJournalStream(`${dev}:${ino}`, fd),
      isJournalStream(`${dev}:${ino + 1}`, fd),
      isJournalStream(undefined, fd),
    ]).toEqual([true, false, false]);
    closeSync(fd);
    expect(isJournalStream(`${dev}:${ino}`, fd)).toBe(false);
    rmSync(place, { recursive: true });
  });

  it('keeps the newest, within bounds, whatever comes', () => {
    const { log } = made();
    for (let i = 0; i < 3_000; i++) log.log('info', `${i} ${'x'.repeat(i % 7_000)}`);
    const { last, entries } = log.after(0);
    expect(last).toBe(3_000);
    expect(entries.at(-1)?.seq).toBe(3_000);
    expect(entries.length).toBeGreaterThan(20);
    expect(entries.reduce((sum, { text }) => sum + text.length * 2, 0)).toBeLessThanOrEqual(256 * 1024);
    expect(Math.max(...entries.map(({ text }) => text.length))).toBeLessThan(4_200);
  });

  it('holds no token, wherever it comes from', () => {
    const { lines, log } = made();
    log.log('warn', 'refused kalos1.AAbb-_09 of kapi_0a1b_SECRET-part_2, and kalos1.CC.');
    expect(log.after(0).entries[0]?.text).toBe('refused (hidden) of (hidden), and (hidden).');
    expect(lines.join('')).not.toMatch(/AAbb|SECRET|part_2|CC/);
  });
});
