// Incidents of other machines, as they reported them: each machine sends its own, signed, to some of its witnesses, which answer queries
// about them when it is down. Bounded, and kept over a restart.
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Incident } from '../detection/incident.ts';
import { incidentSchema } from '../memory/memory.ts';
import { readStory, type Story, storyBytes, storySchema } from '../memory/story.ts';
import type { Ports } from '../ports/ports.ts';

const PREFIX = 'story/';
/** Maximum stored in all, and of one machine; the oldest are dropped first. */
const MAX_STORIES = 512;
const MAX_STORIES_OF_ONE = 64;
/** Accepted from one machine in a minute. */
const MAX_PER_MINUTE = 60;
const MAX_STORY_BYTES = 32_768;
/** Only the first and the last steps of a long incident are sent. */
const FIRST_STEPS = 10;
const LAST_STEPS = 30;
/** How many witnesses receive a story. */
const MAX_RECEIVERS = 3;
/** Changes within this time are sent together. */
const SEND_AFTER_MS = 500;
/** Between two stories: witnesses accept no more in a minute, and disconnect peers that send too many requests. */
const SEND_EVERY_MS = 1_100;
/** Waiting stories; beyond it the oldest are dropped. */
const MAX_DUE = 256;
const SEND_WITHIN_MS = 2_000;

export interface StoriesEvents {
  witnesses(): readonly PeerId[];
  /** Whether this agent is a witness of a member. */
  isWitnessOf(peer: PeerId): boolean;
  tell(peer: PeerId, body: Uint8Array, withinMs: number): Promise<unknown>;
  failed(error: unknown): void;
}

export class Stories {
  readonly #ports: Ports;
  readonly #swarmId: string;
  readonly #events: StoriesEvents;
  /** The newest last. */
  readonly #kept = new Map<string, Story>();
  readonly #taken = new Map<PeerId, number[]>();
  /** Own incidents that are about to be sent. */
  readonly #due = new Map<string, Incident>();
  #sending = false;
  #stopped = false;

  constructor(ports: Ports, swarmId: string, events: StoriesEvents) {
    this.#ports = ports;
    this.#swarmId = swarmId;
    this.#events = events;
  }

  async open(): Promise<void> {
    const stored = await this.#ports.store.range(PREFIX, { limit: 2 * MAX_STORIES });
    const stories = stored.flatMap(([, bytes]) => {
      const { data } = storySchema.safeParse(decodeCbor(bytes));
      return data === undefined ? [] : [data as Story];
    });
    for (const story of stories.toSorted((a, b) => a.incident.openedMs - b.incident.openedMs))
      this.#kept.set(story.incident.id, story);
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Incidents of other machines, the oldest first. */
  all(): Incident[] {
    return [...this.#kept.values()].map(({ incident }) => incident);
  }

  of(id: string): Story | undefined {
    return this.#kept.get(id);
  }

  // Sending own incidents

  /** Sends an incident to some witnesses, soon. */
  tell(incident: Incident): void {
    if (this.#stopped) return;
    this.#due.set(incident.id, incident);
    if (this.#due.size > MAX_DUE) this.#due.delete(this.#due.keys().next().value ?? '');
    if (!this.#sending) this.#later(SEND_AFTER_MS);
  }

  /** Sends one after the other, in its state at that time. */
  #later(afterMs: number): void {
    this.#sending = true;
    this.#ports.clock.after(afterMs, () => {
      const [due] = this.#due.values();
      this.#sending = due !== undefined && !this.#stopped;
      if (due === undefined || this.#stopped) return;
      this.#due.delete(due.id);
      this.#send(due);
      this.#later(SEND_EVERY_MS);
    });
  }

  #send(due: Incident): void {
    const { steps } = due;
    const shown = steps.length > FIRST_STEPS + LAST_STEPS ? [...steps.slice(0, FIRST_STEPS), ...steps.slice(-LAST_STEPS)] : steps;
    // Parsed as the reader does, so that the signed content is the checked one; what no reader would accept is not sent.
    const read = incidentSchema.safeParse({ ...due, steps: shown });
    if (!read.success) return;
    const incident = read.data as Incident;
    const signature = this.#ports.crypto.sign(storyBytes(this.#swarmId, incident));
    const body = encodeCbor(['keep', { incident, signature }]);
    if (body.length > MAX_STORY_BYTES) return;
    // A witness that does not get it is unreachable; others keep it.
    for (const peer of this.#events.witnesses().slice(0, MAX_RECEIVERS))
      this.#events.tell(peer, body, SEND_WITHIN_MS).catch(() => undefined);
  }

  // Storing incidents of others

  /** Stores an incident that a machine sent of itself, if this agent is its witness. */
  async keep(from: PeerId, value: unknown): Promise<boolean> {
    const story = readStory(this.#ports.crypto, this.#swarmId, value);
    if (story === undefined || story.incident.node !== from || !this.#events.isWitnessOf(from) || !this.#isInTime(from))
      return false;
    const { id } = story.incident;
    const known = this.#kept.get(id);
    if (known !== undefined && known.incident.node !== from) return false;
    this.#kept.delete(id);
    this.#kept.set(id, story);
    const gone = this.#overflow(from);
    for (const old of gone) this.#kept.delete(old);
    await this.#ports.store.write([
      { kind: 'put', key: PREFIX + id, value: encodeCbor(story) },
      ...gone.map((old) => ({ kind: 'delete' as const, key: PREFIX + old })),
    ]);
    return true;
  }

  #isInTime(from: PeerId): boolean {
    const nowMs = this.#ports.clock.monotonicMs();
    const recent = (this.#taken.get(from) ?? []).filter((ms) => nowMs - ms < 60_000);
    if (recent.length >= MAX_PER_MINUTE) return false;
    this.#taken.set(from, [...recent, nowMs]);
    return true;
  }

  #overflow(of: PeerId): string[] {
    const ids = [...this.#kept.keys()];
    const own = ids.filter((id) => this.#kept.get(id)?.incident.node === of);
    return [...new Set([...own.slice(0, -MAX_STORIES_OF_ONE), ...ids.slice(0, -MAX_STORIES)])];
  }
}
