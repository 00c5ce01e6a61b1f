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

const DRAWS = 8;
const TOLERANCE = 0.3;

describe('the model of gossipsub', () => {
  it(`sends as many copies over as many hops as ${PEERS} real libp2p nodes do`, async () => {
    const real = await realGossip({ peers: PEERS, dials: DIALS, messages: MESSAGES, seed: 1 });
    // On loopback a hop takes what the process takes for it: that is measured, and the model is given it.
    const hopMs = median(real.latencies) / median(real.hops);
    const link = { ...LAN, latencyMs: hopMs * 0.75, jitterMs: hopMs * 0.5 };
    const workload = { peers: PEERS, edges: real.edges, link, params: GOSSIP_DEFAULTS, messages: MESSAGES, silent: 0 };
    // Meshes so thin differ much from draw to draw: reality is one draw, the model the mean of several.
    const models = await Promise.all(
      Array.from({ length: DRAWS }, (_, seed) => simulateGossip({ ...workload, everyMs: 40, warmUpMs: 0, seed })),
    );
    const modelled = (figure: (outcome: GossipOutcome) => number): number => mean(models.map(figure));
    const row = (name: string, outcomes: readonly GossipOutcome[]): string => {
      const latencies = outcomes.flatMap((outcome) => outcome.latencies).toSorted((a, b) => a - b);
      const [copies, degree, hops] = [
        mean(outcomes.map(({ transmissions }) => transmissions)),
        mean(outcomes.map((outcome) => outcome.degree)),
        mean(outcomes.flatMap((outcome) => outcome.hops)),
      ];
      const shares = [0.1, 0.5, 0.9].map((share) => (latencies[Math.floor(share * latencies.length)] ?? 0).toFixed(1));
      return `${name}: ${copies.toFixed(2)} copies a delivery, mesh of ${degree.toFixed(2)}, ${hops.toFixed(2)} hops, ${shares.join(' / ')} ms`;
    };
    console.info(`${real.edges.length} connections\n${row('real ', [real])}\n${row('model', models)}`);
    expect(real.delivered).toBe(1);
    expect(models.map(({ delivered }) => delivered)).toEqual(models.map(() => 1));
    const near = (ours: number, theirs: number): void => {
      expect(ours).toBeGreaterThan(theirs * (1 - TOLERANCE));
      expect(ours).toBeLessThan(theirs * (1 + TOLERANCE));
    };
    near(
      modelled(({ degree }) => degree),
      real.degree,
    );
    near(
      modelled(({ transmissions }) => transmissions),
      real.transmissions,
    );
    near(
      modelled(({ hops }) => mean(hops)),
      mean(real.hops),
    );
  });
});
