// sysctl.*, cgroup.*, io.*: values that the kernel applies and shows immediately.
import { z } from 'zod';
import { counted } from '../../../swarm/words.ts';
import type { CgroupController, Reading } from '../../ports/actuator.ts';
import {
  asNumber,
  type ChangeTool,
  changeTool,
  findService,
  type Look,
  type Machine,
  plainName,
  type ReadTool,
  type RiskClass,
  readTool,
  SETTING,
  sysctlName,
  wholeNumber,
} from '../tool.ts';

const MAX_VALUE_LENGTH = 256;
const MAX_CPUS = 1_024;
const PAGE_BYTES = 4_096;
const MIN_MEMORY_BYTES = 1_048_576;
const MAX_READ_AHEAD_KB = 65_536;

/** A setting of one value: a line as the kernel prints it, tabs as spaces. */
const settingValue = z
  .string()
  .min(1)
  .max(MAX_VALUE_LENGTH)
  .regex(/^[ -~]+$/, 'printable ASCII, one line');

function normal(value: string): string {
  return value.trim().replaceAll(/\s+/g, ' ');
}

async function lookAt(machine: Machine, reading: Reading): Promise<Look> {
  const answer = await machine.actuator.read(reading);
  if (!answer.ok) return { ok: false, reason: answer.message };
  const value = z.union([z.string(), z.number()]).parse(answer.value);
  return { ok: true, before: { value: typeof value === 'string' ? normal(value) : value } };
}

/** Other sysctls affect the security or network of the whole machine: a person decides. */
const LOCAL_SYSCTLS = [
  'vm.',
  'fs.',
  'net.core.',
  'net.ipv4.tcp_',
  'net.ipv4.ip_local_port_range',
  'kernel.sched_',
  'kernel.pid_max',
  'net.netfilter.nf_conntrack_max',
];

function sysctlRisk(key: string): RiskClass {
  return LOCAL_SYSCTLS.some((tree) => key.startsWith(tree)) ? 'R1' : 'R2';
}

const sysctlSet = changeTool(z.strictObject({ tool: z.literal('sysctl.set'), key: sysctlName, value: settingValue }), {
  ...SETTING,
  name: 'sysctl.set',
  version: 1,
  description: 'Sets a kernel parameter until the next boot',
  capability: 'sysctls',
  blastRadius: 'the machine, in the scope of the parameter',
  target: ({ key }) => `sysctl:${key}`,
  risks: ['R1', 'R2'],
  risk: ({ key }) => sysctlRisk(key),
  look: ({ key }, machine) => lookAt(machine, ['sysctl.read', key]),
  dryRun: ({ key, value }, before) => [`${key}: ${before.value} → ${normal(value)}`],
  steps: ({ key, value }, before) => [
    { do: ['sysctl.write', key, normal(value)], undo: ['sysctl.write', key, String(before.value)] },
  ],
  intended: ({ value }) => ({ value: normal(value) }),
  inverse: (call, before) => ({ ...call, value: String(before.value) }),
});

const sysctlGet = readTool(z.strictObject({ tool: z.literal('sysctl.get'), key: sysctlName }), {
  name: 'sysctl.get',
  version: 1,
  description: 'Reads a kernel parameter',
  capability: 'none',
  target: ({ key }) => `sysctl:${key}`,
  risks: ['R0'],
  risk: () => 'R0',
  read: async ({ key }, machine) => {
    const look = await lookAt(machine, ['sysctl.read', key]);
    return look.ok ? { ok: true, value: look.before } : look;
  },
});

interface GroupChange {
  service: string;
  controller: CgroupController;
  value: number;
}

/** Shared by cgroup.limit and cgroup.freeze, which differ only in their arguments. */
const group = {
  ...SETTING,
  version: 1,
  capability: 'cgroups',
  blastRadius: 'the service and all its processes',
  target: (call: { service: string }) => call.service,
  look: async ({ service, controller }: GroupChange, machine: Machine): Promise<Look> =>
    findService(machine, service)?.state === 'running'
      ? lookAt(machine, ['cgroup.read', service, controller])
      : { ok: false, reason: 'no such service runs here' },
  steps: ({ service, controller, value }: GroupChange, before: { value?: string | number | null }) => [
    {
      do: ['cgroup.write', service, controller, value] as const,
      undo: ['cgroup.write', service, controller, Number(before.value)] as const,
    },
  ],
};

