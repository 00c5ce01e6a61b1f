// Runs the tests as `npm test` does: measures first how much slower than two idle cores this machine is at the moment, and stretches the
// time-outs by it; gives them a directory of their own for what they write; ends every process that they leave, also when interrupted.
// With --quick only those that start no process and no large simulation. Other arguments go to the test runner. Plain JavaScript, as all that is run before it is.
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const keeper = join(root, 'native', 'build', 'keeper');

// The yardstick

/** As many at once as test files run. */
const WORKERS = 3;
const ROUNDS = 3;
/** What a round of the work below takes on two idle cores. */
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

// What is left behind

const PLACE = /^kalos-test-(\d+)-/;

function lives(pid) {
  return existsSync(`/proc/${pid}`);
}

/** What runs before this one left because they were killed: their directories, their network namespaces. */
function clear() {
  for (const name of readdirSync(tmpdir())) {
    const [, pid] = PLACE.exec(name) ?? [];
    if (pid !== undefined && !lives(pid)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
  const { stdout } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' });
  for (const line of (stdout ?? '').split('\n')) {
    const [, name, pid] = /^(kalos-(?:[a-z]+-)?(\d+)\S*)/.exec(line) ?? [];
    if (name !== undefined && !lives(pid)) spawnSync('ip', ['netns', 'delete', name]);
  }
}

// The run

clear();
const place = mkdtempSync(join(tmpdir(), `kalos-test-${process.pid}-`));
chmodSync(place, 0o755); // as /tmp: some tests have other users look in
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
if (!existsSync(keeper)) console.log('kalos: no keeper (no C++ compiler): what an interrupted run starts is not ended');
const [program, ...args] = existsSync(keeper) ? [keeper, ...vitest] : vitest;
const env = { ...process.env, TMPDIR: place, KALOS_TEST_PATIENCE: String(factor), ...(isQuick && { KALOS_TESTS: 'quick' }) };
const run = spawn(program, args, { cwd: root, stdio: 'inherit', env });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => run.kill(signal === 'SIGINT' ? 'SIGTERM' : signal));
run.once('close', (code, signal) => {
  rmSync(place, { recursive: true, force: true });
  clear();
  process.exitCode = code ?? (signal === null ? 1 : 130);
});
