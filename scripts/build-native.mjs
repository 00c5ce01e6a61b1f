// Builds native/build/kalos.node with g++ when its sources are newer. Downloads nothing: the Node-API headers come
// from the node-api-headers package. With --optional a missing compiler is said, not an error: the agent has a plain reader.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const native = join(root, 'native');
const output = join(native, 'build', 'kalos.node');
const optional = process.argv.includes('--optional');

function newest(paths) {
  return Math.max(...paths.map((path) => statSync(path).mtimeMs));
}

function isFresh(sources) {
  try {
    return statSync(output).mtimeMs >= newest(sources);
  } catch {
    return false;
  }
}

function build() {
  const sources = readdirSync(native)
    .filter((name) => /\.(cc|h)$/.test(name))
    .map((name) => join(native, name));
  if (isFresh(sources)) return;
  const headers = join(dirname(createRequire(import.meta.url).resolve('node-api-headers/package.json')), 'include');
  mkdirSync(dirname(output), { recursive: true });
  const fresh = `${output}.${process.pid}.tmp`;
  const flags = ['-O2', '-std=c++17', '-Wall', '-Wextra', '-fPIC', '-shared', '-DNAPI_VERSION=9', '-I', headers];
  execFileSync('g++', [...flags, ...sources.filter((path) => path.endsWith('.cc')), '-o', fresh], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  renameSync(fresh, output); // atomic: a running agent keeps the file that it has mapped
}

try {
  build();
} catch (error) {
  const why = error?.code === 'ENOENT' ? 'no g++ on the path' : String(error?.message ?? error).split('\n')[0];
  console.error(`kalos: native addon not built (${why}); the agent will read /proc in TypeScript`);
  if (!optional) process.exit(1);
}
