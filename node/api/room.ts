// Limits the connections of the API over HTTP. A client that opens connections without a request, or never completes one,
// does not lock out other clients.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

const nameOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;

/** The oldest connection without a complete request is closed for a new one; if there is none, the new one is closed. */
export function keepRoom(server: Server, maxConnections: number): void {
  /** Connections with the request that is being answered. By name, because with TLS a request has another socket than its connection. */
  const open = new Map<string, { socket: Socket; request: IncomingMessage | undefined }>();
  server.on('connection', (socket: Socket) => {
    if (open.size >= maxConnections) {
      const idle = [...open.values()].find(({ request }) => request?.complete !== true);
      (idle?.socket ?? socket).destroy();
      if (idle === undefined) return;
    }
    const name = nameOf(socket);
    open.set(name, { socket, request: undefined });
    socket.once('close', () => open.delete(name));
  });
  server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    const one = open.get(nameOf(request.socket));
    if (one === undefined) return;
    one.request = request;
    response.once('close', () => {
      if (one.request === request) one.request = undefined;
    });
  });
}
