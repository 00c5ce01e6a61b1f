// The table of damages: each file of a state directory in each way that files come to harm, and each lack of the machine, at the start, while an agent
// runs, for a doctor and at the end. In every cell the agent goes on, or there is one line that says what is wrong and the way out: no JavaScript stack, no
// silence, no hang. Printed: how many cells, and how many held.
import { type ExecFileException, execFile, execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { findPackage } from '../../node/adapters/package.ts';
import type { AgentStatus } from '../../node/agent/agent-status.ts';
import { readLayers } from '../../node/config/adapters/read-layers.ts';
import { checkState } from '../../node/config/adapters/state-check.ts';
import { stateDirectory } from '../../node/config/adapters/state-directory.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { KalosError } from '../../node/errors.ts';
import { kalos, type Ran, RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';
import { canMount, type DiskAgent, SmallDisk } from '../support/small-disk.ts';

const KALOS = join(findPackage().root, 'bin', 'kalos');
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
const CONFIG = 'mode = "act"\n[[service]]\nname = "web"\ncommand = ["/bin/sleep", "100000"]\n';

let cells = 0;
let held = 0;
const broken: string[] = [];
/** Counts a cell, and what is wrong with how it ended. */
function cell(name: string, complaint: string | undefined): void {
  cells++;
  if (complaint === undefined) held++;
  else broken.push(`${name}: ${complaint}`);
}

function run(
  file: string,
  args: readonly string[],
  env: Record<string, string | undefined> = process.env,
  timeout = 30_000,
): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(
      file,
      args,
      { env: { ...env, KALOS_API_LISTEN: 'off' }, timeout },
      (error: ExecFileException | null, stdout, stderr) =>
        resolve({ code: error === null ? 0 : error.killed === true ? -1 : Number(error.code ?? -2), stdout, stderr }),
    );
  });
}

/** One line that names what it is about, and one of what to do; of a mistake in a file of the user's own both on one. */
function complaintOf({ code, stdout, stderr }: Ran, about: RegExp): string | undefined {
  const lines = `${stdout}${stderr}`.split('\n').filter((line) => line.trim() !== '');
  const text = lines.join('\n');
  if (code === -1) return `hangs: ${text}`;
  if (code !== 1 && code !== 2) return `ends with ${code}: ${text}`;
  if (/^\s+at |node:internal|\bundefined\b|\[object|unexpected/m.test(text)) return `says what only a programmer reads: ${text}`;
  if (!about.test(text)) return `does not name it: ${text}`;
  const isWhole = code === 2 ? lines.length === 1 && /; \w/.test(text) : lines.length === 2;
  return isWhole ? undefined : `says ${lines.length} lines instead of what is wrong and the way out: ${text}`;
}

// Files

const flip = (path: string): void => {
  const bytes = readFileSync(path);
  const at = Math.floor(bytes.length / 4);
  bytes[at] = (bytes[at] ?? 0) ^ 0x95; // of a hex digit none is left
  writeFileSync(path, bytes);
};

const DAMAGES: Record<string, (path: string) => void> = {
  missing: (path) => rmSync(path, { recursive: true }),
  empty: (path) => truncateSync(path, 0),
  cut: (path) => truncateSync(path, Math.floor(statSync(path).size / 2)),
  longer: (path) => appendFileSync(path, 'garbage\u0000garbage\n'),
  flipped: flip,
  'a directory': (path) => {
    rmSync(path);
    mkdirSync(path);
  },
  'read-only': (path) => chmodSync(path, 0o400),
  ...(isRoot ? { 'somebody else’s': (path: string) => chownSync(path, NOBODY, NOBODY) } : {}),
};

/** Which damages are refused, by file; in all other cells the agent goes on. */
const content = ['empty', 'cut', 'longer', 'flipped', 'a directory'];
const REFUSED: [RegExp, string[]][] = [
  [/^agent\.key$/, ['missing', ...content]],
  [/^root\/1\.key$/, content],
  [/^network\.key$/, content],
  [/^kalos\.toml$/, ['cut', 'longer', 'flipped', 'a directory']],
  [/^memory\/CURRENT$/, ['missing', ...content]],
  [/^memory\/MANIFEST-\d+$/, ['missing', 'empty', 'cut', 'flipped', 'a directory']],
  [/^memory\/\d+\.ldb$/, ['missing', ...content]],
  // What ends early is as a power cut leaves it.
  [/^memory\/\d+\.log$/, ['missing', 'flipped', 'a directory']],
  [/^memory\/LOCK$/, ['a directory']],
  [/^actuator\/lock$/, ['a directory']],
];
const isRefused = (file: string, damage: string): boolean =>
  REFUSED.some(([pattern, damages]) => pattern.test(file) && damages.includes(damage));

function filesIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'LOG' && entry.name !== 'LOG.old')
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));
}

