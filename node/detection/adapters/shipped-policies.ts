// The policies shipped with KALOS: TOML files of the package, one per topic, in the form of a configuration's `[[policy]]`. They are read once
// per process, so that a simulation does not read files for each of its agents.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { z } from 'zod';
import { findPackage } from '../../adapters/package.ts';
import { type Policy, policySchema } from '../policy.ts';

/** In the order in which policies are evaluated and listed. */
const TOPICS = [
  'services',
  'pressure',
  'kernel-tables',
  'hardware',
  'drift',
  'logs',
  'kalos',
  'cleanups',
  'certificates',
  'resolvers',
];
const topicSchema = z.strictObject({ policy: z.array(policySchema) });

let shipped: readonly Policy[] | undefined;

export function shippedPolicies(): readonly Policy[] {
  shipped ??= TOPICS.flatMap((topic) => {
    const path = join(findPackage().policies, `${topic}.toml`);
    return topicSchema.parse(parse(readFileSync(path, 'utf8'))).policy;
  });
  return shipped;
}
