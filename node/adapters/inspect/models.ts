// The models shipped with the agent: their cards, and whether each file matches its card.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { findPackage } from '../package.ts';
import { type Row, read } from './read.ts';

const cardSchema = z.object({
  name: z.string(),
  version: z.number(),
  purpose: z.string(),
  output: z.object({ classes: z.array(z.string()) }),
  network: z.string(),
  limits: z.string(),
  sha256: z.string(),
});

export function models(): Row[] {
  const { modelPath: path } = findPackage();
  const card = cardSchema.safeParse(JSON.parse(read(path.replace(/\.onnx$/, '.card.json')) ?? '{}'));
  if (!card.success) return [];
  const { name, version, purpose, output, network, limits, sha256 } = card.data;
  const bytes = readFileSync(path);
  const digest = createHash('sha256').update(bytes).digest('hex');
  const intact = digest === sha256 ? 1 : 0;
  return [
    {
      name,
      version,
      purpose,
      classes: output.classes.join(', '),
      network,
      limits,
      path,
      size: bytes.length,
      sha256: digest,
      intact,
    },
  ];
}
