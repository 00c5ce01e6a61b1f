// process.*: any process that the actuator's policy allows, identified by its pid and start time.
import { z } from 'zod';
import { LIMIT_RESOURCES, type LimitResource, SIGNALS } from '../../ports/actuator.ts';
import {
  type ChangeTool,
  changeTool,
  type Look,
  type Machine,
  ORDINARY_RATE,
  plainName,
  type ReadTool,
  type RiskClass,
  readTool,
  SETTING,
  wholeNumber,
} from '../tool.ts';
import { inverseSignal, signalStep } from './services.ts';

const MAX_PID = 4_194_304;
const MAX_LISTED = 1_000;
const FIRST_PID = 2; // PID 1 is never a target
const MAX_ARGUMENTS = 64;
const DEFAULT_SPAWN_S = 30;
const MAX_SPAWN_S = 60;

const pid = wholeNumber(FIRST_PID, MAX_PID);

/** The actuator's answer to process.read. */
const processSchema = z.tuple(
  [z.number(), z.number(), z.string(), z.number(), z.number(), z.number(), z.number()],
  z.tuple([z.enum(LIMIT_RESOURCES), z.number(), z.number()]),
);

async function lookAt(machine: Machine, given: number): Promise<Look> {
  const reading = await machine.actuator.read(['process.read', given]);
  if (!reading.ok) return { ok: false, reason: reading.message };
  const [number, startTicks, name, uid, nice, ioClass, ioLevel, ...limits] = processSchema.parse(reading.value);
  const limitEntries = limits.flatMap(([resource, soft, hard]) => [
    [`${resource}Soft`, soft],
    [`${resource}Hard`, hard],
  ]);
  return {
    ok: true,
    before: { pid: number, startTicks, name, uid, nice, ioClass, ioLevel, ...Object.fromEntries(limitEntries) },
  };
}

const shared = {
  version: 1,
  capability: 'processes',
  blastRadius: 'the process and its users',
  target: (call: { pid: number }) => `pid:${call.pid}`,
  risks: ['R1'] as readonly RiskClass[],
  risk: (): RiskClass => 'R1',
};

/** Signals that end or freeze a process that is not a supervised service: a person decides. */
const DISRUPTIVE = new Set(['TERM', 'KILL', 'INT', 'STOP', 'HUP']);

const processSignal = changeTool(z.strictObject({ tool: z.literal('process.signal'), pid, signal: z.enum(SIGNALS) }), {
  ...shared,
  name: 'process.signal',
  description: 'Signals a process',
  risks: ['R1', 'R2'],
  risk: ({ signal }) => (DISRUPTIVE.has(signal) ? 'R2' : 'R1'),
  verification: { condition: 'signal-effective', stableMs: 1_000, windowMs: 8_000 },
  timeoutMs: 5_000,
  rate: ORDINARY_RATE,
  look: (call, machine) => lookAt(machine, call.pid),
  dryRun: (call, before) => [`pid ${call.pid} (${before.name}) receives SIG${call.signal}`],
  steps: (call, before) => [signalStep(before, call.signal)],
  inverse: (call) => inverseSignal(call),
});

const processRenice = changeTool(z.strictObject({ tool: z.literal('process.renice'), pid, nice: wholeNumber(-20, 19) }), {
  ...shared,
  ...SETTING,
  name: 'process.renice',
  description: 'Sets the nice value of a process: -20 (most CPU) to 19',
  look: (call, machine) => lookAt(machine, call.pid),
  dryRun: (call, before) => [`pid ${call.pid} (${before.name}): nice ${before.nice} → ${call.nice}`],
  steps: (call, before) => {
    const ticks = Number(before.startTicks);
    return [{ do: ['process.nice', call.pid, ticks, call.nice], undo: ['process.nice', call.pid, ticks, Number(before.nice)] }];
  },
  intended: ({ nice }, { startTicks }) => ({ startTicks: startTicks ?? null, nice }),
  inverse: (call, before) => ({ tool: call.tool, pid: call.pid, nice: Number(before.nice) }),
});

const IO_CLASSES = ['none', 'realtime', 'best-effort', 'idle'] as const;

