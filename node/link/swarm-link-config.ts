// The configuration of an agent's link to its swarm.
import type { Claim, Vote } from '../../consensus/vote/claim.ts';
import type { Signer } from '../../swarm/identity/roster-store.ts';
import type { JoinToken } from '../../swarm/identity/token.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Evidence } from './evidence.ts';
import type { HeldKeys } from './network-keys.ts';

export interface SwarmLinkConfig {
  swarmId: string;
  /** What fails together with this machine. */
  domain?: string | undefined;
  /** The name that it asks for when it joins. */
  name: string;
  /** Where it runs, in words. */
  place?: string | undefined;
  /** Addresses to try while no member is connected. */
  join: readonly string[];
  /** What it joins with, where it is no member yet. */
  token: JoinToken | undefined;
  /** The root keys that are at hand here. */
  rootSigners: readonly Signer[];
  /** How many issuers there should be, if the root keys are here. */
  issuers?: number | undefined;
  /** Undefined where the swarm has no network key. */
  networkKeys?: HeldKeys | undefined;
}

/** What the rest of the agent answers. */
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
