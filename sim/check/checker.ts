// The interface of checkers: a checker observes a cluster from outside, during the run and at its end, and reports violations.
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Cluster } from '../cluster.ts';

export interface Checker {
  readonly name: string;
  /** Before the run. */
  begin?(cluster: Cluster): void;
  /** Each virtual second. */
  each?(cluster: Cluster): void;
  /** After the recovery phase. */
  end?(cluster: Cluster): void | Promise<void>;
}

/** A sample, different each time, so that a check of a thousand machines stays cheap. */
export function someOf<T>(all: readonly T[], most: number, turn: number): T[] {
  if (all.length <= most) return [...all];
  const from = (turn * most) % all.length;
  return [...all, ...all].slice(from, from + most);
}

export function nameOf(cluster: Cluster, peer: PeerId | undefined): string {
  return peer === undefined ? 'nobody' : (cluster.byPeer(peer)?.name ?? peer);
}
