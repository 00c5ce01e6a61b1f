// The schema of an agent's configuration, and its check. An unknown key is rejected with a suggestion; an invalid value is reported
// with its place. Layers of files, environment and flags: layers.ts.
import { z } from 'zod';
import { domainSchema } from '../../consensus/committee/fitness.ts';
import { PLAIN_PATH } from '../../consensus/vote/claim.ts';
import { MEMBER_NAME } from '../../swarm/identity/record.ts';
import { startOrder } from '../action/bring-up.ts';
import { MODES } from '../action/guard.ts';
import { maintenanceSchema } from '../action/maintenance.ts';
import { checkTools } from '../action/remedies.ts';
import { plainPath, sysctlName } from '../action/tool.ts';
import { type Policy, policySchema } from '../detection/policy.ts';
import { checkNames } from '../detection/policy-check.ts';
import { PolicyError } from '../detection/policy-detector.ts';
import { KalosError } from '../errors.ts';
import { keysAt, placeOf, shortly, shouldBe, unknownKey } from '../issue-words.ts';
import { LOG_FORMATS, LOG_LEVELS, type LogSettings } from '../log-levels.ts';
import { compilePattern } from '../patterns.ts';
import { RESTART_RULES, type ServiceSpec, SIGNALS } from '../ports/actuator.ts';
import { INSPECTORS } from '../query/inspectors.ts';
import { questionSchema } from '../query/pack.ts';
import { isLoopback } from './address.ts';
import { type Layer, type Merged, mergeLayers, originOf, placeIn, valueAt } from './layers.ts';

const MAX_SERVICES = 256;
const MAX_RULES = 1_000;
const MAX_WINDOWS = 100;
const MAX_DECLARED = 256;
const MAX_FILE_LENGTH = 256 * 1024;

const serviceName = z
  .string()
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,39}$/, 'letters, digits, dot, dash and underscore, at most 40');

const MAX_SILENCE_S = 86_400;
const MAX_GRACE_S = 600;
const MIN_LOG_BYTES = 4_096;
const MAX_PATTERN_LENGTH = 200;
const MAX_CONFIG_FILES = 16;
const MAX_SERVERS = 3; // the limit of resolv.conf(5)
const DEFAULT_RENEW_DAYS = 14;

const patternSchema = z
  .string()
  .min(1)
  .max(MAX_PATTERN_LENGTH, { abort: true })
  .superRefine((text, context) => {
    const compiled = compilePattern(text);
    if (!compiled.ok) context.addIssue({ code: 'custom', message: `a regular expression of RE2: ${compiled.reason}` });
  });

const checkSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('tcp') }),
  z.strictObject({
    kind: z.literal('http'),
    path: z
      .string()
      .regex(PLAIN_PATH, 'a path such as /health, with spaces and other special characters escaped (%20)')
      .default('/'),
  }),
  z.strictObject({ kind: z.literal('exec'), command: z.array(z.string()).min(1) }),
  z.strictObject({ kind: z.literal('log'), text: z.string().min(1).max(200) }),
  z
    .strictObject({ kind: z.literal('silence'), within_s: z.number().min(1).max(MAX_SILENCE_S) })
    .transform(({ kind, within_s }) => ({ kind, withinMs: within_s * 1_000 })),
]);

const serviceShape = {
  name: serviceName,
  command: z.array(z.string()).min(1).optional(),
  unit: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._@:-]*\.(service|socket|timer)$/, 'a systemd unit such as nginx.service')
    .optional(),
  directory: z.string().optional(),
  environment: z.record(z.string(), z.string()).optional(),
  user: z.string().optional(),
  port: z.number().int().min(1).max(65_535).optional(),
  check: checkSchema.optional(),
  after: z.array(serviceName).optional(),
  restart: z.enum(RESTART_RULES).optional(),
  critical: z.boolean().optional(),
  limits: z
    .strictObject({
      files: z.number().int().positive().optional(),
      processes: z.number().int().positive().optional(),
      memory_bytes: z.number().int().positive().optional(),
      cpus: z.number().positive().optional(),
    })
    .transform(({ memory_bytes, ...rest }) => ({ ...rest, memoryBytes: memory_bytes }))
    .optional(),
  bounds: z
    .strictObject({
      memory_bytes: z.number().int().positive().optional(),
      cpus: z.number().positive().optional(),
      processes: z.number().int().positive().optional(),
      files: z.number().int().positive().optional(),
      write_bytes_s: z.number().positive().optional(),
    })
    .transform(({ memory_bytes, write_bytes_s, ...rest }) => ({
      ...rest,
      memoryBytes: memory_bytes,
      writeBytesPerS: write_bytes_s,
    }))
    .optional(),
  alert: patternSchema.optional(),
  task: z.boolean().optional(),
  port_exclusive: z.boolean().optional(),
  failover: z.boolean().optional(),
  config: z.array(plainPath).max(MAX_CONFIG_FILES).optional(),
  stop: z
    .strictObject({ signal: z.enum(SIGNALS).optional(), grace_s: z.number().min(0).max(MAX_GRACE_S).optional() })
    .transform(({ signal, grace_s }) => ({ signal, graceMs: grace_s === undefined ? undefined : grace_s * 1_000 }))
    .optional(),
  log_bytes: z.number().int().min(MIN_LOG_BYTES).optional(),
};
const serviceSchema = z
  .strictObject(serviceShape)
  .refine(({ check, port }) => !(check?.kind === 'http' || check?.kind === 'tcp') || port !== undefined, {
    message: 'needs the port of the service, for a check by http or tcp',
    path: ['check'],
  })
  .refine(({ command, unit }) => (command === undefined) !== (unit === undefined), 'needs either a command or a unit')
  .refine(({ failover, unit, task }) => failover !== true || (unit === undefined && task !== true), {
    message: 'needs a command: a systemd unit or a task cannot fail over',
    path: ['failover'],
  })
  .transform(({ log_bytes, port_exclusive, command = [], ...rest }) => ({
    ...rest,
    command,
    logBytes: log_bytes,
    portExclusive: port_exclusive,
  }));

