// Bundles the command and its imports into dist/. A published package cannot contain TypeScript, and one file of 2 MB takes 18 MB less
// memory than its thousand modules. Names are not mangled, for stack traces. Packages with native parts are not bundled.
//
// Agents may be running from dist/. The files that they load have a hash of their content in the name, and stay while an agent runs.
// Only dist/kalos.mjs keeps its name; it is replaced atomically, and imports the new files. A build that fails changes nothing.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** By fixed name: the content, which imports the current file. */
const ENTRIES = {
  kalos: (file) => `import './${file}';\n`,
  client: (file) => `export * from './${file}';\n`,
};
/** A file name with a hash of the content. */
const HASHED = /-[\w-]{8}\.mjs$/;

async function bundle(directory) {
  const { build } = await import('rolldown');
  await build({
    input: { kalos: join(root, 'bin/main.ts'), client: join(root, 'node/sdk/client.ts') },
    platform: 'node',
    external: ['classic-level', 'onnxruntime-node', /^node:/],
    output: {
      dir: directory,
      format: 'esm',
      entryFileNames: '[name]-[hash].mjs',
      chunkFileNames: 'chunk-[name]-[hash].mjs', // never the name of an entry
      minify: { compress: true, mangle: false, codegen: { removeWhitespace: true } },
    },
    onwarn: () => undefined,
    logLevel: 'silent',
  });
  execFileSync('tsc', ['-p', join(root, 'tsconfig.client.json'), '--outDir', join(directory, 'types')], { stdio: 'inherit' });
}

/** Whether a process runs from some dist/. True also if /proc hides the processes of other users. */
export function isRunning(proc = '/proc') {
  const argumentsOf = (pid) => {
    try {
      return readFileSync(join(proc, pid, 'cmdline'), 'utf8').split('\0');
    } catch {
      return []; // it has exited
    }
  };
  const pids = readdirSync(proc).filter((name) => /^\d+$/.test(name));
  return (
    !pids.includes('1') || pids.some((pid) => argumentsOf(pid).some((word) => /(^|\/)dist\/kalos(-[\w-]{8})?\.mjs$/.test(word)))
  );
}

function replace(file, content) {
  const fresh = `${file}.${process.pid}.tmp`;
  writeFileSync(fresh, content);
  renameSync(fresh, file);
}

/** Installs a finished build. @param keepsOld whether old files stay; they are then excluded from packages. */
export function install(fresh, dist, keepsOld = isRunning()) {
  mkdirSync(dist, { recursive: true });
  const files = readdirSync(fresh).filter((name) => HASHED.test(name));
  for (const name of files) renameSync(join(fresh, name), join(dist, name)); // the same name is the same content
  rmSync(join(dist, 'types'), { recursive: true, force: true }); // no process loads them
  cpSync(join(fresh, 'types'), join(dist, 'types'), { recursive: true });
  const stale = readdirSync(dist).filter((name) => HASHED.test(name) && !files.includes(name));
  // Before the fixed names import the new files, so that a package made meanwhile is complete.
  replace(join(dist, '.npmignore'), ['.build-*', '*.tmp', ...(keepsOld ? stale : [])].map((name) => `${name}\n`).join(''));
  for (const [name, content] of Object.entries(ENTRIES))
    replace(join(dist, `${name}.mjs`), content(files.find((file) => file.replace(HASHED, '') === name)));
  if (!keepsOld) for (const name of stale) rmSync(join(dist, name), { force: true });
}

/** @param dist created if it is missing */
export async function buildInto(dist) {
  mkdirSync(dist, { recursive: true });
  const fresh = mkdtempSync(join(dist, '.build-'));
  try {
    await bundle(fresh);
    install(fresh, dist);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildInto(join(root, 'dist'));
