// service.*: supervised services, by their declared names.
import { z } from 'zod';
import { type Primitive, type ServiceSample, SIGNALS, type SignalName, type Step } from '../../ports/actuator.ts';
import type { ToolCall } from '../../tool-call.ts';
import {
  type ChangeTool,
  changeTool,
  findService,
  type Look,
  type Machine,
  ORDINARY_RATE,
  plainName,
  type Snapshot,
} from '../tool.ts';

const SERVICE_VERIFICATION = { condition: 'service-well' as const, stableMs: 1_000, windowMs: 15_000 };
const SERVICE_TIMEOUT_MS = 30_000;

export function snapshotOf(target: ServiceSample): Snapshot {
  return {
    name: target.name,
    state: target.state,
    pid: target.pid ?? null,
    startTicks: target.startTicks ?? null,
    starts: target.starts,
    critical: target.critical ? 1 : 0,
    task: target.task ? 1 : 0,
    unit: target.unit ?? null,
    onPurpose: target.onPurpose ? 1 : 0,
  };
}

async function look({ service }: { service: string }, machine: Machine): Promise<Look> {
  const target = findService(machine, service);
  return target === undefined
    ? { ok: false, reason: 'no such service is supervised here' }
    : { ok: true, before: snapshotOf(target) };
}

const shared = {
  version: 1,
  capability: 'services',
  blastRadius: 'the service, and those that depend on it',
  target: (call: { service: string }) => call.service,
  look,
  risks: ['R1', 'R2'] as const, // R2 where the service is critical
  risk: () => 'R1' as const,
  rate: ORDINARY_RATE,
  timeoutMs: SERVICE_TIMEOUT_MS,
};

function input<Name extends string>(tool: Name) {
  return z.strictObject({ tool: z.literal(tool), service: plainName });
}

/** Through systemd if the service is a systemd unit, else by the actuator. */
function command(verb: 'start' | 'stop', service: string, { unit }: Snapshot): Primitive {
  return typeof unit === 'string' ? ['unit', verb, unit] : [`service.${verb}`, service];
}

const serviceStart = changeTool(input('service.start'), {
  ...shared,
  name: 'service.start',
  description: 'Starts a supervised service that does not run',
  verification: SERVICE_VERIFICATION,
  refusal: (_call, { state }) => (state === 'running' ? 'the service is already running' : undefined),
  dryRun: (_call, before) => [`service ${before.name}: ${before.state} → running`],
  // A service that had exited is left to the policies: a stop would mark it as stopped by a person.
  steps: ({ service }, before) => [
    { do: command('start', service, before), undo: before.state === 'exited' ? undefined : command('stop', service, before) },
  ],
  inverse: ({ service }, before) => (before.state === 'exited' ? undefined : { tool: 'service.stop', service }),
});

const serviceStop = changeTool(input('service.stop'), {
  ...shared,
  name: 'service.stop',
  description: 'Stops a supervised service; policies ignore it until it is started again',
  verification: { condition: 'service-stopped', stableMs: 500, windowMs: 10_000 },
  // A service that is down for another reason may be stopped: it then stays down.
  refusal: (_call, { state, onPurpose }) =>
    state === 'stopped' && onPurpose === 1 ? 'the service is already stopped manually' : undefined,
  dryRun: (_call, before) => [
    `service ${before.name}: ${before.state}${before.pid === null ? '' : ` (pid ${before.pid})`} → stopped`,
  ],
  steps: ({ service }, before) => [
    { do: command('stop', service, before), undo: before.state === 'running' ? command('start', service, before) : undefined },
  ],
  inverse: ({ service }, before) => (before.state === 'running' ? { tool: 'service.start', service } : undefined),
});

/** Stop, then start. A failed start has no undo; if only the stop was done, its undo is the start. */
function restartSteps(service: string, before: Snapshot): Step[] {
  const start: Step = { do: command('start', service, before), undo: undefined };
  return before.state === 'running'
    ? [{ do: command('stop', service, before), undo: command('start', service, before) }, start]
    : [start];
}

const serviceRestart = changeTool(input('service.restart'), {
  ...shared,
  name: 'service.restart',
  description: 'Stops a supervised service if it runs, and starts it again',
  verification: SERVICE_VERIFICATION,
  refusal: (_call, { state }) =>
    state === 'stopped' ? 'the service is stopped, not failed: service.start starts it' : undefined,
  dryRun: (_call, before) => [
    `service ${before.name}: ${before.state === 'running' ? `pid ${before.pid} is replaced` : `${before.state} → running`}`,
    `starts: ${before.starts} → ${Number(before.starts) + 1}`,
  ],
  steps: ({ service }, before) => restartSteps(service, before),
  // A process that ended cannot be restored; a restart that did not help is tried again, and then escalated.
  inverse: () => undefined,
});

function withoutProcess(_call: unknown, { state, pid }: Snapshot): string | undefined {
  return state === 'running' && pid !== null ? undefined : 'the service has no process';
}

