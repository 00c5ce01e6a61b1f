// What a tool declares, and the tools there are. A transaction runs each; nothing else calls the actuator to change things.
import { z } from 'zod';
import { type Actuator, type ActuatorOutcome, type ServiceSample, SIGNALS } from '../../swarm/ports/actuator.ts';
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

export const toolCallSchema = z.discriminatedUnion('tool', [
  z.strictObject({ tool: z.literal('service.restart'), service: z.string().min(1).max(64) }),
  z.strictObject({ tool: z.literal('process.signal'), service: z.string().min(1).max(64), signal: z.enum(SIGNALS) }),
]);

export interface Tool {
  name: ToolCall['tool'];
  version: number;
  description: string;
  risk(call: ToolCall): RiskClass;
  /** The verification that must hold (node/verification), for how long without a break, and within which time. */
  verification: { condition: 'service-well' | 'signal-effective'; stableMs: number; windowMs: number };
  timeoutMs: number;
  /** Uses on one target within the time; beyond it the incident is escalated. */
  rate: { uses: number; withinMs: number };
  /** Why it must not run now; undefined where it may. */
  refusal(call: ToolCall, service: ServiceSample | undefined): string | undefined;
  /** What it would change, a line each. */
  dryRun(call: ToolCall, service: ServiceSample): string[];
  apply(call: ToolCall, before: Snapshot, actuator: Actuator): Promise<ActuatorOutcome>;
  /** Back to the snapshot, as far as that is possible; undefined for calls that have no inverse. */
  undo(call: ToolCall, before: Snapshot, actuator: Actuator): (() => Promise<ActuatorOutcome>) | undefined;
}

const serviceRestart: Tool = {
  name: 'service.restart',
  version: 1,
  description: 'Stops a supervised service if it runs, and starts it again',
  risk: () => 'R1',
  verification: { condition: 'service-well', stableMs: 1_000, windowMs: 15_000 },
  timeoutMs: 20_000,
  rate: { uses: 3, withinMs: 300_000 },
  refusal: (_call, service) => {
    if (service === undefined) return 'no such service is supervised here';
    return service.state === 'stopped' ? 'the service was stopped on purpose' : undefined;
  },
  dryRun: (_call, service) => [
    `service ${service.name}: ${service.state === 'running' ? `pid ${service.pid} is replaced` : `${service.state} → running`}`,
    `starts: ${service.starts} → ${service.starts + 1}`,
  ],
  apply: async (call, before, actuator) => {
    if (before.state === 'running') {
      const stopped = await actuator.stopService(call.service);
      if (!stopped.ok) return stopped;
    }
    return actuator.startService(call.service);
  },
  // A process that ended cannot be brought back, and stopping a service that came up badly would pass for "on purpose":
  // what did not help is tried again, and then escalated.
  undo: () => undefined,
};

const INVERSE: Partial<Record<(typeof SIGNALS)[number], (typeof SIGNALS)[number]>> = { STOP: 'CONT', CONT: 'STOP' };

const processSignal: Tool = {
  name: 'process.signal',
  version: 1,
  description: 'Signals the process of a supervised service',
  risk: () => 'R1',
  verification: { condition: 'signal-effective', stableMs: 1_000, windowMs: 8_000 },
  timeoutMs: 5_000,
  rate: { uses: 3, withinMs: 300_000 },
  refusal: (_call, service) => {
    if (service === undefined) return 'no such service is supervised here';
    return service.state === 'running' && service.pid !== undefined ? undefined : 'the service has no process';
  },
  dryRun: (call, service) =>
    call.tool === 'process.signal' ? [`pid ${service.pid} (${service.name}) receives SIG${call.signal}`] : [],
  apply: (call, before, actuator) => signal(call, before, actuator, call.tool === 'process.signal' ? call.signal : 'CONT'),
  undo: (call, before, actuator) => {
    const inverse = call.tool === 'process.signal' ? INVERSE[call.signal] : undefined;
    return inverse && (() => signal(call, before, actuator, inverse));
  },
};

async function signal(
  call: ToolCall,
  before: Snapshot,
  actuator: Actuator,
  name: (typeof SIGNALS)[number],
): Promise<ActuatorOutcome> {
  if (before.pid === null || before.startTicks === null)
    return { ok: false, code: 'gone', message: 'the process is not known any more' };
  return actuator.signalService(call.service, before.pid, before.startTicks, name);
}

export const TOOLS: readonly Tool[] = [serviceRestart, processSignal];

export function toolOf(call: ToolCall): Tool {
  const tool = TOOLS.find(({ name }) => name === call.tool);
  if (tool === undefined) throw new Error(`no tool ${call.tool}`);
  return tool;
}

export function snapshotOf(service: ServiceSample): Snapshot {
  return { state: service.state, pid: service.pid ?? null, startTicks: service.startTicks ?? null, starts: service.starts };
}
