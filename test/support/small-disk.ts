// A small disk of a test's own: a tmpfs in a mount namespace that ends with the test. Nothing outside sees it.
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPackage } from '../../node/adapters/package.ts';
import { freePort, type Ran } from './agents.ts';
import { eventually } from './clock.ts';

const KALOS = join(findPackage().root, 'bin', 'kalos');

/** Whether this user may mount one. */
export function canMount(): boolean {
  const tried = spawnSync('unshare', ['-m', 'sh', '-c', 'mount -t tmpfs tmpfs /mnt']);
  return tried.status === 0;
}

export interface DiskAgent {
  process: ChildProcess;
  output: string[];
  ended: Promise<number | null>;
}

export class SmallDisk {
  /** Where it is mounted, within the namespace. */
  readonly path = mkdtempSync(join(tmpdir(), 'kalos-disk-'));
  readonly #keeper: ChildProcess;
  readonly #agents: DiskAgent[] = [];

  private constructor(options: string) {
    const script = `mount -t tmpfs -o ${options} tmpfs ${this.path} && echo mounted && exec sleep 1000`;
    this.#keeper = spawn('unshare', ['-m', 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  }

  /** @param options of tmpfs(5), such as `size=64m` or `nr_inodes=40`. */
  static async mount(options: string): Promise<SmallDisk> {
    const disk = new SmallDisk(options);
    const output: string[] = [];
    disk.#keeper.stdout?.setEncoding('utf8').on('data', (text: string) => output.push(text));
    await eventually('the disk to be mounted', () => output.join('').includes('mounted') || undefined);
    return disk;
  }

  /** A path of the disk, as seen from outside the namespace. */
  outside(...parts: string[]): string {
    return join('/proc', String(this.#keeper.pid), 'root', this.path, ...parts);
  }

  #within(program: string, args: readonly string[]): [string, string[]] {
    return ['nsenter', ['-m', '-t', String(this.#keeper.pid), program, ...args]];
  }

  run(program: string, ...args: string[]): Promise<Ran> {
    return new Promise((resolve) => {
      const [first, rest] = this.#within(program, args);
      execFile(first, rest, { maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
      );
    });
  }

  kalos(...args: string[]): Promise<Ran> {
    return this.run(KALOS, ...args);
  }

  /** Starts an agent whose state is on the disk. */
  async start(config: string, ...args: string[]): Promise<DiskAgent> {
    const configFile = `${this.path}.toml`;
    writeFileSync(configFile, config);
    const listen = `127.0.0.1:${await freePort()}`;
    const [first, rest] = this.#within(KALOS, [
      'up',
      '--dir',
      join(this.path, 'state'),
      '--config',
      configFile,
      '--listen',
      listen,
      ...args,
    ]);
    const child = spawn(first, rest, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, KALOS_API_LISTEN: 'off' } });
    const output: string[] = [];
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => output.push(text));
    const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
    const agent = { process: child, output, ended };
    this.#agents.push(agent);
    return agent;
  }

  /** Leaves no byte, or no inode. */
  fill(what: 'bytes' | 'inodes' = 'bytes'): void {
    const ballast = this.outside('ballast');
    mkdirSync(ballast, { recursive: true });
    for (let n = 0; ; n++) {
      try {
        const { bavail, bsize } = statfsSync(ballast);
        if (what === 'bytes' && bavail === 0) return;
        writeFileSync(join(ballast, String(n)), what === 'bytes' ? Buffer.alloc(Math.min(bavail * bsize, 4 * 1024 * 1024)) : '');
      } catch {
        return;
      }
    }
  }

  free(): void {
    rmSync(this.outside('ballast'), { recursive: true, force: true });
  }

  /** The disk goes with the last process of the namespace. */
  async end(): Promise<void> {
    for (const { process: child, ended } of this.#agents) {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      await ended;
    }
    await this.#endActuator();
    this.#keeper.kill('SIGKILL');
    rmSync(this.path, { recursive: true, force: true });
    rmSync(`${this.path}.toml`, { force: true });
  }

  async #endActuator(): Promise<void> {
    const state = join(this.path, 'state', 'actuator');
    const pids = readdirSync('/proc')
      .filter((pid) => /^\d+$/.test(pid))
      .map(Number);
    const { stdout } = await this.run('cat', join(state, 'lock'));
    const pid = Number(stdout);
    if (pid > 1 && pids.includes(pid)) {
      const { stdout: words } = await this.run('cat', `/proc/${pid}/cmdline`);
      if (words.includes(state)) process.kill(pid, 'SIGTERM');
    }
  }
}
