// `kalos explain ID`: one incident from sample to outcome. Any agent of the swarm can answer.

import { callAgent } from '../api/client.ts';
import type { Explanation } from '../query/explain.ts';
import type { Recording } from '../telemetry/flight-recorder.ts';
import { printWhole } from './data.ts';
import { EXIT } from './exit-codes.ts';
import { bytes, type Format, paint, printable, sparkline, table } from './output.ts';
import { localTimes, Moment, readable, when } from './times.ts';

export async function runExplain(directory: string | undefined, id: string, format: Format): Promise<number> {
  const explanation = await callAgent<Explanation>(directory, 'GET', `/v1/incidents/${encodeURIComponent(id)}/explanation`);
  printWhole(format, { ...explanation }, () => render(explanation));
  return EXIT.ok;
}

const SHOWN_METRICS = 12;

/** Prints the recording of the flight recorder: the busiest processes, and the metrics that changed most. */
export async function showRecording(directory: string | undefined, id: string, format: Format): Promise<number> {
  const recording = await callAgent<Recording>(directory, 'GET', `/v1/incidents/${encodeURIComponent(id)}/recording`);
  printWhole(format, { ...recording }, () => renderRecording(recording));
  return EXIT.ok;
}

function renderRecording({ metrics, top }: Recording): string {
  const changed = Object.entries(metrics)
    .filter(([, values]) => values.length > 1)
    .map(([name, values]) => ({ name, values, least: Math.min(...values), most: Math.max(...values) }))
    .sort((a, b) => change(b) - change(a));
  const rows = changed
    .slice(0, SHOWN_METRICS)
    .map(({ name, values, least, most }) => [name, sparkline(values), least, most, values.at(-1)]);
  const processes = top.map(({ atMs, cpu, memory }) => [
    new Moment(atMs),
    cpu.map(([pid, name, cpus]) => `${name} (${pid}) ${cpus}`).join(', '),
    memory
      .slice(0, 3)
      .map(([pid, name, , held]) => `${name} (${pid}) ${bytes(held)}`)
      .join(', '),
  ]);
  return [
    table(['metric', 'the minute before', 'least', 'most', 'last'], rows),
    '',
    table(['at', 'most CPUs', 'most memory'], processes),
  ].join('\n');
}

/** The range of a metric relative to its size. */
function change({ least, most }: { least: number; most: number }): number {
  return (most - least) / Math.max(Math.abs(most), Math.abs(least), Number.MIN_VALUE);
}

/** Column widths: the time since the incident was opened; and that with the moment and the stage. */
const LATER = 10;
const INDENT = 44;

const SOURCE_TEXT: Record<Explanation['source'], (by: string) => string> = {
  local: () => '',
  remote: () => ' (reported by that node)',
  witness: (by) => ` (the node does not answer; from its witness ${printable(by)}, signed by that node)`,
};

function render({ incident, source, toldBy = '', certificate, ownVote }: Explanation): string {
  const ended =
    incident.closedMs === 0
      ? incident.state
      : `${incident.outcome} after ${((incident.closedMs - incident.openedMs) / 1000).toFixed(2)} s`;
  const lines = [
    `${paint('bold', incident.id)}  ${printable(incident.summary)}: ${printable(incident.target)}`,
    `  on ${printable(incident.nodeName)}, severity ${incident.severity}, policy ${printable(incident.policy)}${SOURCE_TEXT[source](toldBy)}`,
    `  ${printable(ended)}`,
    '',
  ];
  for (const { atMs, stage, text, data } of incident.steps) {
    const later = `+${((atMs - incident.openedMs) / 1_000).toFixed(3)} s`.padStart(LATER);
    lines.push(`  ${paint('dim', `${when(atMs)} ${later}`)}  ${paint('bold', stage.padEnd(8))}  ${printable(localTimes(text))}`);
    const details = Object.entries(data ?? {}).map(([key, value]) => readable(key, short(value)).join('='));
    if (details.length > 0) lines.push(paint('dim', `${' '.repeat(INDENT)}${printable(details.join('  '))}`));
  }
  lines.push('');
  if (certificate.present) {
    const verdict = certificate.valid ? paint('green', 'valid') : paint('red', 'NOT valid');
    lines.push(
      `Certificate, checked by this agent: ${verdict}: ${certificate.detail} (${certificate.witnesses.map(printable).join(', ')})`,
    );
  } else {
    lines.push('Certificate: none');
  }
  if (ownVote !== undefined) lines.push(`This agent’s own vote: ${ownVote.verdict} (${ownVote.reason}, ${ownVote.confidence} %)`);
  return lines.join('\n');
}

function short(value: string | number | boolean | null): string | number {
  if (typeof value === 'number' && Number.isInteger(value)) return value;
  const text = typeof value === 'number' && !Number.isInteger(value) ? value.toPrecision(4) : String(value);
  return text.length > 40 ? `${text.slice(0, 16)}…` : text;
}
