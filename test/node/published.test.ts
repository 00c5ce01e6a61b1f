// What an agent publishes, whole, as it was reviewed: the shipped policies, the tools and their limits, the configuration's keys, the metrics, the
// tables of SQL, the API, the help of all commands. Where a change is meant, `npx vitest run test/node/published.test.ts -u` writes it; read the difference.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { TOOLS } from '../../node/action/tools.ts';
import { findPackage } from '../../node/adapters/package.ts';
import { openApi } from '../../node/api/openapi.ts';
import { declaration, ROUTES } from '../../node/api/routes.ts';
import { configSchema } from '../../node/config/config.ts';
import { shippedPolicies } from '../../node/detection/adapters/shipped-policies.ts';
import { type PolicyInput, policySchema } from '../../node/detection/policy.ts';
import { TABLES } from '../../node/query/catalogue/catalogue.ts';
import { describedTable } from '../../node/query/catalogue/table.ts';
import { METRICS } from '../../node/telemetry/metrics.ts';

const shapeOf = (schema: z.ZodType): unknown => z.toJSONSchema(schema, { unrepresentable: 'any', io: 'input' });
/** The policies of a topic, before defaults are filled in. */
const asWritten = (topic: string) =>
  parse(readFileSync(join(findPackage().policies, `${topic}.toml`), 'utf8')).policy as unknown as PolicyInput[];
const published: Record<string, () => unknown> = {
  policies: () => ({
    shape: shapeOf(policySchema),
    shipped: shippedPolicies(),
    ofUnits: asWritten('services').filter(({ name }) => name.startsWith('unit-')),
  }),
  tools: () => TOOLS.map(declaration),
  configuration: () => shapeOf(configSchema),
  metrics: () => METRICS.map((metric) => JSON.parse(JSON.stringify(metric))),
  tables: () => TABLES.map(describedTable),
  api: () => openApi(ROUTES, '0.0.0'),
};

/** JSON with a line for each thing `depth` levels down: what changed shows in a few lines. */
function inLines(value: unknown, depth: number): string {
  if (depth === 0 || typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  const entries = Object.entries(value).map(
    ([key, one]) => (Array.isArray(value) ? '' : `${JSON.stringify(key)}: `) + inLines(one, depth - 1),
  );
  return `${open}\n${entries.join(',\n')}\n${close}`;
}

describe('what is published', () => {
  it.each(Object.keys(published))('is, of the %s, as it was reviewed', async (name) => {
    const text = `${inLines(published[name]?.(), 3)}\n`;
    await expect(text).toMatchFileSnapshot(join(import.meta.dirname, 'published', `${name}.json`));
  });
});
