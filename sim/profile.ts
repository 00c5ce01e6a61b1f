// The set-up and behaviour of a simulated machine's agents: the defaults, unless a scenario or a test changes them.
import type { Status } from '../swarm/state/status.ts';
import type { Lie } from './liar.ts';

export class AgentProfile {
  version = '0.4.0';
  /** The failure domain of the machine. */
  domain: string | undefined;
  /** Addresses at which an agent finds the swarm; empty for the first one. */
  join: readonly string[] = [];
  /** It also sends messages of a future version of the protocol. */
  speaksLater = false;
  /** The status, if only the protocols run. */
  says: Partial<Status> = {};
  readonly lies = new Set<Lie>();
}
