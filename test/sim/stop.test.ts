// An agent that stops, or starts itself again, at any moment: whatever it has under way then is ended or let go of, and nothing of it
// finds the store closed and takes the stop for a failure.
import { describe, expect, it } from 'vitest';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { Cluster } from '../../sim/cluster.ts';
import type { Store } from '../../swarm/ports/store.ts';
import { DrainingStore } from '../../swarm/runtime/draining-store.ts';

const settings = agentSettings(resolveConfig([{ origin: 'test', document: { mode: 'act' } }]));
/** Witnesses are shown the audit 10 s after a start, and each minute after that: from then on it takes reading. */
const SHOWN_AGAIN_MS = 70_000;
const STOPS_WITHIN_MS = 30_000;

async function stoppedAt(atMs: number): Promise<Cluster> {
  const cluster = Cluster.of({ nodes: 3, seed: 1, settings });
  cluster.start();
  await cluster.runUntil(SHOWN_AGAIN_MS - 1_000);
  const { disk, agent } = cluster.node(1);
  for (let record = 0; record < 40; record++) void agent?.parts.audit.append('control', 'test', `record ${record}`);
  await cluster.runUntil(SHOWN_AGAIN_MS - 500);
  disk.readMs = 200;
  await cluster.runUntil(atMs);
  const stopped = agent?.stop('restart');
  await cluster.runUntil(atMs + STOPS_WITHIN_MS);
  await stopped;
  return cluster;
}

describe('an agent that restarts', () => {
  it('fails at nothing, whatever it has under way', async () => {
    for (let ms = 0; ms <= 1_200; ms += 200) {
      const cluster = await stoppedAt(SHOWN_AGAIN_MS + ms);
      expect(cluster.violations, `stopped after ${ms} ms`).toEqual([]);
    }
  });
});

/** Each answer comes after a while. */
function slowStore(log: string[]): Store {
  let isOpen = true;
  const later = (what: string): Promise<void> =>
    new Promise((resolve, reject) =>
      setTimeout(() => {
        log.push(what);
        if (isOpen) resolve();
        else reject(new Error('Database is not open'));
      }, 10),
    );
  return {
    get: (key) => later(`get ${key}`).then(() => undefined),
    write: () => later('write'),
    range: () => later('range').then(() => []),
    close: async () => {
      log.push('closed');
      isOpen = false;
    },
  };
}

const clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs: number, run: () => void) => {
    const timer = setTimeout(run, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

describe('a store that closes last', () => {
  it('lets what was begun run to its end, step by step, and answers nothing after that', async () => {
    const log: string[] = [];
    const store = new DrainingStore(slowStore(log), clock);
    const chain = (async () => {
      for (const key of ['a', 'b', 'c']) await store.get(key);
      await store.write([]);
      return 'whole';
    })();
    await Promise.all([store.close(), store.close()]);
    expect(log).toEqual(['get a', 'get b', 'get c', 'write', 'closed']);
    expect(await chain).toBe('whole');
    const late = store.get('late').then(
      () => 'answered',
      () => 'failed',
    );
    expect(await Promise.race([late, new Promise((resolve) => setTimeout(() => resolve('silence'), 50))])).toBe('silence');
  });

  it('does not wait for ever for who goes on and on', async () => {
    let ms = 0;
    const hasty = {
      ...clock,
      monotonicMs: () => ms,
      after: (delayMs: number, run: () => void) => {
        ms += delayMs;
        return clock.after(0, run);
      },
    };
    const store = new DrainingStore(slowStore([]), hasty);
    let isOver = false;
    const endless = async (): Promise<void> => {
      while (!isOver) await store.get('again');
    };
    void endless();
    await store.close();
    isOver = true;
    expect(ms).toBeLessThan(6_000);
  });
});
