// A service that five real agents declare and one runs, and a resource that it writes to: the resource knows who wrote last and takes
// nothing under an older fence, as a real one would. Whatever runs twice, or writes late, is seen there.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NovaAnswer } from '../../node/api/decision-routes.ts';
import type { Incident } from '../../node/detection/incident.ts';
import type { Explanation } from '../../node/query/explain.ts';
import { AS_AGENT, freePort, type RealAgent, RealSwarm } from './agents.ts';
import { eventually } from './clock.ts';

const NAMES = ['anna', 'bert', 'cleo', 'dora', 'emil'];
const FAR_MS = 90_000;
/** Ends at once where it is cursed; else answers on its port, and writes to the resource twenty times a second. */
const PROGRAM = `
const [port, resource, curse, name] = process.argv.slice(1);
if (require("node:fs").existsSync(curse)) process.exit(3);
require("node:http").createServer((_, answer) => answer.end(name)).listen(Number(port), "127.0.0.1");
const socket = require("node:net").connect(Number(resource), "127.0.0.1");
setInterval(() => socket.write(process.env.KALOS_FENCE + " " + name + " " + process.pid + "\\n"), 50);`;

/** What was written under each fence. */
interface Writer {
  fence: number;
  name: string;
  pid: number;
  firstMs: number;
  lastMs: number;
}

class Resource {
  readonly writers: Writer[] = [];
  /** What it did not take, or should not have been sent. */
  readonly wrong: string[] = [];
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(port: number): Promise<Resource> {
    const server = createServer();
    const resource = new Resource(server);
    server.on('connection', (socket) => {
      let rest = '';
      socket.setEncoding('utf8').on('data', (text: string) => {
        const lines = `${rest}${text}`.split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) resource.#write(line);
      });
      socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return resource;
  }

  #write(line: string): void {
    const [fence = '', name = '', pid = ''] = line.split(' ');
    const last = this.writers.at(-1);
    const nowMs = performance.now();
    if (last !== undefined && Number(fence) < last.fence) {
      this.wrong.push(`${name} wrote under fence ${fence}, after ${last.name} under ${last.fence}`);
    } else if (last?.fence === Number(fence)) {
      if (last.name !== name) this.wrong.push(`${name} and ${last.name} both have fence ${fence}`);
      Object.assign(last, { lastMs: nowMs, pid: Number(pid) });
    } else {
      this.writers.push({ fence: Number(fence), name, pid: Number(pid), firstMs: nowMs, lastMs: nowMs });
    }
  }

  get newest(): Writer | undefined {
    return this.writers.at(-1);
  }

  close(): void {
    this.#server.close();
  }
}

export interface FailedOver {
  from: string;
  to: string;
  /** From the kill until another wrote. */
  tookMs: number;
  /** The coordinator that was killed meanwhile; undefined where none was. */
  killed: string | undefined;
  /** As any other peer tells it. */
  story: Incident | undefined;
}

export class FailOverRange {
  readonly swarm = new RealSwarm();
  #resource: Resource | undefined;
  #port = 0;
  #resourcePort = 0;
  /** A file of a machine’s name in it: the service ends at once there. */
  readonly #curses = mkdtempSync(join(tmpdir(), 'kalos-curse-'));

