// Asks a real agent on its own socket, without a command line in between.
import { request } from 'node:http';
import { join } from 'node:path';
import type { QueryAnswer } from '../../node/query/answer.ts';
import { patient } from './patience.ts';

const TIMEOUT_MS = patient(70_000);
const QUERY_TIMEOUT_MS = 5_000;

/** @param directory the agent's state directory */
export async function ask<Body>(directory: string, path: string, body?: unknown): Promise<Body> {
  return (await asked(directory, body === undefined ? 'GET' : 'POST', path, body)).body as Body;
}

/** With the status of the answer. */
export function asked(
  directory: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: unknown }> {
  const socketPath = join(directory, 'agent.sock');
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const call = request({ socketPath, path, method, headers, timeout: TIMEOUT_MS }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        try {
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) });
        } catch (error) {
          reject(error);
        }
      });
    });
    call.on('timeout', () => call.destroy(new Error(`no answer to ${path} within ${TIMEOUT_MS} ms`)));
    call.on('error', reject);
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

export type Row = Record<string, string | number | null>;

/** As `kalos query` asks it. */
export async function askRows(directory: string, sql: string): Promise<Row[]> {
  const answer = await ask<QueryAnswer>(directory, '/v1/query', { sql, timeoutMs: QUERY_TIMEOUT_MS, mode: 'live' });
  if (!('columns' in answer)) throw new Error(JSON.stringify(answer)); // what is wrong with it
  const { columns, rows } = answer;
  return rows.map((row) => Object.fromEntries(columns.map((name, nth) => [name, row[nth] ?? null])));
}
