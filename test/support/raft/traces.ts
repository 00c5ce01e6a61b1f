// Replays etcd/raft's golden traces (shared/data/raft-traces): each command's output beside what is expected of it.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Directive, directives } from './data-driven.ts';
import { InteractionTrace } from './interaction-trace.ts';
import { confChangeTrace, quorumTrace } from './quorum-trace.ts';

/** Where traces lie, or undefined. */
export function traceDirectory(given: string | undefined): string | undefined {
  const data = process.env.KALOS_DATA ?? join(import.meta.dirname, '..', '..', '..', '..', 'shared', 'data');
  return [given, join(data, 'raft-traces')].find((path) => path !== undefined && existsSync(path));
}

export interface TraceResult {
  file: string;
  commands: number;
  /** The first command whose output differs. */
  difference: { line: number; command: string; expected: string; received: string } | undefined;
}

const SUITES: Readonly<Record<string, () => (directive: Directive) => string>> = {
  quorum: () => quorumTrace,
  confchange: confChangeTrace,
  interaction: () => {
    const trace = new InteractionTrace();
    return (directive) => trace.run(directive);
  },
};

export function replayTraces(directory: string): TraceResult[] {
  return Object.entries(SUITES).flatMap(([suite, start]) => {
    const path = join(directory, suite);
    const files = existsSync(path) ? readdirSync(path).filter((name) => name.endsWith('.txt')) : [];
    return files.sort().map((name) => replay(`${suite}/${name}`, readFileSync(join(path, name), 'utf8'), start()));
  });
}

function replay(file: string, text: string, run: (directive: Directive) => string): TraceResult {
  const all = directives(text);
  for (const directive of all) {
    const { line, command, expected } = directive;
    const received = attempt(() => run(directive));
    if (received !== expected) return { file, commands: all.length, difference: { line, command, expected, received } };
  }
  return { file, commands: all.length, difference: undefined };
}

function attempt(run: () => string): string {
  try {
    return run();
  } catch (error) {
    return `${error instanceof Error ? error.stack : String(error)}\n`;
  }
}