const sysctlSchema = z.strictObject({ key: sysctlName, value: z.union([z.string(), z.number()]).transform(String) });
const fileSchema = z.strictObject({
  path: plainPath,
  content: z.string().max(MAX_FILE_LENGTH),
  mode: z
    .string()
    .regex(/^[0-7]{3}$/, 'three octal digits')
    .optional(),
  reload: serviceName.optional(),
});
const logSchema = z
  .strictObject({
    path: plainPath,
    max_bytes: z.number().int().min(MIN_LOG_BYTES),
    keep: z.number().int().min(1).max(32).default(5),
    alert: patternSchema.optional(),
    reload: serviceName.optional(),
  })
  .transform(({ max_bytes, ...rest }) => ({ ...rest, maxBytes: max_bytes }));
const cleanupSchema = z
  .strictObject({ directory: plainPath, suffix: z.string().min(2).max(64), older_than_s: z.number().int().min(0).default(3_600) })
  .transform(({ older_than_s, ...rest }) => ({ ...rest, olderThanS: older_than_s }));

const certificateSchema = z
  .strictObject({
    path: plainPath,
    renew_days: z.number().min(0).default(DEFAULT_RENEW_DAYS),
    renew: serviceName.optional(),
    reload: serviceName.optional(),
    /** `HOST:PORT` of the TLS server that presents it. */
    served_at: z
      .string()
      .regex(/^[^\s:]+:\d{1,5}$/, 'an address HOST:PORT, such as 127.0.0.1:443')
      .optional(),
  })
  .transform(({ renew_days, served_at, ...rest }) => ({ ...rest, renewDays: renew_days, servedAt: served_at }));
const resolverSchema = z.strictObject({
  path: plainPath.default('/etc/resolv.conf'),
  servers: z
    .array(z.union([z.ipv4(), z.ipv6()], { error: 'an IP address such as 192.0.2.1' }))
    .min(1)
    .max(MAX_SERVERS),
  probe: z.string().min(1).max(253).default('localhost'),
});

/** The default listen address: reachable from this machine only. */
export const DEFAULT_LISTEN = { host: '127.0.0.1', port: 7700 } as const;

const listenPattern = /^(\[[0-9a-fA-F:.]+\]|[0-9.]+):([0-9]{1,5})$/;
const MAX_PORT = 65_535;

/** An IP address and a valid port. */
function isAddress(text: string): boolean {
  const [, host = '', port = ''] = text.match(listenPattern) ?? [];
  const ip = host.startsWith('[') ? z.ipv6().safeParse(host.slice(1, -1)) : z.ipv4().safeParse(host);
  return ip.success && port !== '' && Number(port) <= MAX_PORT;
}

const address = (such: string) =>
  z.string().refine(isAddress, { abort: true, message: `an IP address and a port of 0 to ${MAX_PORT}, such as ${such}` });

/** A time as `500ms`, `2s`, `1m`, or in seconds; in ms afterwards. */
function span(leastMs: number, mostMs: number) {
  const should = `a time such as 500ms, 2s or 1m, from ${leastMs} to ${mostMs} ms`;
  return z
    .union(
      [
        z.number().transform((seconds) => seconds * 1_000),
        z
          .string()
          .regex(/^\d{1,9}(\.\d{1,9})?(ms|s|m)$/, should)
          .transform((text) => Number.parseFloat(text) * (text.endsWith('ms') ? 1 : text.endsWith('s') ? 1_000 : 60_000)),
      ],
      { error: should },
    )
    .pipe(z.number().min(leastMs, should).max(mostMs, should));
}

