// Values that the kernel shows in text files: the file of each, and how it is parsed (proc(5)). Pure; the reader is an adapter.
import { messageOf } from '../../swarm/words.ts';
// A missing file makes its values unknown, with the reason, never zero.

export interface HostSource {
  file: string;
  /** All values of the file. */
  figures: readonly string[];
  parse(text: string): Record<string, number>;
}

export interface HostFigures {
  values: ReadonlyMap<string, number>;
  /** Why a value is unknown, by its name. */
  lacks: ReadonlyMap<string, string>;
}

/** `key value` lines, with renamed keys. */
function lines(names: Readonly<Record<string, string>>, separator = ' '): Omit<HostSource, 'file'> {
  return {
    figures: Object.values(names),
    parse: (text) => {
      const found: Record<string, number> = {};
      for (const line of text.split('\n')) {
        const at = line.indexOf(separator);
        const name = at < 0 ? undefined : names[line.slice(0, at)];
        if (name !== undefined) found[name] = Number.parseInt(line.slice(at + 1), 10);
      }
      return found;
    },
  };
}

/** One line of numbers, by position. */
function fields(...names: readonly string[]): Omit<HostSource, 'file'> {
  return {
    figures: names.filter((name) => name !== ''),
    parse: (text) =>
      Object.fromEntries(
        text
          .trim()
          .split(/\s+/)
          .map((value, i) => [names[i] ?? '', value === '' ? Number.NaN : Number(value)] as const)
          .filter(([name]) => name !== ''),
      ),
  };
}

/** A line of names and a line of values with one prefix, as in /proc/net/snmp. */
function paired(prefix: string, names: Readonly<Record<string, string>>): Omit<HostSource, 'file'> {
  return {
    figures: Object.values(names),
    parse: (text) => {
      const [heads = [], values = []] = text
        .split('\n')
        .filter((line) => line.startsWith(`${prefix}: `))
        .map((line) => line.split(' ').slice(1));
      const found: Record<string, number> = {};
      for (const [key, name] of Object.entries(names)) {
        const value = values[heads.indexOf(key)] ?? '';
        if (heads.includes(key) && value !== '') found[name] = Number(value);
      }
      return found;
    },
  };
}

/** `TCP: inuse 1 orphan 0 …` */
function sockstat(text: string): Record<string, number> {
  const of = (protocol: string, key: string): number =>
    Number(text.match(new RegExp(`^${protocol}:.*\\b${key} (\\d+)`, 'm'))?.[1] ?? Number.NaN);
  return {
    'tcp.in_use': of('TCP', 'inuse'),
    'tcp.orphans': of('TCP', 'orphan'),
    'tcp.time_wait': of('TCP', 'tw'),
    'udp.in_use': of('UDP', 'inuse'),
    'sockets.used': of('sockets', 'used'),
  };
}

/** A value of one device: `network.receive|eth0`. */
export const PER_DEVICE = /^([a-z.]+)\|(.+)$/s;
const MAX_DEVICES = 256;
/** The columns up to dropped packets of the sent ones. */
const MIN_DEVICE_FIGURES = 12;

/** All devices except loopback, together and each by itself: the reader selects those that are counted (network-totals.ts). */
function networkDevices(text: string): Record<string, number> {
  const sums = { receive: 0, transmit: 0, errors: 0, dropped: 0 };
  const each: Record<string, number> = {};
  let devices = 0;
  for (const line of text.split('\n')) {
    // The values contain no colon, but an alias may: eth0:1.
    const at = line.lastIndexOf(':');
    const name = line.slice(0, Math.max(0, at)).trim();
    const figures = line
      .slice(at + 1)
      .trim()
      .split(/\s+/)
      .map(Number);
    if (name === '' || figures.length < MIN_DEVICE_FIGURES || figures.some(Number.isNaN)) continue;
    devices++;
    if (name === 'lo') continue;
    const [received = 0, , receiveErrors = 0, receiveDropped = 0, , , , , sent = 0, , sendErrors = 0, sendDropped = 0] = figures;
    sums.receive += received;
    sums.transmit += sent;
    sums.errors += receiveErrors + sendErrors;
    sums.dropped += receiveDropped + sendDropped;
    const own = { receive: received, transmit: sent, errors: receiveErrors + sendErrors, dropped: receiveDropped + sendDropped };
    if (Object.keys(each).length < MAX_DEVICES * 4)
      for (const [key, value] of Object.entries(own)) each[`network.${key}|${name}`] = value;
  }
  if (devices === 0) return {}; // not even loopback: the file has no data
  return { ...each, ...Object.fromEntries(Object.entries(sums).map(([key, value]) => [`network.${key}`, value])) };
}

