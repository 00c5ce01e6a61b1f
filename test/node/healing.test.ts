// A few faults of the catalogue, made for real and judged from outside the agent; all of them are in `npm run bench -- healing`.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SeededRandom } from '../../sim/random.ts';
import { CALM } from '../support/faults/calm.ts';
import { FAULTS } from '../support/faults/catalogue.ts';
import { heal } from '../support/faults/heal.ts';
import { buildVictim, Place } from '../support/faults/place.ts';

const SEED = 7;

/** Namespaces of one's own, and loopback in them. */
function canIsolate(): boolean {
  try {
    execFileSync('unshare', ['--mount', '--net', 'ip', 'link', 'set', 'lo', 'up'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const place = mkdtempSync(join(tmpdir(), 'kalos-healing-'));
let victim: string;
beforeAll(() => {
  victim = buildVictim(place);
});
afterAll(() => rmSync(place, { recursive: true }));

const of = (kinds: readonly string[]) =>
  [...FAULTS, ...CALM].filter(({ kind, lacks }) => kinds.includes(kind) && lacks?.() === undefined);
const KINDS = [
  'crash-loop',
  'port-taken',
  'fd-leak',
  'write-flood',
  'cpu-throttled',
  'inodes-full',
  'certificate-expiring',
  'certificate-cached',
  'log-flood',
  'dns-broken',
];

describe.runIf(canIsolate())('a fault', () => {
  it.concurrent.each(of(KINDS).map((fault) => [fault.kind, fault] as const))(
    '%s is repaired and verified, and nothing else is touched',
    async (kind, fault) => {
      const where = new Place(victim, new SeededRandom(SEED, kind), `t${FAULTS.indexOf(fault)}`);
      try {
        expect(await heal(fault, where)).toMatchObject({ repaired: true, harm: undefined, wrong: undefined });
      } finally {
        await where.close();
      }
    },
  );

  it.concurrent.each(of(['planned-restart', 'compile']).map((fault) => [fault.kind, fault] as const))(
    'that is none, %s, is left alone',
    async (kind, fault) => {
      const where = new Place(victim, new SeededRandom(SEED, kind), `c${CALM.indexOf(fault)}`);
      try {
        expect(await heal(fault, where)).toMatchObject({ repaired: true, harm: undefined, needless: [] });
      } finally {
        await where.close();
      }
    },
  );
});