  async start(): Promise<void> {
    [this.#port, this.#resourcePort] = [await freePort(), await freePort()];
    this.#resource = await Resource.open(this.#resourcePort);
    await this.swarm.startAll(NAMES, (name) => this.#config(name));
    await eventually(
      'a committee of three or more',
      async () => ((await this.nova()).committee.length >= 3 ? true : undefined),
      FAR_MS,
    );
    await this.settled();
  }

  #config(name: string): string {
    const curse = this.#curse(name);
    const command = [process.execPath, '-e', PROGRAM, String(this.#port), String(this.#resourcePort), curse, name];
    return `mode = "act"\n[[service]]\nname = "db"\n${AS_AGENT}failover = true\nport = ${this.#port}\ncommand = ${JSON.stringify(command)}\n`;
  }

  #curse(name: string): string {
    return join(this.#curses, name);
  }

  agent(name: string): RealAgent {
    const found = this.swarm.agents.find((agent) => agent.name === name);
    if (found === undefined) throw new Error(`no agent ${name}`);
    return found;
  }

  #alive(): RealAgent[] {
    return this.swarm.agents.filter(({ process: child }) => child.exitCode === null && child.signalCode === null);
  }

  nova(): Promise<NovaAnswer> {
    const [first] = this.#alive();
    if (first === undefined) throw new Error('nobody runs');
    return this.swarm.nova(first);
  }

  get wrong(): readonly string[] {
    const overlaps = (this.#resource?.writers ?? []).flatMap((writer, nth, all) => {
      const before = all[nth - 1];
      return before !== undefined && before.lastMs > writer.firstMs ? [`${before.name} wrote on after ${writer.name} began`] : [];
    });
    return [...(this.#resource?.wrong ?? []), ...overlaps];
  }

  /** All five run, there is a leader, and somebody writes. */
  async settled(): Promise<void> {
    await eventually(
      'the service to run, and all to be there',
      async () => {
        const { coordinator, placements } = await this.nova();
        const { newest } = this.#resource ?? {};
        const runs = newest !== undefined && performance.now() - newest.lastMs < 500 && placements[0]?.fence === newest.fence;
        return (coordinator !== null && runs) || undefined;
      },
      FAR_MS,
    );
  }

  /** Its process is killed where it runs, and cannot be started there any more. */
  async failOver(killNova: boolean): Promise<FailedOver> {
    const resource = this.#resource;
    const before = resource?.newest;
    if (resource === undefined || before === undefined) throw new Error('nothing runs yet');
    const startMs = performance.now();
    writeFileSync(this.#curse(before.name), '');
    process.kill(before.pid, 'SIGKILL');
    const killed = killNova ? await this.#killNova(before.name) : undefined;
    const after = await eventually(
      'another to write',
      () => (resource.newest !== undefined && resource.newest.name !== before.name ? resource.newest : undefined),
      FAR_MS,
    );
    const tookMs = after.firstMs - startMs;
    const story = killed === before.name ? undefined : await this.#story(before.name);
    rmSync(this.#curse(before.name), { force: true });
    if (killed !== undefined) await this.swarm.start(killed, this.#config(killed), this.agent(killed));
    await this.settled();
    return { from: before.name, to: after.name, tookMs, killed, story };
  }

  /** In the middle: once the incident is open, before the service is elsewhere. */
  async #killNova(holder: string): Promise<string | undefined> {
    await new Promise((resolve) => setTimeout(resolve, 500 + Math.random() * 17_000));
    const { coordinator } = await this.swarm.nova(this.agent(holder));
    if (coordinator === null) return undefined;
    await this.swarm.kill(this.agent(coordinator));
    return coordinator;
  }

  /** Another than this one has it, and writes. */
  async settledElsewhere(than: string): Promise<void> {
    await eventually('another to write', () => (this.#resource?.newest?.name !== than ? true : undefined), FAR_MS);
    await this.settled();
  }

  async #story(node: string): Promise<Incident> {
    const teller = this.#alive().find(({ name }) => name !== node) ?? this.agent(node);
    return eventually(
      'the story to be told by another',
      async () => {
        const rows = await this.swarm.rows(
          teller,
          `select id, outcome from incidents where node = '${node}' order by opened_ms desc limit 1`,
        );
        const id = rows[0]?.id;
        if (typeof id !== 'string' || rows[0]?.outcome === '') return undefined;
        return (await this.swarm.json<Explanation>(teller, 'explain', id)).incident;
      },
      FAR_MS,
    );
  }

  async stop(): Promise<void> {
    await this.swarm.stop();
    this.#resource?.close();
    rmSync(this.#curses, { recursive: true, force: true });
  }
}