const limitSchema = z
  .strictObject({
    tool: z.literal('cgroup.limit'),
    service: plainName,
    cpus: asNumber(z.number().min(0).max(MAX_CPUS)).optional(),
    memory_bytes: wholeNumber(0, Number.MAX_SAFE_INTEGER).optional(),
  })
  .refine(({ cpus, memory_bytes }) => (cpus === undefined) !== (memory_bytes === undefined), 'one of cpus and memory_bytes')
  .refine(({ memory_bytes = 0 }) => memory_bytes === 0 || memory_bytes >= MIN_MEMORY_BYTES, 'memory_bytes: 0 or at least 1 MiB');

function limitOf(call: z.infer<typeof limitSchema>): GroupChange {
  return call.cpus !== undefined
    ? { service: call.service, controller: 'cpu', value: Math.round(call.cpus * 1_000) }
    : { service: call.service, controller: 'memory', value: Math.ceil((call.memory_bytes ?? 0) / PAGE_BYTES) * PAGE_BYTES };
}

const inWords = ({ controller, value }: GroupChange): string =>
  value === 0 ? 'no limit' : controller === 'cpu' ? counted(value / 1_000, 'CPU') : counted(value, 'byte');

const cgroupLimit = changeTool(limitSchema, {
  ...group,
  name: 'cgroup.limit',
  description: 'Limits the CPUs or the memory of a running service; 0 removes the limit',
  risks: ['R1'],
  risk: () => 'R1',
  look: (call, machine) => group.look(limitOf(call), machine),
  dryRun: (call, before) => {
    const limit = limitOf(call);
    return [`${call.service}: ${limit.controller} ${inWords({ ...limit, value: Number(before.value) })} → ${inWords(limit)}`];
  },
  steps: (call, before) => group.steps(limitOf(call), before),
  intended: (call) => ({ value: limitOf(call).value }),
  inverse: (call, before) => ({
    tool: call.tool,
    service: call.service,
    ...(call.cpus === undefined ? { memory_bytes: Number(before.value) } : { cpus: Number(before.value) / 1_000 }),
  }),
});

const FROZEN = { freeze: 1, thaw: 0 } as const;

const cgroupFreeze = changeTool(
  z.strictObject({ tool: z.literal('cgroup.freeze'), service: plainName, state: z.enum(['freeze', 'thaw']).default('freeze') }),
  {
    ...group,
    name: 'cgroup.freeze',
    description: 'Freezes a running service with all its processes, or thaws it',
    risks: ['R1'],
    risk: () => 'R1',
    look: ({ service, state }, machine) => group.look({ service, controller: 'freezer', value: FROZEN[state] }, machine),
    dryRun: ({ service, state }, before) => [
      `${service}: ${before.value === 1 ? 'frozen' : 'thawed'} → ${state === 'freeze' ? 'frozen' : 'thawed'}`,
    ],
    steps: ({ service, state }, before) => group.steps({ service, controller: 'freezer', value: FROZEN[state] }, before),
    intended: ({ state }) => ({ value: FROZEN[state] }),
    inverse: (call, before) => ({ ...call, state: before.value === 1 ? 'freeze' : 'thaw' }),
  },
);

const device = plainName.max(31);

/** Both settings of a block device's queue. */
function queueTool(
  name: string,
  attribute: 'scheduler' | 'read_ahead_kb',
  description: string,
  value: z.ZodType<string>,
): ChangeTool {
  return changeTool(z.strictObject({ tool: z.literal(name), device, value }), {
    ...SETTING,
    name,
    version: 1,
    description,
    capability: 'blocks',
    blastRadius: 'all users of the device; only speed',
    target: (call) => `block:${call.device}`,
    risks: ['R1'],
    risk: () => 'R1',
    look: (call, machine) => lookAt(machine, ['block.read', call.device, attribute]),
    dryRun: (call, before) => [`${call.device} ${attribute}: ${before.value} → ${call.value}`],
    steps: (call, before) => [
      {
        do: ['block.write', call.device, attribute, call.value],
        undo: ['block.write', call.device, attribute, String(before.value)],
      },
    ],
    intended: (call) => ({ value: call.value }),
    inverse: (call, before) => ({ ...call, value: String(before.value) }),
  });
}

export const SETTING_TOOLS: readonly ChangeTool[] = [
  sysctlSet,
  cgroupLimit,
  cgroupFreeze,
  queueTool(
    'io.scheduler',
    'scheduler',
    'Sets the I/O scheduler of a block device',
    z.string().regex(/^[a-z-]{1,32}$/, 'a scheduler'),
  ),
  queueTool(
    'io.readahead',
    'read_ahead_kb',
    'Sets the read-ahead of a block device in KiB',
    z.coerce.string().refine((text) => /^\d{1,5}$/.test(text) && Number(text) <= MAX_READ_AHEAD_KB, '0 to 65536'),
  ),
];
export const SETTING_READS: readonly ReadTool[] = [sysctlGet];
