// The picture of `kalos top`, line by line: what is shown, how much of it where there is little room, and in which order.
import { describe, expect, it, vi } from 'vitest';
import type { AgentStatus } from '../../node/agent/agent-status.ts';
import { renderTop, top } from '../../node/cli/top.ts';
import type { Overview } from '../../node/query/overview.ts';
import { fakeAgent } from '../support/fake-agent.ts';

const agent = fakeAgent();
/** Draws so often, and what comes before each. */
const drawing = vi.hoisted(() => ({ before: [] as (() => void)[], everyMs: 0 }));
vi.mock('../../node/cli/quit.ts', () => ({
  untilQuit: async (everyMs: number, draw: () => Promise<void>) => {
    drawing.everyMs = everyMs;
    for (const before of drawing.before) {
      before();
      await draw();
    }
  },
}));

const STATUS = {
  name: 'ada',
  uptimeMs: 61_000,
  mode: 'act',
  halted: null,
  coordinator: 'bob',
  term: 3,
  members: [{ state: 'alive' }, { state: 'down' }, { state: 'alive' }],
  conditions: { Ready: 'True', DiskPressure: 'False', Watched: 'Unknown' },
  metrics: { 'system.load.1m': 1.5 },
  services: [],
  openIncidents: [{}],
  approvals: [{}, {}],
};
const SERIES = { cpu: [], memory: [], psiCpu: [], psiMemory: [], psiIo: [], diskWrite: [], receive: [], transmit: [] };
const OVERVIEW: Overview = { series: SERIES, processes: [], incidents: [], doing: '' };
const processes = (count: number): Overview['processes'] =>
  Array.from({ length: count }, (_, i) => ({ pid: i + 1, name: `p${i + 1}`, state: 'R', cpu: 0.5, rssBytes: 1_024, threads: 7 }));

const picture = (
  { status, overview }: { status?: Record<string, unknown>; overview?: Partial<Overview> } = {},
  width = 100,
  height = 40,
): string[] =>
  renderTop(
    { status: { ...STATUS, ...status } as unknown as AgentStatus, overview: { ...OVERVIEW, ...overview }, nowMs: 100_000 },
    width,
    height,
  );
const HEAD = [
  'ada  up 1 min 1 s  mode act  swarm 2 of 3, leader bob (term 3)',
  'healthy  1 open incident  2 pending approvals  load 1.50',
];

describe('the picture', () => {
  it('is all of an agent that is well', () => {
    const unknown = (label: string, width = 60): string => `${label.padEnd(9)}${' '.repeat(width)}      unknown`;
    const labels = ['cpu', 'memory', 'psi cpu', 'psi mem', 'psi io', 'disk wr', 'net in', 'net out'];
    const columns = '     PID   CPU %     MEMORY S   THR  PROCESS';
    expect(picture({ overview: { processes: processes(1) } })).toEqual([
      ...HEAD,
      ...labels.map((label) => unknown(label)),
      '',
      columns.padEnd(60),
      '       1    50.0    1.0 KiB R     7  p1',
      '',
      'no incidents; q quits',
    ]);
    expect(picture({}, 60)[2]).toBe(unknown('cpu', 37));
    expect(picture({}, 50)[11]).toBe(columns.padEnd(50));
    expect(picture({}, 32)[2]).toHaveLength(32);
  });

  it('says what is not well, and that acting is halted', () => {
    const status = {
      coordinator: undefined,
      halted: 'fire',
      conditions: { Ready: 'False', DiskPressure: 'True' },
      metrics: {},
      openIncidents: [],
      approvals: [],
    };
    expect(picture({ status }).slice(0, 2)).toEqual([
      'ada  up 1 min 1 s  mode halted: fire  swarm 2 of 3, no leader (term 3)',
      'Ready=False DiskPressure=True  0 open incidents  0 pending approvals  load unknown',
    ]);
  });

  it('shows the newest of each figure in its unit, against what is full', () => {
    const series = {
      ...{ cpu: [0, 0.256], memory: [1], psiCpu: [50], psiMemory: [100], psiIo: [0.4] },
      ...{ diskWrite: [2_048, 1_024], receive: [5], transmit: [0] },
    };
    const lines = picture({ overview: { series } }, 36).slice(2, 10);
    expect(lines).toEqual([
      'cpu                 ▁▃         26 %',
      'memory               █        100 %',
      'psi cpu              ▅         50 %',
      'psi mem              █        100 %',
      'psi io               ▁          0 %',
      'disk wr             █▅    1.0 KiB/s',
      'net in               █        5 B/s',
      'net out              ▁        0 B/s',
    ]);
  });

  it('has a line of services: those that are well by their state, others with their health', () => {
    const service = (name: string, state: string, health: string) => ({ name, state, health, pid: 1 });
    const services = [
      service('web', 'running', 'ok'),
      service('db', 'running', 'refused'),
      service('mq', 'running', 'silent'),
      service('job', 'running', 'failed'),
      service('old', 'exited', 'unknown'),
    ];
    const lines = picture({ status: { services } });
    expect(lines.slice(10, 13)).toEqual([
      '',
      'services  web running  db running refused  mq running silent  job running failed  old exited unknown',
      '',
    ]);
    expect(picture({ status: { services } }, 40)[11]).toBe('services  web running  db running refus…');
  });

  it('has incidents last, with what is done about the newest', () => {
    const one: Overview['incidents'][number] = {
      id: 'i1',
      summary: 'full',
      target: '/',
      state: 'open',
      outcome: '',
      openedMs: 40_000,
      closedMs: 0,
    };
    const incidents: Overview['incidents'] = [
      one,
      { ...one, id: 'i2', state: 'resolved', outcome: 'healed', openedMs: 99_000, closedMs: 99_500 },
    ];
    expect(picture({ overview: { incidents, doing: 'i1 act: cleaning' } }).slice(-5)).toEqual([
      '',
      'INCIDENTS',
      `${'1 min 0 s'.padStart(12)} ago  i1  /: full: open`,
      `${'1 s'.padStart(12)} ago  i2  /: full: healed`,
      'i1 act: cleaning',
    ]);
  });

  it('leaves out processes first, but for two, and then the end', () => {
    const shown = (height: number): string[] => picture({ overview: { processes: processes(12) } }, 80, height);
    expect(shown(26)).toHaveLength(25); // a line is left free
    expect(shown(27).slice(-3)).toEqual(['      12    50.0    1.0 KiB R     7  p12', '', 'no incidents; q quits']);
    expect(shown(20).slice(-3)[0]).toContain('p5');
    expect([shown(20).length, shown(16).length, shown(14).length, shown(5).length]).toEqual([19, 16, 14, 5]);
    expect(shown(16).slice(-3)).toEqual(['       2    50.0    1.0 KiB R     7  p2', '', 'no incidents; q quits']);
  });
});

