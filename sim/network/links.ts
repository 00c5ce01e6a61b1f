// Properties of links, and the link between two machines.

export interface LinkModel {
  /** One way. */
  latencyMs: number;
  /** Uniform, on top. */
  jitterMs: number;
  /** Probability that a one-way message or a gossip delivery is lost: queues drop it, as for a slow stream. */
  loss: number;
  /** Probability that a message arrives twice. */
  duplicate: number;
  /** Probability that a message may overtake those before it. */
  reorder: number;
  /** The bandwidth of a machine. */
  bytesPerS: number;
}

/** A local network: half a millisecond there, little jitter, no loss, a gigabit. */
export const LAN: LinkModel = { latencyMs: 0.5, jitterMs: 0.3, loss: 0, duplicate: 0, reorder: 0, bytesPerS: 125e6 };

/** The link from one machine to another, by their indices. */
export type Topology = (from: number, to: number) => LinkModel;

export const everywhere =
  (link: LinkModel): Topology =>
  () =>
    link;

export const REGIONS = ['us-east', 'us-west', 'eu-west', 'eu-central', 'ap-northeast', 'ap-southeast', 'sa-east'] as const;
export type Region = (typeof REGIONS)[number];

/** Round trips in ms between regions of large clouds: medians of public ping tables, rounded. Within one region: between zones. */
const ROUND_TRIPS: readonly (readonly number[])[] = [
  [1.2, 64, 70, 92, 150, 215, 115],
  [64, 1.2, 130, 145, 98, 168, 175],
  [70, 130, 1.2, 24, 205, 175, 178],
  [92, 145, 24, 1.2, 225, 160, 202],
  [150, 98, 205, 225, 1.2, 70, 258],
  [215, 168, 175, 160, 70, 1.2, 325],
  [115, 175, 178, 202, 258, 325, 1.2],
];

const JITTER_SHARE = 0.1;
const WAN_BYTES_PER_S = 12.5e6;

/** Machines spread over regions in turn, with the latencies between the regions. */
export function betweenRegions(regions: readonly Region[], change: Partial<LinkModel> = {}): Topology {
  const places = regions.map((region) => REGIONS.indexOf(region));
  const links = REGIONS.map((_, from) =>
    REGIONS.map((__, to): LinkModel => {
      const latencyMs = (ROUND_TRIPS[from]?.[to] ?? 0) / 2;
      return { ...LAN, latencyMs, jitterMs: latencyMs * JITTER_SHARE, bytesPerS: WAN_BYTES_PER_S, ...change };
    }),
  );
  return (from, to) => links[places[from % places.length] ?? 0]?.[places[to % places.length] ?? 0] ?? LAN;
}
