// Asks a real agent on its own socket, without a command line in between.
import { request } from 'node:http';
import { join } from 'node:path';

/** @param directory the agent's state directory */
export function ask<Body>(directory: string, path: string, body?: unknown): Promise<Body> {
  const method = body === undefined ? 'GET' : 'POST';
  const socketPath = join(directory, 'agent.sock');
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, method, headers: { 'content-type': 'application/json' } }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        try {
          resolve(JSON.parse(text) as Body);
        } catch (error) {
          reject(error);
        }
      });
    });
    call.on('error', reject);
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
