// The C++ sources are formatted by clang-format (native/.clang-format), in the version of Debian 12: others break some lines differently.
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const NATIVE = join(import.meta.dirname, '..', '..', 'native');
const MAJOR = '14';

function version(): string | undefined {
  try {
    return execFileSync('clang-format', ['--version'], { encoding: 'utf8' }).match(/version (\d+)/)?.[1];
  } catch {
    return undefined;
  }
}

describe.skipIf(version() !== MAJOR)(`with clang-format ${MAJOR}`, () => {
  it('the sources stay as they are', () => {
    const sources = readdirSync(NATIVE, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(cc|h)$/.test(name));
    const { stderr } = spawnSync('clang-format', ['--dry-run', ...sources], { cwd: NATIVE, encoding: 'utf8' });
    expect([sources.length > 30, stderr]).toEqual([true, '']);
  });
});
