// A run as one HTML file: its figures, its plots as inline SVG, its faults and incidents, and its violations.
import { counted } from '../../swarm/words.ts';
import { EPOCH_MS } from '../node.ts';
import type { RunReport, Sample } from '../run.ts';
import { type Bar, escapeHtml, lineChart, timeline } from './svg.ts';

const MAX_LANES = 100;

/** Ms from the first fault of an incident's machine, at most a minute before it, to the incident. */
export function detectionTimes({ faults, incidents }: RunReport): number[] {
  return incidents.flatMap(({ node, openedMs }) => {
    const atMs = openedMs - EPOCH_MS;
    const before = faults.filter(
      (fault) => fault.atMs <= atMs && atMs - fault.atMs < 60_000 && fault.nodes.includes(indexOf(node)),
    );
    const last = before.at(-1);
    return last === undefined ? [] : [atMs - last.atMs];
  });
}

const indexOf = (node: string): number => Number(node.replace('node-', ''));

export function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

/** The rate per node and second of a growing sum. */
function rates(samples: readonly Sample[], nodes: number, pick: (sample: Sample) => number): [number, number][] {
  return samples.slice(1).map((sample, index) => {
    const before = samples[index] ?? sample;
    const seconds = (sample.atMs - before.atMs) / 1_000;
    return [sample.atMs / 1_000, (pick(sample) - pick(before)) / nodes / Math.max(seconds, 1e-9)];
  });
}

/** By name, each a separate SVG. */
export function plots(report: RunReport): Record<string, string> {
  const { samples, nodes } = report;
  const over = (pick: (sample: Sample) => number): [number, number][] =>
    samples.map((sample) => [sample.atMs / 1_000, pick(sample)]);
  return {
    timeline: timelineOf(report),
    views: lineChart('Views over time', 'agents', [
      { name: 'running', points: over(({ running }) => running) },
      { name: 'seen alive, mean view', points: over(({ alive }) => alive) },
      { name: 'open incidents', points: over(({ openIncidents }) => openIncidents) },
    ]),
    bytes: lineChart('Bytes per node', 'B/s', [
      { name: 'sent, with framing', points: rates(samples, nodes, ({ bytes }) => bytes) },
    ]),
    messages: lineChart('Messages per node', '1/s', [
      { name: 'sent', points: rates(samples, nodes, ({ messages }) => messages) },
    ]),
  };
}

function timelineOf({ faults, incidents, simulatedMs, nodes }: RunReport): string {
  const bars: Bar[] = [
    ...faults.flatMap(({ atMs, forMs, text, nodes: on }) =>
      on.map((index): Bar => ({ lane: `node-${index}`, from: atMs / 1_000, to: (atMs + forMs) / 1_000, text, tone: 'fault' })),
    ),
    ...incidents.map(({ node, openedMs, tookMs, policy, target, outcome }): Bar => {
      const from = (openedMs - EPOCH_MS) / 1_000;
      const open = tookMs === 0;
      return {
        lane: node,
        from,
        to: open ? simulatedMs / 1_000 : from + tookMs / 1_000,
        text: `${policy} ${target}: ${outcome || 'open'}`,
        tone: open ? 'open' : 'healed',
      };
    }),
  ];
  const touched = new Set(bars.map(({ lane }) => lane));
  const all = Array.from({ length: nodes }, (_, index) => `node-${index}`);
  const lanes = (nodes <= MAX_LANES ? all : all.filter((lane) => touched.has(lane))).slice(0, MAX_LANES);
  return timeline('Faults and incidents', simulatedMs / 1_000, bars, lanes);
}

const ms = (value: number | undefined): string => (value === undefined ? '–' : `${Math.round(value)} ms`);

function figures(report: RunReport): [string, string][] {
  const found = detectionTimes(report);
  const repaired = report.incidents.filter(({ tookMs, tool }) => tookMs > 0 && tool !== '').map(({ tookMs }) => tookMs);
  const perNodeSecond = (value: number): string => (value / report.nodes / (report.simulatedMs / 1_000)).toFixed(1);
  return [
    ['Nodes, seed', `${report.nodes}, ${report.seed}`],
    ['Simulated', `${report.simulatedMs / 1_000} s in ${(report.realMs / 1_000).toFixed(1)} s`],
    ['Faults, incidents', `${report.faults.length}, ${report.incidents.length}`],
    ['Detected after (median, p95)', `${ms(quantile(found, 0.5))}, ${ms(quantile(found, 0.95))}`],
    ['Repaired and verified after (median, p95)', `${ms(quantile(repaired, 0.5))}, ${ms(quantile(repaired, 0.95))}`],
    ['Messages, bytes per node and second', `${perNodeSecond(report.messages)}, ${perNodeSecond(report.bytes)}`],
    ['Signatures would have taken, per node and second', `${perNodeSecond(report.cryptoMs)} ms of CPU`],
    ['Trace hash', report.traceHash],
  ];
}

function rows(cells: readonly (readonly unknown[])[], tag = 'td'): string {
  return cells.map((row) => `<tr>${row.map((cell) => `<${tag}>${escapeHtml(String(cell))}</${tag}>`).join('')}</tr>`).join('\n');
}

export function htmlReport(report: RunReport): string {
  const held = report.violations.length === 0;
  const title = `${report.scenario}, ${report.nodes} nodes, seed ${report.seed}`;
  const incidents = report.incidents.map(({ id, node, policy, target, outcome, certified, tookMs }) => [
    id,
    node,
    policy,
    target,
    outcome || 'open',
    certified ? 'yes' : 'no',
    tookMs,
  ]);
  const faults = report.faults.map(({ atMs, text, nodes }) => [
    (atMs / 1_000).toFixed(1),
    text,
    nodes.map((index) => `node-${index}`).join(' '),
  ]);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(title)}</title>
<style>
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1000px; color: #1f2328; padding: 0 1rem }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; width: 100% }
td, th { border-bottom: 1px solid #d1d9e0; padding: .25rem .5rem; text-align: left; vertical-align: top }
.held { color: #1a7f37 } .violated { color: #d1242f } svg { max-width: 100%; height: auto; display: block; margin: 1rem 0 }
code { word-break: break-all }
</style></head><body>
<h1>${escapeHtml(title)}</h1>
<p class="${held ? 'held' : 'violated'}">${held ? 'All checks passed.' : `${counted(report.violations.length, 'violation')}.`}</p>
${held ? '' : `<ul>${report.violations.map((text) => `<li><code>${escapeHtml(text)}</code></li>`).join('')}</ul>`}
<table>${rows(figures(report))}</table>
${Object.values(plots(report)).join('\n')}
<h2>Incidents</h2>
<table>${rows([['Incident', 'Node', 'Policy', 'Target', 'Outcome', 'Certified', 'Took ms']], 'th')}${rows(incidents)}</table>
<h2>Faults</h2>
<table>${rows([['At s', 'Fault', 'On']], 'th')}${rows(faults)}</table>
</body></html>
`;
}
