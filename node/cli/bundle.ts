// `kalos policy push | bundle | withdraw`: policies for all machines, tried on a few first.

import type { BundleAnswer, BundlesAnswer } from '../api/bundle-routes.ts';
import { callAgent } from '../api/client.ts';
import { KalosError } from '../errors.ts';
import { printData } from './data.ts';
import { EXIT, type Format, paint, printable } from './output.ts';
import { readPolicies } from './policy.ts';

const LOOK_EVERY_MS = 500;

export interface PushOptions {
  dir?: string;
  canary?: string[];
  /** Seconds. */
  soak: number;
  findings: number;
  wait: boolean;
}

const short = (id: string): string => id.slice(0, 8);
const brief = ({ id, by, policies }: BundleAnswer): string => `${short(id)} of ${by}: ${policies.map(printable).join(', ')}`;
const look = (directory: string | undefined): Promise<BundlesAnswer> => callAgent<BundlesAnswer>(directory, 'GET', '/v1/bundles');

/** Has policies tried on a few members, then taken by all; tells how it goes until it is over. */
export async function pushPolicies(options: PushOptions, file: string): Promise<number> {
  const policies = readPolicies(file);
  const { index, bundle, canary } = await callAgent<{ index: number; bundle: string; canary: string[] }>(
    options.dir,
    'POST',
    '/v1/bundles',
    {
      policies,
      ...(options.canary !== undefined && { canary: options.canary }),
      soakMs: options.soak * 1_000,
      findings: options.findings,
    },
  );
  process.stdout.write(`decision ${index}: tried on ${canary.join(', ')} for ${options.soak} s\n`);
  if (!options.wait) return EXIT.ok;
  for (let phase = 'canary'; ; ) {
    const { candidate, ended } = await look(options.dir);
    if (ended?.id === bundle) {
      if (ended.outcome === 'everywhere') {
        process.stdout.write('in force on all members\n');
        return EXIT.ok;
      }
      throw new KalosError('refused', `taken back, and the last good policies are in force: ${printable(ended.reason)}`);
    }
    if (candidate !== null && candidate.phase !== phase) {
      process.stdout.write(`${canary.join(', ')}: well; taken by all, and watched for another ${options.soak} s\n`);
      phase = candidate.phase;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

export async function showBundle(directory: string | undefined, format: Format): Promise<number> {
  const answer = await look(directory);
  if (format !== 'table') {
    printData(format, { ...answer });
    return EXIT.ok;
  }
  const { good, before, candidate, ended } = answer;
  const lines = [`in force  ${good === null ? 'none of the swarm’s' : brief(good)}`];
  if (before !== null) lines.push(`before    ${brief(before)}`);
  if (candidate !== null) {
    const where = candidate.phase === 'all' ? 'all members' : candidate.canary.join(', ');
    lines.push(`tried     ${brief(candidate)}: on ${where} since ${new Date(candidate.sinceMs).toISOString()}`);
    for (const { node, ok, reason } of candidate.reports)
      lines.push(`  ${node}: ${ok ? 'well' : paint('red', printable(reason))}`);
  }
  if (ended !== null)
    lines.push(
      `the last  ${short(ended.id)} ${ended.outcome === 'back' ? `was taken back: ${printable(ended.reason)}` : 'is everywhere'}`,
    );
  process.stdout.write(`${lines.join('\n')}\n`);
  return EXIT.ok;
}

export async function withdrawBundle(directory: string | undefined, reason: string): Promise<number> {
  const { index } = await callAgent<{ index: number }>(directory, 'POST', '/v1/bundles/withdraw', { reason });
  process.stdout.write(`decision ${index}: the bundle is taken back\n`);
  return EXIT.ok;
}
