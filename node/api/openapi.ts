// The local API described in OpenAPI 3.1, generated from its routes: parameters, answers, failures and scopes.
import { z } from 'zod';
import { feedEventSchema, TOPICS } from './feed.ts';
import { type FailureStatus, problemSchema, type Route, TAGS } from './route.ts';

type Json = Record<string, unknown>;

const ABOUT = `The API of one KALOS agent. JSON both ways.

**Access.** On the Unix socket \`agent.sock\` in the agent's state directory (0600): its owner and root, without a token, for everything. Over HTTP
(\`[api] listen\`, default 127.0.0.1:9090): on loopback without a token what every user of the machine may see; everything else needs
a token (\`kalos api-token create --scope read|operate|admin\`), each scope includes those before it. The security of a route names its scope.

**Failures** have one form, \`Problem\`: what is wrong, the value, and what to do, on one line. Answers may get new fields in later releases.

**Time** is in milliseconds; a point in time is milliseconds since 1970-01-01 UTC, by the wall clock.`;

const FAILURES: Readonly<Record<Exclude<FailureStatus, 405>, readonly [name: string, description: string, headers?: Json]>> = {
  400: ['BadRequest', 'Invalid request: the field, its value, and the expected value'],
  401: ['Unauthorized', 'No token, or it is unknown or expired', header('WWW-Authenticate', 'Bearer')],
  403: ['Forbidden', 'The token’s scope is too narrow'],
  404: ['NotFound', 'Not found'],
  409: ['Conflict', 'Not possible in the current state, with the reason'],
  429: ['TooManyRequests', 'Rate limit: 40 requests a second (burst 200) per client', header('Retry-After', 'Seconds')],
  500: ['InternalError', 'Internal error of the agent'],
  503: [
    'Unavailable',
    'Not now: the swarm has no leader (code no-quorum), the disk refuses writes, or earlier answers are unread',
  ],
};

function header(name: string, description: string): Json {
  return { [name]: { description, schema: { type: 'string' } } };
}

/** @param version of the package. */
export function openApi(routes: readonly Route[], version: string): Json {
  const components = new Components();
  const paths: Record<string, Json> = {};
  for (const route of routes)
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation(route, components) };
  paths['/v1/watch/{topic}'] = { get: watching(components) };
  paths['/v1/openapi.json'] = { get: itself() };
  paths['/metrics'] = { get: metrics() };
  components.schema(problemSchema, 'output');
  return {
    openapi: '3.1.0',
    info: {
      title: 'KALOS agent',
      version,
      summary: 'Keeps a machine healthy, with its peers and without a central server',
      description: ABOUT,
      license: { name: 'Apache License 2.0', identifier: 'Apache-2.0' },
      contact: { name: 'The operator of the agent: kalos status' },
    },
    servers: [
      {
        url: '{scheme}://{host}:{port}',
        description: 'Over HTTP; beyond loopback with TLS',
        variables: {
          scheme: { enum: ['http', 'https'], default: 'http' },
          host: { default: '127.0.0.1' },
          port: { default: '9090' },
        },
      },
      {
        url: 'http://agent.sock',
        description: 'Over the Unix socket agent.sock of the state directory; the host name is ignored',
      },
    ],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      schemas: components.schemas,
      responses: Object.fromEntries(
        Object.values(FAILURES).map(([name, description, headers]) => [
          name,
          { description, ...(headers && { headers }), content: json({ $ref: '#/components/schemas/Problem' }) },
        ]),
      ),
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'kapi_ID_SECRET',
          description:
            'A token of kalos api-token create; the required scope is named beside it. On the Unix socket its owner needs no token.',
        },
      },
    },
  };
}

function operation(route: Route, components: Components): Json {
  const { path, method, summary, tag, scope, body, query, answer } = route;
  const operationId = `${method.toLowerCase()}${path.replace(/[^A-Za-z0-9]+(.)?/g, (_, next: string | undefined) => (next ?? '').toUpperCase())}`;
  const parameters = [...inPath(route), ...inQuery(query, components)];
  return {
    operationId,
    summary,
    tags: [tag],
    security: security(scope),
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && {
      requestBody: {
        required: !body.safeParse(undefined).success,
        content: json(components.schema(body, 'input')),
      },
    }),
    responses: {
      '200': { description: 'The answer', content: json(components.schema(answer, 'output')) },
      ...failures(failuresOf(route)),
    },
  };
}

/** Reading needs no token on loopback. */
const security = (scope: Route['scope']): Json[] => (scope === 'look' ? [{}, { token: [] }] : [{ token: [scope] }]);

