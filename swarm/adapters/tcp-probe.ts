// A TCP connect that sends nothing and reports the result: a witness probes a peer's service with it, and an agent its own.
import { connect } from 'node:net';
import type { PortState } from '../ports/transport.ts';

export function probeTcp(host: string, port: number, timeoutMs: number): Promise<PortState> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const settle = (state: PortState): void => {
      socket.destroy();
      resolve(state);
    };
    // After a stall of this process the timer fires before data that arrived meanwhile is read: read it first.
    socket.setTimeout(timeoutMs, () => setImmediate(settle, 'silent'));
    socket.once('connect', () => settle('open'));
    socket.once('error', (error: NodeJS.ErrnoException) => settle(error.code === 'ECONNREFUSED' ? 'refused' : 'silent'));
  });
}
