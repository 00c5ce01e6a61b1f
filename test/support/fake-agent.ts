// An agent of which only its answers are there: commands run against it in this process, and what they print is caught.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, vi } from 'vitest';
import { stateDirectory } from '../../node/config/adapters/state-directory.ts';

interface Asked {
  method: string;
  path: string;
  body: unknown;
}

/** One for all tests of a file; each begins with no answers, and nothing asked. */
export function fakeAgent(): FakeAgent {
  const agent = new FakeAgent();
  beforeAll(() => agent.start());
  afterAll(() => agent.stop());
  beforeEach(() => agent.forget());
  return agent;
}

/** Line by line, columns two spaces apart, however wide they are. */
export const linesOf = (text: string): string[] => text.split('\n').map((line) => line.replace(/ {2,}/g, '  ').trim());

class FakeAgent {
  readonly directory = join(mkdtempSync(join(tmpdir(), 'kalos-fake-')), 'state');
  /** By `GET /v1/…`; what is not there is a 404. An answer may depend on what was asked. */
  readonly answers: Record<string, unknown> = {};
  readonly asked: Asked[] = [];
  #server: Server | undefined;

  async start(): Promise<this> {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    const server = createServer((request, response) => {
      let text = '';
      request.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      request.on('end', () => {
        const [method = '', whole = ''] = [request.method, request.url];
        const [path = ''] = whole.split('?'); // a page of a list is all of it
        this.asked.push({ method, path, body: text === '' ? undefined : JSON.parse(text) });
        const answer = this.answers[`${method} ${path}`];
        response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
        response.end(JSON.stringify(answer === undefined ? { error: `no route ${path}` } : answer));
      });
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(stateDirectory(this.directory).socket, resolve));
    return this;
  }

  forget(): void {
    for (const key of Object.keys(this.answers)) delete this.answers[key];
    this.asked.length = 0;
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise((resolve) => this.#server?.close(resolve) ?? resolve(undefined));
    rmSync(join(this.directory, '..'), { recursive: true, force: true });
  }

  /** @returns the exit code, and what was printed; colours left out. */
  async run(command: (directory: string) => Promise<number> | number): Promise<{ code: number; out: string; err: string }> {
    const printed = { out: '', err: '' };
    const catching = (['stdout', 'stderr'] as const).map((stream, nth) =>
      vi.spyOn(process[stream], 'write').mockImplementation((text) => {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: colours
        printed[nth === 0 ? 'out' : 'err'] += String(text).replace(/\u001b\[[0-9;]*m/g, '');
        return true;
      }),
    );
    try {
      return { code: await command(this.directory), ...printed };
    } finally {
      for (const one of catching) one.mockRestore();
    }
  }
}
