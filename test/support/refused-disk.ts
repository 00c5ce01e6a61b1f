// A disk that refuses every write under a directory, for processes that load it: for errors that no disk of a test's own can be brought to.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPackage } from '../../node/adapters/package.ts';

const SOURCE = join(findPackage().root, 'test', 'support', 'refused-disk.cc');

export class RefusedDisk {
  readonly #place = mkdtempSync(join(tmpdir(), 'kalos-refused-'));
  readonly #library = join(this.#place, 'refused.so');
  readonly #flag = join(this.#place, 'while');

  constructor() {
    execFileSync('g++', ['-std=c++17', '-O1', '-shared', '-fPIC', '-o', this.#library, SOURCE], { stdio: 'inherit' });
  }

  /** What a process gets whose disk it is to be. */
  get environment(): Record<string, string> {
    return { LD_PRELOAD: this.#library, REFUSED_WHILE: this.#flag };
  }

  /** @param errno such as `constants.errno.EIO` of node:os */
  refuse(errno: number, directory: string): void {
    writeFileSync(`${this.#flag}.new`, `${errno} ${directory}`);
    renameSync(`${this.#flag}.new`, this.#flag);
  }

  heal(): void {
    rmSync(this.#flag, { force: true });
  }

  close(): void {
    rmSync(this.#place, { recursive: true, force: true });
  }
}
