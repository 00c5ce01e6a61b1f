// Copies of the working tree in a temporary directory, where mutants are planted and tests run; and lanes, each a process that runs
// tests in its copy. All of it ends and is removed with this process.
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { LaneResult, LaneTask } from './lane.ts';
import { Sources } from './sources.ts';

export const ROOT = join(import.meta.dirname, '..', '..', '..');
const BUILT = join('native', 'build');
const KEEPER = join(ROOT, BUILT, 'keeper');
const LOOK_EVERY_MS = 20;
const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** Below it is all that a run of the bench writes, temporary directories of the tests included. */
export class Workshop {
  readonly directory = mkdtempSync(join(tmpdir(), 'km-'));
  /** As of `npm test`, whose next run removes it where this one could not. */
  readonly memory = mkdtempSync(join(MEMORY, `kalos-test-${process.pid}-`));
  readonly sources: Sources;
  readonly #lanes = new Set<Lane>();
  readonly #end = (): void => this.close();
  readonly #interrupt = (): void => process.exit(130);

  constructor() {
    process.once('exit', this.#end).once('SIGINT', this.#interrupt).once('SIGTERM', this.#interrupt);
    execFileSync(process.execPath, [join(ROOT, 'scripts', 'build-native.mjs'), '--sanitize'], { stdio: 'inherit' });
    for (const directory of [this.directory, this.memory]) chmodSync(directory, 0o755); // some tests run programs as nobody
    this.sources = new Sources(this.#snapshot());
  }

  close(): void {
    process.off('exit', this.#end).off('SIGINT', this.#interrupt).off('SIGTERM', this.#interrupt);
    for (const lane of this.#lanes) lane.kill();
    // What a killed agent wrote last may come in between.
    for (const directory of [this.directory, this.memory]) rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  }

  /** What git knows of the working tree, what is new there, and what was built of it. */
  #snapshot(): string {
    const root = join(this.directory, 'sources');
    const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], { cwd: ROOT, encoding: 'utf8' });
    for (const path of listed.split('\0')) {
      if (path === '' || !existsSync(join(ROOT, path))) continue;
      mkdirSync(dirname(join(root, path)), { recursive: true });
      cpSync(join(ROOT, path), join(root, path), { preserveTimestamps: true });
    }
    symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
    mkdirSync(join(root, BUILT), { recursive: true });
    for (const built of readdirSync(join(ROOT, BUILT))) {
      copyFileSync(join(ROOT, BUILT, built), join(root, BUILT, built));
      utimesSync(join(root, BUILT, built), new Date(), new Date()); // newer than the sources
    }
    return root;
  }

  copy(name: string): string {
    const copy = join(this.directory, name);
    cpSync(this.sources.root, copy, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    return copy;
  }

  lane(name: string, copy: string, setup?: { file: string; environment: Record<string, string> }): Lane {
    const temporary = join(this.directory, `t-${name}`);
    mkdirSync(temporary, { recursive: true });
    // What lies beside the checkout does not lie beside its copies.
    const data = process.env.KALOS_DATA ?? join(ROOT, '..', 'shared', 'data');
    const own = { TMPDIR: temporary, KALOS_TEST_MEMORY: this.memory, KALOS_DATA: data };
    const lane = new Lane(copy, { ...setup?.environment, ...own }, setup?.file);
    this.#lanes.add(lane);
    return lane;
  }
}

export class Lane {
  readonly copy: string;
  readonly #environment: Record<string, string>;
  readonly #setup: string | undefined;
  #process: ChildProcess | undefined;

  constructor(copy: string, environment: Record<string, string>, setup: string | undefined) {
    this.copy = copy;
    this.#environment = environment;
    this.#setup = setup;
  }

  /** @returns undefined after `limitMs`: the lane was killed then, with all that its tests had started. */
  async run(task: LaneTask, limitMs: number): Promise<LaneResult | undefined> {
    this.#process ??= await this.#start();
    const child = this.#process;
    return new Promise((resolve) => {
      const done = (result: LaneResult | undefined): void => {
        clearTimeout(timer);
        child.removeAllListeners();
        if (result === undefined) this.kill();
        resolve(result);
      };
      const timer = setTimeout(() => done(undefined), limitMs);
      child.once('message', (result: LaneResult) => done(result));
      child.once('exit', () => {
        this.#process = undefined;
        done({ failed: [''], error: 'the test process ended', ran: 0 });
      });
      child.send(task);
    });
  }

  async #start(): Promise<ChildProcess> {
    const child = fork(join(import.meta.dirname, 'lane.ts'), [this.copy, ...(this.#setup === undefined ? [] : [this.#setup])], {
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      execPath: KEEPER,
      execArgv: [process.execPath, '--disable-warning=ExperimentalWarning'],
      env: { ...process.env, ...this.#environment },
    });
    await new Promise((resolve, reject) => {
      child.once('message', resolve);
      child.once('exit', () => reject(new Error(`no test runner started in ${this.copy}`)));
    });
    child.removeAllListeners();
    return child;
  }

  kill(): void {
    const child = this.#process;
    this.#process = undefined;
    if (child?.pid === undefined) return;
    child.removeAllListeners();
    child.kill('SIGTERM');
    // Its keeper ends what it has started, services of agents too. Waited for here: nothing may write to the copy any more.
    while (runs(child.pid)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_EVERY_MS);
  }
}

/** Whether it has not ended; one that awaits being reaped has. */
function runs(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
