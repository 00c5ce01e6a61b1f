// `kalos sim run|list|replay|dataset`: the deterministic simulator from the command line.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FEATURE_SERIES } from '../models/features.ts';
import { printRows, printWhole } from '../node/cli/data.ts';
import { EXIT } from '../node/cli/exit-codes.ts';
import { type Format, paint, table } from '../node/cli/output.ts';
import { KalosError } from '../node/errors.ts';
import { counted } from '../swarm/words.ts';
import { loadScenario, shippedScenarios } from './adapters/library.ts';
import type { RealReport } from './adapters/real/run.ts';
import type { TraceEvent } from './adapters/trace.ts';
import { runSeeds, type SeedResult, serveSeeds } from './adapters/workers.ts';
import { makeDataset } from './dataset.ts';
import { type RunOptions, type RunReport, runScenario, windowOf } from './run.ts';
import { describeFault } from './scenario/plan.ts';
import type { Scenario } from './scenario/schema.ts';
import { shrink } from './shrink.ts';

const BAR_WIDTH = 24;
const MAX_WINDOW_LINES = 60;
const REPLAY_LINES = 80;

export function listScenarios(format: Format): number {
  const scenarios = shippedScenarios().map(loadScenario);
  const faults = ({ fault, drawn }: Scenario): string => (drawn === undefined ? String(fault.length) : 'drawn');
  printRows(format, {
    headers: ['name', 'nodes from', 'seconds', 'faults', 'description'],
    rows: scenarios.map((one) => [one.name, one.min_nodes, one.duration / 1_000, faults(one), one.description]),
    data: {
      scenarios: scenarios.map((one) => ({
        name: one.name,
        minNodes: one.min_nodes,
        seconds: one.duration / 1_000,
        description: one.description,
      })),
    },
  });
  return EXIT.ok;
}

export interface SimOptions {
  /** Undefined: the scenario's number. */
  nodes: number | undefined;
  seed: number;
  seeds: number;
  trace: boolean;
  report: string | undefined;
  crypto: 'model' | 'real';
  protocols: boolean;
}

/** @throws KalosError `usage` for an unknown scenario or too few nodes, `config` for an invalid scenario. */
export async function runSimulation(name: string, options: SimOptions, format: Format): Promise<number> {
  const scenario = loadScenario(name);
  const nodes = options.nodes ?? scenario.nodes;
  if (nodes < scenario.min_nodes)
    throw new KalosError(
      'usage',
      `--nodes ${options.nodes ?? scenario.nodes} is too few: ${scenario.name} needs at least ${counted(scenario.min_nodes, 'node')}`,
    );
  const run: RunOptions = {
    scenario,
    nodes,
    seed: options.seed,
    realCrypto: options.crypto === 'real',
    protocolsOnly: options.protocols,
  };
  if (options.seeds > 1) return runMany(name, run, options, format);
  const report = await runScenario({ ...run, onProgress: progress(scenario) });
  clearLine();
  if (options.report !== undefined) await writeReport(report, options.report);
  const { trace, ...rest } = report;
  printWhole(format, options.trace ? { ...rest, trace } : rest, () => render(report, options.trace));
  if (report.violations.length === 0) return EXIT.ok;
  if (format === 'table' || format === 'wide') await explainViolation(name, run, report);
  return EXIT.error;
}

async function writeReport(report: RunReport, directory: string): Promise<void> {
  const { htmlReport, plots } = await import('./report/report.ts');
  mkdirSync(directory, { recursive: true });
  const path = join(directory, `${report.scenario}-${report.seed}.html`);
  writeFileSync(path, htmlReport(report));
  const { pngOf } = await import('./adapters/png.ts');
  for (const [plot, svg] of Object.entries(plots(report)))
    writeFileSync(join(directory, `${report.scenario}-${report.seed}-${plot}.png`), pngOf(svg));
  process.stderr.write(`report: ${path}\n`);
}

