// Agents of one machine without a configured address: each listens where it did before, also where all are started at the same moment.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { findPackage } from '../../node/adapters/package.ts';
import { eventually } from '../support/clock.ts';

const KALOS = join(findPackage().root, 'bin', 'kalos');

it('is the one of the last run; of several that start at once none fails for the default one', async () => {
  const place = mkdtempSync(join(tmpdir(), 'kalos-ports-'));
  const running: ChildProcess[] = [];
  onTestFinished(async () => {
    await stop();
    rmSync(place, { recursive: true, force: true });
  });
  const stop = (): Promise<unknown> =>
    Promise.all(
      running.splice(0).map((child) => {
        const ended = child.exitCode === null ? new Promise((resolve) => child.once('close', resolve)) : undefined;
        child.kill('SIGTERM');
        return ended;
      }),
    );
  const start = (name: string): Promise<string> => {
    const env = { ...process.env, KALOS_API_LISTEN: 'off' };
    const child = spawn(KALOS, ['up', '--dir', join(place, name), '--name', name, '--no-mdns'], { env });
    running.push(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    return eventually(`${name} to be up`, () => {
      if (child.exitCode !== null) throw new Error(`it ended: ${output}`);
      return output.match(/listens\s+(\S+)/)?.[1];
    });
  };
  const all = (): Promise<string[]> => Promise.all(['a', 'b', 'c'].map(start));
  const first = await all();
  expect(new Set(first.map((address) => address.split('/')[4])).size).toBe(3);
  await stop();
  expect(await all()).toEqual(first);
});
