// What ends the processes of tests: whatever came of the program, however often removed, when that ends, is interrupted, or its starter dies.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { findPackage } from '../../node/adapters/package.ts';
import { eventually } from '../support/clock.ts';

const KEEPER = join(findPackage().root, 'native', 'build', 'keeper');

/** Prints its process, that of a child in a session of its own, and that of an orphan whose parent has ended. */
const FAMILY = 'echo $$; setsid sleep 1000 & echo $!; (setsid sleep 1000 & echo $!)';

async function family(rest: string): Promise<{ keeper: ChildProcess; pids: number[]; said: () => string }> {
  const keeper = spawn(KEEPER, ['sh', '-c', `${FAMILY}; ${rest}`], { stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => void keeper.kill());
  let [out, errors] = ['', ''];
  keeper.stdout?.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  keeper.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const pids = await eventually('three processes', () => {
    const found = out.split(/\s+/).filter((word) => word !== '');
    return found.length === 3 ? found.map(Number) : undefined;
  });
  return { keeper, pids, said: () => errors };
}

const ended = (process: ChildProcess) => eventually('its end', () => process.exitCode ?? process.signalCode ?? undefined);
const left = (pids: readonly number[]) => pids.filter((pid) => existsSync(`/proc/${pid}`));

describe.runIf(existsSync(KEEPER))('the keeper of the processes of tests', () => {
  it('ends what a run leaves, tells of it, and passes on its exit code', async () => {
    const { keeper, pids, said } = await family('exit 3');
    expect(await ended(keeper)).toBe(3);
    expect(left(pids)).toEqual([]);
    await eventually(
      'two to be told of',
      () => said().match(/ended \w+ \(process \d+\), which the tests left behind/g)?.length === 2 || undefined,
    );
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('ends all when it is interrupted by %s', async (signal) => {
    const { keeper, pids } = await family('exec sleep 1000');
    expect(left(pids)).toHaveLength(3);
    keeper.kill(signal);
    expect(await ended(keeper)).toBeGreaterThan(128);
    expect(left(pids)).toEqual([]);
  });

  it('ends all when who started it is killed', async () => {
    const script = `require('node:child_process').spawn(${JSON.stringify(KEEPER)}, ['sh', '-c', ${JSON.stringify(`${FAMILY}; exec sleep 1000`)}], { stdio: 'inherit' })`;
    const starter = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void starter.kill());
    let out = '';
    starter.stdout?.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    const pids = await eventually('three processes', () =>
      out.trim().split(/\s+/).length === 3 ? out.trim().split(/\s+/).map(Number) : undefined,
    );
    starter.kill('SIGKILL');
    await eventually('all to be gone', () => left(pids).length === 0 || undefined);
  });
});
