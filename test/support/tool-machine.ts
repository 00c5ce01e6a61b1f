// A machine of which only the answers are there: services, files, processes and settings of each kind that makes a difference to a tool.
import type { ChangeTool, Machine } from '../../node/action/tool.ts';
import { changeToolOf, parseCall } from '../../node/action/tools.ts';
import {
  type ActuatorReading,
  type Reading,
  type ServiceSample,
  type ServiceSpec,
  stoppedService,
} from '../../node/ports/actuator.ts';
import type { Argument } from '../../node/tool-call.ts';
import { toHex, utf8 } from '../../swarm/dissemination/cbor.ts';

export const NOW_MS = 1_700_000_000_000;
export const HOUR_MS = 3_600_000;
const ARCHIVED_BYTES = 1_048_576;

const service = (name: string, more: Partial<ServiceSample> = {}, spec: Partial<ServiceSpec> = {}): ServiceSample => ({
  ...stoppedService({ name, command: [], ...spec }, 0),
  ...more,
});
const SERVICES = [
  service('web', { state: 'running', pid: 42, startTicks: 7, starts: 3 }),
  service('idle'),
  service('held', { onPurpose: true }),
  service('gone', { state: 'exited', starts: 2 }),
  service('key', { state: 'exited' }, { critical: true }),
  service('unit', { state: 'running', pid: 50, startTicks: 8, starts: 1 }, { unit: 'unit.service' }),
  service('job', {}, { task: true }),
  service('busy', { state: 'running', pid: 51, startTicks: 9 }, { task: true }),
  service('port', { state: 'exited' }, { port: 80, portExclusive: true }),
  service('free', { state: 'exited' }, { port: 81, portExclusive: true }),
  service('shared', { state: 'exited' }, { port: 80 }),
  service('denied', { state: 'exited' }, { port: 99, portExclusive: true }),
  service('vital', { state: 'exited' }, { port: 80, portExclusive: true, critical: true }),
  service('up', { state: 'running', pid: 52, startTicks: 1 }, { port: 80, portExclusive: true }),
];
export const stat = (path: string, type = 'file', size = 4, more: { mtimeMs?: number; links?: number; inode?: number } = {}) => {
  const { mtimeMs = NOW_MS - HOUR_MS, links = 1, inode = 9 } = more;
  return [path, type, size, 0o640, 0, 0, mtimeMs, links, inode];
};
/** By the reading, joined by spaces; what is not here is not there. */
const READINGS: Record<string, unknown> = {
  'port.holder 80': [500, 77, 'stranger', 33],
  'process.read 500': [500, 77, 'worker', 33, 5, 2, 4, ['nofile', 1024, 4096], ['core', 0, -1]],
  'sysctl.read vm.swappiness': '60',
  'sysctl.read net.ipv4.tcp_rmem': '4096\t131072  6291456\n',
  'block.read sda scheduler': 'mq-deadline',
  'block.read sda read_ahead_kb': '128',
  'sysctl.read kernel.panic': '0',
  'cgroup.read unit cpu': 2_500,
  'cgroup.read web cpu': 0,
  'cgroup.read web memory': 2_097_152,
  'cgroup.read web freezer': 1,
  'file.stat /data/file': stat('/data/file'),
  'file.read /data/file': utf8('a\nb\n'),
  'file.stat /data/secret': stat('/data/secret', 'file', 12),
  'file.stat /data/large': stat('/data/large', 'file', ARCHIVED_BYTES + 1),
  'file.stat /data/whole': stat('/data/whole', 'file', ARCHIVED_BYTES),
  'file.stat /data/dir': stat('/data/dir', 'directory'),
  'file.stat /data/log': stat('/data/log', 'file', 1, { inode: 20 }),
  'file.stat /data/log.1': stat('/data/log.1', 'file', 1, { inode: 21 }),
  'archive.read act-1-0': utf8('old'),
  'file.list /var/cache/app': [
    stat('/var/cache/app/new.tmp', 'file', 5, { mtimeMs: NOW_MS - 59_999 }),
    stat('/var/cache/app/b.tmp', 'file', 5, { mtimeMs: NOW_MS - 60_000 }),
    stat('/var/cache/app/a.tmp', 'file', 7, { mtimeMs: NOW_MS - HOUR_MS }),
    stat('/var/cache/app/c.log'),
    stat('/var/cache/app/dir.tmp', 'directory'),
    stat('/var/cache/app/linked.tmp', 'file', 5, { links: 2 }),
  ],
  'file.list /srv/tmpfiles': [stat('/srv/tmpfiles/x.tmp', 'file', 1)],
  'file.list /empty/tmp': [],
};
export const processes = [
  { pid: 1, name: 'init', rssBytes: 10 },
  { pid: 2, name: 'db', rssBytes: 30 },
  { pid: 3, name: 'db', rssBytes: 20 },
];
const sample = {
  wallMs: NOW_MS,
  processes,
  cpu: 'ticks',
  cpus: 2,
  load: [1],
  memoryTotalBytes: 4,
  memoryAvailableBytes: 3,
  swapTotalBytes: 2,
  swapFreeBytes: 1,
  mounts: ['/'],
  disks: ['sda'],
  pressureCpu: 5,
  pressureMemory: 6,
  pressureIo: 7,
};
export const machine = {
  actuator: {
    services: () => SERVICES,
    read: async (reading: Reading): Promise<ActuatorReading> => {
      const value = READINGS[reading.join(' ')];
      if (reading[1] === '/denied' || reading.join(' ') === 'port.holder 99')
        return { ok: false, code: 'refused', message: 'not allowed here' };
      return value === undefined ? { ok: false, code: 'not-found', message: 'it is not there' } : { ok: true, value };
    },
  },
  sensors: { sample: () => sample },
  crypto: { hash: (bytes: Uint8Array) => bytes.slice(0, 3) },
  peers: () => 4,
} as unknown as Machine;

/** As text; bytes in hex. */
const text = (value: unknown): string =>
  JSON.stringify(value, (_key, one) => (one instanceof Uint8Array ? `bytes ${toHex(one)}` : one));

/** Its class and target, its diff, each step with its undo, what it intends, and what leads back; or why it is not done. */
export async function facts(tool: string, given: Record<string, Argument>): Promise<string[]> {
  const { call } = parseCall({ tool, ...given });
  const known: ChangeTool = changeToolOf(call);
  const look = await known.look(call, machine);
  if (!look.ok) return [`unseen: ${look.reason}`];
  const { before } = look;
  const refusal = known.refusal?.(call, before);
  if (refusal !== undefined) return [`refused: ${refusal}`];
  return [
    `${known.risk(call)} ${known.target(call)}`,
    ...(await known.dryRun(call, before, machine)),
    ...known.steps(call, before).map((step) => `do ${text(step.do)}, undo ${text(step.undo) ?? 'none'}`),
    ...(known.intended === undefined ? [] : [`intends ${text(known.intended(call, before, machine))}`]),
    `back ${text(known.inverse(call, before, 'key-0')) ?? 'none'}`,
  ];
}
