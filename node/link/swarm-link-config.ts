// The configuration of an agent's link to its swarm, and what the link requests of the rest of the agent.
import type { Claim, Vote } from '../../consensus/vote/claim.ts';
import type { Signer } from '../../swarm/identity/roster-store.ts';
import type { JoinToken } from '../../swarm/identity/token.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Evidence } from './evidence.ts';
import type { HeldKeys } from './network-keys.ts';

export interface SwarmLinkConfig {
  swarmId: string;
  /** The failure domain of this machine. */
  domain?: string | undefined;
  /** The name that it requests when it joins. */
  name: string;
  /** The host or place where it runs, as text for people. */
  place?: string | undefined;
  /** Addresses to dial while no member is connected. */
  join: readonly string[];
  /** The join token, if it is not a member yet. */
  token: JoinToken | undefined;
  /** The root keys that are stored here. */
  rootSigners: readonly Signer[];
  /** The wanted number of issuers, if the root keys are here. */
  issuers?: number | undefined;
  /** Undefined if the swarm has no network key. */
  networkKeys?: HeldKeys | undefined;
}

/** Requests that the rest of the agent answers. */
export const AGENT_REQUESTS = ['table', 'explain', 'audit', 'release'] as const;
type AgentRequest = (typeof AGENT_REQUESTS)[number];

export interface SwarmLinkEvents {
  request(protocol: AgentRequest, from: PeerId, body: Uint8Array): Promise<Uint8Array>;
  voted(claim: Claim, vote: Vote): void;
  /** What this agent has measured of another. */
  measured(claim: Claim): Evidence;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}
