// Anti-entropy: what gossip did not bring is pulled from one connected peer after another. Pulls are frequent at first, and rare when
// nothing is missing.
import type { Timer } from '../../swarm/ports/clock.ts';
import { integerBelow } from '../../swarm/ports/random.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { type Lacking, Replica } from '../../swarm/state/replica.ts';
import type { Ports } from '../ports/ports.ts';

const SYNC_TIMEOUT_MS = 5_000;
const MAX_START = 2 ** 16;
/** Gossip may lose what was published before its mesh had formed. */
const FIRST_PULL_MS = 500;
const CALM_PULL_MS = 30_000;
/** Pulls that come at least this often are not hastened. */
const FEW_PULLS_MS = 2_000;
const OFTEN_MS = 8_000;
const INCOMPLETE_MS = 3_000;
/** If an answer was not complete, another peer is asked for the rest after this. */
const MORE_MS = 50;
/** After this many pulls without anything that gossip missed, gossip works again. */
const USELESS_IN_A_ROW = 10;

export interface RepairEvents {
  /** @returns how much of it was new, and how much of that gossip should have brought before. */
  pulled(lacking: Lacking, askedMs: number): { news: number; missed: number };
  /** Every recently admitted member has published something, and statuses arrive in time. */
  isComplete(): boolean;
}

export class Repair {
  readonly #ports: Pick<Ports, 'transport' | 'clock' | 'random'>;
  readonly #replica: Replica;
  readonly #protocol: string;
  readonly #events: RepairEvents;
  #pulledMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  #delayMs = Number.POSITIVE_INFINITY;
  #stopped = false;
  #isContinuing = false;
  /** The peer that last had what gossip did not bring: it is asked repeatedly, for neighbours may withhold things. */
  #useful: PeerId | undefined;
  #uselessInARow = 0;

  constructor(ports: Pick<Ports, 'transport' | 'clock' | 'random'>, replica: Replica, protocol: string, events: RepairEvents) {
    this.#ports = ports;
    this.#replica = replica;
    this.#protocol = protocol;
    this.#events = events;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** If many peers connect together, one is asked now, and the others in turn. */
  connected(peer: PeerId): void {
    if (this.#ports.clock.monotonicMs() - this.#pulledMs >= FIRST_PULL_MS) void this.pullFrom(peer);
    if (this.#delayMs > FIRST_PULL_MS) this.#after(FIRST_PULL_MS);
  }

  /** Something is probably missing: the next pull comes soon. */
  soon(): void {
    if (this.#delayMs > FEW_PULLS_MS) this.#after(FIRST_PULL_MS + integerBelow(this.#ports.random, FEW_PULLS_MS));
  }

  /** Gossip misses things: pulls are frequent while it does. */
  often(): void {
    if (this.#delayMs > OFTEN_MS) this.#after(OFTEN_MS);
  }

  #after(delayMs: number): void {
    this.#timer?.cancel();
    if (this.#stopped) return;
    this.#delayMs = delayMs;
    this.#timer = this.#ports.clock.after(delayMs, () => {
      this.#pull();
      this.#after(Math.min(this.#events.isComplete() ? CALM_PULL_MS : INCOMPLETE_MS, delayMs * 2));
    });
  }

  #pull(): void {
    const connected = this.#ports.transport.connectedPeers();
    const peer = connected[integerBelow(this.#ports.random, connected.length)];
    if (peer !== undefined) void this.pullFrom(peer);
    if (this.#useful !== undefined && this.#useful !== peer && connected.includes(this.#useful)) void this.pullFrom(this.#useful);
  }

  #judge(peer: PeerId, missed: number): void {
    if (missed > 0) {
      this.#useful = peer;
      this.#uselessInARow = 0;
    } else if (this.#useful === peer && ++this.#uselessInARow >= USELESS_IN_A_ROW) this.#useful = undefined;
  }

  #continueSoon(): void {
    if (this.#isContinuing || this.#stopped) return;
    this.#isContinuing = true;
    this.#ports.clock.after(MORE_MS, () => {
      this.#isContinuing = false;
      if (!this.#stopped) this.#pull();
    });
  }

  async pullFrom(peer: PeerId): Promise<void> {
    const { clock, transport, random } = this.#ports;
    const askedMs = clock.monotonicMs();
    this.#pulledMs = askedMs;
    try {
      const request = this.#replica.encodeDigests(integerBelow(random, MAX_START));
      const lacking = Replica.parseSync(await transport.request(peer, this.#protocol, request, SYNC_TIMEOUT_MS));
      if (this.#stopped) return;
      const { news, missed } = this.#events.pulled(lacking, askedMs);
      this.#judge(peer, missed);
      if (news > 0 && lacking.more) this.#continueSoon();
    } catch {
      // it disconnected: the next connection pulls again
    }
  }
}
