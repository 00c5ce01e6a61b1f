// A GET that reads only the status: an agent runs it as the declared check of its own service, and a witness for a peer's service. Both send
// the same request, so that a server with virtual hosts answers both alike.
import { get } from 'node:http';
import type { HttpState } from '../ports/transport.ts';

/** The host name in requests of the machine itself and of its witnesses. */
const LOCAL_HOST = '127.0.0.1';
const FIRST_GOOD = 200;
const FIRST_BAD = 400;

/** Errors of this machine or process, not of the service. */
const OURS = new Set(['EADDRNOTAVAIL', 'EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EAGAIN']);
/** Errors without an answer of the host, or of a firewall before it. */
const NOT_REACHED = new Set(['EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'EHOSTDOWN', 'EACCES', 'EPERM']);

/** @param timeoutMs from the connect until the status */
export function probeHttp(host: string, port: number, path: string, timeoutMs: number): Promise<HttpState> {
  // Node throws synchronously if the path is invalid.
  return tryHttp(host, port, path, timeoutMs).catch(() => 'unknown');
}

function tryHttp(host: string, port: number, path: string, timeoutMs: number): Promise<HttpState> {
  return new Promise((resolve) => {
    let connected = false;
    const headers = { host: `${LOCAL_HOST}:${port}` };
    const request = get({ host, port, path, headers, agent: false }, (response) => {
      const status = response.statusCode ?? 0;
      settle(status >= FIRST_GOOD && status < FIRST_BAD ? 'passed' : 'failed');
    });
    // After a stall of this process the timer fires before data that arrived meanwhile is read: read it first.
    const late = setTimeout(() => setImmediate(() => settle(connected ? 'mute' : 'silent')), timeoutMs);
    const settle = (state: HttpState): void => {
      clearTimeout(late);
      resolve(state);
      request.destroy();
    };
    request.on('socket', (socket) =>
      socket.once('connect', () => {
        connected = true;
      }),
    );
    request.on('error', ({ code = '' }: NodeJS.ErrnoException) => {
      if (OURS.has(code)) settle('unknown');
      else if (code === 'ECONNREFUSED') settle('refused');
      else settle(!connected && NOT_REACHED.has(code) ? 'silent' : 'failed');
    });
  });
}
