// The description of the local API: standard tools accept it, and what an agent answers is what it says, route by route.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import SwaggerParser from '@apidevtools/swagger-parser';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { describe, expect, it } from 'vitest';
import { openApi } from '../../node/api/openapi.ts';
import { ROUTES } from '../../node/api/routes.ts';

const ROOT = join(import.meta.dirname, '../..');
const text = JSON.stringify(openApi(ROUTES, '1.2.3'));
const document = () => JSON.parse(text);

/** What a token must reach for; everything else takes `operate`. */
const LOOK = `GET /v1/bundles, budgets, cases, grants, incidents, incidents/{id}/explanation, members, members/all, members/{name}, nova, operators,
  overview, policies, questions, recovery, series, series/{name}, status, tables, tools, traffic, upgrades
POST /v1/log, log/{index}, nova/read, query`;
const READ = `GET /v1/api-tokens, audit/consistency/{size}, audit/records/last/{count}, audit/records/{index}/proof, audit/standing,
  audit/verification, incidents/{id}/recording, tokens`;
const ADMIN = `GET /v1/agent-log/{after}, config
POST /v1/api-tokens, api-tokens/{id}/removal, budgets, budgets/lift, bundles, bundles/withdraw, config/reload, drain, grants, grants/revoke, leave,
  members/{name}/name, members/{name}/revocation, network-key, nova/transfer, pardon, pause, placements/move, root/commit, root/draft, stop,
  swarm-silences, swarm-silences/lift, tokens, tokens/{id}/removal, undrain, upgrades, upgrades/withdraw, wake`;
const routesIn = (text: string): string[] =>
  text.split(/\n(?=[GP])/).flatMap((line) => {
    const [method, paths = ''] = line.split(' /v1/');
    return paths.split(/,\s+/).map((path) => `${method} /v1/${path}`);
  });

describe('a route', () => {
  it('takes the scope that was decided for it, and says so', () => {
    const of = (scope: string): string[] =>
      ROUTES.filter((route) => route.scope === scope).map(({ method, path }) => `${method} ${path}`);
    for (const [scope, paths] of [
      ['look', LOOK],
      ['read', READ],
      ['admin', ADMIN],
    ] as const)
      expect([scope, of(scope).sort()]).toEqual([scope, routesIn(paths).sort()]);
    expect(of('operate').filter((route) => !route.startsWith('POST '))).toEqual([]);
    for (const { method, path, scope } of ROUTES)
      expect([path, document().paths[path][method.toLowerCase()].security]).toEqual([
        path,
        scope === 'look' ? [{}, { token: [] }] : [{ token: [scope] }],
      ]);
  });
});

describe('the description of the API', () => {
  it('pleases Redocly: no error, no warning', async () => {
    const config = await createConfig({
      extends: ['recommended-strict'],
      // Fixed names come before templates, in OpenAPI as here: /v1/members/all is no member's.
      rules: { 'no-ambiguous-paths': 'off' },
    });
    const problems = await lintFromString({ source: text, absoluteRef: join(ROOT, 'openapi.json'), config });
    expect(problems.map(({ ruleId, message, location }) => `${ruleId}: ${message} ${location[0]?.pointer}`)).toEqual([]);
  });

  it('is valid for swagger-parser, and all in it resolves', async () => {
    const resolved = await SwaggerParser.validate(document());
    expect(Object.keys(resolved.paths ?? {})).toContain('/v1/incidents');
  });

  it('makes types that compile: openapi-typescript', async () => {
    // It builds with the compiler's former interface, which TypeScript 7 has no more.
    const hooks = registerHooks({
      resolve: (specifier, context, next) => next(specifier === 'typescript' ? 'typescript-5' : specifier, context),
    });
    const { default: generate, astToString } = await import('openapi-typescript');
    hooks.deregister();
    const types = astToString(await generate(document()));
    const place = mkdtempSync(join(tmpdir(), 'kalos-openapi-'));
    try {
      writeFileSync(join(place, 'api.ts'), types);
      const use = `import type { components, paths } from './api.ts';
type Answer<Path extends keyof paths> = paths[Path] extends { get: { responses: { 200: { content: { 'application/json': infer Body } } } } } ? Body : never;
export const nameOf = ({ name, mode }: Answer<'/v1/status'>): string => \`\${name} \${mode satisfies 'observe' | 'advise' | 'act'}\`;
export const idsOf = (page: Answer<'/v1/incidents'>): string[] => ('items' in page ? page.items : page).map(({ id }) => id);
export const problem: components['schemas']['Problem'] = { error: 'none' };
// @ts-expect-error it is no number
export const wrong: components['schemas']['Problem'] = { error: 1 };
`;
      writeFileSync(join(place, 'use.ts'), use);
      const options = ['--noEmit', '--strict', '--module', 'nodenext', '--allowImportingTsExtensions'];
      const tsc = join(ROOT, 'node_modules/.bin/tsc');
      execFileSync(tsc, [...options, join(place, 'api.ts'), join(place, 'use.ts')], { cwd: place, stdio: 'pipe' });
    } catch (error) {
      throw new Error(String((error as { stdout?: Buffer }).stdout ?? error));
    } finally {
      rmSync(place, { recursive: true });
    }
  });
});
