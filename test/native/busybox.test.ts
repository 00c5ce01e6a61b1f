// The launcher where there is nothing but BusyBox, as in a small container, an initramfs or a router: `bin/kalos` asks for nothing that POSIX has not, for
// as PID 1 it must not die. Skipped by name where BusyBox is missing.
import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findPackage } from '../../node/adapters/package.ts';
import type { Ran } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';
import { patient } from '../support/patience.ts';

const KALOS = join(findPackage().root, 'bin', 'kalos');
const BUSYBOX = spawnSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).stdout.trim();
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

describe.skipIf(BUSYBOX === '')('bin/kalos with BusyBox alone', () => {
  const place = BUSYBOX === '' ? '' : mkdtempSync(join(tmpdir(), 'kalos-busybox-'));
  const tools = join(place, 'tools');
  /** A launcher whose actuator only says what it was started with. */
  const launcher = join(place, 'package', 'bin', 'kalos');
  const shells: [string, string[]][] = [
    ['BusyBox’s sh', [BUSYBOX, 'sh']],
    ['the sh of this machine', ['/bin/sh']],
  ];

  beforeAll(() => {
    mkdirSync(tools);
    for (const applet of execFileSync(BUSYBOX, ['--list'], { encoding: 'utf8' }).trim().split('\n'))
      symlinkSync(BUSYBOX, join(tools, applet));
    rmSync(join(tools, 'install'), { force: true }); // not in every build
    mkdirSync(join(place, 'package', 'bin'), { recursive: true });
    mkdirSync(join(place, 'package', 'native', 'build'), { recursive: true });
    copyFileSync(KALOS, launcher);
    const actuator = join(place, 'package', 'native', 'build', 'kalos-actuator');
    writeFileSync(actuator, '#!/bin/sh\nfor word; do echo "<$word>"; done\n');
    for (const file of [launcher, actuator]) chmodSync(file, 0o755);
    chmodSync(place, 0o755);
  });
  afterAll(() => rmSync(place, { recursive: true, force: true }));

  const run = (shell: readonly string[], ...args: string[]): Promise<Ran> =>
    new Promise((resolve) => {
      const [program = '', ...rest] = [...shell, ...args];
      const env = { PATH: tools, HOME: place, KALOS_API_LISTEN: 'off' };
      execFile(program, rest, { env, cwd: place, timeout: patient(30_000) }, (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }),
      );
    });

  it.each(shells)('runs a command with %s', async (_name, shell) => {
    const { code, stdout, stderr } = await run(shell, KALOS, '--version');
    expect([code, stderr, stdout.trim()]).toEqual([0, '', findPackage().version]);
  });

  it.each(shells)(
    'starts the actuator as the first process with %s, in whichever way the directory is given',
    async (_name, shell) => {
      for (const [given, meant] of [
        ['state', join(place, 'state')],
        ['a/b/c/', join(place, 'a/b/c')],
        [join(place, 'with blank'), join(place, 'with blank')],
      ] as const) {
        const { code, stdout, stderr } = await run(shell, launcher, 'up', '--init', '--dir', given, '--mode', 'act');
        expect([code, stderr]).toEqual([0, '']);
        const words = stdout.trim().split('\n');
        expect(words).toContain('<--init>');
        expect(words[words.indexOf('<--state>') + 1]).toBe(`<${meant}-actuator>`);
        expect(words.slice(words.indexOf('<-->') + 1)).toEqual([
          `<${launcher}>`,
          '<up>',
          '<--dir>',
          `<${given}>`,
          '<--mode>',
          '<act>',
        ]);
      }
    },
  );

  it.skipIf(!isRoot).each(shells)('makes the directory for the agent’s user with %s', async (_name, shell) => {
    const directory = join(place, 'own', String(shell.length));
    const { code, stderr } = await run(shell, launcher, 'up', '--init', '--user', 'nobody', '--dir', directory);
    expect([code, stderr]).toEqual([0, '']);
    const { mode, uid } = statSync(directory);
    expect([mode & 0o777, uid]).toEqual([0o700, NOBODY]);
    const wrong = await run(shell, launcher, 'up', '--init', '--user', 'nobody-at-all', '--dir', directory);
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('user nobody-at-all does not exist')]);
    expect((await run(shell, launcher, 'up', '--init', '--user')).code).toBe(2);
  });

  it.skipIf(!isRoot)('is the first process of a machine, and its agent comes up', async () => {
    const directory = join(place, 'machine');
    const args = ['--pid', '--fork', '--mount-proc', '--kill-child', BUSYBOX, 'sh', KALOS];
    const up = ['up', '--init', '--dir', directory, '--listen', '127.0.0.1:0', '--no-mdns'];
    const env = { PATH: tools, HOME: place, KALOS_API_LISTEN: 'off' };
    const outer: ChildProcess = spawn('/usr/bin/unshare', [...args, ...up], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const output: string[] = [];
    for (const stream of [outer.stdout, outer.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => output.push(text));
    const ended = new Promise((resolve) => outer.once('exit', resolve));
    await eventually('the agent to be up', () => {
      if (outer.exitCode !== null) throw new Error(output.join(''));
      return output.join('').match(/listens/) ?? undefined;
    });
    const down = await run(['/bin/sh'], KALOS, 'down', '--dir', directory);
    expect(down.code).toBe(0);
    await ended;
  });
});
