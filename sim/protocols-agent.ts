// An agent's protocols without the rest of it: membership, dissemination, votes and the committee. Its status does not change, except for what a
// test sets.
import { SwarmLink } from '../node/link/swarm-link.ts';
import type { Ports } from '../node/ports/ports.ts';
import { type Status, unknownConditions } from '../swarm/state/status.ts';
import type { AgentProfile } from './profile.ts';

const STATUS_EVERY_MS = 1_000;
const NO_EVIDENCE = { verdict: 'abstain', reason: 'no-evidence', confidence: 0 } as const;

/** Machines were admitted before the simulation begins. */
export const NO_TOKEN = { token: undefined, rootSigners: [] };

type LinkEvents = ConstructorParameters<typeof SwarmLink>[2];

export class ProtocolsAgent {
  readonly swarm: SwarmLink;
  readonly #ports: Ports;
  readonly #name: string;
  readonly #profile: AgentProfile;

  constructor(
    ports: Ports,
    name: string,
    swarmId: string,
    profile: AgentProfile,
    events: Omit<LinkEvents, 'request' | 'voted' | 'measured'>,
  ) {
    this.#ports = ports;
    this.#name = name;
    this.#profile = profile;
    this.swarm = new SwarmLink(
      ports,
      { ...NO_TOKEN, swarmId, name, join: profile.join },
      { ...events, request: async () => new Uint8Array(), voted: () => undefined, measured: () => NO_EVIDENCE },
    );
  }

  async start(): Promise<void> {
    await this.swarm.start();
    this.#publish();
  }

  stop(): Promise<void> {
    return this.swarm.stop();
  }

  #publish(): void {
    this.swarm.announcements.publish(this.#status());
    this.#ports.clock.after(STATUS_EVERY_MS, () => this.#publish());
  }

  #status(): Status {
    const { swarm } = this;
    const { clock, transport } = this.#ports;
    return {
      name: this.#name,
      version: this.#profile.version,
      atMs: clock.wallMs(),
      zone: swarm.consensus.vitals.zone,
      address: transport.addresses()[0] ?? '',
      loadCenti: undefined,
      memoryPermille: undefined,
      cpuPermille: undefined,
      pressureCenti: [undefined, undefined, undefined],
      conditions: unknownConditions(),
      openIncidents: 0,
      term: swarm.consensus.committee.term,
      coordinator: swarm.consensus.committee.coordinator === transport.self,
      decided: swarm.consensus.decisions.state.index,
      mode: 'observe',
      ...this.#profile.says,
    };
  }
}