const aboutOf = (file: string): RegExp => new RegExp(file.startsWith('actuator/') ? 'actuator' : file.replaceAll('.', '\\.'));

/** What a start would say, in the words of the command line: it looks at the state and the configuration before anything else. */
async function refusalOf(directory: string): Promise<Ran | undefined> {
  try {
    await checkState(stateDirectory(directory));
    resolveConfig(readLayers({ dir: directory, environment: {}, system: join(directory, 'none') }));
    return undefined;
  } catch (error) {
    if (!(error instanceof KalosError)) return { code: -2, stdout: '', stderr: String(error) };
    return { code: 1, stdout: '', stderr: `${error.message}\n${error.hint}` };
  }
}

/** In parallel, as many as there are processors. */
async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  await Promise.all(
    [1, 2, 3].map(async () => {
      for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
    }),
  );
}

describe('a state directory that came to harm', () => {
  const place = mkdtempSync(join(tmpdir(), 'kalos-damages-'));
  const whole = join(place, 'whole');
  let files: string[] = [];
  let copies = 0;
  const copy = (): string => {
    const path = join(place, `c${++copies}`);
    cpSync(whole, path, { recursive: true });
    chmodSync(path, 0o700);
    return path;
  };

  beforeAll(async () => {
    const founding = ['--private'];
    for (const round of [1, 2]) {
      const swarm = new RealSwarm({}, undefined, round === 1 ? founding : []);
      const agent = await swarm.start('ada', CONFIG, undefined, whole);
      for (let n = 0; n < 3; n++) await kalos('silence', '--policy', 'service-exited', '--for', '1h', '--dir', agent.directory);
      const ended = new Promise((resolve) => agent.process.once('exit', resolve));
      agent.process.kill('SIGTERM');
      await ended;
      await swarm.stop();
    }
    rmSync(join(whole, 'reserve'), { recursive: true, force: true }); // of noise
    writeFileSync(join(whole, 'kalos.toml'), CONFIG);
    files = filesIn(whole);
  });
  afterAll(() => rmSync(place, { recursive: true, force: true }));

  it('has the files that this table is about', () => {
    for (const [pattern] of REFUSED)
      expect(
        files.filter((file) => pattern.test(file)),
        String(pattern),
      ).not.toEqual([]);
  });

  it('is refused in one line by the start, and found by the doctor, where what is lost matters', async () => {
    const cases = files.flatMap((file) =>
      Object.keys(DAMAGES)
        .filter((damage) => isRefused(file, damage))
        .map((damage) => ({ file, damage })),
    );
    for (const { file, damage } of cases.filter(({ file }) => !file.startsWith('actuator/'))) {
      const directory = copy();
      DAMAGES[damage]?.(join(directory, file));
      const before = filesIn(directory);
      const said = await refusalOf(directory);
      cell(`${file}, ${damage}, start`, said === undefined ? 'it is not refused' : complaintOf(said, aboutOf(file)));
      const lost = before.filter((one) => !existsSync(join(directory, one)));
      cell(`${file}, ${damage}, what is left`, lost.length === 0 ? undefined : `${lost.join(', ')} went`);
      rmSync(directory, { recursive: true, force: true });
    }
    // The same through the command, which takes a second each: of each file one damage.
    const some = cases.filter(({ file, damage }) => damage === (/LOCK|lock/.test(file) ? 'a directory' : 'flipped'));
    await each(some, async ({ file, damage }) => {
      const directory = copy();
      DAMAGES[damage]?.(join(directory, file));
      const start = await run(KALOS, ['up', '--dir', directory, '--listen', '127.0.0.1:0', '--no-mdns']);
      cell(`${file}, ${damage}, kalos up`, complaintOf(start, aboutOf(file)));
      if (/^(kalos\.toml|actuator\/.*)$/.test(file)) return;
      const { code, stdout } = await run(KALOS, ['doctor', '--dir', directory]);
      const line = stdout.split('\n').find((one) => /^failed +state /.test(one)) ?? '';
      cell(
        `${file}, ${damage}, doctor`,
        code === 3 && aboutOf(file).test(line) ? undefined : `ends with ${code}: ${line || stdout}`,
      );
    });
    expect(broken.splice(0)).toEqual([]);
  });

  it('is gone on with where nothing that matters is lost: start, run, doctor, stop', async () => {
    // All that harms nothing at once, one agent for each kind of damage.
    await each(Object.entries(DAMAGES), async ([damage, harm]) => {
      const directory = copy();
      // Another directory in the place of a file that the agent must write is in its way by rights: told, one at a time, above.
      const harmed = files.filter(
        (file) => !isRefused(file, damage) && !(damage === 'a directory' && file.startsWith('actuator/')),
      );
      for (const file of harmed) harm(join(directory, file));
      const name = `${damage}: ${harmed.length} files`;
      const swarm = new RealSwarm();
      try {
        const agent = await swarm.start('ada', CONFIG, undefined, directory);
        const status = await swarm.json<AgentStatus>(agent, 'status');
        for (const file of harmed) cell(`${file}, ${damage}, start and run`, undefined);
        cell(`${name}, run`, status.refusal === null && status.services.length === 1 ? undefined : JSON.stringify(status));
        const { stdout } = await run(KALOS, ['doctor', '--dir', directory]);
        cell(`${name}, doctor`, /^failed +(state|agent|audit) /m.test(stdout) ? stdout : undefined);
        const ended = new Promise<number | null>((resolve) => agent.process.once('exit', resolve));
        agent.process.kill('SIGTERM');
        const code = await ended;
        cell(
          `${name}, stop`,
          code === 0 && !/^\s+at /m.test(RealSwarm.outputOf(agent))
            ? undefined
            : `ends with ${code}: ${RealSwarm.outputOf(agent)}`,
        );
      } catch (error) {
        cell(`${name}, start`, String(error).slice(0, 600));
      } finally {
        await swarm.stop();
        rmSync(directory, { recursive: true, force: true });
      }
    });
    expect(broken.splice(0)).toEqual([]);
  });

  it.skipIf(!isRoot)('is told apart where it belongs to somebody else', async () => {
    const directory = copy();
    chownSync(directory, NOBODY, NOBODY);
    const start = await run(KALOS, ['up', '--dir', directory, '--listen', '127.0.0.1:0']);
    cell('the directory, somebody else’s, start', complaintOf(start, /belongs to user 65534, but this is user 0/));
    const { stdout } = await run(KALOS, ['doctor', '--dir', directory]);
    cell('the directory, somebody else’s, doctor as root', /^ok +state /m.test(stdout) ? undefined : stdout);
    expect(broken.splice(0)).toEqual([]);
  });
});

