// Talks to the agent of a state directory over its Unix socket.
import { request } from 'node:http';
import { stateDirectory } from '../config/adapters/state-directory.ts';
import { KalosError } from '../errors.ts';

const TIMEOUT_MS = 70_000;

/** @throws KalosError `not-running` where no agent answers, or what the agent says is wrong. */
export function callAgent<Answer>(
  directory: string | undefined,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
): Promise<Answer> {
  const { path: where, socket } = stateDirectory(directory);
  return new Promise((resolve, reject) => {
    const call = request(
      { socketPath: socket, method, path, timeout: TIMEOUT_MS, headers: { 'content-type': 'application/json' } },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => {
          const answer = JSON.parse(text) as Answer & { error?: string };
          if ((response.statusCode ?? 500) < 300) return resolve(answer);
          reject(
            new KalosError(
              response.statusCode === 404 ? 'not-found' : 'usage',
              answer.error ?? `the agent answered ${response.statusCode}`,
            ),
          );
        });
      },
    );
    call.on('timeout', () => call.destroy(new Error('the agent does not answer')));
    call.on('error', (error: NodeJS.ErrnoException) => reject(connectFailure(error, where)));
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function connectFailure(error: NodeJS.ErrnoException, where: string): KalosError {
  if (error.code === 'EACCES')
    return new KalosError('io', `the agent on ${where} belongs to another user`, 'use the same user, or sudo');
  if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') {
    return new KalosError(
      'not-running',
      `no agent runs on ${where}`,
      'start one with: kalos up; or name another state directory with --dir or KALOS_DIR',
    );
  }
  return new KalosError('io', `cannot talk to the agent on ${where}: ${error.message}`);
}
