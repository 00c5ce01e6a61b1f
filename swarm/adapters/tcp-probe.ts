// A TCP connect that says what it found and sends nothing: how a witness looks at a peer's service, and an agent at its own.
import { connect } from 'node:net';
import type { PortState } from '../ports/transport.ts';

export function probeTcp(host: string, port: number, timeoutMs: number): Promise<PortState> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const settle = (state: PortState): void => {
      socket.destroy();
      resolve(state);
    };
    // Where this process was held up, its timer comes before what has arrived meanwhile: that is read first.
    socket.setTimeout(timeoutMs, () => setImmediate(settle, 'silent'));
    socket.once('connect', () => settle('open'));
    socket.once('error', (error: NodeJS.ErrnoException) => settle(error.code === 'ECONNREFUSED' ? 'refused' : 'silent'));
  });
}
