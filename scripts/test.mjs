// Runs the tests, for `npm test`. It first measures how much slower than two idle cores this machine is now, and multiplies the time-outs
// by that. Tests write to a separate directory, and to one in memory. Processes that they leave are ended, also after an interrupt. With
// --quick it runs only tests that start no process and no large simulation. Other arguments go to the test runner. Plain JavaScript, like
// the other scripts.
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const keeper = join(root, 'native', 'build', 'keeper');

// The yardstick

/** As many as test files run in parallel. */
const WORKERS = 3;
const ROUNDS = 3;
/** The time of one round of the work below on two idle cores. */
const IDLE_MS = 570;
const WORK =
  "const { createHash } = require('node:crypto'); let seed = Buffer.alloc(4096); for (let i = 0; i < 60000; i++) seed = Buffer.concat([createHash('sha256').update(seed).digest(), seed.subarray(32)]);";

async function roundMs() {
  const startMs = performance.now();
  const one = () => new Promise((resolve) => spawn(process.execPath, ['-e', WORK], { stdio: 'ignore' }).once('close', resolve));
  await Promise.all(Array.from({ length: WORKERS }, one));
  return performance.now() - startMs;
}

async function patience() {
  const took = [];
  for (let round = 0; round < ROUNDS; round++) took.push(await roundMs());
  const [ms] = took.sort((a, b) => a - b).slice(ROUNDS >> 1);
  return { ms, factor: Math.max(1, Math.round((ms / IDLE_MS) * 10) / 10) };
}

// Clean-up

const PLACE = /^kalos-test-(\d+)-/;
/** A directory in memory, where fsync is free. */
const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
/** In a run's directory: a list of the network namespaces that existed before it. */
const BEFORE = 'namespaces';

function lives(pid) {
  return existsSync(`/proc/${pid}`);
}

function namespaces() {
  const { stdout } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' });
  return (stdout ?? '').split('\n').map((line) => line.split(' ')[0]);
}

/** Removes what an interrupted run left: its directory, and the network namespaces that it created and whose process has ended. */
function clear(place) {
  const before = existsSync(join(place, BEFORE)) ? readFileSync(join(place, BEFORE), 'utf8').split('\n') : namespaces();
  for (const name of namespaces().filter((one) => !before.includes(one))) {
    const [, pid] = /^kalos-(?:[a-z]+-)?(\d+)/.exec(name) ?? [];
    if (pid !== undefined && !lives(pid)) spawnSync('ip', ['netns', 'delete', name]);
  }
  rmSync(place, { recursive: true, force: true });
}

/** Cleans up after runs that were killed. */
function clearOthers() {
  for (const parent of new Set([tmpdir(), MEMORY])) {
    for (const name of readdirSync(parent)) {
      const [, pid] = PLACE.exec(name) ?? [];
      if (pid !== undefined && !lives(pid)) clear(join(parent, name));
    }
  }
}

// The run

clearOthers();
const [place, memory] = [tmpdir(), MEMORY].map((parent) => mkdtempSync(join(parent, `kalos-test-${process.pid}-`)));
for (const directory of [place, memory]) chmodSync(directory, 0o755); // like /tmp: other users of some tests must read it
writeFileSync(join(place, BEFORE), namespaces().join('\n'));
const { ms, factor } = await patience();
console.log(`kalos: the yardstick took ${Math.round(ms)} ms (${IDLE_MS} on two idle cores): time-outs times ${factor}`);
const words = process.argv.slice(2);
const isQuick = words.includes('--quick');
const vitest = [
  process.execPath,
  join(root, 'node_modules', 'vitest', 'vitest.mjs'),
  'run',
  ...words.filter((word) => word !== '--quick'),
];
if (!existsSync(keeper)) console.log('kalos: no keeper (no C++ compiler): processes of an interrupted run are not ended');
const [program, ...args] = existsSync(keeper) ? [keeper, ...vitest] : vitest;
const env = {
  ...process.env,
  TMPDIR: place,
  KALOS_TEST_MEMORY: memory,
  KALOS_TEST_PATIENCE: String(factor),
  ...(isQuick && { KALOS_TESTS: 'quick' }),
};
const run = spawn(program, args, { cwd: root, stdio: 'inherit', env });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => {
    console.log('kalos: interrupted: ending the processes of the tests');
    run.kill('SIGTERM');
  });
run.once('close', (code, signal) => {
  clear(place);
  rmSync(memory, { recursive: true, force: true });
  process.exitCode = code ?? (signal === null ? 1 : 130);
});
