// `kalos sim` as people and programs use it: reports, many seeds, replays, errors; and equal hashes whatever V8 does.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { findPackage } from '../../node/adapters/package.ts';
import { kalos } from '../support/agents.ts';

const directory = mkdtempSync(join(tmpdir(), 'kalos-sim-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const broken = join(directory, 'broken.toml');
writeFileSync(
  broken,
  `name = "broken"
description = "a service dies in the last moment"
duration = "60s"
calm = "1ms"

[[machine.service]]
name = "web"
command = ["web"]
port = 8080

[[fault]]
at = "30s"
kind = "pause"
on = 0
for = "2s"

[[fault]]
at = "59.99s"
kind = "service-kill"
on = 1
service = "web"
`,
);

describe('kalos sim', () => {
  it('lists the scenarios', async () => {
    const { code, stdout } = await kalos('sim', 'list', '-o', 'json');
    expect(code).toBe(0);
    const names = (JSON.parse(stdout) as { scenarios: { name: string }[] }).scenarios.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['calm', 'crash-storm', 'liars', 'wan-regions', 'rollout-gone-bad']));
    expect(names.length).toBeGreaterThanOrEqual(12);
  });

  it('runs many seeds in workers, each as it would run alone', async () => {
    const many = await kalos('sim', 'run', 'crash-and-partition', '--nodes', '5', '--seed', '3', '--seeds', '4', '-o', 'json');
    expect(many.code).toBe(0);
    const { results } = JSON.parse(many.stdout) as { results: { seed: number; traceHash: string }[] };
    expect(results.map(({ seed }) => seed)).toEqual([3, 4, 5, 6]);
    const alone = await kalos('sim', 'run', 'crash-and-partition', '--nodes', '5', '--seed', '5', '-o', 'json');
    expect((JSON.parse(alone.stdout) as { traceHash: string }).traceHash).toBe(results[2]?.traceHash);
  });

  it('tells of a violation with the fault that it takes and the command that replays it, which does', async () => {
    const { code, stdout } = await kalos('sim', 'run', broken, '--nodes', '4', '--seed', '9');
    expect(code).toBe(1);
    expect(stdout).toMatch(/violated: at 60\.000 s: node-1: service web is exited, and no incident reports it/);
    expect(stdout).toMatch(/1 of 2 faults suffice to fail:\n\s+60\.0 s {2}service-kill on 1/);
    const [, event = ''] = stdout.match(/sim replay 9@(\d+) --scenario \S+ --nodes 4/) ?? [];
    const replayed = await kalos('sim', 'replay', `9@${event}`, '--scenario', broken, '--nodes', '4');
    expect(replayed.code).toBe(1);
    expect(replayed.stdout).toMatch(/service-kill on 1 service="web": node-1/);
  });

  it('writes a report, and its plots as PNG', async () => {
    const reports = join(directory, 'reports');
    expect((await kalos('sim', 'run', 'sickness', '--nodes', '4', '--report', reports)).code).toBe(0);
    const html = readFileSync(join(reports, 'sickness-1.html'), 'utf8');
    expect(html).toMatch(/All checks passed/);
    expect(html.match(/<svg/g)?.length).toBe(4);
    const plots = readdirSync(reports).filter((file) => file.endsWith('.png'));
    expect(plots.length).toBe(4);
    for (const plot of plots) expect(readFileSync(join(reports, plot)).subarray(1, 4).toString()).toBe('PNG');
  });

  it.each([
    [['sim', 'run', 'crash-strom'], /no scenario "crash-strom"[\s\S]*did you mean crash-storm\?/],
    [['sim', 'run', 'churn', '--nodes', '2'], /churn needs at least 6 nodes/],
    [['sim', 'replay', 'seven'], /"seven" is not SEED@EVENT/],
    [['sim', 'real', 'drift'], /only simulated: file-put/],
  ])('%j is refused with a hint', async (args, message) => {
    const { code, stderr } = await kalos(...args);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });
});

const bundle = join(findPackage().root, 'dist', 'kalos.mjs');

function hashWith(flags: readonly string[], scenario: string, seed: number): Promise<string> {
  const args = [...flags, bundle, 'sim', 'run', scenario, '--nodes', '8', '--seed', String(seed), '-o', 'json'];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { maxBuffer: 64 * 2 ** 20 }, (error, stdout) =>
      error === null ? resolve((JSON.parse(stdout) as { traceHash: string }).traceHash) : reject(error),
    );
  });
}

describe.runIf(existsSync(bundle))('a seed gives one hash', () => {
  it.each([
    ['healing-mix', 1],
    ['everything', 2],
    ['liars', 3],
  ] as const)('%s with seed %i, with and without compilers, and with another heap', async (scenario, seed) => {
    const nodes = scenario === 'liars' ? [] : [['--jitless'], ['--no-opt']];
    const hashes = await Promise.all(
      [[], ['--max-semi-space-size=1', '--no-sparkplug'], ...nodes].map((flags) => hashWith(flags, scenario, seed)),
    );
    expect(new Set(hashes).size).toBe(1);
  });
});
