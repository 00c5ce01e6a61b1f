// The program rival.cc, built once for a test file, where other users of the machine can run it.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPackage } from '../../node/adapters/package.ts';

export class Rival {
  readonly #place = mkdtempSync(join(tmpdir(), 'kalos-rival-'));
  readonly program = join(this.#place, 'rival');

  constructor() {
    chmodSync(this.#place, 0o755);
    const source = join(findPackage().root, 'test', 'support', 'rival.cc');
    execFileSync('g++', ['-std=c++17', '-o', this.program, source], { stdio: 'inherit' });
  }

  close(): void {
    rmSync(this.#place, { recursive: true, force: true });
  }
}
