// Checks the C++ sources with clang-tidy (native/.clang-tidy says what is checked): a minute and more, so by hand, before C++ changes are
// submitted. Says what it found; exits with 1 where that is anything. With files as arguments it checks those alone.
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const headers = join(dirname(createRequire(import.meta.url).resolve('node-api-headers/package.json')), 'include');
const FLAGS = ['-std=c++17', '-Wall', '-Wextra', '-DNAPI_VERSION=9', '-isystem', headers];
const run = promisify(execFile);
const named = process.argv.slice(2);
const units = ['native', 'native/actuator'].flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.cc'))
    .map((name) => join(folder, name)),
);
const waiting = named.length > 0 ? named : units;

async function lint() {
  for (let unit = waiting.shift(); unit !== undefined; unit = waiting.shift()) {
    try {
      await run('clang-tidy', ['--quiet', unit, '--', ...FLAGS], { cwd: root, maxBuffer: 16 * 1024 * 1024 });
    } catch (error) {
      process.exitCode = 1;
      console.error(error?.code === 'ENOENT' ? 'clang-tidy is not installed (Debian package clang-tidy)' : error?.stdout);
    }
  }
}

await Promise.all(Array.from({ length: availableParallelism() }, lint));
