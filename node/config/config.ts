// The configuration of an agent: kalos.toml in its state directory or named by --config, then flags on top.
// Unknown keys are refused with a suggestion; a wrong value is named with its place.
import { z } from 'zod';
import { RESTART_RULES, type ServiceSpec, SIGNALS } from '../../swarm/ports/actuator.ts';
import { startOrder } from '../action/bring-up.ts';
import { MODES } from '../action/guard.ts';
import { maintenanceSchema } from '../action/maintenance.ts';
import { plainName, plainPath } from '../action/tool.ts';
import { CHANGE_TOOLS } from '../action/tools.ts';
import { type Policy, policySchema } from '../detection/policy.ts';
import { closest, KalosError } from '../errors.ts';

const MAX_SERVICES = 256;
const MAX_POLICIES = 1_000;
const MAX_WINDOWS = 100;
const MAX_DECLARED = 256;
const MAX_FILE_LENGTH = 256 * 1024;

const serviceName = z
  .string()
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,39}$/, 'letters, digits, dot, dash and underscore, at most 40');

const MAX_SILENCE_S = 86_400;
const MAX_GRACE_S = 600;
const MIN_LOG_BYTES = 4_096;
const MAX_CONFIG_FILES = 16;
const MAX_SERVERS = 3; // as many as resolv.conf(5) takes
const DEFAULT_RENEW_DAYS = 14;

const checkSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('tcp') }),
  z.strictObject({ kind: z.literal('http'), path: z.string().startsWith('/').default('/') }),
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
  task: z.boolean().optional(),
  port_exclusive: z.boolean().optional(),
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
    message: 'a check by http or tcp needs the port',
    path: ['check'],
  })
  .refine(({ command, unit }) => (command === undefined) !== (unit === undefined), 'a service has either a command or a unit')
  .transform(({ log_bytes, port_exclusive, command = [], ...rest }) => ({
    ...rest,
    command,
    logBytes: log_bytes,
    portExclusive: port_exclusive,
  }));

const sysctlSchema = z.strictObject({ key: plainName, value: z.union([z.string(), z.number()]).transform(String) });
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
  })
  .transform(({ renew_days, ...rest }) => ({ ...rest, renewDays: renew_days }));
const resolverSchema = z.strictObject({
  path: plainPath.default('/etc/resolv.conf'),
  servers: z
    .array(z.union([z.ipv4(), z.ipv6()]))
    .min(1)
    .max(MAX_SERVERS),
  probe: z.string().min(1).max(253).default('localhost'),
});

/** Where an agent listens unless it is told: reachable from this machine alone. */
export const DEFAULT_LISTEN = { host: '127.0.0.1', port: 7700 } as const;

const listenPattern = /^(\[[0-9a-fA-F:]+\]|[0-9.]+):([0-9]{1,5})$/;

export const configSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-zA-Z0-9][a-zA-Z0-9.-]{0,23}$/, 'letters, digits, dot and dash, at most 24')
    .optional(),
  mode: z.enum(MODES).default('observe'),
  listen: z.string().regex(listenPattern, 'an IP address and a port, such as 0.0.0.0:7700').optional(),
  announce: z.array(z.string().startsWith('/')).default([]),
  join: z.array(z.string().startsWith('/')).default([]),
  service: z.array(serviceSchema).max(MAX_SERVICES).default([]),
  sysctl: z.array(sysctlSchema).max(MAX_DECLARED).default([]),
  file: z.array(fileSchema).max(MAX_DECLARED).default([]),
  log: z.array(logSchema).max(MAX_DECLARED).default([]),
  cleanup: z.array(cleanupSchema).max(MAX_DECLARED).default([]),
  certificate: z.array(certificateSchema).max(MAX_DECLARED).default([]),
  resolver: z.array(resolverSchema).max(1).default([]),
  maintenance: z.array(maintenanceSchema).max(MAX_WINDOWS).default([]),
  policy: z.array(policySchema).max(MAX_POLICIES).default([]),
});
export type Config = Omit<z.infer<typeof configSchema>, 'service'> & {
  /** Each after those that it depends on. */
  service: ServiceSpec[];
};

/** Overrides from the command line; undefined leaves what the file says. */
export interface ConfigFlags {
  name?: string | undefined;
  mode?: string | undefined;
  listen?: string | undefined;
  join?: readonly string[] | undefined;
}

/**
 * @param document the parsed TOML. @param origin where it came from, for messages.
 * @throws KalosError `config` naming every key that is wrong.
 */
export function resolveConfig(document: Record<string, unknown>, flags: ConfigFlags, origin: string): Config {
  const given = Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
  const parsed = configSchema.safeParse({ ...document, ...given });
  if (!parsed.success)
    throw new KalosError(
      'config',
      `${origin}:\n${parsed.error.issues.flatMap(describe).join('\n')}`,
      'see docs/CONFIG.md for every key',
    );
  const { service } = parsed.data;
  const twice = service.find(({ name }, index) => service.findIndex((other) => other.name === name) !== index);
  if (twice !== undefined) throw new KalosError('config', `${origin}: service "${twice.name}" is declared twice`);
  checkTools(parsed.data.policy, origin);
  const order = startOrder(service);
  if (!order.ok)
    throw new KalosError(
      'config',
      `${origin}: services that need each other in a circle, or one that is not declared: ${order.names.join(', ')}`,
    );
  return { ...parsed.data, service: order.services };
}

/** @throws KalosError naming a remedy's tool that there is not, or that only reads. */
function checkTools(policies: readonly Policy[], origin: string): void {
  const known = CHANGE_TOOLS.map(({ name }) => name);
  for (const { name, remedy } of policies) {
    const wrong = remedy.flatMap((one) => one.do).find(({ tool }) => !known.includes(tool));
    if (wrong === undefined) continue;
    const meant = closest(wrong.tool, known);
    const suggestion = meant === undefined ? '' : `; did you mean "${meant}"?`;
    throw new KalosError('config', `${origin}: policy ${name}: no tool "${wrong.tool}" for a remedy${suggestion}`);
  }
}

function describe(issue: z.core.$ZodIssue): string[] {
  const place = issue.path.map((part) => (typeof part === 'number' ? `[${part + 1}]` : String(part))).join('.');
  if (issue.code !== 'unrecognized_keys') return [`  ${place}: ${issue.message}`];
  const known = knownKeys(issue.path);
  return issue.keys.map((key) => {
    const meant = closest(key, known);
    return `  ${place === '' ? '' : `${place}.`}${key}: unknown key${meant === undefined ? '' : `; did you mean "${meant}"?`}`;
  });
}

function knownKeys(path: readonly PropertyKey[]): string[] {
  if (path[0] === 'service') return Object.keys(serviceShape);
  if (path[0] === 'maintenance') return Object.keys(maintenanceSchema.shape);
  if (path[0] === 'policy') return Object.keys(policySchema.shape);
  return Object.keys(configSchema.shape);
}

/** The multiaddr to listen on for `host:port`. */
export function listenAddress(listen: string): string {
  const [, host = '', port = ''] = listen.match(listenPattern) ?? [];
  return host.startsWith('[') ? `/ip6/${host.slice(1, -1)}/tcp/${port}` : `/ip4/${host}/tcp/${port}`;
}
