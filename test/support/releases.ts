// Releases of KALOS for real agents: this checkout, bundled, under another version, and what a bad one does added to it.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from 'tar';
import { findPackage } from '../../node/adapters/package.ts';
import { buildInto } from '../../scripts/build.mjs';

export class ReleaseMaker {
  readonly directory = mkdtempSync(join(tmpdir(), 'kalos-releases-'));
  readonly #package = join(this.directory, 'package');

  async open(): Promise<void> {
    const { root } = findPackage();
    mkdirSync(this.#package);
    await buildInto(join(this.#package, 'dist'));
    for (const part of ['models/artifacts', 'node/detection/policies', 'node/page'])
      cpSync(join(root, part), join(this.#package, part), { recursive: true });
  }

  /** @param first what it does before anything else, as JavaScript @returns the archive’s file */
  async make(version: string, first = ''): Promise<string> {
    // What is imported comes before anything else.
    const [, file = ''] = /import '\.\/(.+)'/.exec(readFileSync(join(this.#package, 'dist', 'kalos.mjs'), 'utf8')) ?? [];
    const entry = join(this.#package, 'dist', file);
    const code = readFileSync(entry, 'utf8');
    writeFileSync(join(this.#package, 'package.json'), JSON.stringify({ name: 'kalos', version, type: 'module' }));
    writeFileSync(entry, `${first}\n${code}`);
    const archive = join(this.directory, `kalos-${version}.tgz`);
    await create({ gzip: true, file: archive, cwd: this.directory }, ['package']);
    writeFileSync(entry, code);
    return archive;
  }

  close(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
