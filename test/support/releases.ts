// Releases of KALOS for real agents: this checkout, bundled, under another version, and what a bad one does added to it.
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { create } from 'tar';
import { findPackage } from '../../node/adapters/package.ts';

export class ReleaseMaker {
  readonly directory = mkdtempSync(join(tmpdir(), 'kalos-releases-'));
  readonly #package = join(this.directory, 'package');

  async open(): Promise<void> {
    const { root } = findPackage();
    mkdirSync(this.#package);
    const rolldown = join(root, 'node_modules', '.bin', 'rolldown');
    const into = ['-c', 'rolldown.config.mjs', '--logLevel', 'silent', '-d', join(this.#package, 'dist')];
    await promisify(execFile)(rolldown, into, { cwd: root });
    for (const part of ['models/artifacts', 'node/page'])
      cpSync(join(root, part), join(this.#package, part), { recursive: true });
  }

  /** @param first what it does before anything else, as JavaScript @returns the archive’s file */
  async make(version: string, first = ''): Promise<string> {
    const entry = join(this.#package, 'dist', 'kalos.mjs');
    const code = readFileSync(entry, 'utf8');
    writeFileSync(join(this.#package, 'package.json'), JSON.stringify({ name: 'kalos', version, type: 'module' }));
    writeFileSync(entry, `${first}\n${code}`);
    const file = join(this.directory, `kalos-${version}.tgz`);
    await create({ gzip: true, file, cwd: this.directory }, ['package']);
    writeFileSync(entry, code);
    return file;
  }

  close(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
