// What one asks of a machine most often: metrics, conditions, incidents, logs, the live view, and to leave.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentStatus } from '../../node/agent/agent-status.ts';
import { sparkline } from '../../node/cli/output.ts';
import { renderTop, type TopData } from '../../node/cli/top.ts';
import { kalos, type RealAgent, RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';
import { patient } from '../support/patience.ts';

const swarm = new RealSwarm();
let agent: RealAgent;
beforeAll(async () => {
  agent = await swarm.start(
    'solo',
    `[[service]]\nname = "talker"\ncommand = ["sh", "-c", "for i in 1 2 3 4 5; do echo line $i; done; exec sleep 600"]\n`,
  );
});
afterAll(() => swarm.stop());

const here = (...args: string[]) => kalos(...args, '--dir', agent.directory);

describe('kalos', () => {
  it('metrics: by parts of names, with the reason where one is unknown', async () => {
    const { stdout } = await eventually('rates', async () => {
      const ran = await here('metrics', 'network.io', 'raid', 'hw.temp');
      return /system\.network\.io\.receive\s+\d/.test(ran.stdout) ? ran : undefined;
    });
    expect(stdout).not.toContain('system.cpu');
    expect(stdout).toMatch(/(raid\.degraded|hw\.temperature)\s+-?\d*\.?\d*\s/);
    for (const line of stdout.split('\n').filter((text) => / - /.test(text))) expect(line).toContain('this machine has no');
  });

  it('conditions: each with its status', async () => {
    const ran = await eventually('to be ready', async () => {
      const tried = await here('conditions');
      return tried.stdout.includes('Ready           True') ? tried : undefined;
    });
    expect(ran.code).toBe(0);
  });

  it('incidents: none on a machine that is well, as data too', async () => {
    expect(JSON.parse((await here('incidents', '-o', 'json')).stdout)).toMatchObject({ outputVersion: 1, rows: [] });
  });

  it('logs: the last lines of a service; a misspelt one is suggested', async () => {
    const ran = await eventually('the lines', async () => {
      const tried = await here('logs', 'talker', '-n', '2');
      return tried.stdout.includes('line 5') ? tried : undefined;
    });
    expect(ran.stdout).toBe('line 4\nline 5\n');
    expect((await here('logs', 'walker')).stderr).toContain('did you mean talker?');
  });

  it('top: one picture where there is no terminal; in one it is redrawn until q', async () => {
    expect((await here('top')).stdout).toMatch(/solo {2}up .*\n[\s\S]*cpu {6}[\s\S]*PROCESS/);
    const command = `${process.cwd()}/bin/kalos top --dir ${agent.directory}`;
    const typed = promisify(execFile)('sh', ['-c', `(sleep 3; printf q) | script -qec "${command}" /dev/null`], {
      timeout: patient(20_000),
    });
    const { stdout } = await typed;
    expect(stdout.startsWith('\u001b[?1049h')).toBe(true);
    expect(stdout.split('\u001b[H').length).toBeGreaterThan(2);
    expect(stdout).toContain('\u001b[?1049l'); // the terminal is as it was
  });

  it('top --swarm, and whatever is watched: redrawn until q', async () => {
    const shown = ['top --swarm', 'top --on solo', 'status -w 1s'].map(async (args) => {
      const command = `${process.cwd()}/bin/kalos ${args} --dir ${agent.directory}`;
      const typed = promisify(execFile)('sh', ['-c', `(sleep 3; printf q) | script -qec "${command}" /dev/null`], {
        timeout: patient(20_000),
      });
      expect((await typed).stdout.split('\u001b[2J').length).toBeGreaterThan(1);
    });
    await Promise.all(shown);
  });

  it('down: the agent stops in order', async () => {
    const ran = await here('down');
    expect([ran.code, ran.stdout]).toEqual([0, 'solo has stopped\n']);
    await eventually('the process to end', () => agent.process.exitCode === 0 || undefined);
    expect((await here('status')).code).not.toBe(0);
  });
});

describe('the picture', () => {
  const data: TopData = {
    status: {
      name: 'a-machine',
      uptimeMs: 1_000,
      mode: 'act',
      halted: null,
      coordinator: undefined,
      term: 3,
      members: [{ name: 'x', peer: 'p', state: 'alive', role: 'member' }],
      conditions: { Ready: 'False', DiskPressure: 'True' },
      metrics: { 'system.load.1m': 1.5 },
      services: [{ name: 'web', state: 'running', pid: 1, health: 'refused' }],
      openIncidents: [],
      approvals: [],
    } as unknown as AgentStatus,
    overview: {
      series: {
        cpu: [0, 0.5, 1],
        memory: [],
        psiCpu: [],
        psiMemory: [],
        psiIo: [],
        diskWrite: [1, 2],
        receive: [],
        transmit: [],
      },
      processes: Array.from({ length: 12 }, (_, i) => ({
        pid: i,
        name: 'x'.repeat(300),
        state: 'R',
        cpu: 1,
        rssBytes: 1,
        threads: 1,
      })),
      incidents: [
        { id: 'inc-1', summary: 'bad\u001b[2Jthing', target: 't', state: 'open', outcome: '', openedMs: 0, closedMs: 0 },
      ],
      doing: 'inc-1 act: \u0007ring',
    },
    nowMs: 60_000,
  };

  it('fits the terminal, whatever its size, and obeys no control character of a machine’s', () => {
    for (const [width, height] of [
      [40, 10],
      [80, 24],
      [200, 60],
    ] as const) {
      const lines = renderTop(data, width, height);
      expect(lines.length).toBeLessThanOrEqual(height);
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      expect(lines.join('')).not.toMatch(/[\u0000-\u001a]/);
    }
    const text = renderTop(data, 120, 60).join('\n');
    for (const part of ['Ready=False', 'DiskPressure=True', 'web running refused', 'unknown', 'inc-1'])
      expect(text).toContain(part);
  });

  it('draws the newest values to the right, against what is full', () => {
    expect(sparkline([0, 0.5, 1], 5, 1)).toBe('  ▁▅█');
    expect(sparkline([1, 2, 3, 4], 2)).toBe('▇█');
    expect(sparkline([], 3)).toBe('   ');
  });
});