/** Prints the faults that suffice, the events just before the failure, and the command to replay it. */
async function explainViolation(name: string, run: RunOptions, report: RunReport): Promise<void> {
  const { faults, report: least } = await shrink(run, report, (left) => line(`reducing the faults: ${left} left`));
  clearLine();
  const window = windowOf(least).slice(-MAX_WINDOW_LINES);
  const lines = [
    '',
    faults.length === 0
      ? 'no fault is needed to fail'
      : `${faults.length} of ${counted(report.faults.length, 'fault')} suffice to fail:`,
    ...faults.map((fault) => `  ${(fault.atMs / 1_000).toFixed(1).padStart(7)} s  ${describeFault(fault)}`),
    '',
    `events up to ${least.window?.toEvent ?? 0}, the failure:`,
    ...window.map(eventLine),
    '',
    `replay: ${process.env.KALOS_COMMAND ?? 'kalos'} sim replay ${report.seed}@${report.window?.toEvent ?? 0} --scenario ${name} --nodes ${report.nodes}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

async function runMany(name: string, run: RunOptions, options: SimOptions, format: Format): Promise<number> {
  const jobs = Array.from({ length: options.seeds }, (_, index) => ({
    scenario: name,
    nodes: run.nodes,
    seed: options.seed + index,
    realCrypto: run.realCrypto === true,
    protocolsOnly: run.protocolsOnly === true,
  }));
  let violated = 0;
  let done = 0;
  const results = await runSeeds(process.argv[1] ?? '', jobs, (result) => {
    done++;
    if (result.violations.length > 0) violated++;
    line(`${bar(done / jobs.length)} ${done} of ${counted(jobs.length, 'seed')}, ${violated} violated`);
  });
  clearLine();
  const bad = results.filter(({ violations }) => violations.length > 0);
  const seeds = { scenario: run.scenario.name, nodes: run.nodes, seeds: results.length, violated: bad.length, results };
  printWhole(format, seeds, () => renderMany(results, bad));
  return bad.length === 0 ? EXIT.ok : EXIT.error;
}

function renderMany(results: readonly SeedResult[], bad: readonly SeedResult[]): string {
  const sum = (pick: (result: SeedResult) => number): number => results.reduce((total, result) => total + pick(result), 0);
  const first = results[0];
  const again = (seed: number): string =>
    `${process.env.KALOS_COMMAND ?? 'kalos'} sim run ${first?.scenario} --nodes ${first?.nodes} --seed ${seed}`;
  return [
    `${paint('bold', first?.scenario ?? '')}  ${counted(first?.nodes ?? 0, 'node')}, ${counted(results.length, 'seed')} from ${first?.seed}`,
    `${sum(({ simulatedMs }) => simulatedMs) / 1_000} s simulated, ${counted(
      sum(({ faults }) => faults),
      'fault',
    )}, ${counted(
      sum(({ incidents }) => incidents),
      'incident',
    )}`,
    ...bad
      .slice(0, 10)
      .flatMap(({ seed, violations, traceHash }) => [
        paint('red', `seed ${seed} violated: ${violations[0]}`),
        `  trace hash ${traceHash}; see: ${again(seed)}`,
      ]),
    bad.length === 0 ? paint('green', 'all checks passed') : paint('red', `${counted(bad.length, 'seed')} violated`),
  ].join('\n');
}

/** Runs up to an event, and shows what came before it and what happened there. @param where SEED@EVENT */
export async function replay(where: string, name: string, nodes: number | undefined, format: Format): Promise<number> {
  const [, seed, event] = where.match(/^(\d+)@(\d+)$/) ?? [];
  if (seed === undefined || event === undefined)
    throw new KalosError('usage', `"${where}" is not SEED@EVENT`, 'as printed by a failed run, such as 7@12345');
  const scenario = loadScenario(name);
  const untilEvent = Number(event);
  const report = await runScenario({
    scenario,
    nodes: nodes ?? scenario.nodes,
    seed: Number(seed),
    untilEvent,
    onProgress: progress(scenario),
  });
  clearLine();
  const trace = report.trace.filter((one) => one.event <= untilEvent).slice(-REPLAY_LINES);
  printWhole(format, { ...report, trace }, () =>
    [...trace.map(eventLine), ...report.violations.map((text) => paint('red', `violated: ${text}`))].join('\n'),
  );
  return report.violations.length === 0 ? EXIT.ok : EXIT.error;
}

/** @throws KalosError `usage` if the scenario or this machine is not suitable. */
export async function runForReal(name: string, options: { nodes: number; seed: number }, format: Format): Promise<number> {
  const { runReal } = await import('./adapters/real/run.ts');
  const scenario = loadScenario(name);
  if (options.nodes < scenario.min_nodes)
    throw new KalosError(
      'usage',
      `--nodes ${options.nodes ?? scenario.nodes} is too few: ${scenario.name} needs at least ${counted(scenario.min_nodes, 'node')}`,
    );
  process.stderr.write(
    `${scenario.name} on ${options.nodes} real agents takes ${scenario.duration / 1_000} s, plus the start of the agents\n`,
  );
  const onProgress = (atMs: number, text: string): void =>
    void process.stderr.write(`${(atMs / 1_000).toFixed(1).padStart(7)} s  ${text}\n`);
  const report = await runReal({ scenario, ...options, onProgress });
  printWhole(format, { ...report }, () => renderReal(report));
  return report.violations.length === 0 ? EXIT.ok : EXIT.error;
}

function renderReal(report: RealReport): string {
  return [
    `${paint('bold', report.scenario)}  ${counted(report.nodes, 'real agent')}, seed ${report.seed}, ${(report.tookMs / 1_000).toFixed(0)} s`,
    '',
    incidentTable(report.incidents),
    '',
    ...report.unseen.map((text) => `not checked: ${text}`),
    ...verdict(report.violations),
  ].join('\n');
}

function incidentTable(incidents: RealReport['incidents']): string {
  return table(
    ['incident', 'node', 'policy', 'target', 'outcome', 'certified', 'took ms'],
    incidents.map(({ id, node, policy, target, outcome, certified, tookMs }) => [
      id,
      node,
      policy,
      target,
      outcome,
      certified ? 'yes' : 'no',
      tookMs,
    ]),
  );
}

const verdict = (violations: readonly string[]): string[] =>
  violations.length === 0 ? [paint('green', 'all checks passed')] : violations.map((text) => paint('red', `violated: ${text}`));

export function serveWorker(): Promise<void> {
  return serveSeeds();
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

// On the terminal

function progress({ duration }: Scenario): (simulatedMs: number) => void {
  const startedMs = performance.now();
  let lastMs = 0;
  return (simulatedMs) => {
    const nowMs = performance.now();
    if (nowMs - lastMs < 200) return;
    lastMs = nowMs;
    const speed = simulatedMs / Math.max(1, nowMs - startedMs);
    line(
      `${bar(simulatedMs / duration)} ${simulatedMs / 1_000} of ${duration / 1_000} s simulated, ${speed.toFixed(0)} times real time`,
    );
  };
}

function bar(share: number): string {
  const full = Math.round(Math.min(1, share) * BAR_WIDTH);
  return `${'█'.repeat(full)}${'░'.repeat(BAR_WIDTH - full)}`;
}

function line(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
}

function clearLine(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
}

function eventLine({ atMs, node, text }: TraceEvent): string {
  return `${(atMs / 1000).toFixed(3).padStart(9)}  ${node.padEnd(10)}  ${text}`;
}

function render(report: RunReport, withTrace: boolean): string {
  const speed = Math.round(report.simulatedMs / Math.max(1, report.realMs));
  const lines = withTrace ? report.trace.map(eventLine) : [];
  lines.push(
    `${paint('bold', report.scenario)}  ${counted(report.nodes, 'node')}, seed ${report.seed}, ${report.simulatedMs / 1000} s simulated in ${(report.realMs / 1000).toFixed(1)} s (${speed} times real time)`,
    [
      counted(report.faults.length, 'fault'),
      counted(report.events, 'event'),
      counted(report.messages, 'message'),
      counted(report.bytes, 'byte'),
    ].join(', '),
    '',
    incidentTable(report.incidents),
    '',
    ...verdict(report.violations),
    `trace hash ${report.traceHash}`,
  );
  return lines.join('\n');
}