const processIoprio = changeTool(
  z.strictObject({ tool: z.literal('process.ioprio'), pid, class: z.enum(IO_CLASSES), level: wholeNumber(0, 7).default(4) }),
  {
    ...shared,
    ...SETTING,
    name: 'process.ioprio',
    description: 'Sets the I/O class and level (0 highest, 7 lowest) of a process',
    look: (call, machine) => lookAt(machine, call.pid),
    dryRun: (call, before) => [
      `pid ${call.pid} (${before.name}): I/O ${IO_CLASSES[Number(before.ioClass)]} ${before.ioLevel} → ${call.class} ${levelOf(call)}`,
    ],
    steps: (call, before) => {
      const ticks = Number(before.startTicks);
      return [
        {
          do: ['process.ioprio', call.pid, ticks, IO_CLASSES.indexOf(call.class), levelOf(call)],
          undo: ['process.ioprio', call.pid, ticks, Number(before.ioClass), Number(before.ioLevel)],
        },
      ];
    },
    intended: (call, { startTicks }) => ({
      startTicks: startTicks ?? null,
      ioClass: IO_CLASSES.indexOf(call.class),
      ioLevel: levelOf(call),
    }),
    inverse: (call, before) => ({
      tool: call.tool,
      pid: call.pid,
      class: IO_CLASSES[Number(before.ioClass)] ?? 'none',
      level: Number(before.ioLevel),
    }),
  },
);

/** Classes `none` and `idle` have no levels. */
function levelOf(call: { class: (typeof IO_CLASSES)[number]; level: number }): number {
  return call.class === 'none' || call.class === 'idle' ? 0 : call.level;
}

const processLimit = changeTool(
  z.strictObject({
    tool: z.literal('process.limit'),
    pid,
    resource: z.enum(LIMIT_RESOURCES),
    soft: wholeNumber(-1, Number.MAX_SAFE_INTEGER),
  }),
  {
    ...shared,
    ...SETTING,
    name: 'process.limit',
    description: 'Sets the soft limit of a resource of a process (-1 is none); the hard limit stays',
    look: (call, machine) => lookAt(machine, call.pid),
    refusal: (call, before) => {
      const hard = Number(before[`${call.resource}Hard`]);
      return hard !== -1 && (call.soft === -1 || call.soft > hard) ? `the hard limit of ${call.resource} is ${hard}` : undefined;
    },
    dryRun: (call, before) => [
      `pid ${call.pid} (${before.name}): ${call.resource} ${before[`${call.resource}Soft`]} → ${call.soft}`,
    ],
    steps: (call, before) => {
      const set = (soft: number) =>
        [
          'process.limit',
          call.pid,
          Number(before.startTicks),
          call.resource as LimitResource,
          soft,
          Number(before[`${call.resource}Hard`]),
        ] as const;
      return [{ do: set(call.soft), undo: set(Number(before[`${call.resource}Soft`])) }];
    },
    intended: (call, { startTicks }) => ({ startTicks: startTicks ?? null, [`${call.resource}Soft`]: call.soft }),
    inverse: (call, before) => ({ ...call, soft: Number(before[`${call.resource}Soft`]) }),
  },
);

const processSpawn = changeTool(
  z.strictObject({
    tool: z.literal('process.spawn'),
    command: z.array(z.string().max(1_024)).min(1).max(MAX_ARGUMENTS),
    user: plainName.optional(),
    timeout_s: wholeNumber(1, MAX_SPAWN_S).default(DEFAULT_SPAWN_S),
  }),
  {
    version: 1,
    name: 'process.spawn',
    description: 'Runs an allowed program once, from argv, without network or new privileges, with a timeout',
    capability: 'programs',
    blastRadius: 'all that the program’s user can access',
    target: (call) => `program:${call.command[0]}`,
    risks: ['R2'],
    risk: () => 'R2',
    verification: { condition: 'program-succeeded', stableMs: 0, windowMs: (MAX_SPAWN_S + 5) * 1_000 },
    timeoutMs: 10_000,
    rate: ORDINARY_RATE,
    look: async (call) => ({ ok: true, before: { program: call.command[0] ?? '' } }),
    refusal: (_call, { program }) => (String(program).startsWith('/') ? undefined : 'the program must be an absolute path'),
    dryRun: (call) => [
      `runs ${JSON.stringify(call.command)} as ${call.user ?? 'a separate user'}, for ${call.timeout_s} s at most`,
    ],
    steps: (call) => [{ do: ['spawn', call.user ?? '', call.command, call.timeout_s * 1_000], undo: ['spawn.end'] }],
    inverse: () => undefined,
  },
);

const processList = readTool(
  z.strictObject({ tool: z.literal('process.list'), name: plainName.optional(), top: wholeNumber(1, MAX_LISTED).default(20) }),
  {
    version: 1,
    name: 'process.list',
    description: 'Lists processes, those with the most memory first',
    capability: 'none',
    target: () => 'machine',
    risks: ['R0'],
    risk: () => 'R0',
    read: async (call, { sensors }) => {
      const found = sensors.sample().processes.filter(({ name }) => call.name === undefined || name === call.name);
      return { ok: true, value: found.toSorted((a, b) => b.rssBytes - a.rssBytes).slice(0, call.top) };
    },
  },
);

export const PROCESS_TOOLS: readonly ChangeTool[] = [processSignal, processRenice, processIoprio, processLimit, processSpawn];
export const PROCESS_READS: readonly ReadTool[] = [processList];
