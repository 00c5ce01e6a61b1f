// `kalos sim run|list`: the deterministic simulator from the command line.

import { FEATURE_SERIES } from '../models/features.ts';
import { printData } from '../node/cli/data.ts';
import { EXIT, type Format, paint, table } from '../node/cli/output.ts';
import { KalosError } from '../node/errors.ts';
import { makeDataset } from './dataset.ts';
import { type RunReport, runScenario } from './run.ts';
import { SCENARIOS } from './scenarios/all.ts';

const PROGRESS_EVERY_MS = 10_000;

export function listScenarios(format: Format): number {
  const rows = SCENARIOS.map(({ name, minNodes, durationMs, description }) => ({
    name,
    minNodes,
    seconds: durationMs / 1000,
    description,
  }));
  if (format === 'table')
    process.stdout.write(
      `${table(
        ['name', 'nodes from', 'seconds', 'description'],
        rows.map((row) => Object.values(row)),
      )}\n`,
    );
  else printData(format, { scenarios: rows });
  return EXIT.ok;
}

export interface SimOptions {
  nodes: number;
  seed: number;
  trace: boolean;
}

/** @throws KalosError `usage` for an unknown scenario or too few nodes. */
export async function runSimulation(name: string, options: SimOptions, format: Format): Promise<number> {
  const scenario = SCENARIOS.find((known) => known.name === name);
  if (scenario === undefined)
    throw new KalosError('usage', `no scenario "${name}"`, `there are: ${SCENARIOS.map((known) => known.name).join(', ')}`);
  if (options.nodes < scenario.minNodes) throw new KalosError('usage', `${name} needs at least ${scenario.minNodes} nodes`);
  const report = await runScenario(scenario, options.nodes, options.seed, (simulatedMs) => {
    if (process.stderr.isTTY && simulatedMs % PROGRESS_EVERY_MS === 0)
      process.stderr.write(`\r${simulatedMs / 1000} of ${scenario.durationMs / 1000} s simulated`);
  });
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  if (format === 'table') process.stdout.write(`${render(report, options.trace)}\n`);
  else printData(format, { ...report, trace: options.trace ? report.trace : undefined });
  return report.violations.length === 0 ? EXIT.ok : EXIT.error;
}

/** CSV on standard output: a header, then label and features, a window a line. */
export function printDataset(windows: number, seed: number): number {
  const columns = FEATURE_SERIES.flatMap((name) => [`${name}.recent`, `${name}.change`, `${name}.step`]);
  const lines = [['label', ...columns].join(',')];
  for (const { label, features } of makeDataset(windows, seed))
    lines.push([label, ...features.map((value) => value.toPrecision(9))].join(','));
  process.stdout.write(`${lines.join('\n')}\n`);
  return EXIT.ok;
}

function render(report: RunReport, withTrace: boolean): string {
  const speed = Math.round(report.simulatedMs / Math.max(1, report.realMs));
  const lines = withTrace
    ? report.trace.map(({ atMs, node, text }) => `${(atMs / 1000).toFixed(3).padStart(9)}  ${node.padEnd(10)}  ${text}`)
    : [];
  const incidents = report.incidents.map(({ id, node, policy, target, outcome, certified, tookMs }) => [
    id,
    node,
    policy,
    target,
    outcome,
    certified ? 'yes' : 'no',
    tookMs,
  ]);
  lines.push(
    `${paint('bold', report.scenario)}  ${report.nodes} nodes, seed ${report.seed}, ${report.simulatedMs / 1000} s simulated in ${(report.realMs / 1000).toFixed(1)} s (${speed} times real time)`,
    `${report.events} events, ${report.messages} messages, ${report.bytes} bytes`,
    '',
    table(['incident', 'node', 'policy', 'target', 'outcome', 'certified', 'took ms'], incidents),
    '',
    ...(report.violations.length === 0
      ? [paint('green', 'everything held')]
      : report.violations.map((text) => paint('red', `violated: ${text}`))),
    `trace hash ${report.traceHash}`,
  );
  return lines.join('\n');
}
