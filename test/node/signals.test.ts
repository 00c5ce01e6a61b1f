// Signals while an agent starts: it ends in order as soon as it is up, and leaves nothing running.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findPackage } from '../../node/adapters/package.ts';

const KALOS = join(findPackage().root, 'bin', 'kalos');

/** Processes that name a directory in their command line. */
function livingIn(directory: string): string[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return line.includes(directory) ? [line] : [];
      } catch {
        return [];
      }
    });
}

describe('an agent that is told to stop while it starts', () => {
  it.each([0, 1, 2])('ends in order, and leaves no service and no actuator behind (%i)', async (nth) => {
    const directory = mkdtempSync(join(tmpdir(), 'kalos-signal-'));
    try {
      writeFileSync(join(directory, 'kalos.toml'), '[[service]]\nname = "web"\ncommand = ["sleep", "300"]\n');
      const args = ['up', '--dir', directory, '--listen', '127.0.0.1:0', '--page', 'off', '--no-mdns'];
      const agent = spawn(KALOS, args, { stdio: ['ignore', 'pipe', 'pipe'] });
      const output: string[] = [];
      for (const stream of [agent.stdout, agent.stderr])
        stream.setEncoding('utf8').on('data', (text: string) => output.push(text));
      const ended = new Promise<[number | null, string | null]>((resolve) =>
        agent.once('exit', (code, signal) => resolve([code, signal])),
      );
      // Once its database is there, once its actuator is, and in the very moment in which it says that it is up.
      const isDue = (): boolean =>
        nth === 2 ? output.join('').includes('is up') : readdirSync(directory).includes(nth === 0 ? 'agent.key' : 'actuator');
      while (!isDue()) await new Promise((resolve) => setTimeout(resolve, 2));
      agent.kill('SIGTERM');
      agent.kill('SIGHUP');
      expect([await ended, output.join('')]).toEqual([[0, null], expect.stringContaining('stopping')]);
      expect(livingIn(directory)).toEqual([]);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
