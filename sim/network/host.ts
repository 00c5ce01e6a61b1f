// A machine's place in the simulated network.
import type { HttpState, PeerId, PortState } from '../../swarm/ports/transport.ts';

/** An agent's end of the network, as its machine sees it. */
export interface HostEnd {
  /** Connections that a cut made silent are given up after a while, unless it healed before. */
  cutOff(silentMs: number): void;
}

/** What a machine has on its ports. */
export interface PortAnswers {
  portState(port: number): PortState;
  httpState(port: number): HttpState;
}

export const NO_PORTS: PortAnswers = { portState: () => 'refused', httpState: () => 'refused' };

/** A machine's place in the network; it outlives the agents that run on it. */
export class Host {
  readonly index: number;
  readonly peer: PeerId;
  /** The agent's end, while one runs. */
  transport: HostEnd | undefined;
  answers: PortAnswers = NO_PORTS;
  /** Switched on and plugged in: otherwise nothing reaches it, and nobody is told. */
  up = true;
  /** Its uplink is busy until then. */
  busyMs = 0;
  /** Its share of what its links could carry: below 1 where it is clogged. */
  clog = 1;
  /** Delays everything that it sends or gets. */
  lagMs = 0;
  /** Of what comes from it or goes to it, the share that is lost. */
  loss = 0;

  constructor(index: number, peer: PeerId) {
    this.index = index;
    this.peer = peer;
  }
}
