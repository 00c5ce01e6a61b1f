// `kalos watch TOPIC` and `kalos api-token`: what changes, as it changes; and who may ask over HTTP.
import type { ApiToken, Scope } from '../agent/api-tokens.ts';
import { callAgent, follow } from '../api/client.ts';
import type { FeedEvent } from '../api/feed.ts';
import { printRows } from './data.ts';
import { EXIT, type Format, paint, printable, printableJson } from './output.ts';

/** A line for each change, or a line of JSON. */
export async function watch(directory: string | undefined, topic: string, asJson: boolean): Promise<number> {
  if (process.stderr.isTTY) process.stderr.write(paint('dim', `what changes of ${topic} comes here; ^C ends it\n`));
  await follow(directory, `/v1/watch/${topic}`, (data) => {
    const { atMs, subject, text, data: more } = data as FeedEvent;
    const line = `${new Date(atMs).toISOString()}  ${printable(subject)}  ${printable(text)}`;
    const about = [more.node, more.policy, more.target, more.summary]
      .filter((one) => typeof one === 'string' && one !== '')
      .join(' ');
    process.stdout.write(
      asJson
        ? `${printableJson(JSON.stringify(data))}\n`
        : `${line}${about === '' ? '' : `  ${paint('dim', printable(about))}`}\n`,
    );
  });
  return EXIT.error; // the agent has gone
}

export async function createApiToken(
  directory: string | undefined,
  given: { name: string; scope: Scope; ttlMs: number },
): Promise<number> {
  const { token, untilMs } = await callAgent<{ token: string; untilMs: number }>(directory, 'POST', '/v1/api-tokens', given);
  process.stdout.write(`${token}\n`);
  process.stderr.write(paint('dim', `scope ${given.scope}, until ${new Date(untilMs).toISOString()}; it is told only now\n`));
  return EXIT.ok;
}

export async function listApiTokens(directory: string | undefined, format: Format): Promise<number> {
  const tokens = await callAgent<Omit<ApiToken, 'digest'>[]>(directory, 'GET', '/v1/api-tokens');
  printRows(format, {
    headers: ['id', 'name', 'scope', 'until'],
    rows: tokens.map(({ id, name, scope, untilMs }) => [id, name, scope, new Date(untilMs).toISOString()]),
    data: { tokens },
  });
  return EXIT.ok;
}

export async function revokeApiToken(directory: string | undefined, id: string): Promise<number> {
  await callAgent(directory, 'POST', `/v1/api-tokens/${encodeURIComponent(id)}/removal`);
  process.stdout.write(`token ${id} has ended\n`);
  return EXIT.ok;
}
