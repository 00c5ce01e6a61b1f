// `kalos policy push | bundle | withdraw`: policies for all machines, canaries first.

import type { BundleAnswer, BundlesAnswer } from '../api/bundle-routes.ts';
import { callAgent } from '../api/client.ts';
import { printWhole } from './data.ts';
import { EXIT } from './exit-codes.ts';
import { type Format, printable } from './output.ts';
import { readPolicies } from './policy.ts';
import { follow, linesOf, type PushOptions } from './rollout.ts';
import { exactly } from './times.ts';

export interface PolicyPushOptions extends PushOptions {
  findings: number;
}

const brief = ({ id, by, policies }: BundleAnswer): string => `${id.slice(0, 8)} of ${by}: ${policies.map(printable).join(', ')}`;
const look = (directory: string | undefined): Promise<BundlesAnswer> => callAgent<BundlesAnswer>(directory, 'GET', '/v1/bundles');

/** Rolls out policies to canaries, then in waves to all members; prints the progress until the end. */
export async function pushPolicies({ dir, canary, soak, findings, wait }: PolicyPushOptions, file: string): Promise<number> {
  const body = { policies: readPolicies(file), ...(canary !== undefined && { canary }), soakMs: soak, findings };
  const pushed = await callAgent<{ index: number; bundle: string; canary: string[] }>(dir, 'POST', '/v1/bundles', body);
  process.stdout.write(`decision ${pushed.index}: canaries ${pushed.canary.join(', ')} for ${exactly(soak)}\n`);
  if (!wait) return EXIT.ok;
  return follow({
    id: pushed.bundle,
    canary: pushed.canary,
    look: () => look(dir),
    everywhere: 'active on all members',
    back: 'rolled back to the last good policies',
  });
}

export async function showBundle(directory: string | undefined, format: Format): Promise<number> {
  const answer = await look(directory);
  printWhole(format, { ...answer }, () => linesOf(answer, 'no policy bundle', brief).join('\n'));
  return EXIT.ok;
}

export async function withdrawBundle(directory: string | undefined, reason: string): Promise<number> {
  const { index } = await callAgent<{ index: number }>(directory, 'POST', '/v1/bundles/withdraw', { reason });
  process.stdout.write(`decision ${index}: the bundle is rolled back\n`);
  return EXIT.ok;
}