it('one picture is printed where there is no terminal', async () => {
  agent.answers['GET /v1/status'] = STATUS;
  agent.answers['GET /v1/overview'] = OVERVIEW;
  const { code, out } = await agent.run((dir) => top(dir));
  expect([code, out.split('\n').slice(0, 2), out.endsWith('no incidents; q quits\n')]).toEqual([0, HEAD, true]);
});

it('is redrawn each second on a terminal, and what is lost is said above it', async () => {
  const terminal = { isTTY: true, columns: 40, rows: 12 };
  const before = Object.fromEntries(
    Object.keys(terminal).map((key) => [key, Object.getOwnPropertyDescriptor(process.stdout, key)]),
  );
  for (const [key, value] of Object.entries(terminal))
    Object.defineProperty(process.stdout, key, { value, configurable: true, writable: true });
  agent.answers['GET /v1/status'] = STATUS;
  agent.answers['GET /v1/overview'] = OVERVIEW;
  drawing.before = [
    () => undefined,
    () => {
      agent.answers['GET /v1/status'] = { ...STATUS, name: 'bob' };
    },
    () => delete agent.answers['GET /v1/status'],
  ];
  let raw = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    raw += text;
    return true;
  });
  try {
    expect(await top(agent.directory)).toBe(0);
  } finally {
    write.mockRestore();
    for (const [key, old] of Object.entries(before))
      if (old === undefined) delete (process.stdout as unknown as Record<string, unknown>)[key];
      else Object.defineProperty(process.stdout, key, old);
  }
  expect([raw.startsWith('\u001b[?1049h\u001b[?25l\u001b[H'), raw.endsWith('\u001b[J\u001b[?25h\u001b[?1049l')]).toEqual([
    true,
    true,
  ]);
  const pictures = raw.split('\u001b[H').slice(1);
  const lines = pictures.map(
    (one) =>
      one
        .split('\u001b[J')[0]
        ?.split('\u001b[K')
        .map((line) => line.trim()) ?? [],
  );
  expect(lines.map(([first = '']) => first.slice(0, 5))).toEqual(['ada  ', 'bob  ', 'no ro']);
  expect(lines.map(({ length }) => length - 1)).toEqual([12, 12, 12]);
  expect(lines[2]?.[1]).toMatch(/^bob {2}up/); // the newest that is known
  expect([drawing.everyMs, Math.max(...lines.flat().map((line) => line.length))]).toEqual([1_000, 40]);
});
