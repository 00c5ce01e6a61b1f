// `kalos watch TOPIC` and `kalos api-token`: a stream of changes; and tokens for the HTTP API.
import type { ApiToken, Scope } from '../agent/api-tokens.ts';
import { callAgent, follow } from '../api/client.ts';
import type { FeedEvent } from '../api/feed.ts';
import { csvLine, printRows, yaml } from './data.ts';
import { EXIT } from './exit-codes.ts';
import { type Format, paint, printable, printableJson } from './output.ts';
import { iso, localTimes, Moment, when, withMoments } from './times.ts';

const ABOUT = ['node', 'policy', 'target', 'summary'] as const;

/** One change: a line of text, JSON or CSV, or a YAML document. */
export function renderChange(event: FeedEvent, format: Format): string {
  const { atMs, topic, subject, text, data: more } = event;
  if (format === 'json') return `${printableJson(JSON.stringify(withMoments(event)))}\n`;
  if (format === 'yaml') return `---\n${yaml(withMoments(event) as Record<string, unknown>)}`;
  if (format === 'csv') return csvLine([iso(atMs), topic, subject, text, ...ABOUT.map((key) => more[key])]);
  const about = ABOUT.map((key) => more[key])
    .filter((one) => typeof one === 'string' && one !== '')
    .join(' ');
  return `${when(atMs)}  ${printable(subject)}  ${printable(localTimes(text))}${about === '' ? '' : `  ${paint('dim', printable(about))}`}\n`;
}

export async function watch(directory: string | undefined, topic: string, format: Format): Promise<number> {
  if (process.stderr.isTTY) process.stderr.write(paint('dim', `watching ${topic}; ^C stops\n`));
  if (format === 'csv') process.stdout.write(csvLine(['time', 'topic', 'subject', 'text', ...ABOUT]));
  await follow(
    directory,
    `/v1/watch/${encodeURIComponent(topic)}`,
    (data) => void process.stdout.write(renderChange(data as FeedEvent, format)),
  );
  return EXIT.error; // the connection to the agent was lost
}

export async function createApiToken(
  directory: string | undefined,
  given: { name: string; scope: Scope; ttlMs: number },
): Promise<number> {
  const { token, untilMs } = await callAgent<{ token: string; untilMs: number }>(directory, 'POST', '/v1/api-tokens', given);
  process.stdout.write(`${token}\n`);
  process.stderr.write(paint('dim', `scope ${given.scope}, until ${when(untilMs)}; the token is shown only once\n`));
  return EXIT.ok;
}

export async function listApiTokens(directory: string | undefined, format: Format): Promise<number> {
  const tokens = await callAgent<Omit<ApiToken, 'digest'>[]>(directory, 'GET', '/v1/api-tokens');
  printRows(format, {
    headers: ['id', 'name', 'scope', 'until'],
    rows: tokens.map(({ id, name, scope, untilMs }) => [id, name, scope, new Moment(untilMs)]),
    data: { tokens },
  });
  return EXIT.ok;
}

export async function revokeApiToken(directory: string | undefined, id: string): Promise<number> {
  await callAgent(directory, 'POST', `/v1/api-tokens/${encodeURIComponent(id)}/removal`);
  process.stdout.write(`token ${id} is revoked\n`);
  return EXIT.ok;
}