/** The failures of the route, and those of all routes: no token, rate limit, unread answers. */
export function failuresOf({ path, parameter, scope, body, query, failures: own }: Route): (keyof typeof FAILURES)[] {
  const isGiven = body !== undefined || query !== undefined || path.includes('{');
  const all = [
    ...own,
    ...(isGiven ? [400 as const] : []),
    ...(scope === 'look' ? [] : [403 as const]),
    ...(parameter === undefined ? [] : [404 as const]),
    ...([401, 429, 500, 503] as const),
  ];
  return [...new Set(all)].sort();
}

const failures = (statuses: readonly (keyof typeof FAILURES)[]): Json =>
  Object.fromEntries(statuses.map((status) => [String(status), { $ref: `#/components/responses/${FAILURES[status][0]}` }]));

function inPath({ path, parameter }: Route): Json[] {
  const name = path.match(/\{(.+)\}/)?.[1];
  const pattern = parameter === undefined ? {} : { pattern: `^${parameter.source}$` };
  return name === undefined ? [] : [{ name, in: 'path', required: true, schema: { type: 'string', ...pattern } }];
}

function inQuery(query: z.ZodObject | undefined, components: Components): Json[] {
  return Object.entries(query?.shape ?? {}).map(([name, schema]) => {
    const { description, ...shown } = components.schema(schema as z.ZodType, 'output');
    return { name, in: 'query', required: false, description, schema: shown };
  });
}

function watching(components: Components): Json {
  const event = components.schema(feedEventSchema, 'output');
  return {
    operationId: 'getV1WatchTopic',
    summary: 'A stream of a topic’s changes',
    description:
      'Server-sent events until the client disconnects: `event:` is the topic, `data:` is a FeedEvent as JSON on one line; lines that begin with a colon keep the connection. Limit: 64 streams per client, 256 in all. Only later changes are sent.',
    tags: ['watch'],
    security: security('look'),
    parameters: [{ name: 'topic', in: 'path', required: true, schema: { type: 'string', enum: TOPICS } }],
    responses: {
      '200': { description: 'Events', content: { 'text/event-stream': { schema: event } } },
      ...failures([401, 404, 429, 503]),
    },
  };
}

function itself(): Json {
  return {
    operationId: 'getV1OpenapiJson',
    summary: 'This description',
    tags: ['agent'],
    security: security('look'),
    responses: { '200': { description: 'OpenAPI 3.1', content: json({ type: 'object' }) }, ...failures([401, 429, 503]) },
  };
}

function metrics(): Json {
  const text = { 'text/plain': { schema: { type: 'string' } } };
  return {
    operationId: 'getMetrics',
    summary: 'Metrics of this machine and of the swarm for Prometheus; only over HTTP',
    tags: ['watch'],
    security: security('look'),
    responses: { '200': { description: 'Text format 0.0.4', content: text }, ...failures([401, 429]) },
  };
}

function json(schema: unknown): Json {
  return { 'application/json': { schema } };
}

/** Collects named schemas, so that each is described once. */
class Components {
  readonly schemas: Record<string, Json> = {};

  /** @param io `input` for a request, `output` for an answer. */
  schema(schema: z.ZodType, io: 'input' | 'output'): Json {
    const made = z.toJSONSchema(z.object({ root: schema }), {
      io,
      unrepresentable: 'any',
      override: io === 'input' ? tidy : open,
    });
    const { properties, $defs = {} } = made as unknown as { properties: { root: Json }; $defs?: Record<string, Json> };
    const nameOf = (name: string): string =>
      io === 'input' && $defs[name]?.additionalProperties === false ? `${name}Body` : name;
    const hoisted = <T>(value: T): T => JSON.parse(JSON.stringify(value), (_, one) => referring(one, nameOf)) as T;
    for (const [name, { id: _id, ...one }] of Object.entries($defs))
      if (!name.startsWith(UNNAMED)) this.schemas[nameOf(name)] = hoisted(one);
    return hoisted(properties.root);
  }
}

const IN_PLACE = '#/$defs/';
/** A recursive schema without a name stands for any JSON value: tools read `{}` best. */
const UNNAMED = '__schema';

/** @param nameOf the name of a schema: a request may be stricter than an answer, and has another name then. */
function referring(value: unknown, nameOf: (name: string) => string): unknown {
  const reference = (value as { $ref?: unknown } | null)?.$ref;
  if (typeof reference !== 'string' || !reference.startsWith(IN_PLACE)) return value;
  const name = reference.slice(IN_PLACE.length);
  return name.startsWith(UNNAMED) ? {} : { ...(value as Json), $ref: `#/components/schemas/${nameOf(name)}` };
}

/** The limits of safe integers in JavaScript are left out: they add nothing. */
function tidy({ jsonSchema }: { jsonSchema: Json }): void {
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
}

/** Answers may get new fields in later releases, which clients must ignore. */
function open(context: { jsonSchema: Json }): void {
  tidy(context);
  if (context.jsonSchema.additionalProperties === false) delete context.jsonSchema.additionalProperties;
}
