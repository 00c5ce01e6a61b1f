// `kalos metrics | incidents | conditions | logs | down`: the most frequent questions about one machine, without SQL.
import { closeSync, existsSync, fstatSync, readSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openRegular } from '../adapters/regular-file.ts';
import type { AgentStatus } from '../agent/agent-status.ts';
import type { KnownPolicy } from '../agent/policies.ts';
import { callAgent, callForAll } from '../api/client.ts';
import { stateDirectory } from '../config/adapters/state-directory.ts';
import { KalosError, notFound, reasonOf } from '../errors.ts';
import type { Case } from '../memory/cases.ts';
import type { Past } from '../telemetry/history.ts';
import { printRows } from './data.ts';
import { EXIT } from './exit-codes.ts';
import { type Format, paint, printable, sparkline } from './output.ts';
import { runQuery } from './query.ts';
import { Moment } from './times.ts';

const QUERY_TIMEOUT_MS = 5_000;
const FOLLOW_EVERY_MS = 250;
const CHUNK_BYTES = 64 * 1024;
const TAIL_BYTES = 1024 * 1024;
const DOWN_WITHIN_MS = 60_000;

/** A name as an SQL string. */
const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

const statusOf = (directory: string | undefined) => callAgent<AgentStatus>(directory, 'GET', '/v1/status');

/** @param names parts of names; without any: all metrics. */
export async function metrics(directory: string | undefined, names: readonly string[], format: Format): Promise<number> {
  const { name } = await statusOf(directory);
  const parts = names.map((part) => `name like ${quoted(`%${part}%`)}`).join(' or ');
  const where = `node = ${quoted(name)}${parts === '' ? '' : ` and (${parts})`}`;
  return runQuery(
    directory,
    `select name, value, unit${format === 'wide' || format === 'csv' ? ', kind, source' : ''}, coalesce(unknown, description) as about from metrics where ${where} order by name`,
    { timeoutMs: QUERY_TIMEOUT_MS },
    format,
    names.length === 0
      ? undefined
      : new KalosError('not-found', `no metric name contains ${names.join(' or ')}`, 'see: kalos metrics'),
  );
}

const MAX_SHOWN_SERIES = 200;
const SPARKS = 30;

interface SeriesPast {
  fine: Past;
  coarse?: { mean: Past; most: Past };
}

/** Past values of series: ten minutes by the second and, if kept, six hours by the minute. @param names parts of names. */
export async function history(directory: string | undefined, names: readonly string[], format: Format): Promise<number> {
  const all = await callForAll<string>(directory, '/v1/series');
  const chosen = all.filter((name) => names.length === 0 || names.some((part) => name.includes(part)));
  if (chosen.length === 0)
    throw new KalosError('not-found', `no series name contains ${names.join(' or ')}`, 'see: kalos metrics --history');
  const shown = await Promise.all(
    chosen.slice(0, MAX_SHOWN_SERIES).map(async (name) => ({
      name,
      ...(await callAgent<SeriesPast>(directory, 'GET', `/v1/series/${encodeURIComponent(name)}`)),
    })),
  );
  const known = (past: Past | undefined): number[] => (past?.values ?? []).filter((value) => value !== null);
  const shape = (values: number[]): string => sparkline(inBuckets(values, SPARKS));
  printRows(format, {
    headers: ['series', 'ten minutes', 'least', 'mean', 'most', 'now', 'six hours'],
    rows: shown.map(({ name, fine, coarse }) => {
      const values = known(fine);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      return [name, shape(values), Math.min(...values), mean, Math.max(...values), values.at(-1), shape(known(coarse?.mean))];
    }),
    data: { series: shown, all: chosen.length },
  });
  if (chosen.length > shown.length) process.stderr.write(paint('dim', `${chosen.length - shown.length} more: narrow the name\n`));
  return EXIT.ok;
}

/** The mean of each of `count` buckets. */
function inBuckets(values: readonly number[], count: number): number[] {
  const size = Math.max(1, Math.ceil(values.length / count));
  return Array.from({ length: Math.ceil(values.length / size) }, (_, i) => {
    const bucket = values.slice(i * size, (i + 1) * size);
    return bucket.reduce((sum, value) => sum + value, 0) / bucket.length;
  });
}

export async function incidents(directory: string | undefined, open: boolean, format: Format): Promise<number> {
  const more = format === 'wide' || format === 'csv' ? ', opened_ms, closed_ms, tool, cause' : '';
  const opened = "strftime('%Y-%m-%dT%H:%M:%fZ', opened_ms / 1000.0, 'unixepoch') as opened";
  const sql = `select id, ${opened}, severity, node, policy, target, state, outcome${more} from incidents${open ? " where outcome = ''" : ''} order by opened_ms, id`;
  return runQuery(directory, sql, { timeoutMs: QUERY_TIMEOUT_MS, moments: ['opened'] }, format);
}

/** @throws KalosError if there is no policy of that name. */
async function mustKnowPolicy(directory: string | undefined, name: string): Promise<void> {
  const known = (await callAgent<KnownPolicy[]>(directory, 'GET', '/v1/policies')).map(({ policy }) => policy.name);
  if (!known.includes(name)) throw notFound('policy', name, known, 'kalos policy list');
}

