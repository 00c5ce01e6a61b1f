// Verifies a change by the conditions of its tools. They are evaluated on the machine, never by the tool's own result.

import type { Machine, Snapshot } from '../action/tool.ts';
import { findService } from '../action/tool.ts';
import { namesOf } from '../action/tools/files.ts';
import { changeToolOf, isAsIntended } from '../action/tools.ts';
import { type JournalEntry, keyOf } from '../action/transaction.ts';
import { type ServiceSample, SIGNALS, type SignalName } from '../ports/actuator.ts';
import type { ToolCall } from '../tool-call.ts';

const CHECK_TIMEOUT_MS = 1_000;

export interface Verified {
  holds: boolean;
  /** The observation as text. */
  detail: string;
  /** The condition is false, and waiting is useless: the started program has exited. */
  isFinal?: boolean;
}

/** Verifies all calls of a plan; the detail is that of the first condition that is false. */
export async function verify(entry: JournalEntry, machine: Machine): Promise<Verified> {
  const details: string[] = [];
  for (const i of entry.plan.calls.keys()) {
    const one = await verifyCall(entry, i, machine);
    if (!one.holds) return one;
    details.push(one.detail);
  }
  return { holds: true, detail: details.join('; ') };
}

/** Verifies only the call `index`. */
export async function verifyCall(entry: JournalEntry, index: number, machine: Machine): Promise<Verified> {
  const call = entry.plan.calls[index];
  if (call === undefined) throw new Error(`${entry.plan.id} has no call ${index}`);
  const before = entry.before[index] ?? {};
  const tool = changeToolOf(call);
  switch (tool.verification.condition) {
    case 'service-well':
      return onService(call, machine, (service) => serviceWell(before, service, machine));
    case 'service-stopped':
      return onService(call, machine, async ({ state }) => ({ holds: state === 'stopped', detail: `the service is ${state}` }));
    case 'task-succeeded':
      return onService(call, machine, async (service) => taskSucceeded(before, service));
    case 'signal-effective':
      return signalEffective(SIGNALS.find((name) => name === call.signal) ?? 'HUP', before, machine);
    case 'process-ended':
      return signalEffective('TERM', before, machine);
    case 'files-gone':
      return filesGone(call, before, machine);
    case 'program-succeeded':
      return programSucceeded(keyOf(entry, index), machine);
    case 'peers-kept':
      return peersKept(before, machine);
    case 'as-intended':
      return asIntended(call, before, machine);
  }
}

async function onService(
  call: ToolCall,
  machine: Machine,
  judge: (service: ServiceSample) => Promise<Verified>,
): Promise<Verified> {
  const service = findService(machine, String(call.service));
  return service === undefined ? { holds: false, detail: 'the service is no longer supervised' } : judge(service);
}

async function serviceWell(before: Snapshot, service: ServiceSample, { actuator }: Machine): Promise<Verified> {
  // It does not start again by itself, unless systemd starts it.
  const isFinal = service.state === 'exited' && service.unit === undefined && service.starts !== before.starts;
  if (service.state !== 'running') return { holds: false, detail: `the service is ${service.state}`, isFinal };
  const same = service.pid === before.pid && service.startTicks === before.startTicks;
  if (same) return { holds: false, detail: 'the old process still runs' };
  const check = await actuator.checkService(service.name, CHECK_TIMEOUT_MS);
  if (check === 'undeclared') return { holds: true, detail: `running as pid ${service.pid}` };
  const where = service.port === undefined ? 'its check' : `port ${service.port}`;
  return check === 'open'
    ? { holds: true, detail: `running as pid ${service.pid} and answering on ${where}` }
    : { holds: false, detail: `running as pid ${service.pid}, but ${where} is ${check}` };
}

function taskSucceeded(before: Snapshot, { starts, state, exitCode, exitSignal }: ServiceSample): Verified {
  if (starts === before.starts || state === 'running') return { holds: false, detail: 'the task is still running' };
  return { holds: exitCode === 0, detail: `the task exited with ${exitSignal ?? `status ${exitCode}`}`, isFinal: true };
}

async function filesGone(call: ToolCall, before: Snapshot, machine: Machine): Promise<Verified> {
  const look = await changeToolOf(call).look(call, machine);
  if (!look.ok) return { holds: false, detail: look.reason };
  const left = new Set(namesOf(look.before.names));
  const still = namesOf(before.names).filter((name) => left.has(name));
  return { holds: still.length === 0, detail: `${Number(before.count) - still.length} of ${before.count} files are removed` };
}

function signalEffective(signal: SignalName, before: Snapshot, { sensors }: Machine): Verified {
  const process = sensors
    .sample()
    .processes.find(({ pid, startTicks }) => pid === before.pid && startTicks === before.startTicks);
  const ended = process === undefined || process.state === 'Z';
  switch (signal) {
    case 'STOP':
      return { holds: process?.state === 'T', detail: process ? `process state ${process.state}` : 'the process has exited' };
    case 'TERM':
    case 'KILL':
    case 'INT':
      return { holds: ended, detail: ended ? 'the process has exited' : 'the process is still running' };
    default:
      return {
        holds: !ended && process.state !== 'T',
        detail: process ? `process ${process.pid} is in state ${process.state}` : 'the process has exited',
      };
  }
}

async function programSucceeded(key: string, { actuator }: Machine): Promise<Verified> {
  const program = await actuator.program(key);
  if (program === undefined || program.state === 'running') return { holds: false, detail: 'the program is still running' };
  const how = program.exitSignal ?? `status ${program.exitCode}`;
  return { holds: program.exitCode === 0, detail: `the program exited with ${how}`, isFinal: true };
}

function peersKept(before: Snapshot, machine: Machine): Verified {
  const peers = machine.peers();
  return { holds: peers >= Number(before.peers), detail: `${peers} peers reachable, ${before.peers} before` };
}

async function asIntended(call: ToolCall, before: Snapshot, machine: Machine): Promise<Verified> {
  const tool = changeToolOf(call);
  const intended = tool.intended?.(call, before, machine) ?? {};
  const look = await tool.look(call, machine);
  if (!look.ok) return { holds: false, detail: look.reason };
  const shown = Object.keys(intended).map((key) => `${key} is ${look.before[key]}`);
  return { holds: isAsIntended(intended, look.before), detail: shown.join(', ') };
}
