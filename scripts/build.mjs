// Bundles the command and everything it imports into dist/: a published package cannot hold TypeScript, and one file of 2 MB costs 18 MB less
// memory than the thousand modules that it is made from. Names stay as they are, for stack traces; packages with native parts stay outside.
//
// Agents may be running from dist/. What they load is named by its content and stays while one runs; dist/kalos.mjs, the one name that stays the
// same, is replaced in one step by one that leads to the new files. A build that fails changes nothing.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** By the name that stays: what leads to the file that it is now. */
const ENTRIES = {
  kalos: (file) => `import './${file}';\n`,
  client: (file) => `export * from './${file}';\n`,
};
/** The name of a file with the hash of what is in it. */
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

/** Whether a process runs from some dist/: its files are then left alone. Where processes of others are hidden, one may. */
export function isRunning(proc = '/proc') {
  const argumentsOf = (pid) => {
    try {
      return readFileSync(join(proc, pid, 'cmdline'), 'utf8').split('\0');
    } catch {
      return []; // it has ended
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

/** Puts a finished build in its place. @param keepsOld whether what is no longer needed stays, and is kept out of packages. */
export function install(fresh, dist, keepsOld = isRunning()) {
  mkdirSync(dist, { recursive: true });
  const files = readdirSync(fresh).filter((name) => HASHED.test(name));
  for (const name of files) renameSync(join(fresh, name), join(dist, name)); // the same name is the same content
  rmSync(join(dist, 'types'), { recursive: true, force: true }); // nobody runs them
  cpSync(join(fresh, 'types'), join(dist, 'types'), { recursive: true });
  const stale = readdirSync(dist).filter((name) => HASHED.test(name) && !files.includes(name));
  // Before the names that stay lead to the new files: what is packed meanwhile is whole.
  replace(join(dist, '.npmignore'), ['.build-*', '*.tmp', ...(keepsOld ? stale : [])].map((name) => `${name}\n`).join(''));
  for (const [name, content] of Object.entries(ENTRIES))
    replace(join(dist, `${name}.mjs`), content(files.find((file) => file.replace(HASHED, '') === name)));
  if (!keepsOld) for (const name of stale) rmSync(join(dist, name), { force: true });
}

/** @param dist created where it is missing */
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
