// Details of one process beyond the scan, for both readers of /proc (proc(5), cgroups(7)).

import { Resolver } from 'node:dns/promises';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import type { ProcessDetail, Throttling } from '../../ports/sensors.ts';
import { hierarchy } from './cgroup-reader.ts';

const CGROUPS = '/sys/fs/cgroup';
/** Answers of a working DNS server that does not know the name. */
const ANSWERS = new Set(['ENOTFOUND', 'ENODATA', 'EREFUSED', 'EFORMERR', 'ENOTIMP']);

/** @param root directory with another machine's files, for tests. */
export function processDetail(pid: number, root = ''): ProcessDetail | undefined {
  const files = openFiles(pid, root);
  if (files === 'gone') return undefined;
  const io = readOr(`${root}/proc/${pid}/io`);
  const figure = (name: string): number | undefined => {
    const value = io?.match(new RegExp(`^${name}: (\\d+)$`, 'm'))?.[1];
    return value === undefined ? undefined : Number(value);
  };
  return { files, readBytes: figure('read_bytes'), writtenBytes: figure('write_bytes') };
}

/** Since Linux 6.2 the directory's size is their number, readable for all; before, only its owner may list it. */
function openFiles(pid: number, root: string): number | undefined | 'gone' {
  const directory = `${root}/proc/${pid}/fd`;
  try {
    const { size } = statSync(directory);
    return size > 0 ? size : readdirSync(directory).length;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'gone' : undefined;
  }
}

/** Throttling of the group in the hierarchy (v1) or tree (v2) with the CPU controller. */
export function throttling(pid: number, root = ''): Throttling | undefined {
  const groups = readOr(`${root}/proc/${pid}/cgroup`);
  const v1 = groups?.match(/^\d+:(?:[^:\n]*,)?cpu(?:,[^:\n]*)?:(.*)$/m)?.[1];
  const v2 = groups?.match(/^0::(.*)$/m)?.[1];
  const mount = v1 === undefined ? join(root, CGROUPS) : hierarchy(join(root, CGROUPS), 'cpu');
  const text = readOr(join(mount, v1 ?? v2 ?? '', 'cpu.stat'));
  const figure = (name: string): number => Number(text?.match(new RegExp(`^${name} (\\d+)$`, 'm'))?.[1] ?? Number.NaN);
  const [periods, throttled] = [figure('nr_periods'), figure('nr_throttled')];
  return Number.isFinite(periods) && Number.isFinite(throttled) ? { periods, throttled } : undefined;
}

export async function resolves(server: string, name: string, timeoutMs: number): Promise<boolean> {
  const resolver = new Resolver({ timeout: timeoutMs, tries: 1 });
  try {
    resolver.setServers([server]);
    await resolver.resolve4(name);
    return true;
  } catch (error) {
    return ANSWERS.has((error as NodeJS.ErrnoException).code ?? '');
  }
}

/** The certificate is not verified, so that expired or untrusted ones are reported too. */
export function servedCertificate(
  host: string,
  port: number,
  name: string | undefined,
  timeoutMs: number,
): Promise<Uint8Array | undefined> {
  return new Promise((resolve) => {
    const servername = name === undefined || isIP(name) !== 0 || !/^[\w.-]+$/.test(name) ? '' : name;
    const socket = connect({ host, port, servername, rejectUnauthorized: false });
    const end = (certificate?: Uint8Array): void => {
      clearTimeout(late);
      socket.destroy();
      resolve(certificate);
    };
    const late = setTimeout(end, timeoutMs);
    socket.once('secureConnect', () => end(socket.getPeerX509Certificate()?.raw));
    socket.on('error', () => end());
  });
}

/** For the thread of the event loop: Documentation/scheduler/sched-stats.rst. */
export function waitedMs(): number | undefined {
  const waitedNs = Number(readOr('/proc/self/schedstat')?.split(' ')[1] ?? Number.NaN);
  return Number.isFinite(waitedNs) ? waitedNs / 1e6 : undefined;
}

function readOr(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // absent on this kernel, not readable, or removed since
  }
}
