// The swarm's consensus as this agent takes part in it: the committee, the decisions, and the messages and requests that are for them.
import type { Roster } from '../../swarm/identity/roster.ts';
import type { Clock } from '../../swarm/ports/clock.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Status } from '../../swarm/state/status.ts';
import type { Ports } from '../ports/ports.ts';
import { Committee } from './committee.ts';
import { Decisions } from './decisions.ts';
import type { Members } from './members.ts';
import { RosterEpochs } from './roster-epochs.ts';
import { VitalSigns } from './vitals.ts';

export const CONSENSUS_MESSAGES = ['raft', 'attest'] as const;
export const CONSENSUS_REQUESTS = ['committee', 'decisions'] as const;
type MessageName = (typeof CONSENSUS_MESSAGES)[number];
type RequestName = (typeof CONSENSUS_REQUESTS)[number];

export interface ConsensusEvents {
  send(to: PeerId, name: MessageName, bytes: Uint8Array): void;
  request(to: PeerId, name: RequestName, body: Uint8Array, withinMs: number): Promise<Uint8Array>;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

export interface ConsensusConfig {
  swarmId: string;
  /** The failure domain of this machine. */
  domain?: string | undefined;
}

export class Consensus {
  readonly committee: Committee;
  readonly decisions: Decisions;
  /** The vital signs of this agent. */
  readonly vitals: VitalSigns;
  readonly #roster: Roster;
  #isOpen = false;
  #recovering: Promise<void> = Promise.resolve();

  /** @param time the swarm's time (node/link/swarm-time.ts) */
  constructor(ports: Ports, { swarmId, domain }: ConsensusConfig, members: Members, time: Clock, events: ConsensusEvents) {
    const { log, failed } = events;
    this.#roster = members.roster;
    this.vitals = new VitalSigns(ports, domain ?? '', failed);
    const epochs = new RosterEpochs(ports.clock, members.roster, () => this.decisions);
    this.committee = new Committee(ports, members, {
      send: (to, bytes) => events.send(to, 'raft', bytes),
      request: (to, body, withinMs) => events.request(to, 'committee', body, withinMs),
      vitals: () => this.vitals.now,
      isDrained: (peer) => this.decisions.proven.drained().has(peer),
      elected: (term, coordinator) => log('info', `term ${term}: leader is ${members.nameOf(coordinator)}`),
      leading: (replica) => {
        this.decisions.leading(replica);
        epochs.look();
      },
      applied: () => this.decisions.checkpoints.applied(),
      log,
      failed,
    });
    this.decisions = new Decisions({ ...ports, clock: time }, swarmId, members, this.committee, {
      send: (to, bytes) => events.send(to, 'attest', bytes),
      request: (to, body, withinMs) => events.request(to, 'decisions', body, withinMs),
      log,
      failed,
    });
  }

  async open(): Promise<void> {
    await this.decisions.checkpoints.open();
    this.vitals.start();
    this.#isOpen = true;
    await this.recover();
    await this.committee.open();
  }

  /** Follows a recovery of the committee by root keys, where there is a new one. */
  async recover(): Promise<void> {
    const recovery = this.#roster.records.single('recovery');
    if (recovery === undefined || !this.#isOpen) return;
    const again = () => this.committee.recover(recovery, () => this.decisions.state.encode());
    this.#recovering = this.#recovering.then(again, again);
    await this.#recovering;
  }

  stop(): void {
    this.vitals.stop();
    this.decisions.stop();
    this.committee.stop();
  }

  heard(origin: PeerId, { term, coordinator, decided }: Status): void {
    this.committee.heard(origin, term, coordinator);
    this.decisions.follower.lookFor(decided);
  }

  receive(name: MessageName, from: PeerId, bytes: Uint8Array): void {
    if (name === 'raft') this.committee.receive(from, bytes);
    else this.decisions.checkpoints.receive(from, bytes);
  }

  answer(name: RequestName, from: PeerId, body: Uint8Array): Promise<Uint8Array> {
    return name === 'committee' ? this.committee.answer(from, body) : this.decisions.answer(from, body);
  }
}
