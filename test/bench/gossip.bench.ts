// The gossip model under the workload of the published gossipsub simulation: 1,000 nodes, 60 messages from random ones over 60 s,
// links of 50 to 150 ms; and the same with four peers that pass nothing on to each that does.
import { GOSSIP_DEFAULTS, type GossipParams } from '../../sim/network/gossip.ts';
import { LAN } from '../../sim/network/links.ts';
import { SeededRandom } from '../../sim/random.ts';
import { type GossipOutcome, randomGraph, shareBelow, simulateGossip } from '../support/gossip-world.ts';
import type { Bench, BenchOptions, Figures } from './bench.ts';

const LINK = { ...LAN, latencyMs: 50, jitterMs: 100 };
const SOON_MS = 300;
/** As agents do: seven observers and six neighbours. */
const OUR_DIALS = 13;
/** Degree 6 and about a hundred connections, the shape of the published one. */
const WIDE: GossipParams = {
  ...GOSSIP_DEFAULTS,
  D: 6,
  Dlo: 5,
  Dhi: 12,
  Dscore: 4,
  Dlazy: 6,
  gossipFactor: 0.25,
  heartbeatMs: 1_000,
  historyGossip: 3,
  floodPublish: true,
};
const WIDE_DIALS = 50;
/** For scores to tell who brings nothing. */
const WARM_UP_MS = 240_000;

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;

const words = ({ transmissions, delivered, latencies }: GossipOutcome): string =>
  `${transmissions.toFixed(2)} sent a delivery, ${(100 * shareBelow(latencies, SOON_MS)).toFixed(1)} % within ${SOON_MS} ms, p99 ${quantile(latencies, 0.99).toFixed(0)} ms, ${(100 * delivered).toFixed(2)} % delivered`;

async function run({ option, progress }: BenchOptions): Promise<Figures> {
  const peers = option('nodes', 1_000);
  const messages = option('messages', 60);
  const seed = option('seed', 1);
  const world = (params: GossipParams, dials: number, silent: number): Promise<GossipOutcome> => {
    progress(`${peers} nodes, degree ${params.D}, ${dials} dials each${silent > 0 ? `, ${silent} silent ones` : ''}`);
    const edges = randomGraph(peers + silent, dials, new SeededRandom(seed, 'graph'));
    const warmUpMs = silent > 0 ? WARM_UP_MS : 10_000;
    return simulateGossip({ peers, edges, link: LINK, params, messages, everyMs: 1_000, warmUpMs, silent, seed });
  };
  const ours = await world(GOSSIP_DEFAULTS, OUR_DIALS, 0);
  const wide = await world(WIDE, WIDE_DIALS, 0);
  const sybil = await world(GOSSIP_DEFAULTS, OUR_DIALS, 4 * peers);
  const wideSybil = await world(WIDE, WIDE_DIALS, 4 * peers);
  const published = '6.3 sent a delivery, 98 % within 300 ms';
  return {
    rows: [
      [`as agents are set (degree 2 to 4, about ${2 * OUR_DIALS} connections)`, words(ours), published],
      [`degree 6, about ${2 * WIDE_DIALS} connections`, words(wide), published],
      ['as agents are set, four silent to each', words(sybil), ''],
      ['degree 6, four silent to each', words(wideSybil), ''],
    ],
    keys: {
      nodes: peers,
      transmissions: ours.transmissions,
      within_300ms: shareBelow(ours.latencies, SOON_MS),
      delivered: ours.delivered,
      sybil_p99_ms: quantile(sybil.latencies, 0.99),
    },
    unmeasured: [
      'by gossip alone: an agent also pulls what it lacks, every 30 s at the latest, so that what is not delivered comes then',
    ],
  };
}

export const gossip: Bench = { name: 'gossip', description: 'the gossip model beside the published simulation', run };
