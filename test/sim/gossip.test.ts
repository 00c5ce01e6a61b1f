// The model of gossipsub beside the real one: the same connections, the same settings, and how often messages are sent, how far
// they go, and how long they take.
import { describe, expect, it } from 'vitest';
import { GOSSIP_DEFAULTS } from '../../sim/network/gossip.ts';
import { LAN } from '../../sim/network/links.ts';
import { type GossipOutcome, simulateGossip } from '../support/gossip-world.ts';
import { realGossip } from '../support/real-gossip.ts';

const PEERS = 24;
const DIALS = 5;
const MESSAGES = 60;

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

describe('the model of gossipsub', () => {
  it(`sends as many copies over as many hops as ${PEERS} real libp2p nodes do`, { timeout: 60_000 }, async () => {
    const real = await realGossip({ peers: PEERS, dials: DIALS, messages: MESSAGES, seed: 1 });
    // On loopback a hop takes what the process takes for it: that is measured, and the model is given it.
    const hopMs = median(real.latencies) / median(real.hops);
    const link = { ...LAN, latencyMs: hopMs * 0.75, jitterMs: hopMs * 0.5 };
    const workload = { peers: PEERS, edges: real.edges, link, params: GOSSIP_DEFAULTS, messages: MESSAGES, silent: 0 };
    const model = await simulateGossip({ ...workload, everyMs: 40, warmUpMs: 0, seed: 1 });
    const row = (name: string, { transmissions, hops, latencies, degree }: GossipOutcome): string =>
      `${name}: ${transmissions.toFixed(2)} copies a delivery, mesh of ${degree.toFixed(2)}, ${mean(hops).toFixed(2)} hops, ` +
      `${[0.1, 0.5, 0.9].map((share) => (latencies.toSorted((a, b) => a - b)[Math.floor(share * latencies.length)] ?? 0).toFixed(1)).join(' / ')} ms`;
    console.info(`${real.edges.length} connections\n${row('real ', real)}\n${row('model', model)}`);
    expect(real.delivered).toBe(1);
    expect(model.delivered).toBe(1);
    expect(model.degree).toBeGreaterThan(real.degree * 0.75);
    expect(model.degree).toBeLessThan(real.degree * 1.25);
    expect(model.transmissions).toBeGreaterThan(real.transmissions * 0.75);
    expect(model.transmissions).toBeLessThan(real.transmissions * 1.25);
    expect(mean(model.hops)).toBeGreaterThan(mean(real.hops) * 0.75);
    expect(mean(model.hops)).toBeLessThan(mean(real.hops) * 1.25);
  });
});
