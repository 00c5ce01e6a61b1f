// `kalos up --init` as the first process of a pid namespace: it starts the agent, keeps it and the services running, reaps
// what others leave, and shuts down in order.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { accessSync, chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { findPackage } from '../../node/adapters/package.ts';
import type { AgentStatus } from '../../node/agent/agent-status.ts';
import { AS_AGENT, kalos } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';
import { Rival } from '../support/rival.ts';

const KALOS = join(findPackage().root, 'bin', 'kalos');
const able = process.getuid?.() === 0;
const NOBODY = 65_534;
/** As in native/actuator/identity.cc. */
const FIRST_OWN_USER = 61_184;

/** Whether an ordinary user can read this checkout at all. */
function openToOthers(): boolean {
  try {
    execFileSync('setpriv', [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', 'test', '-r', KALOS], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  }
}

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** pid, parent, state and name of every process. */
function processes(): { pid: number; parent: number; state: string; command: string }[] {
  const pids = execFileSync('ls', ['/proc'], { encoding: 'utf8' })
    .split('\n')
    .map(Number)
    .filter((pid) => pid > 0);
  return pids.flatMap((pid) => {
    try {
      const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
      const [state = '', parent = ''] = text.slice(text.lastIndexOf(')') + 2).split(' ');
      return [
        { pid, parent: Number(parent), state, command: readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ') },
      ];
    } catch {
      return []; // it ended meanwhile
    }
  });
}

interface Container {
  directory: string;
  /** The first process, as this namespace numbers it. */
  first: number;
  outer: ChildProcess;
  status(): Promise<AgentStatus>;
}

async function boot(config: string, ...more: string[]): Promise<Container> {
  const place = mkdtempSync(join(tmpdir(), 'kalos-init-'));
  chmodSync(place, 0o755);
  const directory = join(place, 'kalos');
  const configFile = join(place, 'kalos.toml');
  writeFileSync(configFile, config.replaceAll('PLACE', place));
  const args = [
    '--pid',
    '--fork',
    '--mount-proc',
    '--kill-child',
    KALOS,
    'up',
    '--init',
    '--dir',
    directory,
    '--config',
    configFile,
    '--listen',
    '127.0.0.1:0',
    ...more,
  ];
  // A cache of its own: an ordinary user cannot write to root's.
  const environment = { ...process.env, NODE_COMPILE_CACHE: join(place, 'cache'), KALOS_ACTUATOR_POLICY: join(place, 'policy') };
  mkdirSync(join(place, 'cache'), { mode: 0o777 });
  chmodSync(join(place, 'cache'), 0o777);
  const outer = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'pipe'], env: environment });
  let said = '';
  for (const stream of [outer.stdout, outer.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  cleanups.push(() => {
    outer.kill('SIGKILL');
    rmSync(place, { recursive: true, force: true });
  });
  await eventually('the agent to be up', () => {
    if (outer.exitCode !== null) throw new Error(said);
    return /is up, swarm/.test(said) || undefined;
  });
  const first = processes().find(({ parent }) => parent === outer.pid)?.pid ?? 0;
  const status = async () => JSON.parse((await kalos('status', '--dir', directory, '-o', 'json')).stdout) as AgentStatus;
  return { directory, first, outer, status };
}

const CONFIG = `
mode = "act"
[[service]]
name = "web"
${AS_AGENT}command = ["sh", "-c", "trap 'echo $(date +%s%N) web >> PLACE/order; exit 0' TERM; (sleep 0.3 &); while :; do sleep 0.1; done"]
[[service]]
name = "api"
${AS_AGENT}after = ["web"]
command = ["sh", "-c", "trap 'echo $(date +%s%N) api >> PLACE/order; exit 0' TERM; while :; do sleep 0.1; done"]
`;

/** A service that says hello to the actuator, which is all others' ancestor. */
const rivalling = (program: string): string => {
  const hello = `${program} hello PLACE/kalos-actuator/sock`;
  return `[[service]]\nname = "rival"\n${AS_AGENT}command = ["sh", "-c", "${hello}; ${hello} away; exec sleep 600"]\n`;
};

describe.skipIf(!able)('kalos up --init', () => {
  it('brings services up, reaps orphans, restarts a killed agent, and shuts down in order on SIGTERM', async () => {
    const rival = new Rival();
    cleanups.push(() => rival.close());
    const { directory, first, outer, status } = await boot(`${CONFIG}${rivalling(rival.program)}`);
    const running = (await status()).services.map(({ name, state }) => `${name} ${state}`);
    expect(running.toSorted()).toEqual(['api running', 'rival running', 'web running']);
    const answered = () => readFileSync(`${directory}-actuator/services/rival.log`, 'utf8');
    await eventually('the rival to be answered', () => answered().split('\n').length > 2 || undefined);
    expect(answered().trim().split('\n').toSorted()).toEqual(['away answered 3', 'near answered 3']); // refused
    const inside = () => processes().filter(({ parent }) => parent === first);
    await eventually(
      'the orphan to be reaped',
      () => inside().every(({ state, command }) => state !== 'Z' && !command.startsWith('sleep 0.3')) || undefined,
    );

    const agentOf = () => inside().find(({ command }) => command.includes(' up '));
    const [agent, services] = [agentOf(), (await status()).services];
    process.kill(agent?.pid ?? Number.NaN, 'SIGKILL');
    await eventually('another agent', async () => (agentOf()?.pid !== agent?.pid && (await status()).uptimeMs > 0) || undefined);
    expect((await status()).services).toEqual(services); // the same processes

    const ended = new Promise<number | null>((resolve) => outer.once('exit', resolve));
    process.kill(first, 'SIGTERM');
    expect(await ended).toBe(0);
    const order = readFileSync(join(directory, '..', 'order'), 'utf8')
      .trim()
      .split('\n');
    expect(order.map((line) => line.split(' ')[1])).toEqual(['api', 'web']);
    expect(processes().some(({ command }) => command.includes(directory))).toBe(false);
    const log = readFileSync(`${directory}-actuator/actuator.log`, 'utf8');
    expect(log).toMatch(/the agent ended with status 137[\s\S]*shutting down[\s\S]*ended\n$/);
  });

  it.skipIf(!openToOthers())('runs the agent as an ordinary user, which acts through the actuator alone', async () => {
    const { directory, status, first } = await boot(CONFIG.replaceAll(AS_AGENT, ''), '--user', 'nobody');
    const agent = processes().find(({ parent, command }) => parent === first && command.includes(' up '));
    expect(statSync(`/proc/${agent?.pid}`).uid).toBe(NOBODY);
    expect(statSync(`/proc/${first}`).uid).toBe(0);
    expect(statSync(`${directory}-actuator/changes`)).toMatchObject({ uid: 0, mode: 0o40700 });
    expect(() => accessSync(directory)).not.toThrow();
    const restarted = await kalos('act', 'service.restart', 'service=web', '--dir', directory);
    expect([restarted.code, restarted.stdout]).toEqual([0, expect.stringContaining('confirmed')]);
    const web = (await status()).services[0];
    expect(statSync(`/proc/${hostPid(first, web?.pid ?? 0)}`).uid).toBeGreaterThanOrEqual(FIRST_OWN_USER);
  });
});

/** A pid of the namespace, as this one numbers it. */
function hostPid(first: number, inner: number): number {
  return (
    processes().find(
      ({ pid, parent }) =>
        parent === first && Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(/NSpid:.*\s(\d+)/)?.[1]) === inner,
    )?.pid ?? 0
  );
}
