// `kalos upgrade push | status | withdraw`: releases of KALOS for all machines that take any, tried on a few first.
import { readFileSync } from 'node:fs';
import { callAgent } from '../api/client.ts';
import type { UpgradeAnswer, UpgradesAnswer } from '../api/upgrade-routes.ts';
import { KalosError } from '../errors.ts';
import { printData } from './data.ts';
import { EXIT, type Format, paint, printable } from './output.ts';

const LOOK_EVERY_MS = 500;
/** The agent that is asked starts anew itself, when it is its turn. */
const AWAY_MS = 60_000;

export interface UpgradeOptions {
  dir?: string;
  canary?: string[];
  /** Seconds. */
  soak: number;
  wait: boolean;
}

const brief = ({ id, by, version }: UpgradeAnswer): string => `${version} (${id.slice(0, 8)} of ${by})`;
const look = (directory: string | undefined) => callAgent<UpgradesAnswer>(directory, 'GET', '/v1/upgrades');

function readArchive(file: string): string {
  try {
    return readFileSync(file).toString('base64');
  } catch (error) {
    throw new KalosError('usage', `cannot read ${file}: ${(error as Error).message}`, 'npm pack makes an archive of KALOS');
  }
}

/** Has a release tried on a few members, then taken by all in waves; tells how it goes until it is over. */
export async function pushRelease({ dir, canary, soak, wait }: UpgradeOptions, file: string): Promise<number> {
  const body = { archive: readArchive(file), ...(canary !== undefined && { canary }), soakMs: soak * 1_000 };
  const pushed = await callAgent<{ index: number; upgrade: string; version: string; canary: string[] }>(
    dir,
    'POST',
    '/v1/upgrades',
    body,
  );
  const { index, upgrade, version } = pushed;
  process.stdout.write(`decision ${index}: KALOS ${version}, tried on ${pushed.canary.join(', ')} for ${soak} s\n`);
  if (!wait) return EXIT.ok;
  let [told, answeredMs] = [pushed.canary.join(), Date.now()];
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    const now = await look(dir).catch((error: unknown) => {
      if (Date.now() - answeredMs > AWAY_MS) throw error;
      return undefined;
    });
    if (now === undefined) continue;
    answeredMs = Date.now();
    const { candidate, ended } = now;
    if (ended?.id === upgrade) {
      if (ended.outcome === 'back')
        throw new KalosError('refused', `taken back, and the last good release runs: ${printable(ended.reason)}`);
      process.stdout.write(`${version} is everywhere\n`);
      return EXIT.ok;
    }
    if (candidate === null || candidate.turn.join() === told) continue;
    process.stdout.write(`${candidate.done.length} do well; next ${candidate.turn.join(', ')}\n`);
    told = candidate.turn.join();
  }
}

export async function showUpgrade(directory: string | undefined, format: Format): Promise<number> {
  const answer = await look(directory);
  if (format !== 'table') {
    printData(format, { ...answer });
    return EXIT.ok;
  }
  const { good, before, candidate, ended, versions } = answer;
  const lines = [`good      ${good === null ? 'each machine’s own package' : brief(good)}`];
  if (before !== null) lines.push(`before    ${brief(before)}`);
  if (candidate !== null) {
    const since = new Date(candidate.sinceMs).toISOString();
    lines.push(`tried     ${brief(candidate)}: ${candidate.phase}, ${candidate.turn.join(', ')} since ${since}`);
    if (candidate.done.length > 0) lines.push(`  runs on ${candidate.done.join(', ')}`);
    for (const { node, ok, reason } of candidate.reports)
      lines.push(`  ${node}: ${ok ? 'well' : paint('red', printable(reason))}`);
  }
  if (ended !== null) {
    const how = ended.outcome === 'back' ? `was taken back: ${printable(ended.reason)}` : 'is everywhere';
    lines.push(`the last  ${ended.id.slice(0, 8)} ${how}`);
  }
  const byVersion = Map.groupBy(versions, ({ version }) => version);
  for (const [version, some] of byVersion) lines.push(`runs ${version}: ${some.map(({ node }) => node).join(', ')}`);
  process.stdout.write(`${lines.join('\n')}\n`);
  return EXIT.ok;
}

export async function withdrawRelease(directory: string | undefined, reason: string): Promise<number> {
  const { index } = await callAgent<{ index: number }>(directory, 'POST', '/v1/upgrades/withdraw', { reason });
  process.stdout.write(`decision ${index}: the release is taken back\n`);
  return EXIT.ok;
}
