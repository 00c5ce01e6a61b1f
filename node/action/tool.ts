// What a tool declares, and the tools there are. A transaction runs each; nothing else calls the actuator to change things.
import { z } from 'zod';
import { type Actuator, type ActuatorOutcome, type ServiceSample, SIGNALS, type SignalName } from '../../swarm/ports/actuator.ts';
import type { ToolCall } from '../decision/plan.ts';

export type RiskClass = 'R0' | 'R1' | 'R2' | 'R3';

/** What was there before: enough to undo. */
export const snapshotSchema = z.strictObject({
  state: z.enum(['stopped', 'running', 'exited']),
  pid: z.number().int().nullable(),
  startTicks: z.number().nullable(),
  starts: z.number().int(),
});
export type Snapshot = z.infer<typeof snapshotSchema>;

const service = z.string().min(1).max(64);
const CALLS = {
  'service.start': z.strictObject({ tool: z.literal('service.start'), service }),
  'service.stop': z.strictObject({ tool: z.literal('service.stop'), service }),
  'service.restart': z.strictObject({ tool: z.literal('service.restart'), service }),
  'process.signal': z.strictObject({ tool: z.literal('process.signal'), service, signal: z.enum(SIGNALS) }),
};

export const toolCallSchema = z.discriminatedUnion('tool', [
  CALLS['service.start'],
  CALLS['service.stop'],
  CALLS['service.restart'],
  CALLS['process.signal'],
]);

export type Condition = 'service-well' | 'service-stopped' | 'signal-effective';

export interface Tool {
  name: ToolCall['tool'];
  version: number;
  description: string;
  /** Of the call, its tool's name included. */
  input: z.ZodType;
  risk(call: ToolCall): RiskClass;
  /** The verification that must hold (node/verification), for how long without a break, and within which time. */
  verification: { condition: Condition; stableMs: number; windowMs: number };
  timeoutMs: number;
  /** Uses on one target within the time; beyond it the incident is escalated. */
  rate: { uses: number; withinMs: number };
  /** Why it must not run now; undefined where it may. */
  refusal(call: ToolCall, service: ServiceSample | undefined): string | undefined;
  /** What it would change, a line each. */
  dryRun(call: ToolCall, service: ServiceSample): string[];
  apply(call: ToolCall, before: Snapshot, actuator: Actuator): Promise<ActuatorOutcome>;
  /** The call that leads back to the snapshot; undefined where nothing does. Undoing applies it to the same snapshot. */
  inverse(call: ToolCall, before: Snapshot): ToolCall | undefined;
}

const ORDINARY_RATE = { uses: 3, withinMs: 300_000 };
const NOT_SUPERVISED = 'no such service is supervised here';

const serviceStart: Tool = {
  name: 'service.start',
  version: 1,
  description: 'Starts a supervised service that does not run',
  input: CALLS['service.start'],
  risk: () => 'R1',
  verification: { condition: 'service-well', stableMs: 1_000, windowMs: 15_000 },
  timeoutMs: 20_000,
  rate: ORDINARY_RATE,
  refusal: (_call, target) =>
    target === undefined ? NOT_SUPERVISED : target.state === 'running' ? 'the service runs already' : undefined,
  dryRun: (_call, target) => [`service ${target.name}: ${target.state} → running`],
  apply: (call, _before, actuator) => actuator.startService(call.service),
  // One that had ended by itself is left to the policies: stopping it would pass for "on purpose".
  inverse: (call, before) => (before.state === 'exited' ? undefined : { tool: 'service.stop', service: call.service }),
};

const serviceStop: Tool = {
  name: 'service.stop',
  version: 1,
  description: 'Stops a supervised service on purpose: policies leave it alone until it is started again',
  input: CALLS['service.stop'],
  risk: () => 'R1',
  verification: { condition: 'service-stopped', stableMs: 500, windowMs: 10_000 },
  timeoutMs: 20_000,
  rate: ORDINARY_RATE,
  refusal: (_call, target) =>
    target === undefined ? NOT_SUPERVISED : target.state === 'stopped' ? 'the service is stopped already' : undefined,
  dryRun: (_call, target) => [
    `service ${target.name}: ${target.state}${target.pid === undefined ? '' : ` (pid ${target.pid})`} → stopped`,
  ],
  apply: (call, _before, actuator) => actuator.stopService(call.service),
  inverse: (call, before) => (before.state === 'running' ? { tool: 'service.start', service: call.service } : undefined),
};

const serviceRestart: Tool = {
  name: 'service.restart',
  version: 1,
  description: 'Stops a supervised service if it runs, and starts it again',
  input: CALLS['service.restart'],
  risk: () => 'R1',
  verification: { condition: 'service-well', stableMs: 1_000, windowMs: 15_000 },
  timeoutMs: 20_000,
  rate: ORDINARY_RATE,
  refusal: (_call, target) => {
    if (target === undefined) return NOT_SUPERVISED;
    return target.state === 'stopped' ? 'the service was stopped on purpose' : undefined;
  },
  dryRun: (_call, target) => [
    `service ${target.name}: ${target.state === 'running' ? `pid ${target.pid} is replaced` : `${target.state} → running`}`,
    `starts: ${target.starts} → ${target.starts + 1}`,
  ],
  apply: async (call, before, actuator) => {
    if (before.state === 'running') {
      const stopped = await actuator.stopService(call.service);
      if (!stopped.ok) return stopped;
    }
    return actuator.startService(call.service);
  },
  // A process that ended cannot be brought back; what did not help is tried again, and then escalated.
  inverse: () => undefined,
};

const INVERSE_SIGNAL: Partial<Record<SignalName, SignalName>> = { STOP: 'CONT', CONT: 'STOP' };

const processSignal: Tool = {
  name: 'process.signal',
  version: 1,
  description: 'Signals the process of a supervised service',
  input: CALLS['process.signal'],
  risk: () => 'R1',
  verification: { condition: 'signal-effective', stableMs: 1_000, windowMs: 8_000 },
  timeoutMs: 5_000,
  rate: ORDINARY_RATE,
  refusal: (_call, target) => {
    if (target === undefined) return NOT_SUPERVISED;
    return target.state === 'running' && target.pid !== undefined ? undefined : 'the service has no process';
  },
  dryRun: (call, target) =>
    call.tool === 'process.signal' ? [`pid ${target.pid} (${target.name}) receives SIG${call.signal}`] : [],
  apply: async (call, before, actuator) => {
    if (call.tool !== 'process.signal') return { ok: false, code: 'refused', message: 'not a signal' };
    if (before.pid === null || before.startTicks === null)
      return { ok: false, code: 'gone', message: 'the process is not known any more' };
    return actuator.signalService(call.service, before.pid, before.startTicks, call.signal);
  },
  inverse: (call) => {
    const signal = call.tool === 'process.signal' ? INVERSE_SIGNAL[call.signal] : undefined;
    return signal && { tool: 'process.signal', service: call.service, signal };
  },
};

export const TOOLS: readonly Tool[] = [serviceStart, serviceStop, serviceRestart, processSignal];

export function toolOf(call: ToolCall): Tool {
  const tool = TOOLS.find(({ name }) => name === call.tool);
  if (tool === undefined) throw new Error(`no tool ${call.tool}`);
  return tool;
}

export function snapshotOf(target: ServiceSample): Snapshot {
  return { state: target.state, pid: target.pid ?? null, startTicks: target.startTicks ?? null, starts: target.starts };
}
