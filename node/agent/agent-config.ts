// What an agent is made with: its configuration, and who runs it.
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
  /** Shipped ones and those of the configuration; live ones come on top. */
  policies: readonly KnownPolicy[];
  engine: EngineConfig;
  maintenance: readonly MaintenanceWindow[];
  /** Of its own, beside those of the package. */
  questions: readonly Question[];
  declared: Declared;
  /** What fails together with this machine: a rack, a room. */
  domain?: string | undefined;
  /** Where it runs, in words. */
  place?: string | undefined;
  /** In the order in which they are started; each after those that it depends on. */
  services: readonly ServiceSpec[];
  /** Addresses to try while no member is connected. */
  join: readonly string[];
  /** What it joins with, where it is no member yet. */
  token: JoinToken | undefined;
  /** The root keys that are at hand here. */
  rootSigners: readonly Signer[];
  issuers?: number | undefined;
  inspect?: Inspectors | undefined;
  /** Undefined where the swarm has no network key. */
  networkKeys?: HeldKeys | undefined;
}

/** Who runs the agent. */
export interface AgentEvents extends Omit<Reporter, 'noted'> {
  /** It is to end, with `stop('restart')`, and to be started again. */
  restart(): void;
}
