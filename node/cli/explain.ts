// `kalos explain ID`: one incident from sample to outcome, from whichever peer it is asked of.
import type { Explanation } from '../query/explain.ts';
import { callAgent } from './client.ts';
import { printData } from './data.ts';
import { EXIT, type Format, paint, printable } from './output.ts';

export async function runExplain(directory: string | undefined, id: string, format: Format): Promise<number> {
  const explanation = await callAgent<Explanation>(directory, 'GET', `/v1/incidents/${encodeURIComponent(id)}/explanation`);
  if (format === 'table') process.stdout.write(`${render(explanation)}\n`);
  else printData(format, { ...explanation });
  return EXIT.ok;
}

function render({ incident, source, certificate, ownVote }: Explanation): string {
  const ended =
    incident.closedMs === 0
      ? incident.state
      : `${incident.outcome}, after ${((incident.closedMs - incident.openedMs) / 1000).toFixed(2)} s`;
  const lines = [
    `${paint('bold', incident.id)}  ${printable(incident.summary)}: ${printable(incident.target)}`,
    `  on ${printable(incident.nodeName)}, severity ${incident.severity}, policy ${printable(incident.policy)}${source === 'remote' ? ' (told by that node)' : ''}`,
    `  ${printable(ended)}`,
    '',
  ];
  for (const { atMs, stage, text, data } of incident.steps) {
    const time = new Date(atMs).toISOString().slice(11, 23);
    lines.push(`  ${paint('dim', time)}  ${paint('bold', stage.padEnd(8))}  ${printable(text)}`);
    const details = Object.entries(data ?? {}).map(([key, value]) => `${key}=${short(value)}`);
    if (details.length > 0) lines.push(paint('dim', `                          ${printable(details.join('  '))}`));
  }
  lines.push('');
  if (certificate.present) {
    const verdict = certificate.valid ? paint('green', 'valid') : paint('red', 'NOT valid');
    lines.push(
      `Certificate, checked by this peer: ${verdict}: ${certificate.detail} (${certificate.witnesses.map(printable).join(', ')})`,
    );
  } else {
    lines.push('Certificate: none');
  }
  if (ownVote !== undefined)
    lines.push(`This peer was a witness itself: ${ownVote.verdict} (${ownVote.reason}, ${ownVote.confidence} %)`);
  return lines.join('\n');
}

function short(value: string | number | boolean | null): string {
  const text = typeof value === 'number' && !Number.isInteger(value) ? value.toPrecision(4) : String(value);
  return text.length > 40 ? `${text.slice(0, 16)}…` : text;
}