/** A key of other software, or of a later version: rejected by name, with the reason. */
function notYet(reason: string) {
  return z.undefined({ error: `not in this version: ${reason}` }).optional();
}

const MAX_CONCURRENT = 64;
const DEFAULT_ISSUERS = 3;
const MAX_ISSUERS = 7;
const MAX_QUESTIONS = 200;

export const configSchema = z.strictObject({
  name: z.string().regex(MEMBER_NAME, 'letters, digits, dot and dash, at most 24').optional(),
  mode: z.enum(MODES).default('observe'),
  listen: address('0.0.0.0:7700').optional(),
  announce: z.array(z.string().startsWith('/', 'a multiaddr such as /ip4/192.0.2.1/tcp/7700')).default([]),
  join: z.array(z.string().regex(/^(\/|kalos)/, 'a join token, or a multiaddr such as /ip4/192.0.2.1/tcp/7700')).default([]),
  mdns: z.boolean().default(true),
  upgrades: z.boolean().default(false),
  issuers: z.number().int().min(1).max(MAX_ISSUERS).default(DEFAULT_ISSUERS),
  inspect: z.enum(INSPECTORS).default('issuers'),
  failure_domain: domainSchema.optional(),
  service: z.array(serviceSchema).max(MAX_SERVICES).default([]),
  sysctl: z.array(sysctlSchema).max(MAX_DECLARED).default([]),
  file: z.array(fileSchema).max(MAX_DECLARED).default([]),
  log: z.array(logSchema).max(MAX_DECLARED).default([]),
  cleanup: z.array(cleanupSchema).max(MAX_DECLARED).default([]),
  certificate: z.array(certificateSchema).max(MAX_DECLARED).default([]),
  resolver: z.array(resolverSchema).max(1).default([]),
  api: z
    .strictObject({
      listen: z
        .union([z.literal('off'), address('127.0.0.1:9090')], {
          error: `"off", or an IP address and a port of 0 to ${MAX_PORT}, such as 127.0.0.1:9090`,
        })
        .default('127.0.0.1:9090'),
      certificate: z.string().startsWith('/', 'an absolute path').optional(),
      key: z.string().startsWith('/', 'an absolute path').optional(),
    })
    .refine(
      ({ listen, certificate, key }) =>
        listen === 'off' || isLoopback(listen) || (certificate !== undefined && key !== undefined),
      { path: ['listen'], message: 'listening on a non-loopback address needs certificate and key (PEM files)' },
    )
    .prefault({}),
  policy_engine: z
    .strictObject({
      evaluation_interval: span(200, 60_000).optional(),
      max_rules: z.number().int().min(1).max(MAX_RULES).optional(),
      max_concurrent_executions: z.number().int().min(1).max(MAX_CONCURRENT).optional(),
      rule_timeout: notYet('the size of an expression is limited instead (500 nodes, 32 deep)'),
    })
    .default({}),
  ai_engine: z
    .strictObject({
      anomaly_threshold: z.number().min(3).max(50).optional(),
      prediction_horizon: notYet('there are no forecasts in this version'),
      enabled: notYet('the incident model is used where it is installed; see kalos doctor'),
      model_path: notYet('the package contains the models'),
      learning_rate: notYet('there is no learning rate in this version'),
    })
    .default({}),
  ebpf: z
    .record(z.string(), z.unknown())
    .refine((given) => Object.keys(given).length === 0, 'there are no eBPF programs in this version: leave [ebpf] out')
    .default({}),
  agent_log: z
    .strictObject({ level: z.enum(LOG_LEVELS).default('info'), format: z.enum(LOG_FORMATS).default('text') })
    .prefault({}),
  question: z.array(questionSchema).max(MAX_QUESTIONS).default([]),
  maintenance: z.array(maintenanceSchema).max(MAX_WINDOWS).default([]),
  policy: z.array(policySchema).max(MAX_RULES).default([]),
});
export type Config = Omit<z.infer<typeof configSchema>, 'service'> & {
  /** In start order: each service after its dependencies. */
  service: ServiceSpec[];
};

/** Overrides from the command line; undefined: as in the files. */
export interface ConfigFlags {
  name?: string | undefined;
  mode?: string | undefined;
  listen?: string | undefined;
  join?: readonly string[] | undefined;
  mdns?: boolean | undefined;
  api?: { listen: string } | undefined;
  agent_log?: Partial<LogSettings> | undefined;
}

