// `kalos grant`: allows or denies tools to the policies of one machine.
import { callAgent } from '../api/client.ts';
import type { GrantAnswer } from '../api/grant-routes.ts';
import { printRows } from './data.ts';
import { EXIT } from './exit-codes.ts';
import { type Format, printable } from './output.ts';
import { exactly, Moment } from './times.ts';

const SHORT = 8;

export interface GrantOptions {
  dir?: string;
  node: string;
  tool: string;
  target?: string;
  uses?: number;
  /** ms */
  within?: number;
  /** ms */
  for: number;
  reason: string;
}

export async function give(effect: 'act' | 'approve' | 'deny', options: GrantOptions): Promise<number> {
  const { dir, node, tool, target, uses, within, reason } = options;
  const { index } = await callAgent<{ index: number }>(dir, 'POST', '/v1/grants', {
    ...{ effect, node, tool, target, uses, reason, forMs: options.for },
    ...(within !== undefined && { withinMs: within }),
  });
  process.stdout.write(`decision ${index}: valid for ${exactly(options.for)}; see: kalos grant list\n`);
  return EXIT.ok;
}

export async function list(directory: string | undefined, format: Format): Promise<number> {
  const { grants } = await callAgent<{ grants: GrantAnswer[] }>(directory, 'GET', '/v1/grants');
  printRows(format, {
    data: { grants },
    headers: ['grant', 'effect', 'node', 'tool', 'target', 'until', 'reason'],
    rows: grants.map((one) => [
      one.id.slice(0, SHORT),
      one.effect === 'approve' ? `approve ${one.uses} in ${exactly(one.withinMs)}` : one.effect,
      one.node,
      one.tool,
      one.target ?? 'anything',
      new Moment(one.untilMs),
      printable(one.reason),
    ]),
  });
  return EXIT.ok;
}

export async function revoke(directory: string | undefined, id: string, reason: string): Promise<number> {
  const { index } = await callAgent<{ index: number }>(directory, 'POST', '/v1/grants/revoke', { grant: id, reason });
  process.stdout.write(`decision ${index}: the grant is revoked\n`);
  return EXIT.ok;
}
