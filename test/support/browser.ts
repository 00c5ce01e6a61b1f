// A page in headless Chromium while a test acts on what the page shows: over its own DevTools protocol, without a library.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from './clock.ts';

export const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path));

export class Browser {
  /** What the page and the browser itself complained of: errors and violations of the page's own policy. */
  readonly complaints: string[] = [];
  readonly #process: ChildProcess;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (result: unknown) => void>();
  #sent = 0;

  private constructor(child: ChildProcess, socket: WebSocket) {
    this.#process = child;
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => this.#take(JSON.parse(String(data))));
  }

  /** @param profile an own directory for it */
  static async open(profile: string): Promise<Browser> {
    const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', `--user-data-dir=${profile}`, '--remote-debugging-port=0'];
    const child = spawn(CHROMIUM ?? '', [...flags, 'about:blank'], { stdio: 'ignore' });
    const portFile = join(profile, 'DevToolsActivePort');
    const port = await eventually('the browser', () =>
      existsSync(portFile) ? readFileSync(portFile, 'utf8').split('\n')[0] : undefined,
    );
    const url = await eventually('its page', async () => {
      const targets = (await (await fetch(`http://127.0.0.1:${port}/json`)).json()) as {
        type: string;
        webSocketDebuggerUrl: string;
      }[];
      return targets.find(({ type }) => type === 'page')?.webSocketDebuggerUrl;
    });
    const socket = new WebSocket(url);
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', reject);
    });
    const browser = new Browser(child, socket);
    for (const domain of ['Page', 'Log', 'Runtime']) await browser.#call(`${domain}.enable`);
    return browser;
  }

  #take({ id, result, method, params }: { id?: number; result?: unknown; method?: string; params?: never }): void {
    if (id !== undefined) this.#waiting.get(id)?.(result);
    if (method === 'Log.entryAdded') {
      const { entry } = params as unknown as { entry: { level: string; source: string; text: string } };
      if (entry.level === 'error') this.complaints.push(`${entry.source}: ${entry.text}`);
    }
    if (method === 'Runtime.exceptionThrown') this.complaints.push(JSON.stringify(params));
  }

  #call<Result>(method: string, params: object = {}): Promise<Result> {
    const id = ++this.#sent;
    return new Promise((resolve) => {
      this.#waiting.set(id, (result) => resolve(result as Result));
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }

  async visit(url: string): Promise<void> {
    await this.#call('Page.navigate', { url });
  }

  /** What an expression is in the page. */
  async value<Value>(expression: string): Promise<Value> {
    const { result } = await this.#call<{ result: { value: Value } }>('Runtime.evaluate', { expression, returnByValue: true });
    return result.value;
  }

  async resize(width: number, height: number): Promise<void> {
    await this.#call('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
  }

  /** As PNG. */
  async picture(): Promise<Buffer> {
    const { data } = await this.#call<{ data: string }>('Page.captureScreenshot', { format: 'png' });
    return Buffer.from(data, 'base64');
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#socket.close();
    this.#process.kill('SIGKILL');
    await ended;
  }
}
