// A client of an agent: over the Unix socket of its state directory, or over HTTP at an address, with a token.
import type { IncomingMessage, RequestOptions } from 'node:http';
import { createRequire } from 'node:module';
import { readInput } from '../adapters/regular-file.ts';
import { stateDirectory } from '../config/adapters/state-directory.ts';
import { isLoopback } from '../config/address.ts';
import { type ErrorCode, KalosError, reasonOf } from '../errors.ts';
import type { Page } from './pages.ts';

/** Not by `import`, with which Node loads undici too (15 ms of CPU). TLS is loaded only if it is used. */
const load = createRequire('/');
type Request = typeof import('node:http').request;
const requestOver = (name: 'node:http' | 'node:https'): Request => (load(name) as { request: Request }).request;

const TIMEOUT_MS = 70_000;

interface Way {
  secure: boolean;
  options: RequestOptions & { ca?: Buffer };
  /** The address, for messages. */
  where: string;
}

/** An agent over HTTP. */
export interface Remote {
  address: string;
  token?: string | undefined;
  /** PEM file of certificates, if no public CA signed the agent's certificate. */
  ca?: string | undefined;
}
/** A state directory, an agent over HTTP, or undefined: the environment decides, by KALOS_ADDRESS, KALOS_API_TOKEN and KALOS_CA, else KALOS_DIR. */
export type Whom = string | Remote | undefined;

function wayTo(whom: Whom): Way {
  if (typeof whom === 'object') return overHttpTo(whom, { address: 'address', token: 'token', ca: 'ca' });
  const { KALOS_ADDRESS: address, KALOS_API_TOKEN: token, KALOS_CA: ca } = process.env;
  if (address !== undefined && whom === undefined)
    return overHttpTo({ address, token, ca }, { address: 'KALOS_ADDRESS', token: 'KALOS_API_TOKEN', ca: 'KALOS_CA' });
  const { path, socket } = stateDirectory(whom);
  return { secure: false, options: { socketPath: socket }, where: path };
}

/** @param called the name of each setting where the user gave it. */
function overHttpTo({ address, token, ca }: Remote, called: Record<keyof Remote, string>): Way {
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token))
    throw new KalosError(
      'usage',
      `${called.token} is not a valid token: ${token === '' ? 'it is empty' : 'it contains a space, a line break or another invalid character'}`,
      'kalos api-token create prints one; --token-file FILE reads one from a file',
    );
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new KalosError('usage', `${called.address} ${address} is not a URL`, 'such as https://web-1:9090');
  if (url.protocol === 'http:' && token !== undefined && !isLoopback(url.host))
    throw new KalosError(
      'usage',
      `over ${address} others could read the token`,
      'use https; enable it there with api.certificate and api.key',
    );
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const { hostname: host, port } = url;
  const options = {
    host: host.replace(/^\[|\]$/g, ''),
    port,
    headers: authorization,
    ...(ca === undefined ? {} : { ca: authority(ca, called.ca) }),
  };
  return { secure: url.protocol === 'https:', options, where: address };
}

function authority(file: string, called: string): Buffer {
  try {
    return readInput(file);
  } catch (error) {
    throw new KalosError('usage', `${called} ${file} cannot be read: ${reasonOf(error)}`, 'give a PEM file of certificates');
  }
}

function open({ secure, options }: Way, more: RequestOptions, answered: (response: IncomingMessage) => void) {
  const headers = { 'content-type': 'application/json', ...(options.headers as Record<string, string> | undefined) };
  return requestOver(secure ? 'node:https' : 'node:http')({ ...options, ...more, headers }, answered);
}

/** @throws KalosError `not-running` if no agent answers; else the error that the agent answered. */
export async function callAgent<Answer>(whom: Whom, method: 'GET' | 'POST', path: string, body?: unknown): Promise<Answer> {
  const way = wayTo(whom);
  return new Promise((resolve, reject) => {
    const call = open(way, { method, path, timeout: TIMEOUT_MS }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        try {
          resolve(answerOf<Answer>(response.statusCode ?? 500, text));
        } catch (error) {
          reject(error as Error);
        }
      });
    });
    call.on('timeout', () => call.destroy(new Error('the agent does not answer')));
    call.on('error', (error: NodeJS.ErrnoException) => reject(connectFailure(error, way.where)));
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const PAGE = 500;

/** Reads a list of any length page by page. @param path of a list with pages. @throws KalosError */
export async function* pagesOf<Item>(whom: Whom, path: string, limit = PAGE): AsyncGenerator<Item[], void, void> {
  for (let cursor: string | null = ''; cursor !== null; ) {
    const query: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const page: Page<Item> | Item[] = await callAgent(whom, 'GET', `${path}?limit=${limit}${query}`);
    // An agent older than 0.4.0 has no pages.
    if (Array.isArray(page)) return yield page;
    yield page.items;
    cursor = page.next;
  }
}

/** All items of a list with pages. @throws KalosError */
export async function callForAll<Item>(whom: Whom, path: string): Promise<Item[]> {
  const all: Item[] = [];
  for await (const items of pagesOf<Item>(whom, path)) all.push(...items);
  return all;
}

function answerOf<Answer>(status: number, text: string): Answer {
  const answer = JSON.parse(text) as Answer & { error?: string; code?: ErrorCode };
  if (status < 300) return answer;
  const code =
    status === 503 || status === 429
      ? 'io'
      : status === 404
        ? 'not-found'
        : status === 401 || status === 403
          ? 'refused'
          : 'usage';
  throw new KalosError(answer.code ?? code, answer.error ?? `the agent answered ${status}`);
}

/** The data of each server-sent event, until the agent disconnects or the signal aborts. @throws KalosError */
export async function follow(whom: Whom, path: string, heard: (data: unknown) => void, signal?: AbortSignal): Promise<void> {
  const way = wayTo(whom);
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => {
      if (signal?.aborted === true) return resolve();
      reject(connectFailure(error, way.where));
    };
    const call = open(way, { method: 'GET', path, ...(signal && { signal }) }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (response.statusCode !== 200) return;
        for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
          const data = text.slice(0, end).match(/^data: (.*)$/m)?.[1];
          if (data !== undefined) heard(JSON.parse(data));
          text = text.slice(end + 2);
        }
      });
      response.on('end', () => {
        if (response.statusCode === 200) return resolve();
        try {
          answerOf(response.statusCode ?? 500, text);
        } catch (error) {
          reject(error as Error);
        }
      });
      response.on('error', failed);
    });
    call.on('error', failed);
    call.end();
  });
}

function connectFailure(error: NodeJS.ErrnoException, where: string): KalosError {
  if (error.code === 'EACCES')
    return new KalosError('io', `the agent on ${where} belongs to another user`, 'use the same user, or sudo');
  if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') {
    return new KalosError(
      'not-running',
      `no agent runs on ${where}`,
      'start one with: kalos up; or give another state directory with --dir or KALOS_DIR',
    );
  }
  if (
    error.code === 'DEPTH_ZERO_SELF_SIGNED_CERT' ||
    error.code === 'SELF_SIGNED_CERT_IN_CHAIN' ||
    error.code === 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'
  )
    return new KalosError(
      'io',
      `${where} has an untrusted certificate`,
      'set its CA, or the certificate itself, with KALOS_CA=FILE',
    );
  return new KalosError('io', `cannot talk to the agent on ${where}: ${error.message}`);
}
