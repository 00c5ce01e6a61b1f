// What the process that reads logs answers to its parent, question by question.
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { hostLogs } from '../../node/telemetry/adapters/log-host.ts';

let place: string;
let log: string;
const handlers = new Map<string, (...given: unknown[]) => void>();
/** What it sends while something is done; this process has a parent of its own, which hears none of it. */
function sends(act: () => void): unknown[] {
  const [sent, own] = [[] as unknown[], process.send];
  process.send = (message: unknown) => sent.push(message) > 0;
  try {
    act();
  } finally {
    process.send = own as NonNullable<typeof process.send>;
  }
  return sent;
}
const asks = (question: object): unknown[] => sends(() => handlers.get('message')?.(question));
const ask = (pattern: string, more: object = {}): unknown =>
  (asks({ id: 7, path: log, pattern, ...more })[0] as { answer: unknown } | undefined)?.answer;

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'kalos-host-'));
  log = join(place, 'a.log');
  writeFileSync(log, 'history\n');
  handlers.clear();
  const on = vi.spyOn(process, 'on').mockImplementation(((name: string, handler: () => void) => {
    handlers.set(name, handler);
    return process;
  }) as typeof process.on);
  expect(sends(hostLogs)).toEqual([{ id: 0 }]);
  on.mockRestore();
});
afterEach(() => rmSync(place, { recursive: true }));

describe('the process that reads logs', () => {
  it('gives how many lines are new, those that match, and where it is', () => {
    expect(asks({ id: 4, path: log, pattern: 'x' })).toEqual([
      { id: 4, answer: { ok: true, lines: 0, matching: [], skippedBytes: 0, position: expect.objectContaining({ offset: 8 }) } },
    ]);
    appendFileSync(log, `one\nxx ${'y'.repeat(200)}\n`);
    const position = expect.objectContaining({ offset: 8 + 4 + 204 });
    expect(ask('x')).toEqual({ ok: true, lines: 2, matching: [`xx ${'y'.repeat(157)}`], skippedBytes: 0, position });
  });

  it('goes on from where another was', () => {
    const { position } = ask('x') as { position: object };
    appendFileSync(log, 'x1\n');
    handlers.clear();
    const on = vi.spyOn(process, 'on').mockImplementation(((name: string, handler: () => void) => {
      handlers.set(name, handler);
      return process;
    }) as typeof process.on);
    sends(hostLogs);
    on.mockRestore();
    expect(ask('x', { from: position })).toMatchObject({ lines: 1, matching: ['x1'] });
  });

  it('gives the newest thousand of those that match', () => {
    ask('x');
    appendFileSync(log, Array.from({ length: 1_200 }, (_, nth) => `x${nth}\n`).join(''));
    const { matching } = ask('^x') as { matching: string[] };
    expect([matching.length, matching[0], matching.at(-1)]).toEqual([1_000, 'x200', 'x1199']);
  });

  it('reads the less at a look, the more its pattern costs, and 8 KiB at the least', () => {
    ask('x');
    appendFileSync(log, 'y\n'.repeat(524_288 + 1_000));
    const lines = (pattern: string): number => (ask(pattern) as { lines: number }).lines;
    expect(lines('x')).toBe(524_288);
    appendFileSync(log, 'y\n'.repeat(524_288));
    // So many bytes, of two a line, and one that is left over from the first: 32 million through the pattern's instructions.
    expect(lines('(abc|de){10}')).toBe(Math.floor(32_000_000 / 82 / 2));
    expect(lines('a{900}')).toBe(Math.floor(32_000_000 / 902 / 2));
    expect(lines('a{1000}a{1000}a{1000}a{994}')).toBe(4_096);
  });

  it('says what is wrong with a pattern or a log, and nothing to what is no question', () => {
    expect(ask('(')).toEqual({ ok: false, reason: expect.stringMatching(/^the pattern "\(": .*missing closing/) });
    expect(ask('(')).toMatchObject({ ok: false });
    rmSync(log);
    expect(ask('x', { path: join(place, 'none') })).toEqual({ ok: false, reason: 'there is no such file' });
    expect([asks({ id: 1, path: log }), asks({})]).toEqual([[], []]);
    handlers.get('SIGINT')?.();
  });

  it('ends with its parent', () => {
    const exit = vi.spyOn(process, 'exit').mockImplementation(() => undefined as never);
    handlers.get('disconnect')?.();
    expect(exit.mock.calls).toEqual([[0]]);
    exit.mockRestore();
  });
});
