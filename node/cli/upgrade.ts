// `kalos upgrade push | status | withdraw`: releases of KALOS for machines with upgrades = true, canaries first.
import { readInput } from '../adapters/regular-file.ts';
import { callAgent } from '../api/client.ts';
import type { UpgradeAnswer, UpgradesAnswer } from '../api/upgrade-routes.ts';
import { KalosError } from '../errors.ts';
import { printWhole } from './data.ts';
import { EXIT } from './exit-codes.ts';
import type { Format } from './output.ts';
import { follow, linesOf, type PushOptions } from './rollout.ts';
import { exactly } from './times.ts';

const brief = ({ id, by, version }: UpgradeAnswer): string => `${version} (${id.slice(0, 8)} of ${by})`;
const look = (directory: string | undefined) => callAgent<UpgradesAnswer>(directory, 'GET', '/v1/upgrades');

function readArchive(file: string): string {
  try {
    return readInput(file).toString('base64');
  } catch (error) {
    throw new KalosError(
      'usage',
      `cannot read ${file}: ${(error as Error).message}`,
      'create an archive of KALOS with: npm pack',
    );
  }
}

/** Rolls out a release to canaries, then in waves to all members; prints the progress until the end. */
export async function pushRelease({ dir, canary, soak, wait }: PushOptions, file: string): Promise<number> {
  const body = { archive: readArchive(file), ...(canary !== undefined && { canary }), soakMs: soak };
  const pushed = await callAgent<{ index: number; upgrade: string; version: string; canary: string[] }>(
    dir,
    'POST',
    '/v1/upgrades',
    body,
  );
  const { index, upgrade, version } = pushed;
  process.stdout.write(`decision ${index}: KALOS ${version}, canaries ${pushed.canary.join(', ')} for ${exactly(soak)}\n`);
  if (!wait) return EXIT.ok;
  return follow({
    id: upgrade,
    canary: pushed.canary,
    look: () => look(dir),
    everywhere: `${version} runs on all members`,
    back: 'rolled back to the last good release',
  });
}

export async function showUpgrade(directory: string | undefined, format: Format): Promise<number> {
  const answer = await look(directory);
  printWhole(format, { ...answer }, () => {
    const byVersion = Map.groupBy(answer.versions, ({ version }) => version);
    const runs = [...byVersion].map(([version, some]) => `runs ${version}: ${some.map(({ node }) => node).join(', ')}`);
    return [...linesOf(answer, 'the installed package of each machine', brief), ...runs].join('\n');
  });
  return EXIT.ok;
}

export async function withdrawRelease(directory: string | undefined, reason: string): Promise<number> {
  const { index } = await callAgent<{ index: number }>(directory, 'POST', '/v1/upgrades/withdraw', { reason });
  process.stdout.write(`decision ${index}: the release is rolled back\n`);
  return EXIT.ok;
}
