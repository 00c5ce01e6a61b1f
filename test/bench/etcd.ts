// etcd beside us: five processes on loopback, kill -9 of the leader until the next write is committed, at its defaults and with
// 20 ms heartbeats and 200 ms elections, over its JSON gateway.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../support/agents.ts';

const ETCD = '/usr/bin/etcd';
const MEMBERS = 5;
const PATIENCE_MS = 60_000;
const TRY_EVERY_MS = 10;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

class EtcdMember {
  readonly #args: string[];
  readonly url: string;
  child: ChildProcess;

  constructor(args: string[], url: string) {
    this.#args = args;
    this.url = url;
    this.child = this.#start();
  }

  #start(): ChildProcess {
    return spawn(ETCD, this.#args, { stdio: 'ignore' });
  }

  restart(): void {
    this.child = this.#start();
  }

  async post(path: string, body: object, timeoutMs: number): Promise<Record<string, unknown> | undefined> {
    try {
      const response = await fetch(`${this.url}${path}`, {
        method: 'POST',
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(timeoutMs),
      });
      return response.ok ? ((await response.json()) as Record<string, unknown>) : undefined;
    } catch {
      return undefined;
    }
  }
}

const text = (value: string): string => Buffer.from(value).toString('base64');

async function group(times: number, tuning: readonly string[], progress: (text: string) => void): Promise<number[]> {
  const root = mkdtempSync(join(tmpdir(), 'kalos-etcd-'));
  const ports = await Promise.all(Array.from({ length: 2 * MEMBERS }, freePort));
  const peerUrl = (i: number): string => `http://127.0.0.1:${ports[i]}`;
  const cluster = Array.from({ length: MEMBERS }, (_, i) => `m${i}=${peerUrl(i)}`).join(',');
  const members = Array.from({ length: MEMBERS }, (_, i) => {
    const url = `http://127.0.0.1:${ports[MEMBERS + i]}`;
    const args = ['--name', `m${i}`, '--data-dir', join(root, `m${i}`), '--initial-cluster', cluster, '--log-level', 'fatal'];
    args.push('--listen-peer-urls', peerUrl(i), '--initial-advertise-peer-urls', peerUrl(i));
    args.push('--listen-client-urls', url, '--advertise-client-urls', url, ...tuning);
    return new EtcdMember(args, url);
  });
  const leader = async (): Promise<EtcdMember> => {
    const untilMs = performance.now() + PATIENCE_MS;
    while (performance.now() < untilMs) {
      const seen = await Promise.all(members.map((member) => member.post('/v3/maintenance/status', {}, 1_000)));
      const leads = new Set(seen.map((one) => one?.leader));
      const at = seen.findIndex((one) => (one?.header as { member_id?: string } | undefined)?.member_id === one?.leader);
      const found = members[at];
      if (leads.size === 1 && !leads.has(undefined) && found !== undefined) return found;
      await pause(100);
    }
    throw new Error('etcd elects nobody');
  };
  try {
    const took: number[] = [];
    for (let turn = 0; turn < times; turn++) {
      const first = await leader();
      await pause(500);
      const startMs = performance.now();
      first.child.kill('SIGKILL');
      let isDone = false;
      const put = async (member: EtcdMember): Promise<void> => {
        isDone ||= (await member.post('/v3/kv/put', { key: text('k'), value: text(String(turn)) }, 5_000)) !== undefined;
      };
      while (!isDone) {
        for (const member of members) if (member !== first) void put(member);
        await pause(TRY_EVERY_MS);
      }
      took.push(performance.now() - startMs);
      first.restart();
    }
    progress(`etcd ${tuning.join(' ') || 'at its defaults'}: ${took.map(Math.round).join(' ')} ms`);
    return took;
  } finally {
    for (const { child } of members) child.kill('SIGKILL');
    await pause(200);
    rmSync(root, { recursive: true, force: true });
  }
}

/** Ms from each kill; undefined where etcd is not there. */
export async function measureEtcd(
  times: number,
  progress: (text: string) => void,
): Promise<{ default: number[]; tuned: number[] } | undefined> {
  if (times === 0 || !existsSync(ETCD)) return undefined;
  const tuned = await group(times, ['--heartbeat-interval', '20', '--election-timeout', '200'], progress);
  return { tuned, default: await group(times, [], progress) };
}
