// What strangers and hostile members can do to a real agent: 10,000 dials without a certificate, and floods of everything that a
// member may send. Bars: no application stream, RSS + < 50 MB; the agent answers within 200 ms all the time, and goes on seeing others.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { callAgent } from '../../node/api/client.ts';
import { RealSwarm } from '../support/agents.ts';
import { tree } from '../support/process-cost.ts';
import type { Bench, Figures } from './bench.ts';

const BESIEGER = fileURLToPath(new URL('../support/besieger.ts', import.meta.url));
const ASK_EVERY_MS = 20;
const MIB = 2 ** 20;
const BY_STRANGERS = ['strangers', 'slow-strangers', 'sockets'];
const BY_MEMBERS = ['nonsense', 'bombs', 'forged', 'statuses', 'subscriptions', 'streams', 'probes', 'syncs'];

interface Siege {
  kind: string;
  done: number;
  /** The longest that a question over the agent's own socket took. */
  heldMs: number;
  rssMb: number;
  cpu: number;
  /** Whether it considered the other member down meanwhile. */
  friendLost: boolean;
  /** How often a member was thrown out and came again. */
  dials: number;
}

async function besieged(swarm: RealSwarm, kind: string, seconds: number, swarmId: string): Promise<Siege> {
  const [victim] = swarm.agents;
  if (victim === undefined) throw new Error('nobody is there');
  const pid = victim.process.pid ?? 0;
  const token = BY_STRANGERS.includes(kind) ? [] : [await swarm.token(victim)];
  const rss = (): number => tree(pid).reduce((sum, { rssBytes }) => sum + rssBytes, 0) / MIB;
  const ticks = (): number => tree(pid).reduce((sum, one) => sum + one.ticks, 0);
  const child = spawn(process.execPath, [BESIEGER, kind, String(seconds), `${victim.address}#${swarmId}`, ...token], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  let over = false;
  const ended = new Promise<void>((resolve) =>
    child.once('exit', () => {
      over = true;
      resolve();
    }),
  );
  const [rssBefore, ticksBefore, startMs] = [rss(), ticks(), performance.now()];
  let [heldMs, top, friendLost] = [0, rssBefore, false];
  while (!over) {
    const askedMs = performance.now();
    const members = await callAgent<{ name: string; state: string }[]>(victim.directory, 'GET', '/v1/members');
    heldMs = Math.max(heldMs, performance.now() - askedMs);
    friendLost ||= members.some(({ name, state }) => name === 'friend' && state !== 'alive');
    top = Math.max(top, rss());
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
  }
  await ended;
  const cpu = (ticks() - ticksBefore) / ((performance.now() - startMs) / 10);
  const { done = 0, dials = 0 } = printed === '' ? {} : (JSON.parse(printed) as { done: number; dials: number });
  return { kind, done, dials, heldMs, rssMb: top - rssBefore, cpu, friendLost };
}

export const security: Bench = {
  name: 'security',
  description: 'a real agent besieged: dials without a certificate, and floods by hostile members',
  run: async ({ option, text, progress }): Promise<Figures> => {
    const seconds = option('seconds', 10);
    const only = text('only', '');
    const swarm = new RealSwarm();
    const sieges: Siege[] = [];
    try {
      const victim = await swarm.start('victim', '');
      await swarm.start('friend', '');
      const { swarmId } = await callAgent<{ swarmId: string }>(victim.directory, 'GET', '/v1/status');
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      for (const kind of [...BY_STRANGERS, ...BY_MEMBERS].filter((one) => only === '' || only.split(',').includes(one))) {
        const siege = await besieged(swarm, kind, kind === 'strangers' ? seconds * 3 : seconds, swarmId);
        progress(JSON.stringify(siege));
        sieges.push(siege);
        await new Promise((resolve) => setTimeout(resolve, 2_000));
      }
    } finally {
      await swarm.stop();
    }
    const worst = (key: 'heldMs' | 'rssMb'): number => Math.max(...sieges.map((one) => one[key]));
    return {
      rows: sieges.map(({ kind, done, dials, heldMs, rssMb, cpu, friendLost }) => [
        `${kind}: ${done}${dials === 0 ? '' : `, thrown out and back ${dials} times`}`,
        `answers within ${Math.round(heldMs)} ms, RSS +${Math.round(rssMb)} MB, ${cpu.toFixed(2)} cores${friendLost ? ', LOST ITS FRIEND' : ''}`,
        '-',
      ]),
      keys: {
        dials: sieges.find(({ kind }) => kind === 'strangers')?.done,
        loop_held_ms: worst('heldMs'),
        rss_grew_mb: worst('rssMb'),
      },
      unmeasured: [],
    };
  },
};
