// A machine's place in the simulated network.
import type { HttpState, PeerId, PortState } from '../../swarm/ports/transport.ts';

/** An agent's end of the network, for its machine. */
export interface HostEnd {
  /** Closes connections that a cut made silent, after some time, unless it healed before. */
  cutOff(silentMs: number): void;
}

/** The answers on a machine's ports. */
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
  /** Switched on: otherwise nothing reaches it, and senders get no error. */
  up = true;
  /** Its uplink is busy until this time. */
  busyMs = 0;
  /** The share of its links' bandwidth that it has: below 1 if it is congested. */
  clog = 1;
  /** The delay of all that it sends or receives. */
  lagMs = 0;
  /** The share of its sent and received messages that is lost. */
  loss = 0;

  constructor(index: number, peer: PeerId) {
    this.index = index;
    this.peer = peer;
  }
}