/** @param policy undefined: all policies. */
export async function cases(directory: string | undefined, policy: string | undefined, format: Format): Promise<number> {
  const all = (await callForAll<Case>(directory, '/v1/cases')).filter((one) => policy === undefined || one.policy === policy);
  if (policy !== undefined && all.length === 0) await mustKnowPolicy(directory, policy);
  const result = ({ worked }: Case): string => (worked ? 'helped' : 'did not help');
  printRows(format, {
    headers: ['incident', 'policy', 'target', 'plan', 'result'],
    rows: all.map((one) => [one.incident, one.policy, one.target, one.plan, result(one)]),
    wide: {
      headers: ['id', 'at', 'incident', 'policy', 'target', 'plan', 'result'],
      rows: all.map((one) => [one.id, new Moment(one.atMs), one.incident, one.policy, one.target, one.plan, result(one)]),
    },
    data: { cases: all },
  });
  return EXIT.ok;
}

export async function conditions(directory: string | undefined, format: Format): Promise<number> {
  const { conditions: all, openIncidents, unseen } = await statusOf(directory);
  const rows = Object.entries(all).map(([name, value]) => ({ condition: name, status: value }));
  const listed = rows.map(({ condition, status }) => [condition, status]);
  printRows(format, { headers: ['condition', 'status'], rows: listed, data: { conditions: rows, openIncidents, unseen } });
  if (format === 'table' || format === 'wide') {
    for (const { id, summary, target } of openIncidents)
      process.stdout.write(`${paint('yellow', id)}  ${printable(summary)}: ${printable(target)}\n`);
    for (const { name, reason } of unseen)
      process.stdout.write(`${paint('dim', 'unavailable')}  ${printable(name)}: ${printable(reason)}\n`);
  }
  return all.Ready === 'False' ? EXIT.degraded : EXIT.ok;
}

/** Prints the end of a service's log; with `follow`, new lines too. */
export async function logs(directory: string | undefined, service: string, lines: number, follow: boolean): Promise<number> {
  const { services } = await statusOf(directory);
  const known = services.map(({ name }) => name);
  if (!known.includes(service)) throw notFound('service', service, known, 'kalos status');
  const { path, actuator } = stateDirectory(directory);
  const places = [process.env.KALOS_ACTUATOR === undefined ? actuator : dirname(process.env.KALOS_ACTUATOR), `${path}-actuator`];
  const file = places.map((place) => join(place, 'services', `${service}.log`)).find((candidate) => existsSync(candidate));
  if (file === undefined) throw new KalosError('not-found', `${service} has no log output yet`);
  let offset = printTail(file, lines);
  while (follow) {
    await new Promise((resolve) => setTimeout(resolve, FOLLOW_EVERY_MS));
    offset = printFrom(file, offset);
  }
  return EXIT.ok;
}

/** Only a regular file: a service may write to the directory of its log, and replace the log. */
function opened(file: string): number {
  try {
    return openRegular(file);
  } catch (error) {
    throw new KalosError('io', `cannot read ${file}: ${reasonOf(error)}`);
  }
}

function printTail(file: string, lines: number): number {
  const fd = opened(file);
  try {
    const { size } = fstatSync(fd);
    const from = Math.max(0, size - TAIL_BYTES);
    const buffer = Buffer.alloc(size - from);
    readSync(fd, buffer, 0, buffer.length, from);
    const all = buffer.toString('utf8').split('\n');
    const kept = all.slice(-lines - 1).join('\n');
    process.stdout.write(printable(kept));
    return size;
  } finally {
    closeSync(fd);
  }
}

/** A log that became smaller was rotated: it is read from the start. */
function printFrom(file: string, offset: number): number {
  const fd = opened(file);
  try {
    const { size } = fstatSync(fd);
    let at = size < offset ? 0 : offset;
    const buffer = Buffer.alloc(CHUNK_BYTES);
    for (let got = readSync(fd, buffer, 0, CHUNK_BYTES, at); got > 0; got = readSync(fd, buffer, 0, CHUNK_BYTES, at)) {
      process.stdout.write(printable(buffer.toString('utf8', 0, got)));
      at += got;
    }
    return at;
  } finally {
    closeSync(fd);
  }
}

/** Stops the agent, and waits for its end. */
export async function down(directory: string | undefined): Promise<number> {
  const { name } = await statusOf(directory);
  await callAgent(directory, 'POST', '/v1/stop', {});
  const deadlineMs = performance.now() + DOWN_WITHIN_MS;
  while (performance.now() < deadlineMs) {
    await new Promise((resolve) => setTimeout(resolve, FOLLOW_EVERY_MS));
    const gone = await statusOf(directory).then(
      () => false,
      (error: unknown) => error instanceof KalosError && error.code === 'not-running',
    );
    if (!gone) continue;
    process.stdout.write(`${name} has stopped\n`);
    return EXIT.ok;
  }
  throw new KalosError('io', `${name} did not stop within a minute`, 'see: kalos log agent');
}
