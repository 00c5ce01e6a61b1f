// The local HTTP API on a Unix socket in the state directory (0600): what the command line talks to. Who can open it may do anything.
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { Agent } from '../agent.ts';
import { answer, send } from './answer.ts';
import { watch } from './http.ts';

/** Listens until the server is closed. @throws where the socket cannot be made. */
export async function serveApi(agent: Agent, socket: string): Promise<Server> {
  rmSync(socket, { force: true }); // left by an agent that was killed: the store's lock says that none runs now
  const server = createServer((request, response) => {
    const topic = request.url?.match(/^\/v1\/watch\/(\w+)$/)?.[1];
    if (topic !== undefined) return watch(agent, topic, response);
    answer(agent, request, 'admin').then(
      ({ status, body }) => send(response, status, body),
      (error: unknown) => send(response, 500, { error: error instanceof Error ? error.message : String(error) }),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socket, resolve);
  });
  chmodSync(socket, 0o600);
  return server;
}
