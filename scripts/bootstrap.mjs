// Set-up before `npm start` and `npm test`, on a machine with only Node 20, npm, git and g++. It installs dependencies (with Node 24),
// and builds the native addon and the bundle, each only if it is missing or older than its sources. Plain JavaScript, because it runs
// before anything is installed.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const at = (...parts) => join(root, ...parts);

function modified(path) {
  return existsSync(path) ? statSync(path).mtimeMs : 0;
}

function newestSource(folder) {
  return Math.max(
    0,
    ...readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
      .map((entry) => modified(join(entry.parentPath ?? entry.path, entry.name))),
  );
}

function run(command, args, env = process.env) {
  execFileSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env });
}

// npm must run with its own Node, not with the Node 24 that it is about to replace.
const outside = {
  ...process.env,
  PATH: (process.env.PATH ?? '')
    .split(delimiter)
    .filter((part) => !part.includes('node_modules/.bin'))
    .join(delimiter),
};

if (modified(at('node_modules', '.package-lock.json')) < modified(at('package-lock.json'))) {
  console.log('kalos: installing dependencies (once)');
  // Otherwise onnxruntime downloads CUDA libraries, if npm is older than 11 and does not have allowScripts.
  run('npm', ['ci', '--no-fund', '--no-audit', '--loglevel=error'], { ...outside, ONNXRUNTIME_NODE_INSTALL: 'skip' });
}
run(process.execPath, [at('scripts', 'build-native.mjs'), '--optional']);
const sources = Math.max(...['bin', 'node', 'swarm', 'consensus', 'models', 'sim'].map((folder) => newestSource(at(folder))));
if (modified(at('dist', 'kalos.mjs')) < sources) {
  console.log('kalos: bundling');
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'], env: outside });
}
