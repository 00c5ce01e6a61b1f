// The agent's part in electing the coordinator: the election core, told who belongs and who is within reach, and from when on
// it may campaign.
import {
  decodeElectionMessage,
  decodeElectionState,
  ELECTION_KEY,
  Election,
  type ElectionInput,
  type ElectionMessage,
  type ElectionNotice,
  encodeElectionMessage,
} from '../../consensus/election/election.ts';
import type { Member } from '../../swarm/membership/membership.ts';
import type { Timer } from '../../swarm/ports/clock.ts';
import type { Ports } from '../../swarm/ports/ports.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { CoreRuntime } from '../../swarm/runtime/core-runtime.ts';

/** After a connection, a newcomer that hears of no term takes it that there is none. */
const NEWCOMER_PATIENCE_MS = 60_000;
const TELL_SOON_MS = 20;
const TELL_MANY_SOON_MS = 200;

export interface CoordinationEvents {
  send(to: PeerId, bytes: Uint8Array): void;
  members(): readonly Member[];
  /** Moves with every change of who belongs, or of anyone's state. */
  version(): number;
  /** Few are connected with each other: then who is alive is within reach. */
  isSparse(): boolean;
  elected(term: number, coordinator: PeerId | undefined): void;
  failed(error: unknown): void;
}

export class Coordination {
  readonly #ports: Ports;
  readonly #events: CoordinationEvents;
  #election: Election | undefined;
  #runtime: CoreRuntime<ElectionInput, ElectionMessage, ElectionNotice, 'election' | 'heartbeat'> | undefined;
  #telling: Timer | undefined;
  #patience: Timer | undefined;
  #begun = false;
  #stopped = false;
  #toldVersion = -1;

  constructor(ports: Ports, events: CoordinationEvents) {
    this.#ports = ports;
    this.#events = events;
  }

  get coordinator(): PeerId | undefined {
    return this.#election?.coordinator;
  }

  get term(): number {
    return this.#election?.term ?? 0;
  }

  async open(): Promise<void> {
    const { store, random, clock, transport } = this.#ports;
    this.#election = new Election(transport.self, random, decodeElectionState(await store.get(ELECTION_KEY)));
    this.#runtime = new CoreRuntime(this.#election, {
      clock,
      store,
      send: (to, message) => this.#events.send(to, encodeElectionMessage(message)),
      broadcast: () => undefined,
      notice: ({ term, coordinator }) => this.#events.elected(term, coordinator),
      failed: (error) => this.#events.failed(error),
    });
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of [this.#telling, this.#patience]) timer?.cancel();
    this.#runtime?.stop();
  }

  receive(from: PeerId, bytes: Uint8Array): void {
    const message = decodeElectionMessage(bytes);
    if (message !== undefined) this.#runtime?.post({ kind: 'message', from, message });
  }

  /** A term that a peer knows. */
  termSeen(term: number): void {
    if (term > this.term) this.#runtime?.post({ kind: 'term-seen', term });
    if (term > 0) this.begin();
  }

  /** From here on it may campaign: it has been in the swarm before, or began it, or has heard of a term; or nobody has for long. */
  begin(): void {
    if (this.#begun || this.#stopped || this.#runtime === undefined) return;
    this.#begun = true;
    this.tell();
    this.#runtime.post({ kind: 'start' });
  }

  connected(): void {
    this.tellSoon();
    this.#patience ??= this.#ports.clock.after(NEWCOMER_PATIENCE_MS, () => this.begin());
  }

  /** Says who belongs, and who is within reach. */
  tell(): void {
    this.#telling?.cancel();
    this.#telling = undefined;
    const sparse = this.#events.isSparse();
    this.#toldVersion = this.#events.version();
    const members: PeerId[] = [];
    const reachable: PeerId[] = [];
    for (const { peer, connected, state } of this.#events.members()) {
      if (state === 'joining') continue; // no voice before it has come
      members.push(peer);
      if (peer === this.#ports.transport.self || connected || (sparse && state === 'alive')) reachable.push(peer);
    }
    this.#runtime?.post({ kind: 'members', members, reachable });
  }

  /** That somebody came is no haste; when many come, they are told of together. */
  tellSoon(): void {
    const sparse = this.#events.isSparse();
    // Where few are connected, only who is a member and alive matters.
    if (sparse && this.#toldVersion === this.#events.version()) return;
    this.#telling ??= this.#ports.clock.after(sparse ? TELL_MANY_SOON_MS : TELL_SOON_MS, () => this.tell());
  }
}
