// A real agent whose declared logs are no files, or become something else while it runs: it says so, goes on, and ends when it is told to.
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';

const place = mkdtempSync(join(tmpdir(), 'kalos-odd-'));
const swarm = new RealSwarm();
afterAll(async () => {
  await swarm.stop();
  rmSync(place, { recursive: true });
});

interface Status {
  unseen: { name: string; reason: string }[];
}

it('tells of each, follows the others, and SIGTERM ends it', async () => {
  const at = (name: string): string => join(place, name);
  execFileSync('mkfifo', [at('fifo.log')]);
  symlinkSync('/dev/zero', at('zero.log'));
  mkdirSync(at('directory.log'));
  for (const name of ['plain.log', 'turned.log']) writeFileSync(at(name), '');
  const names = ['fifo', 'zero', 'directory', 'plain', 'turned'];
  const logs = names.map((name) => `[[log]]\npath = "${at(`${name}.log`)}"\nmax_bytes = 100000\nalert = '^(\\w+\\s?)*$'\n`);
  const directory = at('state');
  mkdirSync(directory);
  writeFileSync(join(directory, 'actuator.policy'), `allow path ${place}\n`, { mode: 0o600 });
  const agent = await swarm.start('odd', logs.join(''), undefined, directory);
  const reasons = async (): Promise<Record<string, string>> => {
    const { unseen } = await swarm.json<Status>(agent, 'status');
    return Object.fromEntries(unseen.map(({ name, reason }) => [name.slice(place.length + 1), reason]));
  };
  await eventually('what cannot be seen to be told', async () => {
    const { 'fifo.log': fifo, 'zero.log': zero, 'directory.log': other } = await reasons();
    return (/a FIFO/.test(fifo ?? '') && /a device/.test(zero ?? '') && /a directory/.test(other ?? '')) || undefined;
  });
  renameSync(at('turned.log'), at('turned.log.1'));
  execFileSync('mkfifo', [at('turned.log')]);
  await eventually(
    'what it has become to be told',
    async () => /a FIFO/.test((await reasons())['turned.log'] ?? '') || undefined,
  );
  // Backtracking would take 2^45 steps over the first of these lines.
  appendFileSync(at('plain.log'), `${'a'.repeat(45)}!\nall of this are words\n`);
  await eventually('the line to be told of', async () => {
    const { rows } = await swarm.json<{ rows: unknown[][] }>(
      agent,
      'query',
      "select target, summary from incidents where policy = 'log-alert'",
    );
    return JSON.stringify(rows).includes('plain.log') || undefined;
  });
  const ended = new Promise((resolve) => agent.process.once('exit', resolve));
  agent.process.kill('SIGTERM');
  expect(await ended).toBe(0);
});
