// The local HTTP API on a Unix socket in the state directory (0600): used by the command line. A process that can open it may do everything.

import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { dirname } from 'node:path';
import { getSystemErrorMap } from 'node:util';
import { messageOf } from '../../swarm/words.ts';
import type { Agent } from '../agent/agent.ts';
import { KalosError, reasonOf } from '../errors.ts';
import { OWNER } from '../ports/compute.ts';
import { answer, inTurn, send } from './answer.ts';
import { watch } from './http.ts';

/** A client of the socket. */
const BY_OWNER = { level: 'admin', name: OWNER } as const;

/** Listens until the server is closed. @throws if the socket cannot be created. */
export async function serveApi(agent: Agent, socket: string): Promise<Server> {
  removeSocket(socket);
  const server = createServer((request, response) => {
    inTurn(request, response, () => respond(agent, request, response));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new KalosError(
          'io',
          `cannot create the socket ${socket}: ${socketReason(error)}`,
          `free space in ${dirname(socket)}, or choose another state directory with --dir`,
        ),
      ),
    );
    server.listen(socket, resolve);
  });
  chmodSync(socket, 0o600);
  return server;
}

function respond(agent: Agent, request: IncomingMessage, response: ServerResponse): void {
  const topic = request.url?.match(/^\/v1\/watch\/(\w+)$/)?.[1];
  if (topic !== undefined) return watch(agent, topic, response, BY_OWNER);
  answer(agent, request, BY_OWNER).then(
    ({ status, body }) => send(response, status, body, BY_OWNER),
    (error: unknown) => send(response, 500, { error: messageOf(error) }),
  );
}

/** Removes the socket of an agent that was killed: this agent has the store's lock, so no other runs. */
function removeSocket(socket: string): void {
  try {
    rmSync(socket, { force: true });
  } catch (error) {
    throw new KalosError('io', `cannot remove ${socket}, which blocks the agent’s socket: ${reasonOf(error)}`, 'move it away');
  }
}

/** Node has no message for some errors of bind(2). */
function socketReason(error: NodeJS.ErrnoException): string {
  return error.errno === undefined ? reasonOf(error) : (getSystemErrorMap().get(error.errno)?.[1] ?? reasonOf(error));
}
