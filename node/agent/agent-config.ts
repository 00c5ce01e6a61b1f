// What an agent is created with: its configuration, and the process that runs it.
import type { Signer } from '../../swarm/identity/roster-store.ts';
import type { JoinToken } from '../../swarm/identity/token.ts';
import type { Mode } from '../action/guard.ts';
import type { MaintenanceWindow } from '../action/maintenance.ts';
import type { HeldKeys } from '../link/network-keys.ts';
import type { ServiceSpec } from '../ports/actuator.ts';
import type { Inspectors } from '../query/inspectors.ts';
import type { Question } from '../query/pack.ts';
import type { Reporter } from '../reporter.ts';
import type { Declared } from '../telemetry/declared.ts';
import type { KnownPolicy } from './policies.ts';
import type { EngineConfig } from './watcher.ts';

export interface AgentConfig {
  name: string;
  version: string;
  swarmId: string;
  mode: Mode;
  /** Shipped and configured ones; live ones are added. */
  policies: readonly KnownPolicy[];
  engine: EngineConfig;
  maintenance: readonly MaintenanceWindow[];
  /** Configured ones, beside those of the package. */
  questions: readonly Question[];
  declared: Declared;
  /** What fails together with this machine: a rack, a room. */
  domain?: string | undefined;
  /** Its location, for people. */
  place?: string | undefined;
  /** In their start order: each after its dependencies. */
  services: readonly ServiceSpec[];
  /** Addresses to try while no member is connected. */
  join: readonly string[];
  /** What it joins with while it is not a member. */
  token: JoinToken | undefined;
  /** The root keys that are stored on this machine. */
  rootSigners: readonly Signer[];
  issuers?: number | undefined;
  inspect?: Inspectors | undefined;
  /** Undefined if the swarm has no network key. */
  networkKeys?: HeldKeys | undefined;
}

/** The process that runs the agent. */
export interface AgentEvents extends Omit<Reporter, 'noted'> {
  /** The agent must be stopped with `stop('restart')` and started again. */
  restart(): void;
}
