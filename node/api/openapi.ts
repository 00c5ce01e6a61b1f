// The local API described in OpenAPI 3.1, from the very routes that serve it.
import { z } from 'zod';
import type { Route } from './route.ts';

/** @param version of the package. */
export function openApi(routes: readonly Route[], version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const operations = paths[route.path] ?? {};
    paths[route.path] = operations;
    operations[route.method.toLowerCase()] = operation(route);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'KALOS agent',
      version,
      description: 'The local API of an agent, on the Unix socket agent.sock in its state directory (0600). JSON both ways.',
    },
    servers: [{ url: 'http://localhost', description: 'over the Unix socket' }],
    paths,
    components: {
      schemas: {
        Error: { type: 'object', required: ['error'], properties: { error: { type: 'string' }, code: { type: 'string' } } },
      },
    },
  };
}

function operation({ path, method, summary, body, parameter }: Route): Record<string, unknown> {
  const name = path.match(/\{(.+)\}/)?.[1];
  const pattern = parameter === undefined ? {} : { pattern: `^${parameter.source}$` };
  const failure = { description: 'What is wrong', content: json({ $ref: '#/components/schemas/Error' }) };
  return {
    operationId: `${method.toLowerCase()}${path.replace(/[^A-Za-z0-9]+(.)?/g, (_, next: string | undefined) => (next ?? '').toUpperCase())}`,
    summary,
    ...(name === undefined ? {} : { parameters: [{ name, in: 'path', required: true, schema: { type: 'string', ...pattern } }] }),
    ...(body === undefined
      ? {}
      : { requestBody: { content: json(z.toJSONSchema(body, { io: 'input', unrepresentable: 'any' })) } }),
    responses: { '200': { description: 'The answer', content: json({}) }, '400': failure, '404': failure },
  };
}

function json(schema: unknown): Record<string, unknown> {
  return { 'application/json': { schema } };
}
