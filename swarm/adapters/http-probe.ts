// A GET that looks only at the status: how an agent runs the declared check of its own service, and a witness that of a peer's.
// Both send the same request, so that a server that goes by the name it is asked for answers both alike.
import { get } from 'node:http';
import type { HttpState } from '../ports/transport.ts';

/** By this name the machine asks its own services, and so do its witnesses. */
const LOCAL_HOST = '127.0.0.1';
const FIRST_GOOD = 200;
const FIRST_BAD = 400;

/** What this machine or this process lacks: no fault of the service's. */
const OURS = new Set(['EADDRNOTAVAIL', 'EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EAGAIN']);
/** Nothing came back from the host: it, or a firewall before it, keeps silent. */
const NOT_REACHED = new Set(['EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'EHOSTDOWN', 'EACCES', 'EPERM']);

/** @param timeoutMs until the status has come, from the connect on. */
export function probeHttp(host: string, port: number, path: string, timeoutMs: number): Promise<HttpState> {
  // One that cannot be asked for is thrown by Node at once.
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
    // Where this process was held up, its timer comes before what has arrived meanwhile: that is read first.
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