// The machine

/** As a program of this shell line. */
const shell = (line: string, ...args: string[]): Promise<Ran> => run('sh', ['-c', `${line}; exec "$0" "$@"`, KALOS, ...args]);

describe('a machine that lacks something', () => {
  const place = mkdtempSync(join(tmpdir(), 'kalos-lacks-'));
  const disks: SmallDisk[] = [];
  afterEach(async () => {
    for (const disk of disks.splice(0)) await disk.end();
  });
  afterAll(() => rmSync(place, { recursive: true, force: true }));
  const mounted = async (options: string): Promise<SmallDisk> => {
    const disk = await SmallDisk.mount(options);
    disks.push(disk);
    return disk;
  };
  const isUp = (agent: DiskAgent): Promise<unknown> =>
    eventually('the agent to be up', () => {
      if (agent.process.exitCode !== null) throw new Error(agent.output.join(''));
      return agent.output.join('').match(/listens/) ?? undefined;
    });
  const stopped = async (name: string, agent: DiskAgent): Promise<void> => {
    agent.process.kill('SIGTERM');
    const code = await agent.ended;
    const text = agent.output.join('');
    cell(`${name}, stop`, code === 0 && !/^\s+at /m.test(text) ? undefined : `ends with ${code}: ${text}`);
  };

  it('says which limit is too low, or goes on', async () => {
    const args = ['up', '--dir', join(place, 'limits'), '--listen', '127.0.0.1:0'];
    cell(
      'too little memory, start',
      complaintOf(await shell('ulimit -v 500000', ...args), /ulimit -v/)?.replace(/^says 1 lines.*$/s, '') || undefined,
    );
    cell(
      'too few descriptors, start',
      complaintOf(await shell('ulimit -n 12', ...args), /ulimit -n/)?.replace(/^says 1 lines.*$/s, '') || undefined,
    );
    cell('few descriptors, start', complaintOf(await shell('ulimit -n 24', ...args), /Too many open files[\s\S]*ulimit -n/));
    expect(broken.splice(0)).toEqual([]);
  });

  it('lets an agent run without a home, in other languages, and when it runs out of descriptors', async () => {
    const environments: [string, Record<string, string>][] = [
      ['no home', { HOME: '', XDG_CACHE_HOME: '' }],
      ['Turkish', { LANG: 'tr_TR.UTF-8', LC_ALL: 'tr_TR.UTF-8', LANGUAGE: 'tr' }],
      ['C', { LANG: 'C', LC_ALL: 'C' }],
    ];
    await each(environments, async ([name, environment]) => {
      const swarm = new RealSwarm(environment);
      try {
        const agent = await swarm.start('ada', CONFIG);
        const rows = await swarm.rows(agent, 'select upper(node) as name from nodes');
        cell(`${name}, run`, rows[0]?.name === 'ADA' ? undefined : JSON.stringify(rows));
        const { stdout } = await run(KALOS, ['doctor', '--dir', agent.directory], { ...process.env, ...environment });
        cell(`${name}, doctor`, /^ok +agent/m.test(stdout) ? undefined : stdout);
        if (name === 'C') {
          const { pid } = agent.process;
          const before = readdirSync(`/proc/${pid}/fd`).length;
          const limit = (soft: number | string) => execFileSync('prlimit', ['--pid', String(pid), `--nofile=${soft}:`]);
          limit(before);
          await run(KALOS, ['status', '--dir', agent.directory], process.env, 3_000);
          limit(1_024);
          const status = await swarm.json<AgentStatus>(agent, 'status');
          cell(
            'no descriptors, run',
            agent.process.exitCode === null && status.name === 'ada' ? undefined : RealSwarm.outputOf(agent),
          );
        }
        const ended = new Promise<number | null>((resolve) => agent.process.once('exit', resolve));
        agent.process.kill('SIGTERM');
        const code = await ended;
        cell(`${name}, stop`, code === 0 ? undefined : RealSwarm.outputOf(agent));
      } finally {
        await swarm.stop();
      }
    });
    expect(broken.splice(0)).toEqual([]);
  });

  it.skipIf(!canMount())(
    'says what a full disk says, at every stage of a start, and starts with what it had set aside',
    async () => {
      const disk = await mounted('size=64m');
      const state = join(disk.path, 'state');
      const up = (): Promise<Ran> =>
        disk.run(
          'timeout',
          '-k',
          '15',
          '5',
          KALOS,
          'up',
          '--dir',
          state,
          '--listen',
          '127.0.0.1:0',
          '--no-mdns',
          '--page',
          'off',
        );
      const full = /No space left[\s\S]*df /i;
      // From nothing at all to nearly enough: whichever step of the start it is that fails.
      for (const leftBytes of [0, 4_096, 16_384, 40_960, 65_536]) {
        disk.fill();
        if (leftBytes > 0) truncateSync(disk.outside('ballast', '0'), statSync(disk.outside('ballast', '0')).size - leftBytes);
        const said = await up();
        const goesOn = said.stdout.includes('listens') && said.code !== 137;
        cell(`full but for ${leftBytes} bytes, first start`, goesOn ? undefined : complaintOf(said, full));
        rmSync(disk.outside('state'), { recursive: true, force: true });
        disk.free();
      }
      const first = await disk.start(CONFIG);
      await isUp(first);
      await eventually('the reserve', () => (existsSync(disk.outside('state', 'reserve', '4')) ? true : undefined));
      disk.fill();
      first.process.kill('SIGKILL');
      await first.ended;
      const second = await disk.start(CONFIG);
      await isUp(second);
      cell(
        'full, start with the reserve',
        existsSync(disk.outside('state', 'reserve')) ? 'the reserve is still there' : undefined,
      );
      disk.fill();
      await disk.kalos('stop-all', '--reason', 'something to record', '--dir', state);
      await stopped('full, run', second);
      disk.fill();
      cell('full, start without a reserve', complaintOf(await up(), full));
      const doctor = await disk.kalos('doctor', '--dir', state);
      cell(
        'full, doctor',
        doctor.code === 3 && /failed +state disk +.*No space left/i.test(doctor.stdout) ? undefined : doctor.stdout,
      );
      expect(broken.splice(0)).toEqual([]);
    },
  );

  it.skipIf(!canMount())('goes on without inodes, on a disk that became read-only, and without /sys', async () => {
    const disk = await mounted('size=64m,nr_inodes=400');
    const state = join(disk.path, 'state');
    expect((await disk.run('mount', '-t', 'tmpfs', 'tmpfs', '/sys')).code).toBe(0);
    const agent = await disk.start(CONFIG);
    await isUp(agent);
    cell('no /sys, start', undefined);
    disk.fill('inodes');
    const silence = ['silence', '--policy', 'service-exited', '--for', '1h', '--dir', state];
    cell('no inodes, run', (await disk.kalos(...silence)).code === 0 ? undefined : agent.output.join(''));
    const doctor = await disk.kalos('doctor', '--dir', state);
    cell('no inodes, doctor', /failed +state disk +.*No space left/i.test(doctor.stdout) ? undefined : doctor.stdout);
    disk.free();
    const remount = (how: string): Promise<Ran> => disk.run('mount', '-o', `remount,${how}`, disk.path);
    // Files that are open for writing are in the way of it, so the disk is lost in another way: nothing may be written beyond what is there.
    disk.fill();
    let refused = await disk.kalos(...silence);
    for (let n = 0; n < 20 && refused.code === 0; n++) {
      disk.fill(); // what was set aside too
      refused = await disk.kalos(...silence);
    }
    cell('full, run', /refuses writes/.test(refused.stderr) ? undefined : `${refused.stdout}${refused.stderr}`);
    await stopped('full while something waits', agent);
    disk.free();
    expect((await remount('ro')).code).toBe(0);
    const start = await disk.kalos('up', '--dir', state, '--listen', '127.0.0.1:0', '--page', 'off');
    cell('read-only, start', complaintOf(start, /Read-only file system/i));
    const looked = await disk.kalos('doctor', '--dir', state);
    cell('read-only, doctor', looked.code === 3 && /Read-only file system/i.test(looked.stdout) ? undefined : looked.stdout);
    expect((await remount('rw')).code).toBe(0);
    const last = await disk.start(CONFIG);
    await isUp(last);
    await stopped('read-only and back', last);
    expect(broken.splice(0)).toEqual([]);
  });

  it('is counted', () => {
    console.log(`damages: ${cells} cells, ${held} held`);
    expect(cells).toBeGreaterThan(150);
    expect(held).toBe(cells);
  });
});
