// A group of Raft members, each a process of its own, on loopback.
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RegisterInput } from '../../../sim/check/linearizability.ts';
import { freePort } from '../agents.ts';
import { eventually } from '../clock.ts';
import type { FromRaftProcess, RaftProcessOptions, ToRaftProcess } from './raft-process.ts';

const ENTRY = join(import.meta.dirname, 'raft-process.ts');

type Worked = Extract<FromRaftProcess, { kind: 'worked' }>;

export class RaftProcess {
  readonly #options: RaftProcessOptions;
  readonly #onElected: (id: number, term: number) => void;
  readonly #waiting = new Map<number, (ok: boolean) => void>();
  readonly #working = new Map<number, (worked: Worked) => void>();
  #looking: ((seen: Extract<FromRaftProcess, { kind: 'look' }>) => void)[] = [];
  #next = 1;
  child: ChildProcess;

  constructor(options: RaftProcessOptions, onElected: (id: number, term: number) => void) {
    this.#options = options;
    this.#onElected = onElected;
    this.child = this.#start();
  }

  get id(): number {
    return this.#options.id;
  }

  #start(): ChildProcess {
    const child = fork(ENTRY, [JSON.stringify(this.#options)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    child.on('message', (message: FromRaftProcess) => {
      if (message.kind === 'state' && message.state === 'StateLeader') this.#onElected(this.id, message.term);
      if (message.kind === 'answer') this.#waiting.get(message.id)?.(message.ok);
      if (message.kind === 'worked') this.#working.get(message.id)?.(message);
      if (message.kind === 'look') for (const seen of this.#looking.splice(0)) seen(message);
    });
    child.on('error', () => undefined);
    return child;
  }

  restart(): void {
    this.child = this.#start();
  }

  tell(message: ToRaftProcess): void {
    if (this.child.connected) this.child.send(message, () => undefined);
  }

  /** Whether a write was committed; false where there is no leader, or nobody answered in time. */
  propose(key: string, value: string, timeoutMs: number): Promise<boolean> {
    const id = this.#next++;
    return new Promise((resolve) => {
      const late = setTimeout(() => resolve(false), timeoutMs);
      this.#waiting.set(id, (ok) => {
        clearTimeout(late);
        this.#waiting.delete(id);
        resolve(ok);
      });
      this.tell({ kind: 'propose', id, key, value });
    });
  }

  /** What came of a client's wish; undefined where nobody answered in time. */
  work(input: RegisterInput, timeoutMs: number): Promise<Worked | undefined> {
    const id = this.#next++;
    return new Promise((resolve) => {
      const late = setTimeout(() => resolve(undefined), timeoutMs);
      this.#working.set(id, (worked) => {
        clearTimeout(late);
        this.#working.delete(id);
        resolve(worked);
      });
      this.tell({ kind: 'work', id, input });
    });
  }

  look(timeoutMs = 2_000): Promise<Extract<FromRaftProcess, { kind: 'look' }> | undefined> {
    return new Promise((resolve) => {
      const late = setTimeout(() => resolve(undefined), timeoutMs);
      this.#looking.push((seen) => {
        clearTimeout(late);
        resolve(seen);
      });
      this.tell({ kind: 'look' });
    });
  }
}

export class RaftProcesses {
  readonly #root = mkdtempSync(join(tmpdir(), 'kalos-raft-'));
  readonly members: RaftProcess[] = [];
  readonly elections: { id: number; term: number; atMs: number }[] = [];

  async start(count: number): Promise<void> {
    const ports = await Promise.all(Array.from({ length: count }, freePort));
    for (let id = 1; id <= count; id++) {
      const options = { id, ports, directory: join(this.#root, String(id)) };
      this.members.push(
        new RaftProcess(options, (who, term) => void this.elections.push({ id: who, term, atMs: performance.now() })),
      );
    }
    await this.settled();
  }

  /** All are connected with all, one leads, and all have applied the same. */
  settled(): Promise<RaftProcess> {
    return eventually(
      'the group to settle',
      async () => {
        const seen = await Promise.all(this.members.map((member) => member.look()));
        const leads = new Set(seen.map((one) => one?.lead));
        const applied = new Set(seen.map((one) => one?.applied));
        const isWhole = seen.every((one) => one?.connected === this.members.length - 1);
        const [lead = 0] = leads;
        return isWhole && leads.size === 1 && applied.size === 1 && lead !== 0 ? this.members[lead - 1] : undefined;
      },
      60_000,
    );
  }

  async stop(): Promise<void> {
    for (const { child } of this.members) child.kill('SIGKILL');
    await Promise.all(
      this.members.map(({ child }) => child.exitCode ?? child.signalCode ?? new Promise((done) => child.on('exit', done))),
    );
    rmSync(this.#root, { recursive: true });
  }
}