const serviceReload = changeTool(input('service.reload'), {
  ...shared,
  name: 'service.reload',
  description: 'Reloads a service’s configuration: with SIGHUP, or by its systemd unit',
  verification: { condition: 'signal-effective', stableMs: 1_000, windowMs: 8_000 },
  refusal: withoutProcess,
  dryRun: (_call, before) => [
    typeof before.unit === 'string'
      ? `unit ${before.unit} is reloaded`
      : `service ${before.name}: pid ${before.pid} receives SIGHUP`,
  ],
  steps: (_call, before) => [
    typeof before.unit === 'string' ? { do: ['unit', 'reload', before.unit], undo: undefined } : signalStep(before, 'HUP'),
  ],
  inverse: () => undefined,
});

const INVERSE_SIGNAL: Partial<Record<SignalName, SignalName>> = { STOP: 'CONT', CONT: 'STOP' };

export function signalStep(before: Snapshot, signal: SignalName): Step {
  const [pid, ticks] = [Number(before.pid), Number(before.startTicks)];
  const back = INVERSE_SIGNAL[signal];
  return { do: ['process.signal', pid, ticks, signal], undo: back && ['process.signal', pid, ticks, back] };
}

/** The call that undoes a signal; undefined if nothing does. */
export function inverseSignal<Call extends ToolCall & { signal: SignalName }>(call: Call): ToolCall | undefined {
  const signal = INVERSE_SIGNAL[call.signal];
  return signal && { ...call, signal };
}

const serviceSignal = changeTool(
  z.strictObject({ tool: z.literal('service.signal'), service: plainName, signal: z.enum(SIGNALS) }),
  {
    ...shared,
    name: 'service.signal',
    description: 'Signals the main process of a supervised service',
    verification: { condition: 'signal-effective', stableMs: 1_000, windowMs: 8_000 },
    refusal: withoutProcess,
    dryRun: (call, before) => [`pid ${before.pid} (${before.name}) receives SIG${call.signal}`],
    steps: (call, before) => [signalStep(before, call.signal)],
    inverse: (call) => inverseSignal(call),
  },
);

/** How long a task may take. */
const TASK_WINDOW_MS = 60_000;

const serviceRun = changeTool(input('service.run'), {
  ...shared,
  name: 'service.run',
  description: 'Runs a declared task; it must succeed within a minute',
  verification: { condition: 'task-succeeded', stableMs: 0, windowMs: TASK_WINDOW_MS },
  refusal: (_call, { task, state }) =>
    task !== 1 ? 'it is not a task: declare task = true' : state === 'running' ? 'the task is already running' : undefined,
  dryRun: (_call, before) => [`task ${before.name} is run`],
  steps: ({ service }, before) => [{ do: command('start', service, before), undo: command('stop', service, before) }],
  inverse: () => undefined,
});

/** How long the other process has to end before it is killed. */
const HOLDER_GRACE_MS = 3_000;
/** The actuator's answer to port.holder. */
const holderSchema = z.tuple([z.number(), z.number(), z.string(), z.number()]);

const serviceClaim = changeTool(input('service.claim'), {
  ...shared,
  name: 'service.claim',
  description: 'Ends another process that holds the exclusive port of a stopped service',
  capability: 'processes',
  blastRadius: 'the program that holds the port, and its users',
  target: ({ service }) => `port-of:${service}`,
  look: async ({ service }, machine) => {
    const target = findService(machine, service);
    if (target?.port === undefined) return { ok: false, reason: 'no such service with a port is supervised here' };
    const answer = await machine.actuator.read(['port.holder', target.port]);
    if (!answer.ok && answer.code !== 'not-found') return { ok: false, reason: answer.message };
    const [pid, startTicks, program, uid] = answer.ok ? holderSchema.parse(answer.value) : [null, null, null, null];
    const { state, portExclusive, port, critical } = target;
    return {
      ok: true,
      before: { port, state, exclusive: portExclusive ? 1 : 0, critical: critical ? 1 : 0, pid, startTicks, program, uid },
    };
  },
  verification: { condition: 'process-ended', stableMs: 0, windowMs: 5_000 },
  refusal: (_call, { exclusive, state, pid }) => {
    if (exclusive !== 1) return 'its port is not declared as exclusive (port_exclusive = true)';
    if (state === 'running') return 'the service runs and may hold its port itself';
    return pid === null ? 'no process holds its port' : undefined;
  },
  dryRun: (_call, { program, pid, port }) => [`${program} (pid ${pid}), which listens on port ${port}, is terminated`],
  steps: (_call, { pid, startTicks }) => [
    { do: ['process.end', Number(pid), Number(startTicks), HOLDER_GRACE_MS], undo: undefined },
  ],
  inverse: () => undefined,
});

export const SERVICE_TOOLS: readonly ChangeTool[] = [
  serviceStart,
  serviceStop,
  serviceRestart,
  serviceReload,
  serviceSignal,
  serviceRun,
  serviceClaim,
];
