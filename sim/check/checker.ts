// What a checker is: it looks at a cluster from outside, all along and in the end, and says what must not be.
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Cluster } from '../cluster.ts';

export interface Checker {
  readonly name: string;
  /** Before anything runs. */
  begin?(cluster: Cluster): void;
  /** Each virtual second. */
  each?(cluster: Cluster): void;
  /** After the calm. */
  end?(cluster: Cluster): void | Promise<void>;
}

/** Some of many, other ones each time, so that a look at a thousand machines stays cheap. */
export function someOf<T>(all: readonly T[], most: number, turn: number): T[] {
  if (all.length <= most) return [...all];
  const from = (turn * most) % all.length;
  return [...all, ...all].slice(from, from + most);
}

export function nameOf(cluster: Cluster, peer: PeerId | undefined): string {
  return peer === undefined ? 'nobody' : (cluster.byPeer(peer)?.name ?? peer);
}
