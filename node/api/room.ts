// Which connections of the API over HTTP are kept where there are too many: whoever opens them and asks nothing, or never ends its request,
// keeps nobody else out.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

const nameOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;

/** The oldest that waits for its user makes room for a new one; where all wait for the agent, none does. @param most connections. */
export function keepRoom(server: Server, most: number): void {
  /** With the request that is being answered. By name: with TLS a request has another socket than its connection. */
  const open = new Map<string, { socket: Socket; request: IncomingMessage | undefined }>();
  server.on('connection', (socket: Socket) => {
    if (open.size >= most) {
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
