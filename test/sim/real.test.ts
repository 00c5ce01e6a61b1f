// A scenario against real agents: namespaces, processes, nft, signals; and nothing of it is left.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { kalos } from '../support/agents.ts';

const has = (program: string): boolean => spawnSync(program, ['-V']).status === 0;
const possible = process.getuid?.() === 0 && has('ip') && has('nft');
const directory = mkdtempSync(join(tmpdir(), 'kalos-real-test-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const SCENARIO = `name = "short"
description = "a killed service, a paused agent and a machine that is cut off, in short"
min_nodes = 3
duration = "42s"
calm = "20s"

[[machine.service]]
name = "web"
command = ["web"]
port = 8080

[[machine.service]]
name = "bystander"
command = ["bystander"]
port = 8090

[[fault]]
at = "6s"
kind = "service-kill"
on = 1
service = "web"

[[fault]]
at = "9s"
kind = "pause"
on = 0
for = "3s"

[[fault]]
at = "14s"
kind = "partition"
on = 2
for = "7s"

[[expect]]
node = 1
policy = "service-exited"
outcome = "service.restart helped"
`;

describe.runIf(possible)('kalos sim real', () => {
  it('runs a scenario on three real agents, and leaves nothing', async () => {
    const file = join(directory, 'short.toml');
    writeFileSync(file, SCENARIO);
    // Other tests, which run beside this one, have some of their own.
    const namespaces = (): string[] =>
      execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' })
        .split('\n')
        .filter((line) => !line.startsWith('kalos-mdns'));
    const before = namespaces();
    const { code, stdout, stderr } = await kalos('sim', 'real', file, '--nodes', '3', '-o', 'json');
    expect(stderr).toMatch(/3 agents are up/);
    const report = JSON.parse(stdout) as { violations: string[]; faults: { text: string }[]; incidents: { policy: string }[] };
    expect(report.violations).toEqual([]);
    expect(code).toBe(0);
    expect(report.faults.map(({ text }) => text.split(' ')[0])).toEqual(['service-kill', 'pause', 'partition']);
    expect(report.incidents.map(({ policy }) => policy)).toContain('service-exited');
    expect(namespaces()).toEqual(before);
  });
});
