// The process that reads logs: one that hangs, as a file system makes it, is left behind, and holds up nobody.
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LogReader } from '../../node/telemetry/adapters/log-reader.ts';

const ENTRY = join(dirname(dirname(import.meta.dirname)), 'bin', 'main.ts');

let place: string;
let reader: LogReader;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'kalos-reader-'));
  reader = new LogReader(ENTRY);
});
afterEach(() => {
  reader.close();
  rmSync(place, { recursive: true });
});

/** Children of this process that read logs. */
function children(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const parent = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ')[1];
        return parent === String(process.pid) && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('log-host');
      } catch {
        return false;
      }
    })
    .map(Number);
}

describe('reading logs', () => {
  it('gives what matches, in linear time whatever the pattern, and the reason where a log is none', async () => {
    const [log, fifo] = [join(place, 'a.log'), join(place, 'fifo')];
    writeFileSync(log, '');
    execFileSync('mkfifo', [fifo]);
    expect(await reader.newLines(log, '^(\\w+\\s?)*$')).toMatchObject({ ok: true, lines: 0 });
    appendFileSync(log, `${'a'.repeat(45)}!\nwell done\n`);
    expect(await reader.newLines(log, '^(\\w+\\s?)*$')).toEqual({ ok: true, lines: 2, matching: ['well done'], skippedBytes: 0 });
    expect(await reader.newLines(fifo, 'x')).toEqual({ ok: false, reason: 'it is a FIFO, not a regular file' });
    expect(await reader.newLines(log, '(')).toMatchObject({ ok: false, reason: expect.stringContaining('missing closing') });
  });

  it('goes on with the others, where it was, when one hangs', async () => {
    const [hung, other] = [join(place, 'hung.log'), join(place, 'other.log')];
    for (const log of [hung, other]) writeFileSync(log, '');
    for (const log of [hung, other]) expect(await reader.newLines(log, 'x')).toMatchObject({ ok: true });
    const [first = 0] = children();
    process.kill(first, 'SIGSTOP'); // as if it waited for the file system
    const answer = reader.newLines(hung, 'x');
    // What was written and rotated meanwhile is not lost.
    appendFileSync(other, 'x one\n');
    renameSync(other, `${other}.1`);
    writeFileSync(other, 'x two\n');
    const of = reader.newLines(other, 'x');
    expect(await answer).toMatchObject({ ok: false, reason: expect.stringContaining('file system hangs') });
    expect(await of).toMatchObject({ ok: true, matching: ['x one', 'x two'] });
    expect(await reader.newLines(hung, 'x')).toMatchObject({ ok: false, reason: expect.stringContaining('file system hangs') });
    await expect.poll(children).not.toContain(first);
  });

  it('starts no process without a log, and leaves none', async () => {
    await expect.poll(children).toEqual([]); // those of the tests before may be ending still
    await reader.newLines(join(place, 'none'), 'x');
    expect(children()).toHaveLength(1);
    reader.close();
    await expect.poll(children).toEqual([]);
  });
});
