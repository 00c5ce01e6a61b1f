// Builds native/build/ with g++ if the sources are newer: the addon kalos.node and the program kalos-actuator. With --sanitize it also
// builds what tests need: the actuator and its fuzzer with the address and undefined-behaviour sanitizers, and the keeper of their
// processes. It downloads nothing: the Node-API headers come from the node-api-headers package. With --optional a missing compiler is
// reported, but is not an error.
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const native = join(root, 'native');
const output = join(native, 'build');
const KEEPER = join(root, 'test', 'support', 'keeper.cc');
const optional = process.argv.includes('--optional');
const sanitize = process.argv.includes('--sanitize');
const run = promisify(execFile);

const STRICT = ['-std=c++17', '-Wall', '-Wextra'];
// Small, and with a static C++ library: saves 1.6 MiB of memory when idle.
const SMALL = ['-Os', '-static-libstdc++', '-static-libgcc', '-ffunction-sections', '-fdata-sections', '-Wl,--gc-sections'];
const HARDENED = [...SMALL, '-fstack-protector-strong', '-D_FORTIFY_SOURCE=2', '-fPIE', '-pie', '-Wl,-z,relro,-z,now'];
// Without exceptions it needs no C++ library at run time.
const ADDON = ['-O2', '-fno-exceptions', '-fPIC', '-shared', '-DNAPI_VERSION=9'];
const SANITIZED = ['-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer'];

function sourcesIn(directory) {
  return readdirSync(directory)
    .filter((name) => /\.(cc|h)$/.test(name))
    .map((name) => join(directory, name));
}

function isFresh(file, sources) {
  try {
    return statSync(file).mtimeMs >= Math.max(...sources.map((path) => statSync(path).mtimeMs));
  } catch {
    return false;
  }
}

/** @param units the files to compile. @param sources all files that the result depends on. */
async function build(name, sources, units, flags) {
  const file = join(output, name);
  if (isFresh(file, sources)) return;
  const fresh = `${file}.${process.pid}.tmp`;
  await run('g++', [...STRICT, ...flags, ...units, '-o', fresh], { maxBuffer: 16 * 1024 * 1024 });
  renameSync(fresh, file); // atomic: a running agent keeps the file that it has mapped
}

/** The objects of units, in a directory of their own: those alone are compiled that changed, or all where a header did. */
async function objectsOf(units, headers, flags) {
  const directory = join(output, 'sanitized');
  const objectOf = (unit) => join(directory, `${basename(unit, '.cc')}.o`);
  mkdirSync(directory, { recursive: true });
  const waiting = units.filter((unit) => !isFresh(objectOf(unit), [unit, ...headers]));
  const compile = async () => {
    for (let unit = waiting.shift(); unit !== undefined; unit = waiting.shift()) {
      const fresh = `${objectOf(unit)}.${process.pid}.tmp`;
      await run('g++', [...STRICT, ...flags, '-c', unit, '-o', fresh], { maxBuffer: 16 * 1024 * 1024 });
      renameSync(fresh, objectOf(unit));
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, compile));
  return units.map(objectOf);
}

async function buildAll() {
  mkdirSync(output, { recursive: true });
  const headers = join(dirname(createRequire(import.meta.url).resolve('node-api-headers/package.json')), 'include');
  const addon = sourcesIn(native);
  const actuator = [...sourcesIn(join(native, 'actuator')), join(native, 'fd.h')];
  const units = (paths, without) => paths.filter((path) => path.endsWith('.cc') && !path.endsWith(without));
  await Promise.all([
    build('kalos.node', addon, units(addon, '-'), [...ADDON, '-I', headers]),
    build('kalos-actuator', actuator, units(actuator, '/fuzz.cc'), HARDENED),
  ]);
  if (!sanitize) return;
  await Promise.all([
    build('keeper', [KEEPER], [KEEPER], ['-O1']),
    objectsOf(
      units(actuator, '-'),
      actuator.filter((path) => path.endsWith('.h')),
      SANITIZED,
    ).then((objects) =>
      Promise.all([
        build(
          'kalos-actuator.sanitized',
          objects,
          objects.filter((path) => !path.endsWith('/fuzz.o')),
          SANITIZED,
        ),
        build(
          'fuzz',
          objects,
          objects.filter((path) => !path.endsWith('/main.o')),
          SANITIZED,
        ),
      ]),
    ),
  ]);
}

try {
  await buildAll();
} catch (error) {
  const why = error?.code === 'ENOENT' ? 'no g++ on the path' : String(error?.stderr || error?.message || error).trim();
  console.error(`kalos: native code not built (${why}): without the actuator an agent cannot start`);
  if (!optional) process.exit(1);
}