/** `[UU_]` of a degraded array. */
function degradedArrays(text: string): Record<string, number> {
  if (!text.startsWith('Personalities') && !text.includes('blocks')) return {};
  return { 'raid.degraded': [...text.matchAll(/\[[U_]+\]/g)].filter(([disks]) => disks.includes('_')).length };
}

export const HOST_SOURCES: readonly HostSource[] = [
  {
    file: '/proc/stat',
    ...lines({ ctxt: 'context_switches', processes: 'forks', procs_running: 'running', procs_blocked: 'blocked' }),
  },
  {
    file: '/proc/vmstat',
    ...lines({ pgmajfault: 'major_faults', oom_kill: 'oom_kills', pswpin: 'swap_in', pswpout: 'swap_out' }),
  },
  { file: '/proc/sys/fs/file-nr', ...fields('files.open', '', 'files.max') },
  { file: '/proc/sys/kernel/random/entropy_avail', ...fields('entropy') },
  { file: '/proc/sys/kernel/threads-max', ...fields('threads.max') },
  { file: '/proc/sys/net/ipv4/ip_local_port_range', ...fields('ports.first', 'ports.last') },
  { file: '/proc/sys/net/netfilter/nf_conntrack_count', ...fields('conntrack.count') },
  { file: '/proc/sys/net/netfilter/nf_conntrack_max', ...fields('conntrack.max') },
  {
    file: '/proc/net/sockstat',
    figures: ['tcp.in_use', 'tcp.orphans', 'tcp.time_wait', 'udp.in_use', 'sockets.used'],
    parse: sockstat,
  },
  {
    file: '/proc/net/snmp',
    ...paired('Tcp', {
      CurrEstab: 'tcp.established',
      RetransSegs: 'tcp.retransmitted',
      OutSegs: 'tcp.sent',
      ActiveOpens: 'tcp.opens',
    }),
  },
  { file: '/proc/net/netstat', ...paired('TcpExt', { ListenDrops: 'tcp.listen_drops' }) },
  {
    file: '/proc/net/dev',
    figures: ['network.receive', 'network.transmit', 'network.errors', 'network.dropped'],
    parse: networkDevices,
  },
  { file: '/proc/uptime', ...fields('uptime') },
  { file: '/sys/class/thermal/thermal_zone0/temp', ...fields('temperature.milli') },
  { file: '/sys/class/power_supply/AC/online', ...fields('power.online') },
  { file: '/sys/class/power_supply/BAT0/capacity', ...fields('power.capacity') },
  { file: '/proc/mdstat', figures: ['raid.degraded'], parse: degradedArrays },
];

/** Temperatures may be below zero; counts are not. */
const isFigure = (figure: string, value: number): boolean =>
  Number.isFinite(value) && (value >= 0 || figure === 'temperature.milli');

/** @param read returns the file's text, or throws the reason. */
export function readFigures(sources: readonly HostSource[], read: (file: string) => string): HostFigures {
  const values = new Map<string, number>();
  const lacks = new Map<string, string>();
  for (const { file, figures, parse } of sources) {
    const found = attempt(() => parse(read(file)));
    for (const figure of figures) {
      const value = found.ok ? found.value[figure] : undefined;
      if (value !== undefined && isFigure(figure, value)) values.set(figure, value);
      else lacks.set(figure, found.ok ? `${file} has no value` : found.reason);
    }
    for (const [figure, value] of found.ok ? Object.entries(found.value) : [])
      if (PER_DEVICE.test(figure) && isFigure(figure, value)) values.set(figure, value);
  }
  return { values, lacks };
}

function attempt<T>(work: () => T): { ok: true; value: T } | { ok: false; reason: string } {
  try {
    return { ok: true, value: work() };
  } catch (error) {
    return { ok: false, reason: messageOf(error) };
  }
}
