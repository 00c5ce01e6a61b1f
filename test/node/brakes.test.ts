// The brakes: whose silence covers a finding, and that calls are counted together or not at all.
import { describe, expect, it } from 'vitest';
import { Brakes } from '../../node/agent/brakes.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { SeededRandom } from '../../sim/random.ts';
import { NO_LIMITS } from '../support/executor.ts';
import { PlainStore } from '../support/store.ts';

function world(limits = NO_LIMITS) {
  const clock = { monotonicMs: () => 0, wallMs: () => 0 };
  const ports = { store: new PlainStore(), clock, random: new SeededRandom(1, 'b') } as unknown as Ports;
  const reporter = { log: () => undefined, noted: async () => undefined, failed: () => undefined };
  return new Brakes(ports, { mode: 'act', maintenance: [] }, limits, reporter);
}
const restart = (service: string) => ({ tool: 'service.restart', service });

describe('the brakes', () => {
  it('say which silence covers a finding: this machine’s own before that of the swarm', async () => {
    const asked: string[][] = [];
    const silenceOn = (...of: string[]) => {
      asked.push(of);
      return { id: 's2', reason: 'a move' };
    };
    const brakes = world({ ...NO_LIMITS, silenceOn });
    expect(brakes.silence({ policy: 'load-high', target: 'web' })).toBe('silenced: a move (s2)');
    await brakes.silences.add({ policy: 'load-high', forMs: 60_000, reason: 'work' }, 's1');
    expect(brakes.silence({ policy: 'load-high', target: 'web' })).toBe('silenced: work (s1)');
    expect([asked, world().silence({ policy: 'load-high', target: 'web' })]).toEqual([[['load-high', 'web']], undefined]);
  });

  it('count all calls of a plan, or none where one of them was made too often', () => {
    const brakes = world();
    for (let i = 0; i < 3; i++) expect(brakes.use([restart('web')], 'operator')).toBeUndefined();
    const reason = 'rate limit: service.restart ran 3 times on web in 5 minutes';
    expect(brakes.use([restart('db'), restart('web')], 'operator')).toEqual({ kind: 'escalate', reason });
    for (let i = 0; i < 3; i++) expect(brakes.use([restart('db')], 'operator')).toBeUndefined();
  });
});
