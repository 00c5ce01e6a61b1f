// Did it help? The conditions that tools name, judged from the machine, never from what the tool returned.
import type { Actuator, ServiceSample } from '../../swarm/ports/actuator.ts';
import type { Sensors } from '../../swarm/ports/sensors.ts';
import { toolOf } from '../action/tool.ts';
import type { JournalEntry } from '../action/transaction.ts';

const CHECK_TIMEOUT_MS = 1_000;

export interface Verified {
  holds: boolean;
  /** What was seen, in words. */
  detail: string;
}

export async function verify(entry: JournalEntry, actuator: Actuator, sensors: Sensors): Promise<Verified> {
  const { call } = entry.plan;
  const service = actuator.services().find(({ name }) => name === call.service);
  if (service === undefined) return { holds: false, detail: 'the service is not supervised any more' };
  switch (toolOf(call).verification.condition) {
    case 'service-well':
      return serviceWell(entry, service, actuator);
    case 'service-stopped':
      return { holds: service.state === 'stopped', detail: `the service is ${service.state}` };
    case 'signal-effective':
      return signalEffective(entry, service, sensors);
  }
}

async function serviceWell(entry: JournalEntry, service: ServiceSample, actuator: Actuator): Promise<Verified> {
  if (service.state !== 'running') return { holds: false, detail: `the service is ${service.state}` };
  const same = service.pid === entry.before.pid && service.startTicks === entry.before.startTicks;
  if (same) return { holds: false, detail: 'it is still the process from before' };
  const check = await actuator.checkService(service.name, CHECK_TIMEOUT_MS);
  if (check === 'undeclared') return { holds: true, detail: `running as pid ${service.pid}` };
  if (check === 'open') return { holds: true, detail: `running as pid ${service.pid} and answering on port ${service.port}` };
  return { holds: false, detail: `running as pid ${service.pid}, but port ${service.port} is ${check}` };
}

function signalEffective(entry: JournalEntry, service: ServiceSample, sensors: Sensors): Verified {
  const { before } = entry;
  const signal = entry.plan.call.tool === 'process.signal' ? entry.plan.call.signal : undefined;
  const process = sensors
    .sample()
    .processes.find(({ pid, startTicks }) => pid === before.pid && startTicks === before.startTicks);
  switch (signal) {
    case 'STOP':
      return { holds: process?.state === 'T', detail: process ? `process state ${process.state}` : 'the process is gone' };
    case 'TERM':
    case 'KILL':
    case 'INT':
      return {
        holds: process === undefined || process.state === 'Z',
        detail: process ? 'the process is still there' : 'the process has ended',
      };
    default: {
      const runs = process !== undefined && process.state !== 'T' && process.state !== 'Z' && service.state === 'running';
      return { holds: runs, detail: process ? `process ${process.pid} is in state ${process.state}` : 'the process is gone' };
    }
  }
}
