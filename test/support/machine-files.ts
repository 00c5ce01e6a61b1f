// The files of a machine that a test makes up, below a directory of its own, and its tables as they are read from there.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { READERS } from '../../node/adapters/inspect/inspect.ts';
import { type Row, readBelow } from '../../node/adapters/inspect/read.ts';
import type { SqlValue } from '../../node/ports/compute.ts';

export interface MachineFiles {
  at(path: string): string;
  put(path: string, text: string | Uint8Array): void;
  link(path: string, target: string): void;
  rows(table: string, where?: [string, SqlValue[]][]): Promise<Row[]>;
}

/** For each test of a file a machine without files. */
export function machineFiles(): MachineFiles {
  let root = '';
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'kalos-machine-'));
    readBelow(root);
  });
  afterEach(() => {
    readBelow('');
    rmSync(root, { recursive: true });
  });
  const at = (path: string): string => join(root, path);
  const made = (path: string): string => {
    mkdirSync(dirname(at(path)), { recursive: true });
    return at(path);
  };
  return {
    at,
    put: (path, text) => writeFileSync(made(path), text),
    link: (path, target) => symlinkSync(target, made(path)),
    rows: async (table, where = []) => (await READERS[table]?.(new Map(where))) ?? [],
  };
}
