// How the agents of a simulated machine are set up, and made to behave: all as usual, unless a scenario or a test says otherwise.
import type { Status } from '../swarm/state/status.ts';
import type { Lie } from './liar.ts';

export class AgentProfile {
  version = '0.4.0';
  /** What fails together with the machine. */
  domain: string | undefined;
  /** Where an agent finds the swarm; empty for the first one. */
  join: readonly string[] = [];
  /** It also speaks a version of the protocol that is yet to come. */
  speaksLater = false;
  /** What its status says, where there is no machine that it is of. */
  says: Partial<Status> = {};
  readonly lies = new Set<Lie>();
}