/** The keys that environment variables can set, by variable: single values, and lists of strings. */
export const ENVIRONMENT_KEYS: ReadonlyMap<string, { path: readonly string[]; list: boolean }> = new Map(
  [
    ...['name', 'mode', 'listen', 'mdns', 'upgrades', 'issuers', 'inspect', 'failure_domain'].map((key) => ({
      path: [key],
      list: false,
    })),
    ...['announce', 'join'].map((key) => ({ path: [key], list: true })),
    ...(['policy_engine', 'ai_engine', 'api', 'agent_log'] as const).flatMap((key) =>
      Object.keys(configSchema.shape[key].unwrap().shape).map((inner) => ({ path: [key, inner], list: false })),
    ),
  ].map((one) => [`KALOS_${one.path.join('_').toUpperCase()}`, one]),
);

/** Whether a key accepts this value. */
export function takes(path: readonly string[], value: unknown): boolean {
  const document = path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);
  const parsed = configSchema.safeParse(document);
  return parsed.success || !parsed.error.issues.some((issue) => path.every((key, at) => issue.path[at] === key));
}

/**
 * @param layers later ones override earlier ones.
 * @throws KalosError `config` with each invalid key and its layer.
 */
export function resolveConfig(layers: readonly Layer[]): Config {
  const merged = mergeLayers(layers);
  const parsed = configSchema.safeParse(merged.document);
  const fallback = layers[0]?.origin ?? 'configuration';
  if (!parsed.success) {
    const words = parsed.error.issues.flatMap((issue) => describe(issue, { layers, merged, fallback }));
    throw new KalosError('config', words.join('\n'), 'see docs/CONFIG.md for every key');
  }
  const origin = [...new Set(merged.origins.values())].filter((one) => one.includes('/')).join(', ') || fallback;
  const { service } = parsed.data;
  const twice = service.find(({ name }, index) => service.findIndex((other) => other.name === name) !== index);
  if (twice !== undefined) throw new KalosError('config', `${origin}: service "${twice.name}" is declared twice`);
  checkPolicies(parsed.data.policy, (nth) => placeIn(layers, merged, ['policy', nth]) ?? origin);
  const order = startOrder(service);
  if (!order.ok)
    throw new KalosError('config', `${origin}: circular or undeclared service dependency: ${order.names.join(', ')}`);
  return { ...parsed.data, service: order.services };
}

/** @throws KalosError with the place in the expression. */
function checkPolicies(policies: readonly Policy[], placeOfPolicy: (nth: number) => string): void {
  for (const [nth, policy] of policies.entries())
    try {
      checkNames(policy);
      checkTools(policy);
    } catch (error) {
      if (error instanceof PolicyError) throw new KalosError('config', `${placeOfPolicy(nth)}: ${error.message}`);
      throw error;
    }
}

/** What `describe` needs to find the place of a key. */
interface Place {
  layers: readonly Layer[];
  merged: Merged;
  fallback: string;
}

/** One line for each issue: the place, the value, and what it must be. */
function describe(issue: z.core.$ZodIssue, place: Place): string[] {
  const { path } = issue;
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(configSchema, path);
    return issue.keys.map((key) => `${setAt(place, [...path, key])}: ${unknownKey(key, known)}`);
  }
  const value = valueAt(place.merged, path);
  const given = value === undefined || path.includes('environment') ? '' : ` = ${shownAt(path, value)}`;
  return [`${setAt(place, path)}${given}: ${shouldBe(issue, value)}`];
}

/** Where a value is set: file, line and key; variable; or flag. */
function setAt({ layers, merged, fallback }: Place, path: readonly PropertyKey[]): string {
  const origin = originOf(merged, path) ?? fallback;
  const key = placeOf(path);
  const [first = '', second] = path.map(String);
  const variable = [...ENVIRONMENT_KEYS].find(
    ([, one]) => one.path[0] === first && (one.path.length === 1 || one.path[1] === second),
  );
  if (origin === 'environment' && variable !== undefined) return variable[0];
  const flag = first === 'api' ? 'page' : first === 'agent_log' ? `log-${second ?? 'level'}` : first;
  return origin === 'flags' ? `--${flag}` : `${placeIn(layers, merged, path) ?? fallback}: ${key}`;
}

/** A value for a message: of a token only the beginning; without the environment of a service. */
function shownAt(path: readonly PropertyKey[], value: unknown): string {
  if (path[0] === 'join' && typeof value === 'string' && value.length > 12) return `${shortly(value.slice(0, 8))}…`;
  return shortly(JSON.parse(JSON.stringify(value, (key, inner) => (key === 'environment' ? '(hidden)' : inner)) ?? 'null'));
}

/** The multiaddr to listen on for `host:port`. */
export function listenAddress(listen: string): string {
  const [, host = '', port = ''] = listen.match(listenPattern) ?? [];
  return host.startsWith('[') ? `/ip6/${host.slice(1, -1)}/tcp/${port}` : `/ip4/${host}/tcp/${port}`;
}
