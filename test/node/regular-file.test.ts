// Files whose names come from outside: whatever lies there, nothing waits, and what is none is told.
import { execFileSync, spawn } from 'node:child_process';
import { chownSync, lchownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ServiceChecks } from '../../node/action/adapters/service-checks.ts';
import { file, hash } from '../../node/adapters/inspect/files.ts';
import { readInput, readRegular } from '../../node/adapters/regular-file.ts';
import { readConfigFile } from '../../node/config/adapters/state-directory.ts';
import type { ServiceSample, ServiceSpec } from '../../node/ports/actuator.ts';

let place: string;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'kalos-regular-'));
});
afterEach(() => rmSync(place, { recursive: true }));

const at = (name: string): string => join(place, name);
function fifo(name: string): string {
  execFileSync('mkfifo', [at(name)]);
  return at(name);
}

describe('a file that is named from outside', () => {
  it('is read where it is a regular one, or a link to one', () => {
    writeFileSync(at('a'), 'text');
    symlinkSync('a', at('link'));
    expect(readRegular(at('link')).toString()).toBe('text');
    expect(() => readRegular(at('link'), 100, { noFollow: true })).toThrow('ELOOP');
    expect(() => readRegular(at('a'), 3)).toThrow('it is larger than 3 bytes');
  });

  it.runIf(process.getuid?.() === 0)('is not read for others to see through a link of somebody who does not own it', () => {
    const OTHER = 65_534;
    const read = (path: string) => readRegular(path, 100, { ownLinks: true }).toString();
    for (const directory of ['logs', 'secrets']) mkdirSync(at(directory));
    for (const name of ['secrets/app.log', 'logs/app.log.1']) writeFileSync(at(name), name);
    chownSync(at('logs'), OTHER, OTHER);
    symlinkSync('app.log.1', at('logs/app.log'));
    symlinkSync('../secrets', at('logs/deep'));
    symlinkSync(at('logs/deep/app.log'), at('through'));
    for (const path of ['logs/app.log', 'logs/deep/app.log', 'through']) expect(read(at(path))).toContain('app.log');
    for (const link of ['logs/app.log', 'logs/deep']) lchownSync(at(link), OTHER, OTHER);
    for (const path of ['logs/app.log', 'logs/deep/app.log', 'through'])
      expect(() => read(at(path))).toThrow(/^it is behind the link .*logs\/(app\.log|deep) of user 65534, who does not own it$/);
    chownSync(at('logs/app.log.1'), OTHER, OTHER);
    expect(read(at('logs/app.log'))).toBe('logs/app.log.1');
    expect(read(at('secrets/app.log'))).toBe('secrets/app.log');
  });

  it('is refused with what it is, at once', async () => {
    const server = createServer().listen(at('socket'));
    await new Promise((resolve) => server.once('listening', resolve));
    mkdirSync(at('directory'));
    symlinkSync('/proc/kmsg', at('kmsg'));
    symlinkSync('/dev/zero', at('zero'));
    const wrong = {
      [fifo('fifo')]: 'a FIFO',
      [at('socket')]: 'a socket',
      [at('directory')]: 'a directory',
      [at('zero')]: 'a device',
    };
    for (const [path, what] of Object.entries(wrong))
      expect(() => readRegular(path)).toThrow(`it is ${what}, not a regular file`);
    expect(() => readRegular('/proc/self/status')).toThrow('it is a file of the kernel');
    expect(readRegular('/proc/self/status', undefined, { kernel: true }).toString()).toContain('Pid:');
    server.close();
  });

  it('may be a pipe where a person gives it to a command, and has an end', () => {
    const path = fifo('given');
    spawn('sh', ['-c', 'printf given > "$0"', path]);
    expect(readInput(path).toString()).toBe('given');
    expect(() => readInput('/dev/zero', 1_000)).toThrow('it is larger than 1000 bytes');
  });

  it('as a configuration is one line of what is wrong', () => {
    expect(() => readConfigFile(fifo('kalos.toml'), false)).toThrow(
      `${at('kalos.toml')} cannot be read: It is a FIFO, not a regular file`,
    );
  });

  it('in the place of a service’s log holds nobody up, and says nothing', async () => {
    const checks = new ServiceChecks(place, async () => 'open');
    fifo('web.log');
    const spec = { name: 'web', check: { kind: 'log', text: 'ready' } } as ServiceSpec;
    const sample = { starts: 1, sinceMs: 0 } as ServiceSample;
    expect(await checks.look(spec, sample, 100)).toBe('failed');
    rmSync(at('web.log'));
    writeFileSync(at('web.log'), 'ready\n');
    expect(await checks.look(spec, { ...sample, starts: 2 }, 100)).toBe('open');
  });

  it('is told of by the table file, and left out of hash, whose digests are of regular files', async () => {
    fifo('fifo');
    writeFileSync(at('plain'), 'text');
    symlinkSync('/dev/zero', at('zero'));
    symlinkSync('/proc/self/status', at('status'));
    const where = new Map([['directory', [place]]]);
    expect((await file(where)).map(({ filename, type }) => `${filename} ${type}`).sort()).toEqual([
      'fifo fifo',
      'plain regular',
      'status symlink',
      'zero symlink',
    ]);
    expect((await hash(where)).map(({ path }) => path)).toEqual([at('plain')]);
    expect((await hash(new Map([['path', [at('fifo'), at('plain')]]]))).map(({ path }) => dirname(String(path)))).toEqual([
      place,
    ]);
  });
});
