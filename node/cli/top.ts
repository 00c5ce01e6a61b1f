// `kalos top`: a live view of one machine and of KALOS's actions on it. It is redrawn each second on the alternate screen; q
// quits. If the output is not a terminal, it is printed once.
import { isBadCondition } from '../../swarm/state/status.ts';
import { counted } from '../../swarm/words.ts';
import type { AgentStatus } from '../agent/agent-status.ts';
import { callAgent } from '../api/client.ts';
import type { Overview } from '../query/overview.ts';
import { EXIT } from './exit-codes.ts';
import { bytes, paint, printable, shortened, sparkline, widthOfText } from './output.ts';
import { untilQuit } from './quit.ts';
import { duration } from './times.ts';

const EVERY_MS = 1_000;
const DEFAULT_WIDTH = 100;
const DEFAULT_HEIGHT = 40;
const LABEL = 9;
const FIGURE = 12;

export interface TopData {
  status: AgentStatus;
  overview: Overview;
  nowMs: number;
}

/** The lines of the view, cut to a width. */
export function renderTop({ status, overview, nowMs }: TopData, width: number, height: number): string[] {
  const head = [...header(status), ...graphs(overview, width), ''];
  const tail = incidents(overview, nowMs, width);
  const room = Math.max(3, height - head.length - tail.length - services(status, width).length - 2);
  const lines = [...head, ...services(status, width), ...processes(overview, width).slice(0, room), '', ...tail];
  return lines.slice(0, height).map((line) => cut(line, width));
}

function header(status: AgentStatus): string[] {
  const { members, coordinator, term } = status;
  const alive = members.filter(({ state }) => state === 'alive').length;
  const mode = status.halted === null ? status.mode : paint('red', `halted: ${status.halted}`);
  const bad = Object.entries(status.conditions).filter(([name, value]) => isBadCondition(name, value));
  const health =
    bad.length === 0 ? paint('green', 'healthy') : paint('red', bad.map(([name, value]) => `${name}=${value}`).join(' '));
  return [
    `${paint('bold', status.name)}  up ${duration(status.uptimeMs)}  mode ${mode}  swarm ${alive} of ${members.length}, ${coordinator === undefined ? 'no leader' : `leader ${coordinator}`} (term ${term})`,
    `${health}  ${counted(status.openIncidents.length, 'open incident')}  ${counted(status.approvals.length, 'pending approval')}  load ${status.metrics['system.load.1m']?.toFixed(2) ?? 'unknown'}`,
  ];
}

function graphs({ series }: Overview, width: number): string[] {
  const room = Math.max(10, Math.min(60, width - LABEL - FIGURE - 2));
  const percent = (value: number): string => `${Math.round(value)} %`;
  const rows: [string, number[], (value: number) => string, number | undefined][] = [
    ['cpu', series.cpu, (value) => percent(value * 100), 1],
    ['memory', series.memory, (value) => percent(value * 100), 1],
    ['psi cpu', series.psiCpu, percent, 100],
    ['psi mem', series.psiMemory, percent, 100],
    ['psi io', series.psiIo, percent, 100],
    ['disk wr', series.diskWrite, (value) => `${bytes(value)}/s`, undefined],
    ['net in', series.receive, (value) => `${bytes(value)}/s`, undefined],
    ['net out', series.transmit, (value) => `${bytes(value)}/s`, undefined],
  ];
  return rows.map(([label, values, text, most]) => {
    const last = values.at(-1);
    const figure = last === undefined ? 'unknown' : text(last);
    return `${label.padEnd(LABEL)}${sparkline(values, room, most)} ${figure.padStart(FIGURE)}`;
  });
}

function services({ services: all }: AgentStatus, width: number): string[] {
  if (all.length === 0) return [];
  const one = ({ name, state, health }: (typeof all)[number]): string => {
    const isHealthy = state === 'running' && !['refused', 'silent', 'failed'].includes(health);
    return paint(isHealthy ? 'green' : 'red', `${name} ${state}${isHealthy ? '' : ` ${health}`}`);
  };
  return [cut(`services  ${all.map(one).join('  ')}`, width), ''];
}

function processes({ processes: all }: Overview, width: number): string[] {
  const line = (...[pid, cpu, memory, state, threads, name]: string[]): string =>
    `${(pid ?? '').padStart(8)} ${(cpu ?? '').padStart(7)} ${(memory ?? '').padStart(10)} ${(state ?? '').padEnd(2)}${(threads ?? '').padStart(5)}  ${name}`;
  return [
    paint('bold', line('PID', 'CPU %', 'MEMORY', 'S', 'THR', 'PROCESS').padEnd(Math.min(width, 60))),
    ...all.map(({ pid, cpu, rssBytes, state, threads, name }) =>
      line(String(pid), (cpu * 100).toFixed(1), bytes(rssBytes), state, String(threads), printable(name)),
    ),
  ];
}

function incidents({ incidents: all, doing }: Overview, nowMs: number, width: number): string[] {
  if (all.length === 0) return [paint('dim', 'no incidents; q quits')];
  const one = ({ id, summary, target, state, outcome, openedMs, closedMs }: (typeof all)[number]): string => {
    const when = duration(nowMs - openedMs).padStart(12);
    const colour = closedMs > 0 ? 'dim' : state === 'escalated' ? 'red' : 'yellow';
    return paint(
      colour,
      cut(
        `${when} ago  ${id}  ${printable(target)}: ${printable(summary)}: ${printable(outcome === '' ? state : outcome)}`,
        width,
      ),
    );
  };
  return [paint('bold', 'INCIDENTS'), ...all.map(one), paint('dim', cut(printable(doing), width))];
}

/** Colours have no width. */
function cut(line: string, width: number): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are escape sequences
  const plain = line.replaceAll(/\u001b\[\d+m/g, '');
  return widthOfText(plain) <= width ? line : shortened(plain, width);
}

async function take(directory: string | undefined): Promise<TopData> {
  const [status, seen] = await Promise.all([
    callAgent<AgentStatus>(directory, 'GET', '/v1/status'),
    callAgent<Overview>(directory, 'GET', '/v1/overview'),
  ]);
  return { status, overview: seen, nowMs: Date.now() };
}

export async function top(directory: string | undefined): Promise<number> {
  const { stdout } = process;
  const size = (): [number, number] => [stdout.columns ?? DEFAULT_WIDTH, stdout.rows ?? DEFAULT_HEIGHT];
  const first = await take(directory);
  if (!stdout.isTTY) {
    stdout.write(`${renderTop(first, ...size()).join('\n')}\n`);
    return EXIT.ok;
  }
  stdout.write('\u001b[?1049h\u001b[?25l');
  try {
    await redraw(directory, first, size);
  } finally {
    stdout.write('\u001b[?25h\u001b[?1049l');
  }
  return EXIT.ok;
}

/** Redraws until q. If the agent does not answer, the error is shown above the last data, and it is called again. */
async function redraw(directory: string | undefined, first: TopData, size: () => [number, number]): Promise<void> {
  let data: TopData | undefined;
  await untilQuit(EVERY_MS, async () => {
    let lost = '';
    try {
      data = data === undefined ? first : await take(directory);
    } catch (error) {
      lost = (error as Error).message;
    }
    const lines = [...(lost === '' ? [] : [paint('red', lost)]), ...renderTop(data ?? first, ...size())].slice(0, size()[1]);
    process.stdout.write(`\u001b[H${lines.map((line) => `${line}\u001b[K`).join('\r\n')}\u001b[J`);
  });
}
